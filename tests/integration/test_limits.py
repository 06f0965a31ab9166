"""max_comments and since: nothing beyond the limit is kept, and no page after it is paid for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from support.expected import expected_note
from support.threads import (
    authors,
    delivered,
    moment,
    pages_left,
    stored_threads,
    thread_calls,
    with_inline,
    with_replies,
)

from xhs.simulator.comments import cursor_text
from xhs.simulator.dataset import Dataset
from xhs.simulator.notes import profile, sized_note, usual_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from support.crawl import Outcome, Project
    from support.simulator import Simulator

NOTE = sized_note(60)
COMMENTS = expected_note(NOTE).first_level
PINNED = [usual_note(serial) for serial in (14, 50, 72, 394, 40, 196)]
"""Notes with one or two pinned comments and at least two pages; the last two in odd forms."""


def given(arguments: Mapping[str, str]) -> list[str]:
    return [word for name, value in arguments.items() for word in ("-a", f"{name}={value}")]


def iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def assert_kept(project: Project, done: Outcome, expected: Mapping[str, Iterable[str]]) -> None:
    """Check that feed and store hold just these first-level comments and their inline replies."""
    comments = {note: with_inline(note, roots) for note, roots in expected.items()}
    every = {comment: parents for found in comments.values() for comment, parents in found.items()}
    assert sorted(done.ids("comment")) == sorted(every)
    assert delivered(done.items("comment")) == every
    wrote = {user for note, found in comments.items() for user in authors(note, found)}
    assert set(done.ids("user")) == wrote
    if project.uri:
        assert stored_threads(project) == {note: found for note, found in comments.items() if found}
        assert project.documents("users").keys() == wrote


def assert_ended(
    project: Project, done: Outcome, note: str, reason: str, pages: int, comments: int
) -> None:
    """Check how far the note's item and the ledger say that it was read, and why no further."""
    (item,) = (item for item in done.items("note") if item["note_id"] == note)
    documents = [item, project.note(note)] if project.uri else [item]
    for document in documents:
        assert document["stop_reason"] == reason, document
        assert document["complete"] is (reason == "complete"), document
        assert (document["pages"], document["comments_collected"]) == (pages, comments), document
        assert document["missing"] == expected_note(note).comment_count_l1 - comments, document
    if project.uri:
        assert (documents[1]["state"], documents[1]["checkpoint"]) == ("ended", None)


