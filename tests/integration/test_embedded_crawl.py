"""Crawls on an embedded store of their own: killed midway, and several on one folder at once."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.crawl import Project
from support.expected import expected_note
from support.simulator import PROJECT

from xhs.simulator.notes import sized_note
from xhs.store.embedded import _supervisor
from xhs.store.lock import take_lock

if TYPE_CHECKING:
    from pathlib import Path

    from support.simulator import Simulator

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("secantus") is None, reason="SecantusDB is not installed"
)

RETRY_SECONDS = 60.0


def start(project: Project, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "scrapy", *words],
        env=project.environment,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def server_ends(folder: Path) -> bool:
    """Wait until no supervisor holds the folder."""
    lock = take_lock(folder / _supervisor.LOCK, time.monotonic() + RETRY_SECONDS)
    if lock is None:
        return False
    os.close(lock)
    return True


@pytest.fixture
def alone(api: Simulator, tmp_path: Path) -> Project:
    """A place to crawl from with a folder of no server yet."""
    return Project(api.url, tmp_path, f"embedded:{tmp_path / 'new' / 'db'}", "xhs")


def test_after_a_kill_the_server_ends_and_the_next_crawl_completes(
    api: Simulator, alone: Project
) -> None:
    folder = alone.folder / "new" / "db"
    notes = [sized_note(150), sized_note(35)]
    api.script({"latency": 0.05})
    process = start(alone, "crawl", "comments", "-a", f"notes={','.join(notes)}")
    while api.books()["notes"].get(notes[0], {"calls": 0})["calls"] < 8:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert server_ends(folder)

    left = alone.note(notes[0])
    assert (left["state"], left["note_id"]) == ("running", notes[0])
    # A checkpoint never runs ahead of its data: what lies before it is there.
    page = json.loads(left["checkpoint"]["cursor"])["index"]
    assert page > 1
    stored = alone.comment_ids(notes[0])[0]
    assert stored >= set(expected_note(notes[0]).first_level[: 10 * (page - 1)])
    assert server_ends(folder)

    before = alone.documents("comments", note_id=notes[0])
    api.reset()
    done = alone.crawl(notes=notes)
    assert done.status == 0, done
    for note in notes:
        assert alone.comment_ids(note)[0] == set(expected_note(note).first_level)
        document = alone.note(note)
        assert (document["state"], document["complete"]) == ("ended", True)
    for key, document in alone.documents("comments", _id={"$in": list(before)}).items():
        assert document["first_seen_at"] == before[key]["first_seen_at"]
    new = {item["comment_id"] for item in done.items("comment") if item["is_new"]}
    assert not new & before.keys()
    assert api.books()["billed"] == sum(expected_note(note).pages for note in notes)
    assert server_ends(folder)


def test_two_crawls_and_a_status_begin_at_the_same_moment(api: Simulator, alone: Project) -> None:
    notes = [sized_note(25, 1), sized_note(25, 2)]
    shared = sized_note(15, 3)
    crawls = [start(alone, "crawl", "comments", "-a", f"notes={note},{shared}") for note in notes]
    status = start(alone, "status", "--json")
    for process in crawls:
        said = process.communicate(timeout=RETRY_SECONDS)[1].decode()
        assert process.returncode == 0, said
        assert "Traceback" not in said
    output, errors = status.communicate(timeout=RETRY_SECONDS)
    assert (status.returncode, errors) == (0, b"")
    listed = {json.loads(line)["note_id"] for line in output.decode().splitlines()}
    assert listed <= {*notes, shared}
    for note in (*notes, shared):
        there = expected_note(note)
        assert alone.comment_ids(note) == (set(there.first_level), there.inline_replies)
        document = alone.note(note)
        assert (document["state"], document["missing"]) == ("ended", 0)
    assert alone.note(shared)["billed_calls"] == 4
    assert api.books()["billed"] == 2 * 3 + 2 * 2
    assert server_ends(alone.folder / "new" / "db")
