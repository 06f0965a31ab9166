"""The supervisor of one embedded server: a process that lives as long as anyone needs the server.

``python -m xhs.store.embedded._supervisor FOLDER`` holds the folder's lock, runs the server as its
child, and hands its address to whoever connects with the token from the state file. A client is a
connection that stays open: the operating system closes it however the client ends, so nothing has
to be signed off. When the last has been gone for a moment, the server is stopped and this process
ends; when the server ends by itself, so does this process.

Standard library alone at the top: this is on the way of every start.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from xhs.store.lock import take_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOG = "server.log"
STATE = "supervisor.json"
LOCK = "supervisor.lock"
LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0

_PASSWORD = "password"  # noqa: S105  (the name of the file)
_CONFIG = "secantusd.toml"
_USER = "xhs"
_FIRST_CLIENT_SECONDS = 10.0
_GRACE_SECONDS = 1.0
_STOP_SECONDS = 60.0
_TICK_SECONDS = 0.2
_BUSY_SECONDS = 10.0

# - port 0: the system picks a free one, which nobody can take in between.
# - standalone: no oplog, which nothing here reads; upserts are 10 to 15 % faster without.
# - no sync_on_commit: a write that asks for `j: true` is on disk before it is acknowledged in any
#   case (12 kills lost none of 45,302 acknowledged documents; without `j`, 1,189 of 115,556), and
#   the others need not be slowed down. Each upsert of a journaled bulk is a sync of its own on this
#   server, however large the bulk: 3,200 upserts a second become 2,100 where a sync takes 0.15 ms.
# - a file named explicitly keeps the server from picking up a stray one elsewhere.
_CONFIG_TEXT = f"""\
[server]
host = "{LOOPBACK}"
port = 0
standalone = true

[storage]
cache_size = "256M"
sync_on_commit = false
"""


class StartError(Exception):
    """The server did not come up; the message is one line."""


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` as a whole, readable by its owner alone."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def address(port: int, password: str | None) -> str:
    """The connection string of the server on ``port``."""
    user = "" if password is None else f"{_USER}:{quote(password, safe='')}@"
    return f"mongodb://{user}{LOOPBACK}:{port}/?directConnection=true"


def log(text: str) -> None:
    """One line to standard error, which is the folder's log."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _die_with_parent() -> Callable[[], None] | None:
    """What a child runs first so that it is told to stop when this process is killed (Linux)."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()
    set_parent_death_signal = 1

    def prepare() -> None:
        prctl(set_parent_death_signal, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


class _Server:
    """The server's process, listening."""

    def __init__(self, folder: Path, *, auth: bool) -> None:
        deadline = time.monotonic() + START_SECONDS - 5
        busy_until = time.monotonic() + _BUSY_SECONDS
        while not self._start(folder, auth, deadline):
            if time.monotonic() > busy_until:
                raise StartError("another server holds this folder: end it")
            time.sleep(0.2)

    def _start(self, folder: Path, auth: bool, deadline: float) -> bool:
        """False if another server, perhaps one that is just ending, still holds the folder."""
        journal = folder / LOG
        seen = journal.stat().st_size
        command = [sys.executable, "-m", "secantus", "--config", str(folder / _CONFIG)]
        command += ["--storage-path", str(folder), *(["--auth"] if auth else [])]
        # Set for a test suite, this one would switch durability off.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SECANTUS_")}
        with journal.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                preexec_fn=_die_with_parent(),
            )
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            with journal.open("rb") as lines:
                lines.seek(seen)
                said = lines.read().decode("utf-8", "replace")
            if listening := re.search(r"listening on \S+:(\d+)", said):
                self.port = int(listening[1])
                return True
            if ended:
                if re.search(r"resource (busy|device)", said, re.IGNORECASE):
                    return False
                # What went wrong stands in the log already, as its last line.
                raise StartError("")
            time.sleep(0.01)
        self.process.kill()
        raise StartError("the server did not begin to listen in time")

    def stop(self) -> None:
        """End it cleanly, so that it writes a checkpoint; after a minute, hard."""
        now = told = time.monotonic()
        deadline = now + _STOP_SECONDS
        self.process.terminate()
        while self.process.poll() is None and now < deadline:
            # Its accepting thread notices only when somebody knocks; else it waits for 2 s. One
            # that still opens has not heard: a signal is lost on a Python that is about to wait.
            if _answers(self.port) and now - told > 1:
                self.process.terminate()
                told = now
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
            now = time.monotonic()
        if self.process.poll() is None:
            log("the server did not stop in time and was killed")
            self.process.kill()
            self.process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True


