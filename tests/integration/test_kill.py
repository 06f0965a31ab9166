"""Crawls that are killed repeatedly, at any moment, lose nothing and pay for little twice."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

from support.crawl import Project
from support.expected import expected_note
from support.killer import KILLER
from support.pages import expected_comments, page_count, pages_before_checkpoint, stored
from support.threads import paid_twice

from xhs.simulator.call_log import LOG_LENGTH
from xhs.simulator.notes import sized_note, threaded_note

if TYPE_CHECKING:
    from support.simulator import Simulator

SEED = 20260529
KILLS = 14
MOST_TWICE = 24
"""Pages requested and not finished: 16 calls, and half as many pages whose data or checkpoint is
not stored yet."""

SIZES = (7, 15, 240, 30, 1, 95, 55, 130, 12, 20, 400, 45, 9, 70, 25, 160, 38, 10, 85, 60)
NOTES = [sized_note(size, serial) for serial, size in enumerate(SIZES * 2)]
NOTES[5], NOTES[25] = threaded_note(90, 2, 5), threaded_note(30, 7, 25)


def calls(api: Simulator) -> int:
    return int(api.call_log()["calls"])


def assert_no_checkpoint_is_ahead(project: Project) -> None:
    """Check that all pages before each checkpoint, or of an ended note, are stored."""
    ledger, found = project.documents("notes"), stored(project)
    for note, document in ledger.items():
        settled = None if document["state"] == "ended" else pages_before_checkpoint(document)
        wanted = expected_comments(note, settled)
        assert wanted.items() <= found.get(note, {}).items(), (note, document)


def assert_all_there(project: Project) -> None:
    assert stored(project) == {note: expected_comments(note) for note in NOTES}
    ledger = project.documents("notes")
    assert ledger.keys() == set(NOTES)
    for document in ledger.values():
        assert (document["state"], document["stop_reason"]) == ("ended", "complete"), document
        assert (document["complete"], document["missing"]) == (True, 0), document
        assert document["pages"] == expected_note(document["note_id"]).pages
    authors = {comment["user_id"] for comment in project.documents("comments").values()}
    assert authors <= project.documents("users").keys()


def assert_little_is_paid_twice(api: Simulator, project: Project, ends: list[int]) -> None:
    """Finish the crawl; check that all is stored and the kills cost few pages."""
    done = project.crawl(notes=NOTES, mode="resume", feed=False)
    assert done.status == 0, done
    assert_all_there(project)
    call_log = api.call_log()
    assert call_log["calls"] <= LOG_LENGTH
    twice = paid_twice(call_log["log"], [*ends, call_log["calls"]])
    assert twice.total() == call_log["repeated"]
    assert call_log["billed"] == page_count(NOTES) + call_log["repeated"]
    assert max(twice.values()) <= MOST_TWICE, twice


def test_kills_at_random_moments_lose_nothing(api: Simulator, project: Project) -> None:
    chance = random.Random(SEED)  # noqa: S311 (moments, no secret)
    api.script({"latency": 0.05})
    ends: list[int] = []
    for kill in range(KILLS):
        crawl = project.start_crawl(notes=NOTES if kill % 2 == 0 else (), mode="resume")
        last = calls(api) + chance.randint(1, 60)
        while calls(api) < last and crawl.poll() is None:
            time.sleep(0.02)
        crawl.kill()
        errors = crawl.communicate()[1].decode()
        assert crawl.returncode in (-signal.SIGKILL, 0), errors
        assert "Traceback" not in errors
        assert_no_checkpoint_is_ahead(project)
        ends.append(calls(api))
    assert_little_is_paid_twice(api, project, ends)


MOMENTS = [
    ("after begin", 1),
    ("before checkpoint", 7),
    ("after checkpoint", 5),
    ("sending comments", 4),
    ("sent comments", 3),
    ("before end", 2),
    ("after end", 3),
    ("sent notes", 6),
    ("before checkpoint", 30),
    ("after checkpoint", 40),
]


def test_kills_between_the_stores_writes_lose_nothing(api: Simulator, project: Project) -> None:
    killer = project.extension(KILLER, "Killer")
    api.script({"latency": 0.05})
    ends: list[int] = []
    for moment, number in MOMENTS:
        at = ["-s", f"KILL_AT={moment}", "-s", f"KILL_NUMBER={number}"]
        crawl = project.start_crawl(*killer, *at, notes=NOTES, mode="resume")
        errors = crawl.communicate()[1].decode()
        if crawl.returncode == 0:  # a busy machine's bulks are fewer and larger: all is stored
            break
        assert crawl.returncode == -signal.SIGKILL, (moment, errors)
        assert_no_checkpoint_is_ahead(project)
        ends.append(calls(api))
    assert len(ends) > len(MOMENTS) // 2
    assert_little_is_paid_twice(api, project, ends)
