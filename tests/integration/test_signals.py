"""A crawl stops at SIGINT, SIGTERM or SIGHUP at any moment and loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import Project, crawl_words
from support.expected import expected_note
from support.marks import linux, needs_embedded, posix
from support.pages import expected_comments, page_count
from support.proxy import Proxy
from support.simulator import PROJECT

from xhs.settings import ITEM_PIPELINES
from xhs.simulator.notes import sized_note
from xhs.store.embedded.server import resolve
from xhs.store.lock import take_lock
from xhs.store.mongo.collections import Write
from xhs.store.spill.files import Spill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.simulator import Simulator

pytestmark = [
    needs_embedded,
    posix,
]

SEEDS = (20261127, 20261128)
"""Crawls of the first are new processes, whose imports a signal may interrupt."""
MOMENTS = 20
"""For each seed."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOTES = [sized_note(100, serial) for serial in range(24)]
RETRY_SECONDS = 120
UNBEGUN = "before the crawl began: no note was begun"


class Crawl:
    """A running crawl, with its log so far."""

    def __init__(
        self, project: Project, *words: str, notes: list[str] | None = None, **options: Any
    ):
        command = crawl_words(NOTES[:3] if notes is None else notes, {})
        self.process = project.start(*command, *words, **options)
        self.log = ""

    def wait_for(self, text: str) -> None:
        """Read the log until it contains the text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line.decode()
            if text in self.log:
                return
        raise AssertionError(self.log)

    def signal(self, *numbers: int) -> None:
        for number in numbers:
            self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; return its exit status."""
        try:
            self.log += self.process.communicate(timeout=RETRY_SECONDS)[1].decode()
        finally:
            self.process.kill()
        assert "Traceback" not in self.log
        assert "never awaited" not in self.log
        assert "destroyed but it is pending" not in self.log
        return self.process.returncode


@pytest.fixture
def server(_server: str) -> Iterator[Proxy]:
    """A proxy of the server."""
    with resolve(_server) as lease:
        found = re.search(r":(\d+)/", lease.uri)
        assert found
        with Proxy(int(found[1])) as proxy:
            yield proxy


