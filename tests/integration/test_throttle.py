"""The throttle slows down for a rate limit only, as the API's call log and debug lines show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from support.expected import expected_note
from support.pages import page_count

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Outcome, Project
    from support.simulator import Simulator

_DEBUG = ("-s", "AUTOTHROTTLE_DEBUG=1")
_DELAY = re.compile(r"slot: 127\.0\.0\.1 \| conc: *\d+ \| delay: *(\d+) ms")


def delays(done: Outcome) -> list[int]:
    """Return the delay in ms after each answer, as logged for ``AUTOTHROTTLE_DEBUG``."""
    return [int(delay) for line in done.lines("INFO") for delay in _DELAY.findall(line)]


def check_whole(api: Simulator, project: Project, done: Outcome, notes: list[str]) -> None:
    """Check that everything arrived and nothing was paid for twice."""
    assert (done.status, done.reason) == (0, "finished"), done
    assert "Traceback" not in done.errors
    assert api.call_log()["billed"] == page_count(notes)
    first_level = {comment for note in notes for comment in expected_note(note).first_level}
    assert project.documents("comments", parent_comment_id=None).keys() == first_level
    ledger = project.documents("notes")
    assert {note["stop_reason"] for note in ledger.values()} == {"complete"}
    assert sum(note["billed_calls"] for note in ledger.values()) == api.call_log()["billed"]


def test_a_limit_is_respected(api: Simulator, project: Project) -> None:
    notes = [sized_note(100, serial, replies=False) for serial in range(32)]
    api.script({"rate": 20, "latency": 0.2})
    done = project.crawl(*_DEBUG, notes=notes, feed=False)
    check_whole(api, project, done, notes)
    call_log = api.call_log()
    assert call_log["codes"]["302"] <= call_log["calls"] / 5
    assert max(delays(done)) > 0


def test_refusals_at_random_are_no_limit(api: Simulator, project: Project) -> None:
    """One call in twenty is refused at random; nothing slows down."""
    notes = [sized_note(100, serial, replies=False) for serial in range(20)]
    api.script({"refuse_share": {"302": 0.05}})
    done = project.crawl(*_DEBUG, notes=notes, feed=False)
    check_whole(api, project, done, notes)
    call_log = api.call_log()
    assert 0.03 < call_log["codes"]["302"] / call_log["calls"] < 0.07
    assert delays(done) == [0] * call_log["calls"]


def test_a_row_of_http_429_alone_is_a_limit(api: Simulator, project: Project) -> None:
    """The throttle reacts to it, although there is no envelope with a code."""
    notes = [sized_note(5, serial) for serial in range(6)]
    api.script({"rules": [{"note_call": 1, "status": 429}]})
    done = project.crawl(*_DEBUG, notes=notes)
    check_whole(api, project, done, notes)
    assert len(delays(done)) == api.call_log()["calls"] == 2 * len(notes)
    assert max(delays(done)) > 0


def test_a_row_of_other_refusals_is_none(api: Simulator, project: Project) -> None:
    faults: list[dict[str, Any]] = [
        {"code": 301},
        {"code": 500},
        {"status": 429, "envelope": True, "code": 301},
    ]
    notes = [sized_note(5, serial) for serial in range(24)]
    rules = [
        {**fault, "note": notes[place::3], "note_call": 1} for place, fault in enumerate(faults)
    ]
    api.script({"rules": rules})
    done = project.crawl(*_DEBUG, notes=notes)
    check_whole(api, project, done, notes)
    assert delays(done) == [0] * api.call_log()["calls"]


def test_without_the_throttle_nothing_is_held_back(api: Simulator, project: Project) -> None:
    notes = [sized_note(15, serial) for serial in range(16)]
    api.script({"rules": [{"note_call": 1, "code": 302}]})
    done = project.crawl(*_DEBUG, "-s", "AUTOTHROTTLE_ENABLED=0", notes=notes)
    check_whole(api, project, done, notes)
    assert done.stats["xhs/calls/refused/302"] == api.call_log()["codes"]["302"] == len(notes)
    assert delays(done) == []


def test_the_users_delay_is_the_least(api: Simulator, project: Project) -> None:
    notes = [sized_note(5, serial) for serial in range(8)]
    api.script({"rules": [{"note_call": 1, "code": 302}]})
    done = project.crawl(*_DEBUG, "-s", "DOWNLOAD_DELAY=0.05", notes=notes)
    check_whole(api, project, done, notes)
    assert min(delays(done)) == delays(done)[0] == 50
    assert max(delays(done)) > 50
