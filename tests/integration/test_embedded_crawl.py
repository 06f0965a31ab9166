"""Crawls with an embedded store of their own: killed midway, or several on one folder."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from support.crawl import Project
from support.expected import expected_note
from support.marks import needs_embedded
from support.pages import page_count

from xhs.simulator.notes import sized_note
from xhs.store.embedded import _supervisor
from xhs.store.lock import take_lock

if TYPE_CHECKING:
    from pathlib import Path

    from support.simulator import Simulator

pytestmark = needs_embedded

RETRY_SECONDS = 60.0


def server_ends(folder: Path) -> bool:
    """Wait until no supervisor holds the folder; False if one still does."""
    lock = take_lock(folder / _supervisor.LOCK, time.monotonic() + RETRY_SECONDS)
    if lock is None:
        return False
    os.close(lock)
    return True


@pytest.fixture
def own_server(api: Simulator, tmp_path: Path) -> Project:
    """A project with an embedded server of its own, in a folder that does not exist yet."""
    return Project(api.url, tmp_path, f"embedded:{tmp_path / 'new' / 'db'}", "xhs")


def test_after_a_kill_the_server_ends_and_the_next_crawl_completes(
    api: Simulator, own_server: Project
) -> None:
    folder = own_server.folder / "new" / "db"
    notes = [sized_note(150), sized_note(35)]
    api.script({"latency": 0.05})
    process = own_server.start_crawl(notes=notes)
    while api.call_log()["notes"].get(notes[0], {"calls": 0})["calls"] < 8:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert server_ends(folder)

    left = own_server.note(notes[0])
    assert (left["state"], left["note_id"]) == ("running", notes[0])
    # The checkpoint is not ahead of its data: all pages before it are stored.
    page = json.loads(left["checkpoint"]["cursor"])["index"]
    assert page > 1
    stored = own_server.comment_ids(notes[0])[0]
    assert stored >= set(expected_note(notes[0]).first_level[: 10 * (page - 1)])
    assert server_ends(folder)

    before = own_server.documents("comments", note_id=notes[0])
    api.reset()
    done = own_server.crawl(notes=notes)
    assert done.status == 0, done
    for note in notes:
        assert own_server.comment_ids(note)[0] == set(expected_note(note).first_level)
        document = own_server.note(note)
        assert (document["state"], document["complete"]) == ("ended", True)
    for key, document in own_server.documents("comments", _id={"$in": list(before)}).items():
        assert document["first_seen_at"] == before[key]["first_seen_at"]
    new = {item["comment_id"] for item in done.items("comment") if item["is_new"]}
    assert not new & before.keys()
    assert api.call_log()["billed"] == page_count(notes)
    assert server_ends(folder)


def test_two_crawls_and_a_status_begin_at_the_same_moment(
    api: Simulator, own_server: Project
) -> None:
    notes = [sized_note(25, 1), sized_note(25, 2)]
    shared = sized_note(15, 3)
    crawls = [own_server.start_crawl(notes=[note, shared]) for note in notes]
    status = own_server.start("status", "--json", stdout=subprocess.PIPE)
    for process in crawls:
        log = process.communicate(timeout=RETRY_SECONDS)[1].decode()
        assert process.returncode == 0, log
        assert "Traceback" not in log
    output, errors = status.communicate(timeout=RETRY_SECONDS)
    assert (status.returncode, errors) == (0, b"")
    listed = {json.loads(line)["note_id"] for line in output.decode().splitlines()}
    assert listed <= {*notes, shared}
    for note in (*notes, shared):
        expected = expected_note(note)
        assert own_server.comment_ids(note) == (set(expected.first_level), expected.inline_replies)
        document = own_server.note(note)
        assert (document["state"], document["missing"]) == ("ended", 0)
    assert own_server.note(shared)["billed_calls"] == 4
    assert api.call_log()["billed"] == 2 * 3 + 2 * 2
    assert server_ends(own_server.folder / "new" / "db")
