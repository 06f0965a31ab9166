"""Crawls stopped by user, store or API store all that was paid for and name the rest."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import Project
from support.expected import expected_note
from support.hurry import HURRY
from support.marks import needs_embedded

from xhs.simulator.notes import DOCUMENTED_NOTE, sized_note

if TYPE_CHECKING:
    from support.crawl import Outcome
    from support.simulator import Simulator

pytestmark = needs_embedded

NOTES = [sized_note(60, serial) for serial in range(12)]


def check_landed(project: Project, call_log: dict[str, Any], status: int, errors: str) -> None:
    """Check that after a user's stop each call is in the ledger and each page is stored."""
    assert status == 3, errors
    assert "Closing spider (shutdown)" in errors
    assert "Traceback" not in errors
    ledger = project.documents("notes")
    assert sum(note["billed_calls"] for note in ledger.values()) == call_log["billed"]
    assert {note["state"] for note in ledger.values()} <= {"queued", "unfinished", "ended"}
    assert call_log["notes"].keys() <= ledger.keys()
    for note_id in ledger:
        pages = call_log["notes"].get(note_id, {"billed": 0})["billed"]
        assert project.comment_ids(note_id)[0] == set(
            expected_note(note_id).first_level[: pages * 10]
        )


@pytest.mark.parametrize(
    ("number", "script"),
    [
        (signal.SIGTERM, {"latency": 0.2}),
        (signal.SIGINT, {"latency": 0.2}),
        (signal.SIGINT, {"latency": 0.05, "refuse_share": {"301": 0.5}}),
    ],
    ids=["SIGTERM", "SIGINT", "SIGINT while retries wait"],
)
def test_one_signal_lands_what_is_in_flight(
    api: Simulator, own_server: Project, number: signal.Signals, script: dict[str, Any]
) -> None:
    api.script(script)
    crawl = own_server.start_crawl(notes=NOTES)
    api.wait_for_calls(20, crawl)
    crawl.send_signal(number)
    errors = crawl.communicate()[1].decode()
    check_landed(own_server, api.call_log(), crawl.returncode, errors)


def test_no_call_leaves_the_queue_of_a_delay_after_a_signal(
    api: Simulator, project: Project
) -> None:
    """Twelve calls wait there; one more may be sent before the signal."""
    crawl = project.start_crawl("-s", "DOWNLOAD_DELAY=1", notes=NOTES)
    api.wait_for_calls(2, crawl)
    crawl.send_signal(signal.SIGTERM)
    errors = crawl.communicate()[1].decode()
    assert 2 <= api.call_log()["calls"] <= 3
    check_landed(project, api.call_log(), crawl.returncode, errors)


def check_stopped(project: Project, done: Outcome, pages: dict[str, int]) -> None:
    """Check that the crawl stopped for lack of balance, with these pages of each note stored."""
    assert (done.status, done.reason) == (3, "balance_exhausted"), done
    assert "Traceback" not in done.errors
    for note, count in pages.items():
        assert project.comment_ids(note)[0] == set(expected_note(note).first_level[: 10 * count]), (
            note
        )


def test_what_is_in_flight_at_a_fatal_code_lands(api: Simulator, project: Project) -> None:
    """Pages are stored and each call is in the ledger; failures are not retried."""
    fatal, refused, cut, *whole = [sized_note(25, serial) for serial in range(25)]
    short = sized_note(5)
    begun = [fatal, refused, cut, short, DOCUMENTED_NOTE, *whole[:11]]
    api.script(
        {
            "rules": [
                {"note": fatal, "code": 601, "delay": 2},
                {"note": begun[1:], "delay": 4},
                {"note": refused, "code": 301},
                {"note": cut, "truncate": True},
            ]
        }
    )
    done = project.crawl(notes=[*begun, *whole[11:]])
    landed = dict.fromkeys(begun[3:], 1)
    check_stopped(project, done, dict.fromkeys((fatal, refused, cut, *whole[11:]), 0) | landed)
    call_log, stats = api.call_log(), done.stats
    assert sorted(call["note"] for call in call_log["log"]) == sorted(begun)
    assert call_log["billed"] == len(landed) + 1
    assert (stats["xhs/calls/billed"], stats["xhs/calls/unknown"]) == (len(landed), 1)
    assert done.ids("note") == [short]
    ledger = project.documents("notes")
    for note in begun:
        ended: tuple[str, str | None] = ("unfinished", "interrupted")
        if note == short:
            ended = ("ended", "complete")
        if note in (fatal, refused, cut):  # no page was received
            ended = ("queued", None)
        assert (ledger[note]["state"], ledger[note].get("stop_reason")) == ended
        assert ledger[note]["billed_calls"] == call_log["notes"][note]["billed"]
    assert stats["xhs/notes/left"] == len(begun) + len(whole[11:]) - 1


