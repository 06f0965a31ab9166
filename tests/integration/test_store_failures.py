"""With a store that is slow, frozen, away or gone for good, nothing paid for is lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from base64 import b64decode
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import bson
import pytest
from support.crawl import Outcome, Project
from support.expected import expected_note
from support.hurry import HURRY
from support.marks import needs_embedded, posix
from support.pages import expected_comments, pages_before_checkpoint, stored
from support.proxy import Proxy
from support.simulator import Simulator

from xhs.settings import EXTENSIONS
from xhs.simulator.notes import sized_note, threaded_note
from xhs.store.embedded import _supervisor
from xhs.store.embedded.server import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.crawl import Document

pytestmark = needs_embedded

NOTES = [sized_note(30, serial) for serial in range(40)]
PAGES = 3 * len(NOTES)
MOST_PAID = 64
"""Calls that may be paid for while the store is frozen."""
MOST_UNSETTLED = 24
"""Pages that may be requested and not finished: 1.5 × the concurrent requests."""
BEFORE = 20
"""Calls before the store is disturbed."""

BLOCK = """
from pathlib import Path


class Block:
    # A file is in the way of the spill, since the checks at the start.
    @classmethod
    def from_crawler(cls, crawler):
        Path(crawler.settings["XHS_SPILL_DIR"]).write_text("in the way")
        return cls()
"""
FULL_DISK = """
import resource

from xhs.store.spill import files as spill

unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
keep = spill.Spill.keep


class Full:
    # The spill cannot grow beyond 20 kB.
    until_it_has_failed = False

    @classmethod
    def from_crawler(cls, crawler):
        disk = cls()
        disk.full = True

        def keep_where_there_is_room(self, writes, reason):
            if disk.full:
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, unlimited[1]))
            try:
                keep(self, writes, reason)
            except spill.SpillFailed:
                disk.full = not cls.until_it_has_failed
                raise
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

        spill.Spill.keep = keep_where_there_is_room
        return disk


class FullOnce(Full):
    until_it_has_failed = True
"""


NO_ROOM = """
import os
from errno import ENOSPC
from pathlib import Path

from pymongo.errors import OperationFailure

from xhs.store.mongo.writer import Writer


class NoRoom:
    # The embedded server's disk is full: it answers and logs what it then does.
    @classmethod
    def from_crawler(cls, crawler):
        folder = Path(crawler.settings["MONGODB_URI"].partition(":")[2])

        async def refuse(*_):
            with (folder / "server.log").open("a") as log:
                log.write(f"WT_SESSION.commit: {os.strerror(ENOSPC)}\\nWT_PANIC\\n")
            raise OperationFailure("internal server error", 1)

        Writer._bulk = refuse
        return cls()
"""


class Store(NamedTuple):
    """A project whose store can be disturbed by a proxy."""

    project: Project
    proxy: Proxy
    spill: Path

    def crawl(self, *words: str, **arguments: Any) -> Outcome:
        return self.project.crawl(*words, **arguments)

    def start(self, *words: str, notes: list[str] = NOTES) -> subprocess.Popen[bytes]:
        write = "-o" if "mode=resume" in words else "-O"
        feed = [write, str(self.project.folder / "feed.jsonl")]
        return self.project.start_crawl(*words, *feed, notes=notes)

    def end(self, crawl: subprocess.Popen[bytes]) -> Outcome:
        """Wait for a crawl to end; return its outcome."""
        errors = crawl.communicate()[1].decode()
        lines = (self.project.folder / "feed.jsonl").read_text().splitlines()
        return Outcome(crawl.returncode, "", errors, [json.loads(line) for line in lines])

    def extended(self, **extensions: str) -> list[str]:
        """Add users' extensions, by name and code; return the options that enable them."""
        for name, text in extensions.items():
            (self.project.folder / f"{name.lower()}_module.py").write_text(text)
        added = {f"{name.lower()}_module.{name}": 1 for name in extensions}
        return ["-s", f"EXTENSIONS={json.dumps({**EXTENSIONS, **added})}"]

    def spilled(self) -> list[Path]:
        return sorted(self.spill.iterdir()) if self.spill.exists() else []