def _password(folder: Path) -> str:
    """The server's password; a fresh folder gets its user here.

    Loopback is open to every user of the machine, and what is stored is personal. The server has
    no other way to make its first user than to run once without authentication. The password's
    file is written only when the user is on disk, so that one that exists can be believed.
    """
    path = folder / _PASSWORD
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure

    password = secrets.token_urlsafe(24)
    server = _Server(folder, auth=False)
    try:
        with MongoClient[dict[str, object]](address(server.port, None)) as client:
            try:
                client.admin.command("createUser", _USER, pwd=password, roles=["root"])
            except OperationFailure:
                client.admin.command("updateUser", _USER, pwd=password, roles=["root"])
    finally:
        server.stop()
    write_private(path, password)
    return password


def _end_orphan(folder: Path, password: str) -> None:
    """End the server that a killed supervisor left, where the system has not done it.

    The state file outlives only a supervisor that was killed. Its process ID may be another's by
    now; who answers on the port to this folder's password is the server.
    """
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        port, process = int(state["server_port"]), int(state["server_pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if not _answers(port):
        return
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    uri = address(port, password)
    with (
        contextlib.suppress(PyMongoError, OSError),
        MongoClient[dict[str, object]](
            uri, serverSelectionTimeoutMS=2000, socketTimeoutMS=2000
        ) as client,
    ):
        client.admin.command("listDatabases")
        log(f"ending the server that an earlier supervisor left (process {process})")
        os.kill(process, signal.SIGTERM)


class _Door:
    """Where clients connect, and stay connected."""

    def __init__(self, greeting: bytes, token: str) -> None:
        self._greeting = greeting
        self._token = token.encode()
        self._clients: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server((LOOPBACK, 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)

    def attend(self) -> int:
        """Serve whoever stirs within a tick; how many clients there are."""
        for key, _ in self._selector.select(_TICK_SECONDS):
            if key.fileobj is self._listener:
                with contextlib.suppress(OSError):
                    connection, _ = self._listener.accept()
                    connection.setblocking(False)
                    self._selector.register(connection, selectors.EVENT_READ, bytearray())
            else:
                self._hear(cast("socket.socket", key.fileobj), key.data)
        return len(self._clients)

    def _hear(self, connection: socket.socket, heard: bytearray) -> None:
        try:
            data = connection.recv(256)
            if data and connection not in self._clients:
                heard += data
                if heard.endswith(b"\n") and hmac.compare_digest(heard.strip(), self._token):
                    connection.sendall(self._greeting)
                    self._clients.add(connection)
                elif len(heard) > len(self._token):
                    data = b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            self._clients.discard(connection)
            connection.close()

    def close(self) -> None:
        """Let nobody in any more; who is in stays connected until this process ends."""
        self._selector.unregister(self._listener)
        self._listener.close()


@contextlib.contextmanager
def _open_door(folder: Path, server: _Server, password: str) -> Iterator[_Door]:
    token = secrets.token_urlsafe(24)
    greeting = {"uri": address(server.port, password)}
    door = _Door(json.dumps(greeting).encode() + b"\n", token)
    state = {
        "pid": os.getpid(),
        "port": door.port,
        "token": token,
        "server_port": server.port,
        "server_pid": server.process.pid,
    }
    try:
        write_private(folder / STATE, json.dumps(state))
        yield door
    finally:
        door.close()
        (folder / STATE).unlink(missing_ok=True)


def _run(folder: Path) -> None:
    told_to_stop = False

    def stop(*_: object) -> None:
        nonlocal told_to_stop
        told_to_stop = True

    signal.signal(signal.SIGTERM, stop)
    (folder / _CONFIG).write_text(_CONFIG_TEXT, encoding="utf-8")
    password = _password(folder)
    _end_orphan(folder, password)
    server = _Server(folder, auth=True)
    try:
        with _open_door(folder, server, password) as door:
            log(f"serving {folder} (supervisor {os.getpid()}, server {server.process.pid})")
            leave_at = time.monotonic() + _FIRST_CLIENT_SECONDS
            while not told_to_stop and time.monotonic() < leave_at:
                if door.attend():
                    leave_at = time.monotonic() + _GRACE_SECONDS
                if (status := server.process.poll()) is not None:
                    log(f"the server ended by itself (status {status})")
                    return
        log("stopping the server")
    finally:
        server.stop()


def main(folder: Path) -> int:
    """Supervise the server on ``folder``, unless somebody else does; the exit status."""
    os.umask(0o077)
    lock = take_lock(folder / LOCK, time.monotonic() + START_SECONDS)
    if lock is None:
        return 0
    try:
        os.truncate(folder / LOG, 0)
        _run(folder)
    except StartError as error:
        if str(error):
            log(str(error))
        return 1
    except OSError as error:
        log(f"{error.strerror}: {error.filename}" if error.filename else str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
