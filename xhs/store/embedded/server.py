"""The embedded MongoDB server: started when needed, shared by folder, gone after its last client.

The server is SecantusDB, always a process of its own and never imported. A supervisor process
(:mod:`xhs.store.embedded._supervisor`) runs it; this module finds or starts the supervisor and
stays connected to it for as long as the server is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from xhs.store.embedded import _supervisor
from xhs.store.lock import take_lock

if TYPE_CHECKING:
    from types import TracebackType

_SCHEME = "embedded:"
_DEFAULT_FOLDER = ".xhs/mongodb"
_JOIN_SECONDS = 5.0

_ELSEWHERE = "or point MONGODB_URI at a MongoDB server, or make it empty to crawl without storage"

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_LEAST_SPACE = 1_000_000
"""Bytes: with less on its disk, the server cannot write its next journal."""

# The supervisor and its server outlive this process and need none of its secrets.
_NOT_INHERITED = ("JUSTONEAPI_", "XHS_", "MONGODB_", "REDIS_", "AWS_", "PYTHONPATH")


class EmbeddedStoreError(Exception):
    """The embedded server cannot be had; the message is one sentence that says what to do."""


class Lease:
    """A connection string, good until :meth:`close` or the end of this process, whichever is first.

    Keep it for as long as :attr:`uri` is in use. ``uri`` may hold a password: don't log it.
    ``folder`` is the embedded server's.
    """

    folder: Path | None = None

    def __init__(self, uri: str, connection: socket.socket | None = None) -> None:
        self.uri = uri
        self._connection = connection

    @property
    def disk_is_full(self) -> bool:
        """True if the embedded server has no room left, which it calls an internal error."""
        return self.folder is not None and _disk_is_full(self.folder)

    def close(self) -> None:
        """Need the server no more; it ends about a second after nobody does."""
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def resolve(uri: str) -> Lease:
    """Turn ``embedded:`` or ``embedded:PATH`` into a MongoDB connection string.

    Any other string comes back as it is, and nothing is started. The call waits for the server
    to start, less than a second usually and 30 s at most: call it before the reactor runs, or in a
    thread. A ``PATH`` is relative to the current directory; ``~`` is the home directory.

    Raises:
        EmbeddedStoreError: The server is not installed, the folder cannot be used, or the server
            does not start.
    """
    if not uri.startswith(_SCHEME):
        return Lease(uri)
    path = uri.removeprefix(_SCHEME) or _DEFAULT_FOLDER
    folder = Path(os.path.realpath(os.path.expanduser(path)))  # noqa: PTH111
    if not is_installed():
        raise EmbeddedStoreError(
            "the embedded store needs SecantusDB, which is not installed: install it (CPython 3.10 "
            "to 3.13 on Linux x86_64 or aarch64, macOS arm64, Windows amd64), " + _ELSEWHERE
        )
    deadline = time.monotonic() + _supervisor.START_SECONDS
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        lease = _join_or_start(folder, deadline)
        lease.folder = folder
    except OSError as error:
        raise EmbeddedStoreError(_unusable(folder, error)) from error
    try:
        _ping(folder, lease.uri, deadline)
    except EmbeddedStoreError as error:
        lease.close()
        if lease.disk_is_full:
            raise EmbeddedStoreError(_unusable(folder, OSError(errno.ENOSPC, ""))) from error
        raise
    except BaseException:
        lease.close()
        raise
    return lease


def is_installed() -> bool:
    """True if the embedded server is there to be started."""
    return importlib.util.find_spec("secantus") is not None


def _unusable(folder: Path, error: OSError) -> str:
    what = f"the embedded store cannot use the folder {folder}: "
    if error.errno in _NO_SPACE:
        return what + f"the disk is full; free some space, {_ELSEWHERE}"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return what + "there is a file of that name, or in the place of a parent; name another"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return what + "it may not be written to; name another, or change its permissions"
    return what + f"{error.strerror or error}; name another, {_ELSEWHERE}"


def _join_or_start(folder: Path, deadline: float) -> Lease:
    # Starters go one by one; whoever comes second finds what the first has started. Held by a
    # process that is killed, the lock goes with it.
    lock = take_lock(folder / "start.lock", deadline)
    if lock is None:
        raise EmbeddedStoreError(
            f"another process has been starting the embedded store on {folder} for too long: "
            f"end it and try again, {_ELSEWHERE}"
        )
    try:
        return _join(folder) or _start(folder, deadline)
    finally:
        os.close(lock)


def _join(folder: Path) -> Lease | None:
    """Connect to the folder's supervisor, if there is one that answers."""
    connection = None
    try:
        state = json.loads((folder / _supervisor.STATE).read_text(encoding="utf-8"))
        door = (_supervisor.LOOPBACK, int(state["port"]))
        connection = socket.create_connection(door, _JOIN_SECONDS)
        connection.sendall(state["token"].encode() + b"\n")
        with connection.makefile("rb") as answer:
            greeting = json.loads(answer.readline(4096))
        connection.settimeout(None)
        return Lease(greeting["uri"], connection)
    except (OSError, ValueError, KeyError, TypeError):
        if connection is not None:
            connection.close()
        return None