@pytest.mark.parametrize("limit", [9, 10, 25])
def test_so_many_comments_and_no_more(api: Simulator, project: Project, limit: int) -> None:
    notes = [sized_note(25, 1), sized_note(20, 2), sized_note(120, 3), sized_note(0, 4)]
    done = project.crawl(notes=notes, max_comments=str(limit))
    assert (done.status, done.reason) == (0, "finished"), done
    assert_kept(project, done, {note: expected_note(note).first_level[:limit] for note in notes})
    calls = {note: book["billed"] for note, book in api.call_log()["notes"].items()}
    pages = {note: min(expected_note(note).pages, -(-limit // 10)) for note in notes}
    assert (calls, api.call_log()["calls"]) == (pages, sum(pages.values()))
    limited = [note for note in notes if limit < len(expected_note(note).first_level)]
    for note in notes:
        reason = "max_comments" if note in limited else "complete"
        expected = len(expected_note(note).first_level)
        assert_ended(project, done, note, reason, pages[note], min(limit, expected))
    assert done.stats.get("xhs/notes/max_comments", 0) == len(limited)
    assert done.stats["xhs/notes/left"] == 0


def test_a_limit_holds_in_every_order_and_for_pinned_comments(
    api: Simulator, project: Project
) -> None:
    expected = {}
    for note, sort in zip(PINNED[:3], ("latest", "normal", "like_count"), strict=True):
        api.reset_call_log()
        done = project.crawl(notes=[note], sort=sort, max_comments="12")
        assert done.status == 0, done
        expected[note] = expected_note(note).sorted_by(sort)[:12]
        assert api.call_log()["calls"] == 2
        assert_ended(project, done, note, "max_comments", 2, 12)
    assert stored_threads(project) == {
        note: with_inline(note, roots) for note, roots in expected.items()
    }


def test_the_limits_hold_without_a_store(api: Simulator, without_store: Project) -> None:
    done = without_store.crawl(notes=[NOTE], max_comments="15")
    assert done.status == 0, done
    assert_kept(without_store, done, {NOTE: COMMENTS[:15]})
    assert_ended(without_store, done, NOTE, "max_comments", 2, 15)
    done = without_store.crawl(notes=[NOTE], since=iso(moment(NOTE, COMMENTS[14])))
    assert done.status == 0, done
    assert_kept(without_store, done, {NOTE: COMMENTS[:15]})
    assert_ended(without_store, done, NOTE, "since", 2, 15)
    assert api.call_log()["calls"] == 4


def test_no_reply_is_kept_where_none_is_wanted(api: Simulator, project: Project) -> None:
    done = project.crawl(notes=[NOTE], max_comments="15", replies="none")
    assert done.status == 0, done
    assert stored_threads(project)[NOTE].keys() == set(done.ids("comment")) == set(COMMENTS[:15])


@pytest.mark.parametrize("count", [1, 10, 60])
@pytest.mark.parametrize("later", [0, 1])
def test_nothing_older_is_kept(api: Simulator, project: Project, count: int, later: int) -> None:
    """Since the second of a comment, which is kept, and since the second after it."""
    line = moment(NOTE, COMMENTS[count - 1]) + timedelta(seconds=later)
    newer = COMMENTS[: count - later]
    assert [comment for comment in COMMENTS if moment(NOTE, comment) >= line] == newer
    done = project.crawl(notes=[NOTE], since=iso(line))
    assert (done.status, done.reason) == (0, "finished"), done
    assert_kept(project, done, {NOTE: newer})
    pages = min(6, len(newer) // 10 + 1)
    assert api.call_log()["calls"] == pages
    reason = "complete" if newer == COMMENTS else "since"
    assert_ended(project, done, NOTE, reason, pages, len(newer))
    assert done.stats[f"xhs/notes/{reason}"] == 1


def test_since_a_time_that_is_still_to_come(api: Simulator, project: Project) -> None:
    done = project.crawl(notes=[NOTE], since="2099-01-01")
    assert done.status == 0, done
    assert_kept(project, done, {NOTE: []})
    assert_ended(project, done, NOTE, "since", 1, 0)
    assert api.call_log()["calls"] == 1


def written(line: datetime) -> dict[str, str]:
    """Return a time in all forms that are accepted."""
    shanghai = line.astimezone(timezone(timedelta(hours=8)))
    return {
        "no zone": f"{line:%Y-%m-%dT%H:%M:%S}",
        "Shanghai": f"{shanghai:%Y-%m-%dT%H:%M:%S}+08:00",
    }


@pytest.mark.parametrize("form", ["no zone", "Shanghai"])
def test_a_time_is_of_utc_unless_it_names_a_zone(
    api: Simulator, project: Project, form: str
) -> None:
    """The machine's own time zone makes no difference."""
    line = moment(NOTE, COMMENTS[14])
    done = project.crawl(notes=[NOTE], since=written(line)[form], env={"TZ": "Asia/Shanghai"})
    assert done.status == 0, done
    assert_kept(project, done, {NOTE: COMMENTS[:15]})
    assert api.call_log()["calls"] == 2


def test_a_date_begins_at_midnight_of_utc(api: Simulator, project: Project) -> None:
    notes = [sized_note(size, 10 + size) for size in (30, 45, 60, 75)]
    times = {
        note: [moment(note, comment) for comment in expected_note(note).first_level]
        for note in notes
    }
    day = times[notes[0]][12].replace(hour=0, minute=0, second=0)
    newer = {
        note: [
            comment
            for comment, time in zip(expected_note(note).first_level, times[note], strict=True)
            if time >= day
        ]
        for note in notes
    }
    done = project.crawl(notes=notes, since=f"{day:%Y-%m-%d}", env={"TZ": "America/New_York"})
    assert done.status == 0, done
    assert_kept(project, done, newer)
    pages = sum(min(expected_note(note).pages, len(newer[note]) // 10 + 1) for note in notes)
    assert api.call_log()["calls"] == pages


@pytest.mark.parametrize(
    ("note", "share"), [(PINNED[0], 0.3), (PINNED[1], 0.6), (PINNED[4], 0.3), (PINNED[5], 0.6)]
)
def test_a_pinned_comment_that_is_older_is_not_kept_and_ends_nothing(
    api: Simulator, project: Project, note: str, share: float
) -> None:
    expected = expected_note(note)
    pinned = expected.pinned
    unpinned = [comment for comment in expected.first_level if comment not in pinned]
    count = int(share * len(unpinned))
    line = moment(note, unpinned[count - 1])
    newer = [comment for comment in expected.first_level if moment(note, comment) >= line]
    assert len(newer) < len(expected.first_level)
    done = project.crawl(notes=[note], since=iso(line))
    assert done.status == 0, done
    assert_kept(project, done, {note: newer})
    crossing = expected.first_level.index(unpinned[count])
    assert api.call_log()["calls"] == crossing // 10 + 1
    assert_ended(project, done, note, "since", crossing // 10 + 1, len(newer))


def test_a_note_of_which_only_a_pinned_comment_is_older(api: Simulator, project: Project) -> None:
    """It is read to its end, whether that is another page or not, and is not complete."""
    note = next(
        usual
        for usual in map(usual_note, range(3000))
        if 0 in profile(usual).pinned and 12 <= profile(usual).first_level <= 60
    )
    expected = expected_note(note)
    newer = sorted(expected.first_level, key=lambda comment: moment(note, comment))[1:]
    assert expected.pinned[0] not in newer or len(expected.pinned) > 1
    done = project.crawl(notes=[note], since=iso(moment(note, newer[0])))
    assert done.status == 0, done
    assert_kept(project, done, {note: newer})
    assert api.call_log()["calls"] == expected.pages
    assert_ended(project, done, note, "since", expected.pages, len(newer))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"max_comments": "-1", "since": "nonsense"}, ["max_comments='-1'", "since='nonsense'"]),
        ({"since": "2026-01-01", "sort": "like_count", "max_comments": "0"}, ["since", "max_comm"]),
        (
            {"since": "yesterday", "notes": f"{NOTE},bad", "sort": "x"},
            ["since=", "piece 2 of 2", "sort="],
        ),
    ],
)
def test_a_limit_that_cannot_work_is_refused(
    api: Simulator, without_store: Project, arguments: dict[str, str], expected: Sequence[str]
) -> None:
    done = without_store.crawl(*given({"notes": NOTE, **arguments}))
    errors = done.lines("ERROR")
    assert done.status == 2, done
    assert len(errors) == len(expected), errors
    for part in expected:
        assert any(part in error for error in errors), (part, errors)
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 0


def test_since_with_another_order_names_both(api: Simulator, without_store: Project) -> None:
    done = without_store.crawl(notes=[NOTE], since="2026-01-01", sort="normal")
    (error,) = done.lines("ERROR")
    assert "since" in error
    assert "sort=latest" in error
    assert api.call_log()["calls"] == 0


@pytest.mark.parametrize(
    ("limit", "since", "reason", "pages"),
    [
        (5, 15, "max_comments", 1),
        (15, 5, "since", 1),
        (1000, 60, "complete", 6),
    ],
)
def test_of_both_limits_the_first_ends_the_note(
    api: Simulator, project: Project, limit: int, since: int, reason: str, pages: int
) -> None:
    line = iso(moment(NOTE, COMMENTS[since - 1]))
    done = project.crawl(notes=[NOTE], max_comments=str(limit), since=line)
    assert done.status == 0, done
    count = min(limit, since, 60)
    assert_kept(project, done, {NOTE: COMMENTS[:count]})
    assert api.call_log()["calls"] == pages
    assert_ended(project, done, NOTE, reason, pages, count)


def test_pinned_comments_that_are_too_old_use_up_no_limit(api: Simulator, project: Project) -> None:
    note = PINNED[2]
    expected = expected_note(note)
    line = moment(note, expected.first_level[30])
    newer = [comment for comment in expected.first_level if moment(note, comment) >= line]
    assert expected.pinned[0] not in newer
    done = project.crawl(notes=[note], since=iso(line), max_comments="10")
    assert done.status == 0, done
    assert_kept(project, done, {note: newer[:10]})
    assert api.call_log()["calls"] == 2
    assert_ended(project, done, note, "max_comments", 2, 10)


@pytest.mark.parametrize(
    ("limits", "budget"),
    [
        ({"max_comments": "35"}, 3),
        ({"max_comments": "35", "since": iso(moment(NOTE, COMMENTS[49]))}, 1),
    ],
    ids=["max_comments", "both"],
)
def test_a_limit_holds_through_an_interruption(
    api: Simulator, project: Project, limits: dict[str, str], budget: int
) -> None:
    first = project.crawl(*given(limits), notes=[NOTE], env={"XHS_MAX_CALLS": str(budget)})
    assert (first.status, first.reason) == (3, "budget_spent"), first
    assert_kept(project, first, {NOTE: COMMENTS[: 10 * budget]})
    assert project.note(NOTE)["checkpoint"]["kept"] == 10 * budget
    done = project.crawl(*given(limits), notes=[NOTE], mode="resume")
    assert done.status == 0, done
    assert stored_threads(project) == {NOTE: with_inline(NOTE, COMMENTS[:35])}
    assert api.call_log()["calls"] == 4
    reason = "since" if "max_comments" not in limits else "max_comments"
    assert_ended(project, done, NOTE, reason, 4, 35)


def test_what_a_limit_left_out_is_left_to_full(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[NOTE], max_comments="15").status == 0
    api.reset_call_log()
    resumed = project.crawl(notes=[NOTE], mode="resume")
    assert (resumed.status, resumed.feed, api.call_log()["calls"]) == (0, [], 0), resumed
    done = project.crawl(notes=[NOTE])
    assert done.status == 0, done
    assert_kept(project, done, {NOTE: COMMENTS})
    assert_ended(project, done, NOTE, "complete", 6, 60)


def test_a_smaller_limit_later_takes_nothing_away(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    done = project.crawl(notes=[NOTE], max_comments="15")
    assert done.status == 0, done
    assert done.items("note")[0]["stop_reason"] == "max_comments"
    assert (done.items("note")[0]["complete"], done.items("note")[0]["missing"]) == (False, 0)
    assert delivered(done.items("comment")) == with_inline(NOTE, COMMENTS[:15])
    assert stored_threads(project) == {NOTE: with_inline(NOTE, COMMENTS)}


def out_of_order(note: str) -> list[dict[str, Any]]:
    """Return rules by which a note comes in the order ``normal`` and says so."""
    dataset, expected = Dataset(), expected_note(note)
    rules: list[dict[str, Any]] = []
    for page in range(1, expected.pages + 1):
        data = dataset.numbered_page(note, "normal", page)
        if data["has_more"]:
            data["cursor"] = cursor_text(expected.first_level[10 * page - 1], page + 1)
        rules.append({"note": note, "page": page, "data": data})
    return rules


def test_since_reads_on_where_the_order_is_not_by_time(api: Simulator, project: Project) -> None:
    api.script({"rules": out_of_order(NOTE)})
    line = moment(NOTE, COMMENTS[24])
    done = project.crawl(notes=[NOTE], since=iso(line))
    assert done.status == 0, done
    assert_kept(project, done, {NOTE: COMMENTS[:25]})
    assert api.call_log()["calls"] == 6
    assert_ended(project, done, NOTE, "since", 6, 25)
    warnings = [line for line in done.lines("WARNING") if NOTE in line and "default" in line]
    assert len(warnings) == 1, done


@pytest.mark.parametrize("strategy", ["latest", "latest_v2"])
def test_the_order_by_time_has_more_than_one_name(
    api: Simulator, project: Project, strategy: str
) -> None:
    patch = [{"path": ["current_sort_strategy"], "value": strategy}]
    api.script({"rules": [{"patch": patch}]})
    done = project.crawl(notes=[NOTE], since=iso(moment(NOTE, COMMENTS[14])))
    assert done.status == 0, done
    assert api.call_log()["calls"] == 2
    assert_ended(project, done, NOTE, "since", 2, 15)


@pytest.mark.parametrize(
    ("limits", "count"),
    [
        ({"max_comments": "15"}, 15),
        ({"max_comments": "1000"}, 60),
        ({"since": iso(moment(NOTE, COMMENTS[24]))}, 25),
    ],
    ids=["max_comments", "more than there are", "since"],
)
def test_the_threads_of_kept_comments_alone_are_followed(
    api: Simulator, project: Project, limits: dict[str, str], count: int
) -> None:
    wanted = COMMENTS[:count]
    left = pages_left(NOTE, wanted)
    assert left
    done = project.crawl(*given(limits), notes=[NOTE], replies="all")
    assert done.status == 0, done
    pages = -(-count // 10)
    fetched = [call["comment"] for call in thread_calls(api)]
    assert sorted(fetched) == sorted(root for root, times in left.items() for _ in range(times))
    assert api.call_log()["calls"] == pages + len(fetched)
    assert done.stats["xhs/replies/calls_expected"] == len(fetched)
    assert stored_threads(project) == {NOTE: with_replies(NOTE, wanted)}
    assert delivered(done.items("comment")) == with_replies(NOTE, wanted)
    (item,) = done.items("note")
    assert item["replies_collected"] == len(with_replies(NOTE, wanted)) - count
    reason = "complete" if count == 60 else next(iter(limits))
    assert_ended(project, done, NOTE, reason, pages, count)


def test_a_time_is_read_in_every_form_the_api_has(api: Simulator, project: Project) -> None:
    """Milliseconds, and also counts as text."""
    note = usual_note(12)
    expected = expected_note(note)
    done = project.crawl(notes=[note], since=iso(moment(note, expected.first_level[20])))
    assert done.status == 0, done
    assert_kept(project, done, {note: expected.first_level[:21]})
    assert moment(note, expected.first_level[20]) < datetime.now(UTC)
    assert api.call_log()["calls"] == 3


def test_a_comment_that_comes_twice_counts_once(api: Simulator, project: Project) -> None:
    first = api.call(noteId=NOTE)["data"]["comments"]
    second = api.call(noteId=NOTE, lastCursor=cursor_text(COMMENTS[9], 2))["data"]["comments"]
    again = [{"path": ["comments"], "value": [*first[-2:], *second]}]
    api.script({"rules": [{"page": 2, "patch": again}]})
    api.reset_call_log()
    done = project.crawl(notes=[NOTE], max_comments="15")
    assert done.status == 0, done
    assert stored_threads(project) == {NOTE: with_inline(NOTE, COMMENTS[:15])}
    assert api.call_log()["calls"] == 2
    assert_ended(project, done, NOTE, "max_comments", 2, 15)


@pytest.mark.parametrize("change", [{"remove": True}, {"value": None}], ids=["none", "null"])
def test_a_comment_without_a_time_is_kept_and_ends_nothing(
    api: Simulator, project: Project, change: dict[str, Any]
) -> None:
    api.script({"rules": [{"page": 1, "patch": [{"path": ["comments", 3, "time"], **change}]}]})
    done = project.crawl(notes=[NOTE], since=iso(moment(NOTE, COMMENTS[14])))
    assert done.status == 0, done
    assert_kept(project, done, {NOTE: COMMENTS[:15]})
    assert_ended(project, done, NOTE, "since", 2, 15)


def test_what_lies_beyond_a_limit_is_not_looked_at(api: Simulator, project: Project) -> None:
    """It is not rejected either, even if it is invalid."""
    patch = [{"path": ["comments", place, "content"], "value": "\ud83d"} for place in (7, 9)]
    api.script({"rules": [{"page": 1, "patch": patch}]})
    done = project.crawl(notes=[NOTE], max_comments="7")
    assert done.status == 0, done
    assert_kept(project, done, {NOTE: COMMENTS[:7]})
    assert project.documents("rejected") == {}


@pytest.mark.parametrize("name", ["max_comments", "since"])
def test_a_job_directory_keeps_the_limit(api: Simulator, project: Project, name: str) -> None:
    limit = "35" if name == "max_comments" else iso(moment(NOTE, COMMENTS[34]))
    words = [*given({name: limit}), "-s", f"JOBDIR={project.folder / 'job'}"]
    first = project.crawl(*words, notes=[NOTE], env={"XHS_MAX_CALLS": "2"})
    assert first.status == 3, first
    done = project.crawl(*words, notes=[NOTE])
    assert done.status == 0, done
    assert stored_threads(project) == {NOTE: with_inline(NOTE, COMMENTS[:35])}
    assert api.call_log()["calls"] == 4


def test_threads_of_comments_that_an_earlier_pass_kept_are_not_followed(
    api: Simulator, project: Project
) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    api.reset_call_log()
    done = project.crawl(notes=[NOTE], replies="all", max_comments="15")
    assert done.status == 0, done
    left = pages_left(NOTE, COMMENTS[:15])
    assert {call["comment"] for call in thread_calls(api)} == left.keys()
    assert api.call_log()["calls"] == 2 + sum(left.values())
    assert stored_threads(project) == {
        NOTE: with_inline(NOTE, COMMENTS) | with_replies(NOTE, COMMENTS[:15])
    }
