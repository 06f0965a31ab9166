"""Output of ``scrapy status``, from documents of the ledger."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.api.endpoints import SORTS, VERSIONS
from xhs.crawl.note_ids import find_notes
from xhs.crawl.price import Price, read_price
from xhs.reasons import ADVICE, StopReason
from xhs.status import (
    NOTES_SHOWN,
    ROWS_SHOWN,
    WIDTH,
    Overview,
    advice,
    findings,
    link,
    note_lines,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Document = dict[str, Any]

PRICE = read_price("0.05 CNY")
WANTED = {"mode": "full", "arguments": {}}
CRAWLED = datetime(2026, 11, 27, 10, 30, tzinfo=UTC)


def note(number: int = 0, **fields: Any) -> Document:
    """Return a note of the ledger, complete unless ``fields`` say otherwise."""
    return {
        "_id": f"{number:024x}",
        "state": "ended",
        "stop_reason": "complete",
        "complete": True,
        "comment_count_l1": 117,
        "comments_collected": 117,
        "replies_collected": 90,
        "replies_reported": 90,
        "missing": 0,
        "replies_missing": 0,
        "billed_calls": 12,
        "first_seen_at": CRAWLED,
        "last_crawled_at": CRAWLED,
        **fields,
    }


def printed(notes: Iterable[Document], *, price: Price | None = PRICE, **more: Any) -> list[str]:
    """Return the lines about these notes, read to their end in the order `latest`."""
    overview = Overview(price, more.pop("options", ()))
    for each in notes:
        overview.add(each, [*findings(each, {"latest"}, price)])
    return list(overview.lines(**more))


def commands(lines: Iterable[str]) -> list[list[str]]:
    """Return the words of each command in the lines, as a shell reads them."""
    found: list[str] = []
    is_command = False
    for line in lines:
        begins = line.startswith("    scrapy ")
        is_command = begins or (is_command and line.startswith("    "))
        if begins:
            found.append(line)
        elif is_command:
            found[-1] += f"\n{line}"
    return [shlex.split(command.replace("\\\n", " ")) for command in found]


@pytest.mark.parametrize(
    ("fields", "orders", "rejected", "sentence"),
    [
        ({}, (), 0, None),
        (
            {"wanted": WANTED},
            (),
            0,
            "mode=full was asked for and has not begun: -a mode=resume",
        ),
        ({"state": "queued", "stop_reason": None}, (), 0, None),
        ({"state": "running", "stop_reason": None}, (), 0, None),
        (
            {"state": "unfinished", "stop_reason": "interrupted"},
            (),
            0,
            "not finished: -a mode=resume",
        ),
        (
            {"stop_reason": "refused", "missing": 5},
            (),
            0,
            "the API rejects the request (code 400): try -a mode=full",
        ),
        ({"stop_reason": "not_found", "replies_missing": 2}, (), 0, "does not exist, or is hidden"),
        ({"stop_reason": "max_comments", "missing": 5}, (), 0, None),
        ({"missing": 110}, (), 0, "110 of 117 not shown: try -a mode=full"),
        ({"missing": 110}, ("latest",), 0, "110 of 117 not shown: try -a sort=normal"),
        (
            {"missing": 110, "stop_reason": "up_to_date"},
            ("latest", "normal"),
            0,
            "110 of 117 not shown: try -a sort=like_count",
        ),
        ({"missing": 110}, SORTS, 0, "110 of 117 not shown in any sort order"),
        (
            {"missing": 10},
            ("latest",),
            10,
            "10 of 117 not held, 10 in `rejected`: see there, and `scrapy recover`",
        ),
        (
            {"replies_missing": 40, "replies_calls": 9, "missing": 3},
            ("latest",),
            0,
            "3 of 117 not shown: try -a sort=normal; 40 of 90 replies not held: -a mode=full "
            "-a replies=all, at most 9 calls (0.45 CNY)",
        ),
        (
            {"replies_missing": 40, "replies_calls": 0},
            (),
            0,
            "40 of 90 replies not held: the API does not show them",
        ),
        (
            {
                "state": "unfinished",
                "stop_reason": "interrupted",
                "replies_missing": 40,
                "replies_calls": 9,
            },
            (),
            0,
            "not finished: -a mode=resume; 40 of 90 replies not held: then -a mode=full "
            "-a replies=all, at most 9 calls (0.45 CNY)",
        ),
    ],
)
def test_advice_for_programs(
    fields: Document, orders: Collection[str], rejected: int, sentence: str | None
) -> None:
    assert advice([*findings(note(**fields), orders, PRICE, rejected)]) == sentence


@pytest.mark.parametrize("reason", [reason for reason in ADVICE if reason.ended])
def test_advice_for_programs_about_an_end(reason: StopReason) -> None:
    assert advice([*findings(note(stop_reason=reason.value), ())]) == ADVICE[reason].sentence


NEEDS: dict[str, tuple[Document, list[str]]] = {
    "queued": ({"state": "queued", "stop_reason": None}, ["-a", "mode=resume"]),
    "running": ({"state": "running", "stop_reason": None}, ["-a", "mode=resume"]),
    "wanted": ({"wanted": WANTED}, ["-a", "mode=resume"]),
    "unfinished": ({"state": "unfinished", "stop_reason": "interrupted"}, ["-a", "mode=resume"]),
    "refused": ({"stop_reason": "refused"}, ["-a", "mode=full"]),
    "cursor": ({"stop_reason": "no_progress"}, ["-a", "mode=full"]),
    "ignored": (
        {"stop_reason": "cursor_ignored"},
        ["-a", "mode=full", "-s", f"JUSTONEAPI_COMMENTS_VERSION={VERSIONS[1]}"],
    ),
    "unreadable": (
        {"stop_reason": "unreadable_answer"},
        ["-a", "mode=full", "-s", f"JUSTONEAPI_COMMENTS_VERSION={VERSIONS[1]}"],
    ),
    "missing": ({"missing": 5}, ["-a", "sort=normal"]),
    "replies": (
        {"replies_missing": 5, "replies_calls": 2},
        ["-a", "mode=full", "-a", "replies=all"],
    ),
}
"""Notes with something to do, and what their command says beside them."""


@pytest.mark.parametrize("need", NEEDS)
@pytest.mark.parametrize("number", [1, 2, NOTES_SHOWN])
def test_one_command_for_all_notes_of_a_group(need: str, number: int) -> None:
    fields, words = NEEDS[need]
    notes = [note(place, **fields) for place in range(number)]
    lines = printed(notes, options=["-s MONGODB_DATABASE=other"])
    [command] = commands(lines)
    assert command[:3] == ["scrapy", "crawl", "comments"]
    given = [word for word in command[3:] if not word.startswith("notes=")]
    expected = [*words, "-s", "MONGODB_DATABASE=other"]
    if words == ["-a", "mode=resume"]:
        assert given == expected
    else:
        assert given == [*expected, "-a"]
        assert find_notes(command[-1].removeprefix("notes=")).notes == [
            each["_id"] for each in notes
        ]
    listed = [line for line in lines if line.startswith("  https://")]
    assert [line.split()[0] for line in listed] == [link(each["_id"]) for each in notes]


def patterns(words: list[str]) -> list[list[str]]:
    """Return the texts that each ``grep -F`` of a pipe looks for."""
    found: list[list[str]] = []
    for word in words:
        if word == "|":
            found.append([])
        elif word not in ("grep", "-F", "-e"):
            found[-1].append(word)
    return found


def as_json(each: Document) -> str:
    """Return a note as ``--json`` prints it, as far as the stop reason and the advice go."""
    fields = {name: each[name] for name in ("state", "stop_reason")}
    return json.dumps({**fields, "advice": advice([*findings(each, {"latest"}, PRICE)])})


def test_the_notes_of_a_group_are_found_by_all_its_reasons_if_they_are_not_crawled_again() -> None:
    reasons = ("no_progress", "cursor_missing", "cursor_repeated")
    notes = [note(place, stop_reason=reasons[place % 3]) for place in range(NOTES_SHOWN + 1)]
    find, _ = commands(printed([*notes, note(99, state="running", stop_reason="no_progress")]))[1:]
    state, stops = patterns(find[4:-2])
    assert state == ['"state": "ended"']
    assert sorted(stops) == sorted(f'"stop_reason": "{reason}"' for reason in reasons)


@pytest.mark.parametrize(
    "need", [need for need, (_, words) in NEEDS.items() if "resume" not in words[1]]
)
def test_a_command_for_more_notes_than_are_listed_finds_them(need: str) -> None:
    fields, words = NEEDS[need]
    others = [
        note(900 + place, **other)
        for place, (name, (other, _)) in enumerate(NEEDS.items())
        if name != need
    ]
    notes = [note(place, **fields) for place in range(NOTES_SHOWN + 3)]
    lines = printed(notes)
    find, crawl = commands(lines)
    assert find[:4] == ["scrapy", "status", "--incomplete", "--json"]
    assert find[-2:] == [">", "notes.jsonl"]
    assert crawl == ["scrapy", "crawl", "comments", *words, "-a", "notes_file=notes.jsonl"]
    found = [*notes, *others]
    for texts in patterns(find[4:-2]):
        found = [each for each in found if any(text in as_json(each) for text in texts)]
    assert found == notes
    assert len([line for line in lines if line.startswith("  https://")]) == NOTES_SHOWN
    assert lines[-1].strip() == "… and 3 more; `scrapy status --json` lists all"


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"stop_reason": "not_found"}, "do not exist"),
        ({"replies_missing": 5, "replies_calls": 0}, "does not show them"),
        ({"stop_reason": "all_rejected"}, "scrapy recover"),
    ],
)
def test_where_no_crawl_helps_none_is_advised(fields: Document, hint: str) -> None:
    text = "\n".join(printed([note(**fields)]))
    assert "scrapy crawl" not in text
    assert hint in text


def test_what_is_wrong_comes_first_and_the_sums_before() -> None:
    lines = printed(
        [
            note(1),
            note(2, replies_missing=40, replies_collected=50, replies_calls=9),
            note(3, replies_missing=10, replies_collected=80, replies_calls=2),
            note(4, stop_reason="refused", complete=False),
            note(5, state="queued", stop_reason=None, complete=False, comments_collected=None),
            note(6, stop_reason="not_found", complete=False),
            note(7, missing=7, comments_collected=110),
        ]
    )
    assert lines[:3] == [
        "7 notes: 6 ended, 1 queued; 4 complete",
        "695 comments and 580 replies held; 7 comments and 50 replies missing",
        "84 calls billed (4.20 CNY)",
    ]
    titles = [line for before, line in pairwise(lines) if not before]
    assert titles == [
        "Not finished: 1 note (1 queued)",
        "Ended abnormally: 1 note (1 refused)",
        "Comments missing: 1 note",
        "Replies missing: 2 notes",
        "Not found: 1 note",
        "Nothing to do: 1 note",
    ]
    assert "  At most 11 calls (0.55 CNY). To get them:" in lines
    assert lines[-1].split() == [link(note(1)["_id"]), "complete", "117", "90", "12"]


def test_a_note_with_two_needs_is_listed_with_both() -> None:
    lines = printed([note(missing=7, replies_missing=40, replies_calls=9)])
    assert [words[3:5] for words in commands(lines)] == [["-a", "sort=normal"], ["-a", "mode=full"]]
    assert sum(line.startswith("  https://") for line in lines) == 2


def test_an_unfinished_note_is_to_be_finished_before_its_replies_are_counted() -> None:
    fields: Document = {"replies_missing": 40, "replies_calls": 9, "stop_reason": "interrupted"}
    lines = printed([note(state="unfinished", **fields)])
    assert commands(lines) == [["scrapy", "crawl", "comments", "-a", "mode=resume"]]


def test_billed_answers_without_data_are_to_be_reported() -> None:
    lines = printed([note(state="unfinished", stop_reason="empty_answer")])
    assert "ask the provider" in " ".join(lines)


def test_notes_that_need_nothing_are_counted_and_the_first_listed() -> None:
    lines = printed([note(number) for number in range(ROWS_SHOWN + 5)])
    assert f"Nothing to do: {ROWS_SHOWN + 5} notes" in lines
    assert sum(line.startswith("  https://") for line in lines) == ROWS_SHOWN
    assert lines[-1].strip() == "… and 5 more; `scrapy status --json` lists all"


def test_memory_does_not_grow_with_the_ledger() -> None:
    overview = Overview()
    few = note(0, stop_reason="refused"), note(1)
    for each in few:
        overview.add(each, [*findings(each, ())])
    for number in range(2, 3000):
        each = note(number, stop_reason="refused" if number % 2 else "complete")
        overview.add(each, [*findings(each, ())])
    kept = [line for line in overview.lines() if "https://" in line]
    assert len(kept) == NOTES_SHOWN + ROWS_SHOWN
    assert overview.count == 3000


def test_only_incomplete_notes_are_named_as_such() -> None:
    first = printed([note(complete=False, stop_reason="since")], only_incomplete=True)[0]
    assert first == "1 incomplete note: 1 ended"


def test_one_note_in_detail() -> None:
    shown = note(1, comments_collected=110, last_crawled_at=None)
    assert list(note_lines(shown, PRICE)) == [
        "https://www.xiaohongshu.com/explore/000000000000000000000001",
        "  state         ended (complete)",
        "  complete      yes",
        "  comments      110 of 117 comments held",
        "  replies       90 of 90 replies held",
        "  calls billed  12 (0.60 CNY)",
        "  first seen    2026-11-27 10:30 UTC",
        "  last crawled  never",
    ]


ESCAPE = "\x1b]0;a title\x07"


@pytest.mark.parametrize("state", ["ended", "queued", "unfinished", ESCAPE])
@pytest.mark.parametrize("stop", ["complete", "refused", ESCAPE])
def test_what_somebody_else_wrote_to_the_ledger_does_not_reach_the_terminal(
    state: str, stop: str
) -> None:
    numbers: Document = dict.fromkeys(
        ("comment_count_l1", "comments_collected", "replies_collected", "replies_reported"), ESCAPE
    )
    odd = note(state=state, stop_reason=stop, missing=3, replies_missing=2, **numbers)
    odd["_id"] = f"'; {ESCAPE}"
    lines = [*printed([odd]), *note_lines(odd, PRICE)]
    assert [line for line in lines if not line.isprintable()] == []
    assert "a title" not in "".join(word for words in commands(lines) for word in words)


@st.composite
def ledgers(draw: st.DrawFn) -> list[Document]:
    """Draw the notes of a ledger: any state and end, counts up to a hundred thousand comments."""
    counts = st.integers(0, 10**5)
    fields = st.fixed_dictionaries(
        {
            "stop_reason": st.none() | st.sampled_from(StopReason),
            "is_begun_again": st.booleans(),
            "complete": st.booleans(),
            "wanted": st.none() | st.sampled_from([WANTED, {"mode": "update", "arguments": {}}]),
            "billed_calls": st.integers(0, 10**4),
            **dict.fromkeys(
                (
                    "comment_count_l1",
                    "comments_collected",
                    "replies_collected",
                    "missing",
                    "replies_reported",
                    "replies_missing",
                    "replies_calls",
                ),
                st.none() | counts,
            ),
        }
    )
    drawn = draw(st.lists(fields, min_size=1, max_size=30))
    return [note(number, **each, state=_state(each)) for number, each in enumerate(drawn)]


def _state(drawn: Document) -> str:
    if drawn["is_begun_again"]:
        return "running"
    stop: StopReason | None = drawn["stop_reason"]
    if stop is None:
        return "queued"
    return "ended" if stop.ended else "unfinished"


@given(
    ledgers(),
    st.sets(st.sampled_from(SORTS)),
    st.integers(0, 3),
    st.sampled_from([(), ("-s MONGODB_DATABASE=other", "-s XHS_CALL_PRICE='0.05 CNY'")]),
)
def test_no_line_is_wider_than_a_terminal(
    notes: list[Document], orders: set[str], rejected: int, options: tuple[str, ...]
) -> None:
    overview = Overview(PRICE, options)
    for each in notes:
        overview.add(each, [*findings(each, orders, PRICE, rejected)])
        assert max(map(len, note_lines(each, PRICE))) <= WIDTH
    lines = list(overview.lines())
    assert [line for line in lines if len(line) > WIDTH] == []
    assert not any(line != line.rstrip() or not line.isprintable() for line in lines)
    listed = {line.split()[0] for line in lines if line.startswith("  https://")}
    assert len(listed) == len({each["_id"] for each in notes}) or len(notes) > NOTES_SHOWN
