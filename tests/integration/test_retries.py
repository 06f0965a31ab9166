"""Retries: their number for each failure, their cost, and that they delay no other note."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.expected import expected_note
from support.relay import Answer, relay

from xhs.simulator.notes import DOCUMENTED_NOTE, sized_note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.crawl import Project
    from support.simulator import Simulator


def check_note(project: Project, note: str, reason: str, pages: int, billed: int) -> None:
    """Check a note's end: its first ``pages`` are stored, and its checkpoint is at the next."""
    document = project.note(note)
    assert (document["stop_reason"], document["billed_calls"]) == (reason, billed)
    assert project.comment_ids(note)[0] == set(expected_note(note).first_level[: 10 * pages])
    if document["state"] == "unfinished":
        assert json.loads(document["checkpoint"]["cursor"])["index"] == pages + 1


def refusals(stats: dict[str, Any]) -> dict[str, int]:
    """Return the number of refusals of each code in the stats."""
    prefix = "xhs/calls/refused/"
    return {name.removeprefix(prefix): n for name, n in stats.items() if name.startswith(prefix)}


@pytest.mark.parametrize("jobdir", [False, True])
def test_time_outs_may_use_a_third_of_the_retries(
    api: Simulator, project: Project, *, jobdir: bool
) -> None:
    """A timed-out call may have been billed, so it gets fewer retries, also among refusals."""
    wrong: dict[str, tuple[dict[Any, str], str, int, int, int]] = {
        # faults of the attempts at page 2: reason, pages, calls, billed by the API, by the crawl
        "hangs": ({"1-": "hang"}, "retries_exhausted", 1, 3, 3),
        "is refused": ({"1-": "301"}, "retries_exhausted", 1, 5, 1),
        "hangs twice": ({1: "hang", 2: "301", 3: "hang"}, "retries_exhausted", 1, 4, 3),
        "hangs first": ({1: "hang", "2-": "301"}, "retries_exhausted", 1, 5, 2),
        "hangs between": ({1: "301", 2: "hang", 3: "301"}, "complete", 3, 6, 4),
        "hangs once": ({1: "hang"}, "complete", 3, 4, 4),
    }
    fault: dict[str, dict[str, Any]] = {"hang": {"hang": True}, "301": {"code": 301}}
    note = {name: sized_note(25, serial) for serial, name in enumerate(wrong)}
    rules = [
        {"note": note[name], "page": 2, "page_call": attempt, **fault[kind]}
        for name, (attempts, *_) in wrong.items()
        for attempt, kind in attempts.items()
    ]
    rules.append({"note": DOCUMENTED_NOTE, "page": 40, "page_call": 1, "hang": True})
    api.script({"rules": rules})
    words = ["-s", "RETRY_TIMES=3", "-s", "DOWNLOAD_TIMEOUT=1"]
    words += ["-s", f"JOBDIR={project.folder / 'job'}"] if jobdir else []
    done = project.crawl(*words, notes=[*note.values(), DOCUMENTED_NOTE])
    assert (done.status, done.reason) == (3, "finished"), done
    assert "Traceback" not in done.errors
    assert (project.folder / "job").exists() is jobdir
    call_log = api.call_log()
    for name, (_, reason, pages, calls, billed) in wrong.items():
        assert call_log["notes"][note[name]] == {"calls": calls, "billed": billed}, name
        check_note(project, note[name], reason, pages, billed)
    assert call_log["notes"][DOCUMENTED_NOTE] == {"calls": 82, "billed": 82}
    check_note(project, DOCUMENTED_NOTE, "complete", 81, 82)
    stats = done.stats
    hung = sum(call["fault"] == "hang" for call in call_log["log"])
    assert stats["xhs/calls/unknown"] == hung == 2 + 2 + 1 + 1 + 1 + 1
    assert stats["xhs/calls/billed"] == call_log["billed"] - hung
    assert refusals(stats) == {"301": 4 + 1 + 3 + 2}
    assert stats["xhs/notes/left"] == stats["xhs/notes/retries_exhausted"] == 4
    assert any(
        note["hangs"] in line and "no answer in time" in line for line in done.lines("ERROR")
    )


@pytest.mark.parametrize("setting", ["RETRY_TIMES=0", "RETRY_ENABLED=0"])
def test_without_retries_each_failure_is_final(
    api: Simulator, project: Project, setting: str
) -> None:
    faults: list[dict[str, Any]] = [{"code": 301}, {"hang": True}, {"status": 429}, {"html": True}]
    notes = [sized_note(25, serial) for serial in range(len(faults))]
    rules = [
        {**fault, "note": note, "page": 2, "page_call": 1}
        for note, fault in zip(notes, faults, strict=True)
    ]
    api.script({"rules": rules})
    done = project.crawl("-s", setting, "-s", "DOWNLOAD_TIMEOUT=1", notes=notes)
    assert (done.status, done.reason) == (3, "finished"), done
    for note, billed in zip(notes, (1, 2, 1, 1), strict=True):
        assert api.call_log()["notes"][note] == {"calls": 2, "billed": billed}
        check_note(project, note, "retries_exhausted", 1, billed)
    assert done.stats["xhs/calls/unknown"] == 1


