"""Supervisor process of one embedded server, which runs as long as the server has clients.

``python -m xhs.store.embedded._supervisor FOLDER`` holds the folder's lock, runs the server as its
child, and sends the server's address to clients that connect with the token from the state file. A
client is a connection that stays open. The operating system closes it however the client ends, so
no client has to sign off. One second after the last client has gone, or if none comes within 10
seconds, the supervisor stops the server and ends. If the server ends by itself, so does the
supervisor.

Third-party libraries are not imported at the top: they would delay every start.
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

# - port 0: the system picks a free port, so no other process can take it in between.
# - standalone: no oplog. Nothing here reads it, and upserts are 10 to 15 % faster without it.
# - no sync_on_commit: a write with `j: true` is on disk before it is acknowledged in any case (12
#   kills lost none of 45,302 acknowledged documents; without `j`, 1,189 of 115,556), and other
#   writes need not be slowed down. This server syncs each upsert of a journaled bulk separately,
#   however large the bulk: with 0.15 ms per sync, 3,200 upserts a second become 2,100.
# - the file is named explicitly, so that the server does not read a stray one elsewhere.
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
    """The server did not start. The message is one line; it is empty if the log has the cause."""


def write_private(path: Path, text: str) -> None:
    """Replace the file at ``path`` atomically by one that only its owner can read."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def address(port: int, password: str | None) -> str:
    """Return the connection string of the server on ``port``."""
    user = "" if password is None else f"{_USER}:{quote(password, safe='')}@"
    return f"mongodb://{user}{LOOPBACK}:{port}/?directConnection=true"


def log(text: str) -> None:
    """Write a line to standard error, which is the folder's log."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _die_with_parent() -> Callable[[], None] | None:
    """Return a function for the child process to run first, or None on systems other than Linux.

    With it, the child receives SIGTERM when this process is killed.
    """
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
    """A running server process that accepts connections."""

    def __init__(self, folder: Path, *, auth: bool) -> None:
        deadline = time.monotonic() + START_SECONDS - 5
        busy_until = time.monotonic() + _BUSY_SECONDS
        while not self._start(folder, auth, deadline):
            if time.monotonic() > busy_until:
                raise StartError("another server holds this folder: end it")
            time.sleep(0.2)

    def _start(self, folder: Path, auth: bool, deadline: float) -> bool:
        """Return False if another server, perhaps one that is stopping, still holds the folder."""
        log_file = folder / LOG
        log_size = log_file.stat().st_size
        command = [sys.executable, "-m", "secantus", "--config", str(folder / _CONFIG)]
        command += ["--storage-path", str(folder), *(["--auth"] if auth else [])]
        # A variable set for a test suite could switch durability off.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SECANTUS_")}
        with log_file.open("ab") as output:
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
            with log_file.open("rb") as file:
                file.seek(log_size)
                logged = file.read().decode("utf-8", "replace")
            if listening := re.search(r"listening on \S+:(\d+)", logged):
                self.port = int(listening[1])
                return True
            if ended:
                if re.search(r"resource (busy|device)", logged, re.IGNORECASE):
                    return False
                raise StartError("")  # the last line of the log has the cause
            time.sleep(0.01)
        self.process.kill()
        raise StartError("the server did not accept connections in time")

    def stop(self) -> None:
        """Stop the server cleanly, so that it writes a checkpoint. Kill it after 60 seconds."""
        now = terminated_at = time.monotonic()
        deadline = now + _STOP_SECONDS
        self.process.terminate()
        while self.process.poll() is None and now < deadline:
            # Connecting wakes the server's accepting thread, which otherwise waits for 2 s. If the
            # server still accepts, the signal was lost: Python can miss one just before it waits.
            if _accepts(self.port) and now - terminated_at > 1:
                self.process.terminate()
                terminated_at = now
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
            now = time.monotonic()
        if self.process.poll() is None:
            log("the server did not stop in time and was killed")
            self.process.kill()
            self.process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True


def _password(folder: Path) -> str:
    """Return the server's password. In a new folder, create the user first.

    A password is needed because every user of the machine can connect to loopback, and the data are
    personal. The server can create its first user only while it runs without authentication. The
    password's file is written only after the user is on disk, so an existing file is valid.
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
    """Terminate the server of a killed supervisor, if the operating system has not done so.

    A state file is left behind only by a supervisor that was killed. Its process ID may belong to
    another process by now, so check that the server on its port accepts this folder's password.
    """
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        port, process = int(state["server_port"]), int(state["server_pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if not _accepts(port):
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
        client.admin.command("listDatabases", nameOnly=True)
        log(f"stopping the server left by an earlier supervisor (process {process})")
        os.kill(process, signal.SIGTERM)


class _Listener:
    """The socket that clients connect to, and their open connections."""

    def __init__(self, greeting: bytes, token: str) -> None:
        self._greeting = greeting
        self._token = token.encode()
        self._clients: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._socket = socket.create_server((LOOPBACK, 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._selector.register(self._socket, selectors.EVENT_READ)

    def poll(self) -> int:
        """Wait up to 0.2 seconds for events, handle them, and return the number of clients."""
        for key, _ in self._selector.select(_TICK_SECONDS):
            if key.fileobj is self._socket:
                with contextlib.suppress(OSError):
                    connection, _ = self._socket.accept()
                    connection.setblocking(False)
                    self._selector.register(connection, selectors.EVENT_READ, bytearray())
            else:
                self._receive(cast("socket.socket", key.fileobj), key.data)
        return len(self._clients)

    def _receive(self, connection: socket.socket, received: bytearray) -> None:
        try:
            data = connection.recv(256)
            if data and connection not in self._clients:
                received += data
                if received.endswith(b"\n") and hmac.compare_digest(received.strip(), self._token):
                    connection.sendall(self._greeting)
                    self._clients.add(connection)
                elif len(received) > len(self._token):
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
        """Accept no more clients. The others stay connected until this process ends."""
        self._selector.unregister(self._socket)
        self._socket.close()


@contextlib.contextmanager
def _listen(folder: Path, server: _Server, password: str) -> Iterator[_Listener]:
    token = secrets.token_urlsafe(24)
    greeting = {"uri": address(server.port, password)}
    listener = _Listener(json.dumps(greeting).encode() + b"\n", token)
    state = {
        "pid": os.getpid(),
        "port": listener.port,
        "token": token,
        "server_port": server.port,
        "server_pid": server.process.pid,
    }
    try:
        write_private(folder / STATE, json.dumps(state))
        yield listener
    finally:
        listener.close()
        (folder / STATE).unlink(missing_ok=True)


def _run(folder: Path) -> None:
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    (folder / _CONFIG).write_text(_CONFIG_TEXT, encoding="utf-8")
    password = _password(folder)
    _end_orphan(folder, password)
    server = _Server(folder, auth=True)
    try:
        with _listen(folder, server, password) as listener:
            log(f"serving {folder} (supervisor {os.getpid()}, server {server.process.pid})")
            stop_at = time.monotonic() + _FIRST_CLIENT_SECONDS
            while not stopping and time.monotonic() < stop_at:
                if listener.poll():
                    stop_at = time.monotonic() + _GRACE_SECONDS
                if (status := server.process.poll()) is not None:
                    log(f"the server ended by itself (status {status})")
                    return
        log("stopping the server")
    finally:
        server.stop()


def main(folder: Path) -> int:
    """Supervise the server on ``folder``, unless another process does; return the exit status."""
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