def open_store(url: str, folder: Path, server: str, name: str, proxy: Proxy) -> Store:
    """Return a store behind a proxy; the test reads the database directly."""
    project = Project(url, folder, server, name)
    with resolve(server) as lease:
        uri = re.sub(r":\d+/", f":{proxy.port}/", lease.uri)
    spill = folder / "spill"
    project.environment["MONGODB_URI"] = uri
    project.environment["PYTHONPATH"] += f":{folder}"
    return Store(project, proxy, spill)


def port_of(server: str) -> int:
    with resolve(server) as lease:
        found = re.search(r":(\d+)/", lease.uri)
        assert found
        return int(found[1])


_NUMBERS = count(1)


@pytest.fixture
def store(api: Simulator, _server: str, tmp_path: Path) -> Iterator[Store]:
    """A store behind a proxy, with a database of its own."""
    with Proxy(port_of(_server)) as proxy:
        opened = open_store(api.url, tmp_path, _server, f"failing{next(_NUMBERS)}", proxy)
        # A crawl's farewell to its server takes this long if the server is away.
        opened.project.environment["MONGODB_URI"] += "&serverSelectionTimeoutMS=3000"
        yield opened


def await_silence(api: Simulator) -> int:
    """Wait until no more calls come; return how many were billed."""
    calls = -1
    while (call_log := api.call_log())["calls"] > calls:
        calls = call_log["calls"]
        time.sleep(1)
    return int(call_log["billed"])


def assert_whole(api: Simulator, project: Project, repeated: int | None = 0) -> None:
    """Check that all is stored, that each page was paid for once, and that the ledger agrees."""
    call_log = api.call_log()
    assert stored(project) == {note: expected_comments(note, 3) for note in NOTES}
    ledger = project.documents("notes")
    assert {
        (document["state"], document["complete"], document["missing"])
        for document in ledger.values()
    } == {("ended", True, 0)}
    if repeated is not None:
        assert call_log["repeated"] == repeated
        assert call_log["billed"] == PAGES + repeated
        booked = {note: document["billed_calls"] for note, document in ledger.items()}
        assert booked == {note: call_log["notes"][note]["billed"] for note in NOTES}


def assert_checkpoints_tell_what_is_there(project: Project, *, all_settled: bool = True) -> int:
    """Check that no checkpoint is ahead of its data; return how many pages lie before them.

    With ``all_settled``, none lags behind either, as it may after a kill or a loss.
    """
    comments, before = stored(project), 0
    for note, document in project.documents("notes").items():
        settled = 3 if document["state"] == "ended" else pages_before_checkpoint(document)
        found, wanted = comments.get(note, {}).keys(), expected_comments(note, settled).keys()
        assert found == wanted if all_settled else found >= wanted, document
        before += settled
    return before


