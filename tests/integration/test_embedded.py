"""The embedded server in real processes, killed at every level."""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient, UpdateOne
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from pymongo.write_concern import WriteConcern
from support.marks import linux, needs_embedded, posix

from xhs.store.embedded import _supervisor, server
from xhs.store.embedded.server import EmbeddedStoreError, Lease, resolve
from xhs.store.lock import take_lock

pytestmark = needs_embedded

ROOT = Path(__file__).parents[2]
RETRY_SECONDS = 60.0
CLIENT = """
import sys
from xhs.store.embedded.server import resolve
lease = resolve(sys.argv[1])
sys.stdout.write(lease.uri + "\\n")
sys.stdout.flush()
sys.stdin.read()
"""

Client = subprocess.Popen[str]
Start = Callable[..., Client]


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds, with a generous deadline."""
    deadline = time.monotonic() + RETRY_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        time.sleep(0.02)


def state(folder: Path) -> dict[str, Any]:
    """Read the state file of the folder's supervisor."""
    state: dict[str, Any] = json.loads((folder / _supervisor.STATE).read_text())
    return state


def listens(port: int) -> bool:
    """True if a process accepts connections on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def supervisors(folder: Path) -> list[int]:
    """Return the processes that supervise the folder or wait to (Linux)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if os.fsencode(folder) in words and b"xhs.store.embedded._supervisor" in words:
                found.append(int(process.name))
    return found


def await_end(folder: Path) -> None:
    """Wait until neither supervisor nor server is left."""
    lock = take_lock(folder / _supervisor.LOCK, time.monotonic() + RETRY_SECONDS)
    assert lock is not None, "the supervisor did not end"
    os.close(lock)
    ports = [int(port) for port in re.findall(r":(\d+)\n", (folder / "server.log").read_text())]
    eventually(lambda: not any(listens(port) for port in ports))


def write(uri: str, first: int, last: int) -> None:
    """Upsert documents, journaled; they are acknowledged when this returns."""
    with MongoClient[dict[str, Any]](uri) as client:
        concern = WriteConcern(w=1, j=True)
        client.get_database("xhs", write_concern=concern)["comments"].bulk_write(
            [UpdateOne({"_id": i}, {"$set": {"n": i}}, upsert=True) for i in range(first, last)],
            ordered=False,
        )


def count(uri: str) -> int:
    with MongoClient[dict[str, Any]](uri) as client:
        return client["xhs"]["comments"].count_documents({})


def address_of(client: Client) -> str:
    """Return the connection string that a started client prints."""
    assert client.stdout is not None
    return client.stdout.readline().strip()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder without a server; after the test, wait until its server has ended."""
    path = tmp_path / "db"
    yield path
    if (path / _supervisor.LOG).exists():
        await_end(path)


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start a process that holds a lease until its standard input ends."""
    with contextlib.ExitStack() as clients:

        def begin(**options: Any) -> Client:
            client = subprocess.Popen(
                [sys.executable, "-c", CLIENT, f"embedded:{folder}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "JUSTONEAPI_TOKEN": "a-secret-token",
                },
                **options,
            )
            clients.enter_context(client)
            clients.callback(client.kill)
            return client

        yield begin


@pytest.fixture
def lease(folder: Path) -> Iterator[Lease]:
    with resolve(f"embedded:{folder}") as held:
        yield held


def test_processes_share_one_server_that_ends_after_the_last(folder: Path, start: Start) -> None:
    first, second = start(), start()
    uri = address_of(first)
    assert address_of(second) == uri
    write(uri, 0, 10)
    first.communicate(timeout=RETRY_SECONDS)
    assert count(uri) == 10
    assert take_lock(folder / _supervisor.LOCK, time.monotonic()) is None
    second.communicate(timeout=RETRY_SECONDS)
    await_end(folder)
    assert not (folder / _supervisor.STATE).exists()


def test_starters_at_the_same_moment_get_the_same_server(folder: Path, start: Start) -> None:
    clients = [start() for _ in range(3)]
    with ThreadPoolExecutor(5) as threads:
        leases = [threads.submit(resolve, f"embedded:{folder}") for _ in range(5)]
        uris = {address_of(client) for client in clients}
    for held in leases:
        uris.add(held.result().uri)
        held.result().close()
    assert len(uris) == 1
    assert uris.pop().startswith("mongodb://")
    if sys.platform == "linux":
        assert len(supervisors(folder)) == 1