def handles_signals(process: subprocess.Popen[bytes]) -> bool:
    """True if the project has installed its handlers: neither Python nor Scrapy handles SIGHUP."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{process.pid}/status").read_text()
        found = re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
        return bool(found and int(found[1], 16) >> (signal.SIGHUP - 1) & 1)
    return False


@linux
@pytest.mark.parametrize("seed", SEEDS)
def test_signals_at_random_moments_lose_nothing_and_cost_nothing(
    api: Simulator, project: Project, request: pytest.FixtureRequest, seed: int
) -> None:
    longest = 0.7
    if seed == SEEDS[0]:
        request.getfixturevalue("fresh_process")
        longest = 2
    chance = random.Random(seed)  # noqa: S311 (moments, no secret)
    api.script({"latency": 0.03})
    statuses = []
    for _ in range(MOMENTS):
        number = chance.choice(SIGNALS)
        crawl = Crawl(project, "-a", "mode=resume", "-s", "CONCURRENT_REQUESTS=4", notes=NOTES)
        while not handles_signals(crawl.process):
            assert crawl.process.poll() is None
            time.sleep(0.001)
        if chance.random() < 0.5:
            time.sleep(chance.uniform(0, longest))
        else:
            last = api.call_log()["calls"] + chance.randint(1, 20)
            while api.call_log()["calls"] < last and crawl.process.poll() is None:
                time.sleep(0.02)
        crawl.signal(number)
        status = crawl.end()
        statuses.append(status)
        if status == 0:
            assert ", 0 left" in crawl.log  # also if the signal came after the last page
        else:
            assert status == 3, crawl.log
            assert UNBEGUN in crawl.log or '{"exit_status": 3' in crawl.log
    assert statuses.count(3) > MOMENTS // 2, statuses
    api.script({})
    done = project.crawl(notes=NOTES, mode="resume", feed=False)
    assert done.status == 0, done
    call_log = api.call_log()
    assert call_log["repeated"] == 0
    assert call_log["billed"] == page_count(NOTES)
    ledger = project.documents("notes")
    assert {note: document["billed_calls"] for note, document in ledger.items()} == {
        note: expected_note(note).pages for note in NOTES
    }
    assert {document["stop_reason"] for document in ledger.values()} == {"complete"}
    expected = {comment for note in NOTES for comment in expected_comments(note)}
    assert project.documents("comments").keys() == expected


def write_and_wait(process: subprocess.Popen[bytes]) -> None:
    """Write the first line of an unfinished list, and wait until it is read."""
    import fcntl
    import termios

    assert process.stdin
    process.stdin.write(f"{NOTES[0]}\n".encode())
    process.stdin.flush()
    while any(fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4))):
        assert process.poll() is None
        time.sleep(0.002)


@linux
@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_that_is_interrupted_ends_without_a_traceback(
    project: Project, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "scrapy", "enqueue", "-"],
        env=project.environment,
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    write_and_wait(process)
    process.send_signal(number)
    errors = process.communicate(timeout=RETRY_SECONDS)[1]
    assert (process.returncode, errors) == (128 + number, b"")


@linux
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_wait_for_the_rest_of_a_list(without_store: Project, number: int) -> None:
    crawl = Crawl(without_store, "-a", "notes_file=-", notes=[], stdin=subprocess.PIPE)
    write_and_wait(crawl.process)
    crawl.signal(number)
    assert crawl.end() == 3
    assert f"Received {signal.Signals(number).name} before the crawl began" in crawl.log
    assert '"close_reason": "shutdown"' in crawl.log
    hint, command = crawl.log.splitlines()[-2:]
    assert "the same list on standard input" in hint
    assert command.endswith("-a notes_file=-")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_wait_for_an_embedded_server(
    own_server: Project, tmp_path: Path, number: int
) -> None:
    project = own_server
    (tmp_path / "db").mkdir()
    lock = take_lock(tmp_path / "db" / "start.lock")
    assert lock is not None
    try:
        crawl = Crawl(project)
        crawl.wait_for("Spider opened")
        crawl.signal(number)
        assert crawl.end() == 3
    finally:
        os.close(lock)
    assert "Closing spider (shutdown)" in crawl.log
    assert "3 asked for: 0 ended, 3 left" in crawl.log
    again = project.crawl(notes=NOTES[:1], mode="resume")
    assert again.status == 0, again


def test_a_signal_while_an_embedded_server_starts_leaves_no_process(
    own_server: Project, tmp_path: Path
) -> None:
    crawl = Crawl(own_server)
    while not (tmp_path / "db" / "server.log").exists():
        assert crawl.process.poll() is None
        time.sleep(0.002)
    crawl.signal(signal.SIGTERM)
    assert crawl.end() == 3
    lock = take_lock(tmp_path / "db" / "supervisor.lock", time.monotonic() + RETRY_SECONDS)
    assert lock is not None, "the supervisor did not end"
    os.close(lock)
    again = own_server.crawl(notes=NOTES[:1])
    assert again.status == 0, again


def test_a_signal_ends_the_wait_for_a_server_that_does_not_answer(
    project: Project, server: Proxy
) -> None:
    server.freeze()
    project.environment["MONGODB_URI"] = (
        f"mongodb://127.0.0.1:{server.port}/?serverSelectionTimeoutMS=600000"
    )
    crawl = Crawl(project)
    crawl.wait_for("Spider opened")
    crawl.signal(signal.SIGTERM)
    assert crawl.end() == 3
    assert "Closing spider (shutdown)" in crawl.log


AWAY = """
import logging
from pymongo.errors import AutoReconnect
from xhs.store.mongo.{module} import {owner}


async def away(*_):
    logging.getLogger("own").info("asked")
    raise AutoReconnect("away")