def entries(path: Path) -> list[Document]:
    """Return the writes in a spill file, without its first line."""
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def test_a_slow_store_sets_the_pace(api: Simulator, store: Store) -> None:
    api.script({"latency": 0.05})
    crawl = store.start()
    api.wait_for_calls(PAGES // 2, crawl)
    store.proxy.delay = 0.5
    most = 0
    while crawl.poll() is None:
        billed = api.call_log()["billed"]
        booked = sum(
            document.get("billed_calls", 0)
            for document in store.project.documents("notes").values()
        )
        most = max(most, billed - booked)
        time.sleep(0.05)
    done = store.end(crawl)
    assert done.status == 0, done
    assert most <= MOST_PAID
    assert_whole(api, store.project)


def test_kills_while_the_store_is_slow_cost_no_more(api: Simulator, store: Store) -> None:
    api.script({"latency": 0.05})
    store.proxy.delay = 0.5
    paid = settled = 0
    for _ in range(3):
        crawl = store.start("-a", "mode=resume")
        api.wait_for_calls(paid + MOST_UNSETTLED + 12, crawl)
        crawl.kill()
        crawl.communicate()
        paid, paid_before = await_silence(api), paid
        before = settled
        settled = assert_checkpoints_tell_what_is_there(store.project, all_settled=False)
        assert paid - paid_before <= settled - before + MOST_UNSETTLED
        assert settled > before
    store.proxy.delay = 0
    done = store.crawl(notes=NOTES, mode="resume", feed=False)
    assert done.status == 0, done
    assert_whole(api, store.project, repeated=None)
    assert api.call_log()["billed"] == PAGES + api.call_log()["repeated"]


@pytest.mark.parametrize("how", ["frozen", "away"])
def test_a_store_that_comes_back_is_waited_for(api: Simulator, store: Store, how: str) -> None:
    api.script({"latency": 0.05})
    crawl = store.start()
    api.wait_for_calls(BEFORE, crawl)
    proxy = store.proxy
    (proxy.freeze if how == "frozen" else proxy.cut)()
    before = api.call_log()["billed"]
    paid = await_silence(api) - before
    if how == "away":
        time.sleep(6)
    assert api.call_log()["billed"] == before + paid
    (proxy.thaw if how == "frozen" else proxy.mend)()
    done = store.end(crawl)
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    assert paid <= MOST_PAID
    assert_whole(api, store.project)
    assert store.spilled() == []
    assert (
        len(done.ids("comment"))
        == len(set(done.ids("comment")))
        == sum(len(expected_comments(note, 3)) for note in NOTES)
    )


@pytest.fixture
def direct(own_server: Project, tmp_path: Path) -> Store:
    """A store with a server of its own, reached directly."""
    own_server.environment["PYTHONPATH"] += f":{tmp_path}"
    return Store(own_server, Proxy(0), tmp_path / "spill")


def server_of(store: Store) -> int:
    """Return the process ID of a store's own server."""
    state = store.project.folder / "db" / _supervisor.STATE
    return int(json.loads(state.read_text())["server_pid"])


@posix
def test_a_stopped_server_is_waited_for(api: Simulator, direct: Store) -> None:
    api.script({"latency": 0.05})
    crawl = direct.start()
    api.wait_for_calls(BEFORE, crawl)
    server, before = server_of(direct), api.call_log()["billed"]
    os.kill(server, signal.SIGSTOP)
    try:
        paid = await_silence(api) - before
    finally:
        os.kill(server, signal.SIGCONT)
    done = direct.end(crawl)
    assert done.status == 0, done
    assert paid <= MOST_PAID
    assert_whole(api, direct.project)


def test_writes_whose_acknowledgement_is_lost_are_done_once(api: Simulator, store: Store) -> None:
    api.script({"latency": 0.05})
    crawl = store.start()
    api.wait_for_calls(BEFORE, crawl)
    store.proxy.lose = 8
    done = store.end(crawl)
    assert done.status == 0, done
    assert store.proxy.lose == 0
    assert_whole(api, store.project)


def assert_kept(api: Simulator, store: Store, done: Outcome, name: str) -> int:
    """Check that all paid data is stored or in one private spill file; count the file's writes."""
    (path,) = store.spilled()
    assert path.suffix == ".jsonl"
    if os.name == "posix":
        assert (path.stat().st_mode & 0o777, store.spill.stat().st_mode & 0o777) == (0o600, 0o700)
    assert json.loads(path.read_text().splitlines()[0]) == {"database": name}
    kept = entries(path)
    for entry in kept:
        assert entry.keys() >= {"collection", "key", "update", "reason", "spilled_at"}
        assert "has not answered for" in entry["reason"]
    assert {entry["collection"] for entry in kept} == {"comments", "users", "notes"}
    assert done.stats["xhs/spilled"] == len(kept)
    assert "xhs/lost" not in done.stats
    errors = [line for line in done.lines("ERROR") if "XHS_SPILL_DIR" in line]
    assert len(errors) == 1
    assert f"{len(kept)} writes" in errors[0]
    assert "scrapy recover" in errors[0]
    # Spilled comments count as delivered, so they are in the feed too.
    call_log = api.call_log()["notes"]
    paid = {
        comment
        for note, cost in call_log.items()
        for comment in expected_comments(note, cost["billed"])
    }
    assert set(done.ids("comment")) == paid
    assert {entry["key"] for entry in kept if entry["collection"] == "comments"} <= paid
    return len(kept)


def gone(api: Simulator, store: Store, how: str) -> Outcome:
    """Crawl with a store that is gone until the crawl ends; return the outcome."""
    api.script({"latency": 0.05})
    crawl = store.start(*store.extended(Hurry=HURRY))
    api.wait_for_calls(BEFORE, crawl)
    before = api.call_log()["billed"]
    if how == "killed":
        os.kill(server_of(store), signal.SIGKILL)
    else:
        (store.proxy.freeze if how == "frozen" else store.proxy.cut)()
    done = store.end(crawl)
    assert (done.status, done.reason) == (3, "store_failed"), done
    assert "Traceback" not in done.errors
    assert api.call_log()["billed"] - before <= MOST_PAID
    assert api.call_log()["undelivered"] == 0
    if how == "frozen":
        store.proxy.thaw()
    elif how == "away":
        store.proxy.mend()
    return done


def go_on(api: Simulator, store: Store) -> Outcome:
    """Complete the crawl; check that nothing is paid for twice."""
    api.script({})
    done = store.crawl(notes=NOTES, mode="resume", feed=False)
    assert done.status == 0, done
    assert_whole(api, store.project)
    assert store.spilled() == []
    return done


@pytest.mark.parametrize("how", ["frozen", "away"])
def test_what_a_store_did_not_take_is_recovered(api: Simulator, store: Store, how: str) -> None:
    done = gone(api, store, how)
    kept = assert_kept(api, store, done, store.project.name)
    before = stored(store.project)
    recovered = store.project.command("recover")
    assert recovered.status == 0, recovered
    assert recovered.output.splitlines()[0] == f"{kept} writes stored from spill files"
    assert "stays" not in recovered.output
    assert store.spilled() == []
    call_log = api.call_log()
    paid = {
        note: expected_comments(note, cost["billed"]) for note, cost in call_log["notes"].items()
    }
    assert stored(store.project) == {note: shown for note, shown in paid.items() if shown} != before
    ledger = store.project.documents("notes")
    assert {
        note: document["billed_calls"]
        for note, document in ledger.items()
        if document["billed_calls"]
    } == {note: cost["billed"] for note, cost in call_log["notes"].items()}
    assert_checkpoints_tell_what_is_there(store.project)
    go_on(api, store)


THREADED = [threaded_note(6, 25, serial) for serial in range(8)]


@pytest.mark.parametrize("calls", [30, 90])
def test_what_a_store_did_not_take_among_threads_is_recovered(
    api: Simulator, store: Store, calls: int
) -> None:
    api.script({"latency": 0.02})
    crawl = store.start(*store.extended(Hurry=HURRY), "-a", "replies=all", notes=THREADED)
    api.wait_for_calls(calls, crawl)
    store.proxy.cut()
    done = store.end(crawl)
    assert (done.status, done.reason) == (3, "store_failed"), done
    assert "Traceback" not in done.errors
    store.proxy.mend()
    recovered = store.project.command("recover")
    assert "stays" not in recovered.output, recovered
    api.script({})
    done = store.crawl(mode="resume", feed=False)
    done = store.crawl(notes=THREADED, mode="resume", replies="all", feed=False)
    assert done.status == 0, done
    for note in THREADED:
        expected = expected_note(note)
        assert store.project.comment_ids(note) == (set(expected.first_level), expected.replies)
    call_log = api.call_log()
    assert call_log["repeated"] == 0
    assert call_log["billed"] == sum(
        expected_note(note).pages + expected_note(note).reply_pages for note in THREADED
    )
    ledger = store.project.documents("notes")
    booked = {note: document["billed_calls"] for note, document in ledger.items()}
    assert booked == {note: book["billed"] for note, book in call_log["notes"].items()}
    passes = store.project.documents("note_history").values()
    assert {one["note_id"]: one["billed_calls"] for one in passes} == booked


def test_what_a_killed_server_did_not_take_the_next_run_stores(
    api: Simulator, direct: Store
) -> None:
    done = gone(api, direct, "killed")
    kept = assert_kept(api, direct, done, "xhs")
    again = go_on(api, direct)
    lines = [line for line in again.lines("INFO") if "an earlier run had spilled" in line]
    assert len(lines) == 1
    assert str(kept) in lines[0]


def test_a_crawl_that_is_stopped_while_its_store_is_away_keeps_what_it_has(
    api: Simulator, store: Store
) -> None:
    api.script({"latency": 0.05})
    crawl = store.start(*store.extended(Hurry=HURRY))
    api.wait_for_calls(BEFORE, crawl)
    store.proxy.cut()
    crawl.send_signal(signal.SIGTERM)
    done = store.end(crawl)
    assert done.status == 3, done
    assert "Traceback" not in done.errors
    assert "xhs/lost" not in done.stats
    store.proxy.mend()
    go_on(api, store)


@pytest.mark.parametrize("folder", ["", "a file", "a file/below"])
def test_a_spill_that_cannot_be_kept_is_refused_before_the_first_call(
    api: Simulator, store: Store, folder: str
) -> None:
    (store.project.folder / "a file").write_text("")
    place = str(store.project.folder / folder) if folder else ""
    done = store.crawl(notes=NOTES, env={"XHS_SPILL_DIR": place})
    assert done.status == 2, done
    (line,) = done.lines("ERROR")
    assert "XHS_SPILL_DIR" in line
    assert api.call_log()["calls"] == 0


def is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def assert_told_of_loss(done: Outcome) -> None:
    lost = done.stats["xhs/lost"]
    assert lost > 0
    last = [line for line in done.lines("ERROR") if "could not be stored" in line]
    assert last == [f"{lost:.0f} items were paid for and could not be stored"]


def test_where_store_and_spill_fail_the_loss_is_reported(api: Simulator, store: Store) -> None:
    api.script({"latency": 0.05})
    crawl = store.start(*store.extended(Hurry=HURRY, Block=BLOCK))
    api.wait_for_calls(BEFORE, crawl)
    before = api.call_log()["billed"]
    store.proxy.cut()
    done = store.end(crawl)
    assert (done.status, done.reason) == (3, "store_failed"), done
    assert "Traceback" not in done.errors
    assert api.call_log()["billed"] - before <= MOST_PAID
    assert_told_of_loss(done)
    assert_checkpoints_tell_what_is_there(store.project)
    store.spill.unlink()
    store.proxy.mend()
    api.script({})
    again = store.crawl(notes=NOTES, mode="resume", feed=False)
    assert again.status == 0, again
    assert_whole(api, store.project, repeated=None)
    assert api.call_log()["repeated"] <= MOST_PAID
    errors = [line for line in done.lines("ERROR") if str(store.spill) in line]
    assert errors, "no error says why the spill could not be written"


@pytest.mark.skipif(sys.platform == "win32", reason="limits as POSIX has them")
@pytest.mark.parametrize("disk", ["Full", "FullOnce"])
def test_a_disk_that_is_full_loses_no_more_than_is_reported(
    api: Simulator, store: Store, disk: str
) -> None:
    """Also if there is room again later: what was spilled then is complete."""
    api.script({"latency": 0.05})
    options = store.extended(Hurry=HURRY, **{disk: FULL_DISK})
    crawl = store.start(*options)
    api.wait_for_calls(BEFORE, crawl)
    store.proxy.cut()
    done = store.end(crawl)
    assert (done.status, done.reason) == (3, "store_failed"), done
    assert_told_of_loss(done)
    (path,) = store.spilled()
    broken = [line for line in path.read_text().splitlines() if not is_json(line)]
    assert len(broken) <= 1
    assert not any(line.endswith("}") for line in broken), "a whole entry follows a torn one"
    store.proxy.mend()
    recovered = store.project.command("recover")
    assert recovered.status == 0, recovered
    comment_ids = {one for ids in stored(store.project).values() for one in ids}
    assert comment_ids >= set(done.ids("comment"))
    assert_checkpoints_tell_what_is_there(store.project, all_settled=False)
    api.script({})
    again = store.crawl(notes=NOTES, mode="resume", feed=False)
    assert again.status == 0, again
    assert_whole(api, store.project, repeated=None)


def test_a_disk_of_the_embedded_store_that_is_full_is_named(api: Simulator, direct: Store) -> None:
    done = direct.crawl(*direct.extended(Hurry=HURRY, NoRoom=NO_ROOM), notes=NOTES[:3])
    assert (done.status, done.reason) == (3, "store_failed"), done
    assert "the disk of the database is full: free space there" in done.run["stopped"]
    assert "OperationFailure" not in done.errors
    go_on_with = direct.crawl(notes=NOTES[:3], mode="resume")
    assert go_on_with.status == 0, go_on_with
    assert api.call_log()["repeated"] == 0


@pytest.fixture(params=[17_000_000, 50_000_000], ids=["document", "message"])
def huge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Simulator, str, str]]:
    """A stand-in, a note with a comment larger than a document or a message, and its ID.

    The comment is the fourth on page two, and ``rejected`` cannot hold it either.
    """
    note = sized_note(60, 900)
    patch = {"path": ["comments", 3, "content"], "value": "x" * request.param}
    script = {"rules": [{"note": note, "page": 2, "patch": [patch]}]}
    (tmp_path / "script.json").write_text(json.dumps(script))
    with Simulator("--script", str(tmp_path / "script.json")) as running:
        yield running, note, expected_note(note).first_level[13]


