"""Faults of the API: which are retried, which end a note, which end the crawl."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from support.codes import FATAL
from support.expected import expected_note
from support.pages import page_count

from xhs.simulator.notes import DOCUMENTED_NOTE, sized_note, threaded_note

if TYPE_CHECKING:
    from support.crawl import Document, Outcome, Project
    from support.simulator import Simulator

GOOD = sized_note(11, 99)


def ends(done: Outcome) -> dict[str, str]:
    """Return each note's stop reason in the feed."""
    return {item["note_id"]: item["stop_reason"] for item in done.items("note")}


def is_stored(project: Project, note: str, pages: int | None = None) -> bool:
    """True if exactly the comments on a note's first pages, by default on all, are stored."""
    first_level = expected_note(note).first_level
    shown = first_level if pages is None else first_level[: 10 * pages]
    return project.comment_ids(note)[0] == set(shown)


def index_of(document: Document) -> int:
    """Return the number of a checkpoint's page."""
    cursor = (document.get("checkpoint") or {}).get("cursor")
    return 1 if cursor is None else int(json.loads(cursor)["index"])


REFUSED: list[dict[str, Any]] = [
    {"code": 301},
    {"code": 302},
    {"code": 500},
    {"status": 429, "envelope": True},
    {"status": 200, "envelope": True, "code": 301},
]
NO_ENVELOPE: dict[str, dict[str, Any]] = {
    "http_502": {"status": 502},
    "http_401": {"status": 401},
    "http_402": {"status": 402},
    "http_403": {"status": 403},
    "http_429": {"status": 429},
    "http_200": {"html": True},
}
CUT: list[dict[str, Any]] = [
    {"truncate": True},
    {"reset": "before"},
    {"reset": "after"},
    {"status": 504, "billed": True},
    {"body": '{"code": 0, "data": {', "billed": True},
    {"body": "", "billed": True},
]


def test_what_passes_is_retried_and_everything_arrives(api: Simulator, project: Project) -> None:
    faults = [*REFUSED, *NO_ENVELOPE.values(), *CUT]
    notes = [sized_note(25, serial) for serial in range(len(faults))]
    # The second page of each note is refused once, then answered.
    rules = [
        {**fault, "note": note, "page": 2, "page_call": 1}
        for note, fault in zip(notes, faults, strict=True)
    ]
    api.script({"rules": rules})
    done = project.crawl(notes=notes)
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    assert ends(done) == dict.fromkeys(notes, "complete")
    assert all(is_stored(project, note) for note in notes)

    pages = 3 * len(notes)
    call_log = api.call_log()
    assert call_log["calls"] == pages + len(faults)
    assert call_log["billed"] == pages + len(CUT)
    stats = done.stats
    assert stats["xhs/calls/billed"] == pages
    assert stats["xhs/calls/unknown"] == len(CUT)
    refusals = {name: n for name, n in stats.items() if name.startswith("xhs/calls/refused/")}
    assert refusals == {
        "xhs/calls/refused/301": 2,
        "xhs/calls/refused/302": 2,
        "xhs/calls/refused/500": 1,
        **{f"xhs/calls/refused/{name}": 1 for name in NO_ENVELOPE},
    }
    billed = [project.note(note)["billed_calls"] for note in notes]
    assert billed == [3] * (len(REFUSED) + len(NO_ENVELOPE)) + [4] * len(CUT)


SHARES: list[tuple[float, dict[str, Any]]] = [
    (0.10, {"code": 301}),
    (0.05, {"code": 302}),
    (0.05, {"code": 500}),
    (0.05, {"status": 502}),
    (0.05, {"html": True}),
    (0.05, {"truncate": True}),
    (0.02, {"reset": "before"}),
    (0.02, {"reset": "after"}),
    (0.01, {"hang": True}),
]