def test_folders_have_servers_of_their_own(lease: Lease, tmp_path: Path) -> None:
    write(lease.uri, 0, 1)
    with resolve(f"embedded:{tmp_path / 'other'}") as other:
        assert other.uri != lease.uri
        assert count(other.uri) == 0
    await_end(tmp_path / "other")


def test_a_client_joins_without_a_look_at_the_documents(
    folder: Path, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their sizes, which the server adds up for each list of databases, would take long."""
    commands = []

    class Recorder(CommandListener):
        def started(self, event: CommandStartedEvent) -> None:
            commands.append(dict(event.command))

        def succeeded(self, event: CommandSucceededEvent) -> None:
            pass

        def failed(self, event: CommandFailedEvent) -> None:
            pass

    def client(uri: str, **options: Any) -> AsyncMongoClient[dict[str, Any]]:
        return AsyncMongoClient(uri, event_listeners=[Recorder()], **options)

    monkeypatch.setattr(server, "AsyncMongoClient", {dict[str, object]: client})
    resolve(f"embedded:{folder}").close()
    listed = [command for command in commands if "listDatabases" in command]
    assert [command.get("nameOnly") for command in listed] == [True]


def test_spellings_of_a_folder_are_one_folder(
    lease: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for spelling in ("db", "./x/../db", "link", "~/db"):
        with resolve(f"embedded:{spelling}") as other:
            assert other.uri == lease.uri


def test_the_default_folder_stands_in_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with resolve("embedded:"):
        assert (tmp_path / ".xhs/mongodb/WiredTiger").exists()
    await_end(tmp_path / ".xhs/mongodb")


def test_the_next_client_comes_while_the_server_is_ending(folder: Path) -> None:
    uris = []
    for round_number in range(4):
        with resolve(f"embedded:{folder}") as held:
            write(held.uri, 0, round_number + 1)
            uris.append(held.uri)
        os.kill(state(folder)["pid"], signal.SIGTERM)
    with resolve(f"embedded:{folder}") as held:
        assert count(held.uri) == 4


@posix
def test_a_killed_client_is_noticed(folder: Path, start: Start) -> None:
    client = start()
    write(address_of(client), 0, 300)
    client.kill()
    await_end(folder)
    with resolve(f"embedded:{folder}") as held:
        assert count(held.uri) == 300


@linux
def test_a_killed_supervisor_takes_its_server_along(folder: Path, start: Start) -> None:
    client = start()
    uri = address_of(client)
    write(uri, 0, 300)
    before = state(folder)
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: not listens(before["server_port"]))
    with resolve(f"embedded:{folder}") as held:
        assert held.uri != uri
        assert count(held.uri) == 300


@posix
def test_a_killed_server_is_an_error_now_and_a_new_server_next(
    folder: Path, start: Start, lease: Lease
) -> None:
    write(lease.uri, 0, 300)
    os.kill(state(folder)["server_pid"], signal.SIGKILL)
    with (
        MongoClient[Any](lease.uri, serverSelectionTimeoutMS=500) as client,
        pytest.raises(PyMongoError),
    ):
        client["xhs"]["comments"].count_documents({})
    await_end(folder)
    assert "ended by itself" in (folder / _supervisor.LOG).read_text()
    assert count(address_of(start())) == 300


@posix
def test_acknowledged_writes_survive_the_end_of_everything(folder: Path, start: Start) -> None:
    acknowledged = 0
    for _ in range(3):
        client = start()
        uri = address_of(client)
        assert count(uri) >= acknowledged
        for _ in range(4):
            write(uri, acknowledged, acknowledged + 50)
            acknowledged += 50
        now = state(folder)
        for process in (now["server_pid"], now["pid"], client.pid):
            os.kill(process, signal.SIGKILL)
    with resolve(f"embedded:{folder}") as held:
        assert count(held.uri) == acknowledged


@posix
def test_an_orphan_is_ended(folder: Path) -> None:
    # Like a system that does not end the server with its supervisor.
    with resolve(f"embedded:{folder}") as held:
        write(held.uri, 0, 10)
        password = held.uri.split("@")[0]
    await_end(folder)
    command = [sys.executable, "-m", "secantus", "--config", str(folder / "secantusd.toml")]
    orphan = subprocess.Popen(
        [*command, "--storage-path", str(folder), "--auth"], stderr=subprocess.PIPE, text=True
    )
    with orphan, contextlib.ExitStack() as whatever_happens:
        whatever_happens.callback(orphan.kill)
        assert orphan.stderr is not None
        ports = (re.search(r"listening on \S+:(\d+)", line) for line in orphan.stderr)
        port = next(found[1] for found in ports if found)
        (folder / _supervisor.STATE).write_text(
            json.dumps({"port": 1, "token": "", "server_port": port, "server_pid": orphan.pid})
        )
        with resolve(f"embedded:{folder}") as held:
            assert held.uri.split("@")[0] == password
            assert held.uri.split("@")[1] != f"127.0.0.1:{port}/?directConnection=true"
            assert count(held.uri) == 10
        assert orphan.wait(RETRY_SECONDS) is not None


@posix
def test_a_stranger_on_the_recorded_port_is_left_alone(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger, ThreadPoolExecutor(1) as thread:
        port = stranger.getsockname()[1]
        folder.mkdir()
        recorded = {"port": port, "token": "t", "server_port": port, "server_pid": os.getpid()}
        (folder / _supervisor.STATE).write_text(json.dumps(recorded))

        def answer_nonsense() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = stranger.accept()
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.close()

        answering = thread.submit(answer_nonsense)
        try:
            with resolve(f"embedded:{folder}") as held:
                assert count(held.uri) == 0
        finally:
            stranger.shutdown(socket.SHUT_RDWR)
            answering.result(RETRY_SECONDS)


def test_the_output_of_a_client_ends_with_it(start: Start, folder: Path) -> None:
    first = start()
    uri = address_of(first)
    with resolve(f"embedded:{folder}") as held:
        output, errors = first.communicate(timeout=RETRY_SECONDS)
        assert (first.returncode, output, errors) == (0, "", "")
        assert held.uri == uri
        assert count(held.uri) == 0


@posix
def test_an_interrupt_from_the_terminal_is_not_for_the_server(start: Start, folder: Path) -> None:
    first = start(start_new_session=True)
    uri = address_of(first)
    with resolve(f"embedded:{folder}") as held:
        os.killpg(first.pid, signal.SIGINT)
        first.wait(RETRY_SECONDS)
        assert held.uri == uri
        write(held.uri, 0, 1)
        assert count(held.uri) == 1


@posix
def test_what_is_stored_is_for_its_owner_alone(folder: Path, lease: Lease) -> None:
    write(lease.uri, 0, 1)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (folder / "password", folder / _supervisor.STATE, folder / "WiredTiger.wt"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    port = state(folder)["server_port"]
    with MongoClient[Any](_supervisor.address(port, None)) as anyone:
        for forbidden in (
            lambda: anyone["xhs"]["comments"].find_one(),
            lambda: anyone.admin.command("createUser", "me", pwd="x", roles=["root"]),
        ):
            with pytest.raises(OperationFailure, match="authentication"):
                forbidden()


@linux
def test_no_secret_is_where_others_look(folder: Path, start: Start) -> None:
    uri = address_of(start())
    now = state(folder)
    for secret in ((folder / "password").read_text().strip(), "a-secret-token"):
        assert secret not in (folder / _supervisor.LOG).read_text()
        for process in (now["pid"], now["server_pid"]):
            for place in ("cmdline", "environ"):
                assert secret not in Path(f"/proc/{process}/{place}").read_text()
    assert (folder / "password").read_text().strip() in uri


def test_a_folder_whose_password_was_lost_gets_a_new_one(folder: Path) -> None:
    with resolve(f"embedded:{folder}") as held:
        write(held.uri, 0, 10)
        old = (folder / "password").read_text()
    await_end(folder)
    (folder / "password").unlink()
    with resolve(f"embedded:{folder}") as held:
        assert count(held.uri) == 10
    assert (folder / "password").read_text() != old


def test_a_wrong_password_is_one_sentence(folder: Path) -> None:
    resolve(f"embedded:{folder}").close()
    await_end(folder)
    (folder / "password").write_text("wrong")
    with pytest.raises(EmbeddedStoreError, match="authentication failed") as caught:
        resolve(f"embedded:{folder}")
    assert "\n" not in str(caught.value)


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    folder.mkdir()
    (folder / "WiredTiger.turtle").write_text("garbage")
    (folder / "WiredTiger").write_text("garbage")
    with pytest.raises(EmbeddedStoreError) as caught:
        resolve(f"embedded:{folder}")
    last = (folder / _supervisor.LOG).read_text().strip().splitlines()[-1]
    assert last in str(caught.value)
    assert str(folder / _supervisor.LOG) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.anyio
async def test_the_asynchronous_client_works_with_it(lease: Lease) -> None:
    write(lease.uri, 0, 120)
    async with AsyncMongoClient[dict[str, Any]](lease.uri) as client:
        assert len(await client["xhs"]["comments"].find({}).sort("n", -1).to_list()) == 120