def _start(folder: Path, deadline: float) -> Lease:
    journal = folder / _supervisor.LOG
    process = _spawn(folder, journal)
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        lease = _join(folder)
        if lease is not None:
            # Nobody asks how it ends, but somebody has to, or it stays behind as a zombie.
            threading.Thread(target=process.wait, daemon=True).start()
            return lease
        if ended:
            raise EmbeddedStoreError(_not_started(folder, journal))
        time.sleep(0.02)
    process.terminate()
    raise EmbeddedStoreError(_not_started(folder, journal))


def _spawn(folder: Path, journal: Path) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
    # A project is often importable only because of where its command was started.
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    # A session of its own: an interrupt from the terminal is for the crawl, which still has to
    # write what it holds. No stream is inherited: who reads this process's output must see it end.
    detached = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(
        subprocess, "CREATE_NEW_PROCESS_GROUP", 0
    )
    with journal.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "xhs.store.embedded._supervisor", str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            creationflags=detached,
        )


def _not_started(folder: Path, journal: Path) -> str:
    if _disk_is_full(folder):
        return _unusable(folder, OSError(errno.ENOSPC, ""))
    said = _end_of(journal)
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    return (
        f"the embedded store did not start on {folder} ({last or 'it said nothing'}): "
        f"see {journal}, {_ELSEWHERE}"
    )


def _disk_is_full(folder: Path) -> bool:
    """Ask the server's log, and the disk: on a full one there was perhaps no room for the log."""
    said = _end_of(folder / _supervisor.LOG)
    if any(os.strerror(number) in said for number in _NO_SPACE):
        return True
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _LEAST_SPACE
    return False


def _end_of(journal: Path) -> str:
    try:
        with journal.open("rb") as lines:
            lines.seek(max(0, journal.stat().st_size - 1_000_000))
            return lines.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _ping(folder: Path, uri: str, deadline: float) -> None:
    # Not the blocking client: at this process's end it would wait half a second for its threads.
    patience = max(1, int((deadline - time.monotonic()) * 1000))
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_ask(uri, patience))
    except PyMongoError as error:
        reason = str(error).split(", full error")[0]
        raise EmbeddedStoreError(
            f"the embedded store on {folder} does not answer ({reason}): "
            f"see {folder / _supervisor.LOG}, {_ELSEWHERE}"
        ) from error
    finally:
        loop.close()


async def _ask(uri: str, patience: int) -> None:
    async with AsyncMongoClient[dict[str, object]](
        uri, serverSelectionTimeoutMS=patience
    ) as client:
        await client.admin.command("listDatabases")