def update_of(entry: Document) -> Document:
    """Return the update in a line of a spill file."""
    update: Document = bson.decode(b64decode(entry["update"]))
    return update


LARGER_ANSWERS = ["-s", "DOWNLOAD_MAXSIZE=100000000"]


def test_a_document_that_no_database_can_hold_is_set_aside(
    store: Store, huge: tuple[Simulator, str, str]
) -> None:
    api, note, lost = huge
    other = sized_note(30, 901)
    store.project.environment["JUSTONEAPI_BASE_URL"] = api.url
    done = store.crawl(*LARGER_ANSWERS, notes=[note, other])
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    assert api.call_log()["billed"] == 6 + 3
    shown = expected_comments(note, 6)
    del shown[lost]
    assert stored(store.project) == {note: shown, other: expected_comments(other, 3)}
    assert store.project.documents("rejected") == {}
    (end,) = (item for item in done.items("note") if item["note_id"] == note)
    assert (end["stop_reason"], end["missing"]) == ("complete", 1)
    (path,) = store.spilled()
    assert path.suffix == ".unstorable"
    assert path.stat().st_mode & 0o777 == 0o600
    (entry,) = entries(path)
    assert entry["collection"] == "rejected"
    assert re.search("no database can hold|BSON cannot hold", entry["reason"])
    assert json.loads(update_of(entry)["$set"]["raw"])["id"] == lost
    rejected, named = [line for line in done.lines("WARNING") if "arger than" not in line]
    for line in (rejected, named):
        assert f"comment of note {note}, page 2" in line
    assert named.startswith("Set aside, and not tried again: ")
    assert str(path) in named
    assert done.run["unstorable"] == 1
    assert done.run["spilled"] == 0
    assert [line for line in done.lines("ERROR") if ".unstorable" in line]

    before = path.read_bytes()
    recovered = store.project.command("recover")
    assert recovered.status == 0, recovered
    assert str(path) not in recovered.output
    assert store.spilled() == [path]
    assert path.read_bytes() == before


