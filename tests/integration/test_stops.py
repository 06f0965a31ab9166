"""A crawl stopped by its user or its store: what was paid for is kept, the rest is named."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.crawl import Site
from support.simulator import PROJECT

from xhs.simulator.notes import sized_note
from xhs.simulator.truth import truth

if TYPE_CHECKING:
    from support.simulator import Simulator

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("secantus") is None, reason="SecantusDB is not installed"
)

NOTES = [sized_note(60, serial) for serial in range(12)]


@pytest.fixture
def alone(api: Simulator, tmp_path: Path) -> Site:
    """A place to crawl from with a server of its own."""
    return Site(api.url, tmp_path, f"embedded:{tmp_path / 'db'}", "xhs")


def start(site: Site) -> subprocess.Popen[bytes]:
    words = ["crawl", "comments", "-a", f"notes={','.join(NOTES)}"]
    return subprocess.Popen(
        [sys.executable, "-m", "scrapy", *words],
        env=site.environment,
        cwd=PROJECT,
        stderr=subprocess.PIPE,
    )


def wait_for_calls(api: Simulator, calls: int) -> None:
    while api.books()["calls"] < calls:
        time.sleep(0.02)


def test_one_sigterm_lands_what_is_in_flight(api: Simulator, alone: Site) -> None:
    api.script({"latency": 0.2})
    crawl = start(alone)
    wait_for_calls(api, 20)
    crawl.send_signal(signal.SIGTERM)
    errors = crawl.communicate()[1].decode()
    assert crawl.returncode == 3, errors
    books = api.books()
    ledger = alone.documents("notes")
    assert sum(note["billed_calls"] for note in ledger.values()) == books["billed"]
    assert {note["state"] for note in ledger.values()} <= {"unfinished", "ended"}
    for note_id in ledger:
        pages = books["notes"][note_id]["billed"]
        newest = truth(note_id).sorted_by("latest")[: pages * 10]
        assert alone.comment_ids(note_id)[0] == set(newest)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the server is found through /proc")
def test_a_store_that_dies_stops_the_crawl(api: Simulator, alone: Site) -> None:
    api.script({"latency": 0.1})
    crawl = start(alone)
    wait_for_calls(api, 20)
    folder = str(alone.folder / "db").encode()
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
    assert "items were paid for and could not be stored" in errors
    api.reset()
    again = alone.crawl(notes=NOTES, feed=False)
    assert again.status == 0, again
    for note in NOTES:
        assert alone.comment_ids(note)[0] == set(truth(note).first_level)