def test_a_third_of_all_calls_may_fail(api: Simulator, project: Project) -> None:
    """With all kinds of faults mixed, all pages arrive and each call is counted as billed."""
    sizes = (0, 1, 7, 10, 11, 25, 38, 60)
    small = [sized_note(sizes[serial % 8], serial) for serial in range(56)]
    small += [threaded_note(12, 8, serial) for serial in range(4)]
    rules = [{"note": small, "share": share, **fault} for share, fault in SHARES]
    # The documented note has too many pages for random faults: it meets some of them once.
    once = [fault for _, fault in SHARES[1::2]]
    rules += [
        {"note": DOCUMENTED_NOTE, "page": 20 * place + 1, "page_call": 1, **fault}
        for place, fault in enumerate(once)
    ]
    api.script({"seed": 280, "rules": rules})
    notes = [*small, DOCUMENTED_NOTE]
    done = project.crawl("-s", "DOWNLOAD_TIMEOUT=2", notes=notes)
    assert (done.status, done.reason) == (0, "finished"), done
    assert "Traceback" not in done.errors
    assert ends(done) == dict.fromkeys(notes, "complete")
    comments = [
        comment
        for note in notes
        for comment in (*expected_note(note).first_level, *expected_note(note).inline_replies)
    ]
    assert project.documents("comments").keys() == set(comments)
    assert sorted(done.ids("comment")) == sorted(comments)

    call_log = api.call_log()
    pages = page_count(notes)
    failed = Counter(
        call["fault"] or call["code"] for call in call_log["log"] if call["fault"] or call["code"]
    )
    assert failed.keys() == {"code", "status", "html", "truncate", "reset", "hang"}
    assert failed.total() == call_log["calls"] - pages
    assert 0.3 < (failed.total() - len(once)) / (call_log["calls"] - len(once) - 81) < 0.4
    undelivered = failed["truncate"] + failed["reset"] + failed["hang"]
    assert (
        call_log["billed"] - pages == undelivered == call_log["undelivered"] == call_log["repeated"]
    )
    stats = done.stats
    assert (stats["xhs/calls/billed"], stats["xhs/calls/unknown"]) == (pages, undelivered)
    refused = sum(n for name, n in stats.items() if name.startswith("xhs/calls/refused/"))
    assert refused == failed["code"] + failed["status"] + failed["html"]
    ledger = project.documents("notes")
    assert sum(document["billed_calls"] for document in ledger.values()) == call_log["billed"]
    for note in notes:
        assert ledger[note]["billed_calls"] == call_log["notes"][note]["billed"]


def test_refused_parameters_end_their_note_alone(api: Simulator, project: Project) -> None:
    bad, later = sized_note(25, 1), sized_note(25, 2)
    rules = [{"note": bad, "code": 400}, {"note": later, "page": 2, "code": 400}]
    api.script({"rules": rules})
    done = project.crawl(notes=[bad, later, GOOD])
    assert done.status == 4, done
    assert done.reason == "finished"
    assert ends(done) == {bad: "refused", later: "refused", GOOD: "complete"}
    assert is_stored(project, GOOD)
    assert is_stored(project, later, pages=1)
    for note, billed in ((bad, 0), (later, 1)):
        document = project.note(note)
        assert (document["state"], document["complete"]) == ("ended", False)
        assert (document["checkpoint"], document["billed_calls"]) == (None, billed)
    assert api.call_log()["calls"] == 1 + 2 + 2
    assert done.stats["xhs/notes/left"] == 0