def test_the_code_decides_whatever_the_http_status(api: Simulator, project: Project) -> None:
    """With ``RETRY_TIMES=1``, page 2 is requested at most twice, and once if the code is final."""
    expected: list[tuple[dict[str, Any], str, int]] = [
        ({"status": 500, "envelope": True, "page_call": 1}, "complete", 4),
        ({"status": 404, "envelope": True, "code": 301, "page_call": 1}, "complete", 4),
        ({"status": 429, "page_call": 1}, "complete", 4),
        ({"status": 429}, "retries_exhausted", 3),
        ({"status": 500, "envelope": True, "code": 999}, "unknown_code", 2),
        ({"status": 503, "envelope": True, "code": 304}, "unknown_code", 2),
        ({"status": 429, "envelope": True, "code": 400}, "refused", 2),
        ({"code": 429}, "unknown_code", 2),
        ({"code": 503}, "unknown_code", 2),
    ]
    notes = [sized_note(25, serial) for serial in range(len(expected))]
    rules = [
        {**rule, "note": note, "page": 2}
        for note, (rule, _, _) in zip(notes, expected, strict=True)
    ]
    api.script({"rules": rules})
    done = project.crawl("-s", "RETRY_TIMES=1", notes=notes)
    assert (done.status, done.reason) == (3, "finished"), done
    call_log = api.call_log()
    for note, (_, reason, calls) in zip(notes, expected, strict=True):
        pages = 3 if reason == "complete" else 1
        assert call_log["notes"][note] == {"calls": calls, "billed": pages}, reason
        check_note(project, note, reason, pages, pages)
    assert done.stats["xhs/calls/billed"] == call_log["billed"]
    assert "xhs/calls/unknown" not in done.stats
    assert refusals(done.stats) == {
        "500": 1,
        "301": 1,
        "http_429": 1 + 2,
        "999": 1,
        "304": 1,
        "400": 1,
        "429": 1,
        "503": 1,
    }


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (500, 601, "balance_exhausted"),
        (429, 303, "quota_exhausted"),
    ],
)
def test_a_fatal_code_is_fatal_under_any_http_status(
    api: Simulator, project: Project, status: int, code: int, reason: str
) -> None:
    note = sized_note(25)
    api.script({"rules": [{"page": 2, "status": status, "envelope": True, "code": code}]})
    done = project.crawl(notes=[note])
    assert (done.status, done.reason) == (3, reason), done
    assert api.call_log()["notes"][note] == {"calls": 2, "billed": 1}
    check_note(project, note, "interrupted", 1, 1)
    assert refusals(done.stats) == {str(code): 1}
    assert "retry/count" not in done.stats


@pytest.fixture
def under_500(api: Simulator) -> Iterator[str]:
    """Address of a relay that sends every answer of the stand-in with HTTP 500."""

    with relay(api, lambda query, body: Answer(body, status=500)) as address:
        yield address


def test_code_0_under_http_500_is_a_page(api: Simulator, project: Project, under_500: str) -> None:
    notes = [sized_note(25), DOCUMENTED_NOTE]
    done = project.crawl(notes=notes, env={"JUSTONEAPI_BASE_URL": under_500})
    assert (done.status, done.reason) == (0, "finished"), done
    assert api.call_log()["calls"] == api.call_log()["billed"] == 3 + 81
    assert done.stats["xhs/calls/billed"] == 3 + 81
    check_note(project, notes[0], "complete", 3, 3)
    check_note(project, DOCUMENTED_NOTE, "complete", 81, 81)


def test_a_retry_holds_no_place(api: Simulator, project: Project) -> None:
    """With one concurrent request, other notes continue while a note waits for its retry."""
    slow, *others = [sized_note(10, serial) for serial in range(3)]
    api.script({"rules": [{"note": slow, "page_call": "1-2", "code": 301}]})
    done = project.crawl("-s", "CONCURRENT_REQUESTS=1", notes=[slow, *others])
    assert (done.status, done.reason) == (0, "finished"), done
    call_log = api.call_log()
    asked = [call["note"] for call in call_log["log"]]
    attempts = [place for place, note in enumerate(asked) if note == slow]
    assert len(attempts) == 3
    assert set(others) <= set(asked[attempts[0] : attempts[-1]])
    assert call_log["max_concurrent"] == 1
    assert call_log["billed"] == 3
    for note in (slow, *others):
        check_note(project, note, "complete", 1, 1)