@pytest.mark.parametrize("huge", [17_000_000], indirect=True, ids=["document"])
def test_where_the_spill_cannot_take_it_no_further_call_is_paid(
    store: Store, huge: tuple[Simulator, str, str]
) -> None:
    """Page three is in flight by then."""
    api, note, lost = huge
    store.project.environment["JUSTONEAPI_BASE_URL"] = api.url
    done = store.crawl(*store.extended(Block=BLOCK), notes=[note])
    assert (done.status, done.reason) == (3, "store_failed"), done
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] <= 3
    assert_told_of_loss(done)
    assert json.loads(store.project.note(note)["checkpoint"]["cursor"])["index"] == 2
    store.spill.unlink()
    again = store.crawl(notes=[note], mode="resume", feed=False)
    assert again.status == 0, again
    shown = expected_comments(note, 6)
    del shown[lost]
    assert stored(store.project) == {note: shown}
    assert len(store.spilled()) == 1


class Patient(NamedTuple):
    """A crawl with the default patience whose store is gone."""

    api: Simulator
    store: Store
    crawl: subprocess.Popen[bytes]


@pytest.fixture(scope="module", autouse=True)
def patient(_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """Start the crawl before the first test, so that its two minutes pass beside the others."""
    folder = tmp_path_factory.mktemp("patient")
    with Simulator("--latency", "0.05") as api, Proxy(port_of(_server)) as proxy:
        store = open_store(api.url, folder, _server, folder.name, proxy)
        with store.start() as crawl:
            try:
                api.wait_for_calls(BEFORE, crawl)
                proxy.cut()
                yield Patient(api, store, crawl)
            finally:
                crawl.kill()


def test_two_minutes_are_waited_for_a_store(patient: Patient) -> None:
    api, store = patient.api, patient.store
    done = store.end(patient.crawl)
    assert (done.status, done.reason) == (3, "store_failed"), done
    assert "has not answered for 120 seconds" in done.errors
    assert_kept(api, store, done, store.project.name)
    store.proxy.mend()
    go_on(api, store)