def test_an_unknown_code_is_an_error_with_the_providers_words(
    api: Simulator, project: Project
) -> None:
    odd = sized_note(25)
    message = "余额 is frozen, call 12345"
    api.script({"rules": [{"note": odd, "page": 2, "code": 999, "message": message}]})
    done = project.crawl(notes=[odd, GOOD])
    assert done.status == 3, done
    assert ends(done) == {odd: "unknown_code", GOOD: "complete"}
    errors = [line for line in done.lines("ERROR") if "999" in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert "requestId" in errors[0]
    assert len(errors[0].rpartition("requestId ")[2].strip()) == 32
    document = project.note(odd)
    assert (document["state"], document["stop_reason"]) == ("unfinished", "unknown_code")
    assert index_of(document) == 2
    assert is_stored(project, odd, pages=1)
    assert api.call_log()["notes"][odd] == {"calls": 2, "billed": 1}
    assert done.stats["xhs/notes/left"] == 1


@pytest.mark.parametrize("code", FATAL)
def test_a_fatal_code_stops_the_crawl(api: Simulator, project: Project, code: int) -> None:
    note = sized_note(45)
    api.script({"rules": [{"page": 3, "code": code}]})
    done = project.crawl(notes=[note])
    assert done.status == 3, done
    assert done.reason == FATAL[code]
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 3
    assert is_stored(project, note, pages=2)
    document = project.note(note)
    assert (document["state"], document["complete"]) == ("unfinished", False)
    assert index_of(document) == 3
    assert document["billed_calls"] == 2
    assert done.stats["xhs/notes/left"] == 1
    assert ends(done) == {}
    assert any(str(code) in line for line in done.lines("ERROR"))


def test_after_a_fatal_code_nothing_more_is_sent(api: Simulator, project: Project) -> None:
    """Of many open notes, those whose pages arrived have their checkpoints."""
    notes = [sized_note(45, serial) for serial in range(30)]
    api.script({"rules": [{"after": 20, "code": 601}]})
    done = project.crawl(notes=notes)
    assert done.status == 3, done
    assert done.reason == "balance_exhausted"
    call_log = api.call_log()
    assert call_log["billed"] == 20
    assert 20 < call_log["calls"] <= 20 + 16
    documents = project.documents("notes")
    assert {document["state"] for document in documents.values()} <= {"queued", "unfinished"}
    assert sum(document.get("billed_calls", 0) for document in documents.values()) == 20
    for note, document in documents.items():
        assert is_stored(project, note, pages=index_of(document) - 1)
    assert done.stats["xhs/notes/left"] == len(notes)


def test_retries_come_to_an_end(api: Simulator, project: Project) -> None:
    hopeless, cut = sized_note(25, 1), sized_note(25, 2)
    rules = [{"note": hopeless, "page": 2, "code": 301}, {"note": cut, "page": 2, "truncate": True}]
    api.script({"rules": rules})
    done = project.crawl("-s", "RETRY_TIMES=1", notes=[hopeless, cut, GOOD])
    assert done.status == 3, done
    assert done.reason == "finished"
    assert ends(done) == {
        hopeless: "retries_exhausted",
        cut: "retries_exhausted",
        GOOD: "complete",
    }
    for note, billed in ((hopeless, 1), (cut, 3)):
        document = project.note(note)
        assert (document["state"], document["stop_reason"]) == ("unfinished", "retries_exhausted")
        assert index_of(document) == 2
        assert document["billed_calls"] == billed
        assert is_stored(project, note, pages=1)
        assert api.call_log()["notes"][note] == {"calls": 3, "billed": billed}
    assert is_stored(project, GOOD)
    assert done.stats["xhs/notes/left"] == 2
    assert done.stats["xhs/notes/retries_exhausted"] == 2


def cursor_after(note: str, page: int, index: int) -> str:
    """Return a cursor, in the API's form, to the page after another, with a given index."""
    last = expected_note(note).first_level[10 * page - 1]
    return json.dumps({"cursor": last, "index": index, "pageArea": "UNFOLDED"})


def test_cursors_that_lie(api: Simulator, project: Project) -> None:
    """Each kind of false cursor has its stop reason and costs as few calls as possible."""
    names = ("ignored", "repeated", "missing", "empty", "endless", "no news", "late")
    note = {name: sized_note(45, serial) for serial, name in enumerate(names)}
    known = expected_note(note["no news"]).first_level[0]

    def nothing_new(page: int) -> dict[str, Any]:
        cursor = cursor_after(note["no news"], page, page + 1)
        return {
            "note": note["no news"],
            "page": page,
            "patch": [
                {"path": ["comments"], "value": [{"id": known}]},
                {"path": ["cursor"], "value": cursor},
            ],
        }

    api.script(
        {
            "rules": [
                {"note": note["ignored"], "page": "2-", "cursor": "ignored"},
                {"note": note["repeated"], "page": 3, "cursor": "repeated"},
                {"note": note["missing"], "page": 2, "cursor": "missing"},
                {"note": note["empty"], "page": 1, "cursor": "empty"},
                {"note": note["endless"], "cursor": "endless"},
                {"note": note["late"], "page": "5-", "cursor": "endless"},
                nothing_new(3),
                nothing_new(4),
            ]
        }
    )
    done = project.crawl(notes=list(note.values()))
    assert done.status == 4, done
    assert done.reason == "finished"
    expected = {
        "ignored": ("cursor_ignored", 2, 1),
        "repeated": ("cursor_repeated", 3, 3),
        "missing": ("cursor_missing", 2, 2),
        "empty": ("cursor_missing", 1, 1),
        "endless": ("cursor_ignored", 6, 5),
        "late": ("cursor_ignored", 6, 5),
        "no news": ("no_progress", 4, 2),
    }
    assert ends(done) == {note[name]: reason for name, (reason, _, _) in expected.items()}
    for name, (reason, calls, pages) in expected.items():
        document = project.note(note[name])
        assert (document["state"], document["stop_reason"]) == ("ended", reason), name
        assert (document["complete"], document["checkpoint"]) == (False, None), name
        assert document["billed_calls"] == calls, name
        assert api.call_log()["notes"][note[name]] == {"calls": calls, "billed": calls}, name
        assert is_stored(project, note[name], pages=pages), name
        assert document["missing"] == 45 - min(45, 10 * pages), name
        assert done.stats[f"xhs/notes/{reason}"] >= 1
    assert done.stats["xhs/notes/left"] == 0


def test_an_endpoint_that_ignores_cursors_costs_two_calls_a_note(
    api: Simulator, project: Project
) -> None:
    """The log names the setting that may help, for each note and at the end."""
    long = [sized_note(45, serial) for serial in range(3)] + [sized_note(11), DOCUMENTED_NOTE]
    short = [sized_note(10), sized_note(0)]
    api.script({"rules": [{"page": "2-", "cursor": "ignored"}]})
    done = project.crawl(notes=[*long, *short])
    assert (done.status, done.reason) == (4, "finished"), done
    assert ends(done) == dict.fromkeys(long, "cursor_ignored") | dict.fromkeys(short, "complete")
    call_log = api.call_log()
    for notes, calls in ((long, 2), (short, 1)):
        for note in notes:
            assert call_log["notes"][note] == {"calls": calls, "billed": calls}
            assert project.note(note)["billed_calls"] == calls
            assert is_stored(project, note, pages=1)
    warnings = done.lines("WARNING")
    advice = "serves the first page only: try another JUSTONEAPI_COMMENTS_VERSION"
    for note in long:
        [line] = [line for line in warnings if note in line and "-a notes=" not in line]
        assert "cursor_ignored" in line
        assert advice in line
    [closing] = [line for line in warnings if line.startswith(f"{len(long)} cursor_ignored")]
    assert advice in closing
    assert not any(advice in line and note in line for line in warnings for note in short)


def test_a_note_that_changes_in_mid_crawl(api: Simulator, project: Project) -> None:
    """New comments come on top, others are deleted, including the one that a cursor names."""
    grows, shrinks, both, empties = [sized_note(45, serial) for serial in range(4)]
    gone = {
        note: [expected_note(note).first_level[place] for place in places]
        for note, places in (
            (shrinks, (3, 9, 14, 22, 44)),
            (both, (9, 19, 20)),
            (empties, range(10, 45)),
        )
    }
    changes: list[dict[str, Any]] = [
        {"note": [grows, both, DOCUMENTED_NOTE], "page": 2, "grow": 15},
        *({"note": note, "page": 2, "vanish": there} for note, there in gone.items()),
        # The note has changed by the time the page is requested again.
        {"note": [grows, shrinks], "page": 2, "page_call": 1, "code": 301},
        {"note": both, "page": 3, "page_call": 1, "status": 502},
    ]
    api.script({"rules": changes})
    notes = [grows, shrinks, both, empties, DOCUMENTED_NOTE]
    done = project.crawl(notes=notes)
    assert (done.status, done.reason) == (0, "finished"), done
    assert ends(done) == dict.fromkeys(notes, "complete")
    call_log = api.call_log()
    assert (call_log["repeated"], call_log["undelivered"]) == (0, 0)
    for note in notes:
        first_page, rest = (
            expected_note(note).first_level[:10],
            expected_note(note).first_level[10:],
        )
        shown = [comment for comment in rest if comment not in gone.get(note, ())]
        assert project.comment_ids(note)[0] == {*first_page, *shown}
        pages = 1 + max(1, -(-len(shown) // 10))
        assert call_log["notes"][note]["billed"] == pages
        assert project.note(note)["billed_calls"] == pages
        assert (project.note(note)["pages"], project.note(note)["complete"]) == (pages, True)
    assert project.note(grows)["missing"] == project.note(DOCUMENTED_NOTE)["missing"] == 15
    assert project.note(shrinks)["missing"] == project.note(empties)["missing"] == 0
    assert len(done.ids("comment")) == len(set(done.ids("comment")))
