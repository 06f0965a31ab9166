"""The spill: files of JSON Lines in which paid answers wait that the store would not take.

The first line names the database; each other line is one write (:class:`Entry`), the update in
BSON, so that it comes back to the bit. A file is made when it is needed, is readable by its owner
alone, and goes when everything in it is stored.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError

from xhs.store.lock import drop_lock, take_lock
from xhs.store.mongo.collections import COLLECTIONS, Document, Write

_AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
_OPERATORS = frozenset({"$set", "$setOnInsert", "$min", "$max", "$inc"})
_DATABASE = "database"


class SpillFailed(Exception):
    """A write could not be kept; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A write that waits, why it was not stored, and when that was."""

    write: Write
    reason: str
    spilled_at: datetime


class Spill:
    """Keeps the writes of one run."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.kept = 0
        self._database = database
        self._file: int | None = None
        self._lock: int | None = None
        self._path: Path | None = None

    def keep(self, writes: Iterable[Write], reason: str) -> None:
        """Append writes, in their order, and be sure that they are on the disk.

        Raises:
            SpillFailed: where that cannot be done.
        """
        now = datetime.now(UTC)
        lines = [encode(Entry(write, reason, now)) for write in writes]
        try:
            if self._file is None:
                self._open()
            assert self._file is not None  # noqa: S101 (just opened)
            _append(self._file, lines)
        except OSError as error:
            raise SpillFailed(f"{self.folder}: {error.strerror}") from None
        self.kept += len(lines)

    def close(self) -> None:
        """Let others take what was kept."""
        if self._file is not None:
            os.close(self._file)
        if self._path is not None and self._lock is not None:
            drop_lock(lock_of(self._path), self._lock)
        self._file = self._lock = self._path = None

    def _open(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self.folder / f"{self._database}-{stamp}-{os.getpid()}.jsonl"
        self._lock = take_lock(lock_of(path))
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        _append(self._file, [head(self._database)])


def lock_of(path: Path) -> Path:
    """The file whose lock says that a spill file is in use."""
    return path.with_suffix(".lock")


def head(database: str) -> str:
    """The first line of a file."""
    return json.dumps({_DATABASE: database})


def encode(entry: Entry) -> str:
    """One line of a file."""
    write = entry.write
    return json.dumps(
        {
            "collection": write.collection,
            "key": write.key,
            "update": b64encode(bson.encode(write.update)).decode(),
            "as_of": write.as_of and write.as_of.isoformat(),
            "once": write.once,
            "reason": entry.reason,
            "spilled_at": entry.spilled_at.isoformat(),
        }
    )


def decode(line: str) -> Entry:
    """The entry on a line.

    Raises:
        ValueError: where the line is none, as the last one of a run that was killed.
    """
    found = _object(line)
    try:
        update = bson.decode(b64decode(found["update"], validate=True), _AWARE)
        as_of = found["as_of"] and datetime.fromisoformat(found["as_of"])
        write = Write(found["collection"], found["key"], update, as_of, found["once"])
        entry = Entry(write, found["reason"], datetime.fromisoformat(found["spilled_at"]))
    except (KeyError, TypeError, ValueError, BSONError):
        raise ValueError("no entry of a spill file") from None
    if not _is_whole(entry):
        raise ValueError("no entry of a spill file")
    return entry


def _is_whole(entry: Entry) -> bool:
    """Whether the parts are what they are to be: somebody may have edited the file."""
    write, moments = entry.write, (entry.spilled_at, entry.write.as_of)
    return (
        write.collection in COLLECTIONS
        and all(isinstance(text, str) for text in (write.key, entry.reason))
        and isinstance(write.once, str | None)
        and all(moment is None or moment.tzinfo is not None for moment in moments)
        and all(
            operator in _OPERATORS and isinstance(fields, dict)
            for operator, fields in write.update.items()
        )
    )


def read(path: Path) -> tuple[str, Iterator[str]]:
    """A file's database, and its lines after the first.

    Raises:
        ValueError: where it is no spill file.
        OSError: where it cannot be read.
    """
    with path.open(encoding="utf-8") as lines:
        database = _object(next(lines, "")).get(_DATABASE)
    if not isinstance(database, str):
        raise ValueError("no spill file")
    return database, _entries(path)


def _entries(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        next(lines)
        yield from lines


def _object(line: str) -> Document:
    try:
        found: Any = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _append(descriptor: int, lines: Iterable[str]) -> None:
    data = memoryview("".join(f"{line}\n" for line in lines).encode())
    before = os.fstat(descriptor).st_size
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, before)  # part of a line would spoil the next one
        raise