LONG_WAIT = """
from xhs.download import retry

retry._FIRST_WAIT = retry._LONGEST_WAIT = 3600.0


class LongWait:
    # An hour until a retry, not a second.
    pass
"""


def test_no_retry_leaves_after_a_fatal_code(api: Simulator, project: Project) -> None:
    """Of calls one at a time, the last gets the code: the retries of the others wait."""
    notes = [DOCUMENTED_NOTE, *(sized_note(25, serial) for serial in range(7))]
    last = 2 * len(notes)
    api.script({"rules": [{"call": last, "code": 601}, {"page": 2, "code": 301}]})
    words = project.extension(LONG_WAIT, "LongWait")
    done = project.crawl("-s", "CONCURRENT_REQUESTS=1", *words, notes=notes)
    check_stopped(project, done, dict.fromkeys(notes, 1))
    call_log = api.call_log()
    assert call_log["codes"] == {"0": len(notes), "301": len(notes) - 1, "601": 1}
    assert done.stats["retry/count"] == len(notes) - 1
    for note in notes:
        assert project.note(note)["billed_calls"] == call_log["notes"][note]["billed"] == 1


def test_no_call_leaves_the_queue_of_a_delay_after_a_fatal_code(
    api: Simulator, project: Project
) -> None:
    """They are dropped at once: one after the other would take minutes."""
    notes = [DOCUMENTED_NOTE, *(sized_note(25, serial) for serial in range(127))]
    api.script({"rules": [{"call": 2, "code": 601}]})
    words = ["-s", "DOWNLOAD_DELAY=1.2", "-s", f"CONCURRENT_REQUESTS={len(notes)}"]
    done = project.crawl(*words, notes=notes)
    check_stopped(project, done, {DOCUMENTED_NOTE: 1, notes[1]: 0, notes[-1]: 0})
    assert api.call_log()["codes"] == {"0": 1, "601": 1}
    assert done.stats["xhs/notes/begun"] == done.stats["xhs/notes/left"] == len(notes)
    ledger = project.documents("notes")
    assert {note["state"] for note in ledger.values()} == {"queued", "unfinished"}
    assert sum(note["billed_calls"] for note in ledger.values()) == 1


def test_no_call_that_waits_for_the_budget_leaves_after_a_fatal_code(
    api: Simulator, project: Project
) -> None:
    """A refusal releases budget for which other calls wait."""
    notes = [DOCUMENTED_NOTE, *(sized_note(25, serial) for serial in range(19))]
    api.script(
        {
            "rules": [
                {"call": 1, "code": 601, "delay": 0.5},
                {"call": 2, "hang": True},
                {"call": "3-", "delay": 1},
            ]
        }
    )
    done = project.crawl("-s", "DOWNLOAD_TIMEOUT=2", notes=notes, env={"XHS_MAX_CALLS": "4"})
    call_log = api.call_log()
    assert len(call_log["log"]) == call_log["calls"] == 4
    landed = [call["note"] for call in call_log["log"] if call["code"] == 0 and call["delivered"]]
    check_stopped(project, done, dict.fromkeys(notes, 0) | dict.fromkeys(landed, 1))
    assert (call_log["billed"], len(landed)) == (3, 2)
    assert (done.stats["xhs/calls/billed"], done.stats["xhs/calls/unknown"]) == (2, 1)
    assert sum(note["billed_calls"] for note in project.documents("notes").values()) == 3
    assert done.stats["xhs/notes/left"] == len(notes)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the server is found through /proc")
def test_a_store_that_dies_stops_the_crawl(api: Simulator, own_server: Project) -> None:
    api.script({"latency": 0.1})
    crawl = own_server.start_crawl(*own_server.extension(HURRY, "Hurry"), notes=NOTES)
    api.wait_for_calls(20, crawl)
    folder = str(own_server.folder / "db").encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--storage-path" in words and folder in words:
            os.kill(int(process.name), signal.SIGKILL)
    errors = crawl.communicate()[1].decode()
    assert crawl.returncode == 3, errors
    assert "Closing spider (store_failed)" in errors
    assert "Traceback" not in errors
    assert "writes wait in XHS_SPILL_DIR" in errors
    api.reset()
    again = own_server.crawl(notes=NOTES, feed=False)
    assert again.status == 0, again
    for note in NOTES:
        assert own_server.comment_ids(note)[0] == set(expected_note(note).first_level)