{owner}.{method} = away


class Own:
    pass
"""


@pytest.mark.parametrize(
    ("module", "method"), [("writer.Writer", "_bulk"), ("notes.Ledger", "_find")]
)
def test_a_signal_ends_the_wait_for_a_database_that_is_away_at_the_start(
    api: Simulator, project: Project, module: str, method: str
) -> None:
    """During the restoring of spill files, and during the query for the ledger's notes."""
    if method == "_bulk":
        spill = Spill(Path(project.environment["XHS_SPILL_DIR"]), project.name)
        spill.keep([Write("users", "u", {"$set": {"nickname": "n"}})], "away")
        spill.close()
    name, owner = module.split(".")
    crawl = Crawl(project, *project.extension(AWAY.format(module=name, owner=owner, method=method)))
    crawl.wait_for("asked")
    crawl.signal(signal.SIGHUP)
    assert crawl.end() == 3
    assert "Received SIGHUP" in crawl.log
    assert "Closing spider (shutdown)" in crawl.log
    assert "3 asked for: 0 ended, 3 left" in crawl.log
    assert api.call_log()["calls"] == 0
    done = project.crawl(notes=NOTES[:3], mode="resume")
    assert done.status == 0, done
    assert ("an earlier run had spilled" in done.errors) == (method == "_bulk")


CLOSES = """
import asyncio
import logging


class Own:
    async def close_spider(self):
        logging.getLogger("own").info("closing")
        await asyncio.sleep({seconds})
        logging.getLogger("own").info("closed")
"""


def closing(project: Project, seconds: float) -> Crawl:
    """Start a crawl; return when only a pipeline that closes in ``seconds`` is left."""
    project.add_module(CLOSES.format(seconds=seconds))
    pipelines = json.dumps({**ITEM_PIPELINES, "users_own.Own": 400})
    feed = ["-O", str(project.folder / "feed.json")]
    crawl = Crawl(project, "-s", f"ITEM_PIPELINES={pipelines}", *feed, notes=[NOTES[0]])
    crawl.wait_for("closing")
    return crawl


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_a_crawl_closes_lets_it_close(without_store: Project, number: int) -> None:
    crawl = closing(without_store, 2)
    crawl.signal(number)
    assert crawl.end() == 0
    assert "closed" in crawl.log.replace("closing", "")
    feed = json.loads((without_store.folder / "feed.json").read_text())
    assert feed[-1]["stop_reason"] == "complete"


def test_a_second_signal_while_a_crawl_closes_ends_it(without_store: Project) -> None:
    crawl = closing(without_store, 600)
    crawl.signal(signal.SIGTERM)
    crawl.wait_for("shutting down gracefully")
    crawl.signal(signal.SIGHUP)
    assert crawl.end() == 1
    assert "1 pipelines could not be closed" in crawl.log


def test_under_nohup_a_crawl_outlives_its_terminal(api: Simulator, without_store: Project) -> None:
    api.script({"latency": 0.1})
    crawl = Crawl(without_store, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    crawl.wait_for("Spider opened")
    crawl.signal(signal.SIGHUP)
    assert crawl.end() == 0
    assert api.call_log()["billed"] == page_count(NOTES[:3])


@linux
def test_a_crawl_whose_terminal_is_closed_stops(api: Simulator, project: Project) -> None:
    import fcntl
    import termios

    api.script({"latency": 0.1})
    ours, theirs = os.openpty()
    log = project.folder / "log"

    def take_terminal() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    crawl = Crawl(
        project,
        *("--logfile", str(log)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(theirs)
    api.wait_for_calls(10, crawl.process)
    os.close(ours)
    assert crawl.process.wait(RETRY_SECONDS) == 3
    assert "Received SIGHUP" in log.read_text()
    api.script({})
    done = project.crawl(notes=NOTES[:3], mode="resume")
    assert done.status == 0, done
    assert api.call_log()["repeated"] == 0
