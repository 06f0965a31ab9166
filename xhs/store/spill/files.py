"""The spill: files of JSON Lines in which paid answers wait that the store would not take.

The first line names the database; each other line is one write (:class:`Entry`), the update in
BSON, so that it comes back to the bit. A file is made when it is needed, is readable by its owner
alone, and goes when everything in it is stored.

What no database can hold lies in files of the same form beside them, whose names end in
``.unstorable``. No run reads those.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError

from xhs.store.lock import drop_lock, take_lock
from xhs.store.mongo.collections import COLLECTIONS, LARGEST_DOCUMENT, Document, Write

_AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
_OPERATORS = frozenset({"$set", "$setOnInsert", "$min", "$max", "$inc"})
_DATABASE = "database"

LONGEST_LINE = LARGEST_DOCUMENT * 3 // 2
"""Bytes of the longest line that is read. The update takes up to 4 for 3 of the largest document,
in base64; the rest is for the other fields.
"""
_PIECE = 1 << 20


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
        self.unstorable = 0
        """How many writes are set aside."""
        self._database = database
        self._path: Path | None = None
        self._file: int | None = None
        self._lock: int | None = None
        self._aside: int | None = None

    def keep(self, writes: Iterable[Write], reason: str) -> None:
        """Append writes, in their order, and be sure that they are on the disk.

        Raises:
            SpillFailed: if that cannot be done.
        """
        with self._failing():
            if self._file is None:
                path = self._name()
                if self._lock is None:
                    self._lock = take_lock(lock_of(path))
                self._file = self._create(path)
            self.kept += _append(self._file, _lines(writes, reason))

    def set_aside(self, write: Write, reason: str) -> Path:
        """Keep a write that no database can hold, where no run tries it again; the file.

        Raises:
            SpillFailed: if that cannot be done.
        """
        with self._failing():
            path = unstorable_of(self._name())
            if self._aside is None:
                self._aside = self._create(path)
            self.unstorable += _append(self._aside, _lines([write], reason))
            return path

    def close(self) -> None:
        """Let others take what was kept."""
        for descriptor in (self._file, self._aside):
            if descriptor is not None:
                os.close(descriptor)
        if self._path is not None and self._lock is not None:
            drop_lock(lock_of(self._path), self._lock)
        self._file = self._aside = self._lock = self._path = None

    def _name(self) -> Path:
        """The path of the file in which writes wait."""
        if self._path is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            self._path = self.folder / f"{self._database}-{stamp}-{os.getpid()}.jsonl"
        return self._path

    def _create(self, path: Path) -> int:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _append(descriptor, [head(self._database)])
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        return descriptor

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpillFailed(f"{self.folder}: {error.strerror}") from None


def lock_of(path: Path) -> Path:
    """The file whose lock says that a spill file is in use."""
    return path.with_suffix(".lock")


def unstorable_of(path: Path) -> Path:
    """The file beside a spill file for what no database can hold."""
    return path.with_suffix(".unstorable")


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


def decode(line: bytes) -> Entry:
    """The entry on a line.

    Raises:
        ValueError: if the line is none, as the last one of a run that was killed.
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
    """True if the parts are what they are to be: somebody may have edited the file."""
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


class Line(NamedTuple):
    """A line of a spill file: its number, from 1, where it begins, and its length with its end."""

    number: int
    start: int
    size: int

    @property
    def is_too_long(self) -> bool:
        """True if it is longer than any write that a database can hold."""
        return self.size > LONGEST_LINE


class SpillReader:
    """A spill file, of which never more than a line of :data:`LONGEST_LINE` is in memory.

    Raises:
        ValueError: if it is no spill file.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._head = file.readline(LONGEST_LINE)
        database = _object(self._head).get(_DATABASE)
        if not isinstance(database, str):
            raise ValueError("no spill file")
        self.database = database

    def lines(self) -> Iterator[Line]:
        """Its lines after the first; others may be read meanwhile."""
        start = len(self._head)
        for number in count(2):
            self._file.seek(start)
            size = self._line_length()
            if not size:
                return
            yield Line(number, start, size)
            start += size

    def text(self, line: Line) -> bytes:
        """A line that is not too long."""
        self._file.seek(line.start)
        return self._file.read(line.size)

    def pieces(self, line: Line) -> Iterator[bytes]:
        """A line of any length, with its end."""
        self._file.seek(line.start)
        remaining = line.size
        while remaining and (piece := self._file.read(min(_PIECE, remaining))):
            remaining -= len(piece)
            yield piece

    def _line_length(self) -> int:
        length = 0
        while piece := self._file.readline(_PIECE):
            length += len(piece)
            if piece.endswith(b"\n"):
                break
        return length


class NewFile:
    """The lines of a file that is yet to take its place, as a whole or not at all."""

    def __init__(self, path: Path, database: str) -> None:
        self._path = path
        self._database = database
        self._file: int | None = None
        self.lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._path.unlink()

    def add(self, pieces: Iterable[bytes]) -> None:
        """Add a line, which may be larger than memory; the file is made with the first."""
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            self._file = os.open(self._path, flags, 0o600)
            _write(self._file, f"{head(self._database)}\n".encode())
        last = b""
        for piece in pieces:
            _write(self._file, piece)
            last = piece
        if not last.endswith(b"\n"):
            _write(self._file, b"\n")
        self.lines += 1

    def replace(self, path: Path) -> None:
        """Take the place of a file, once it is on the disk; without any line, that file goes."""
        if self._file is None:
            path.unlink(missing_ok=True)
            return
        os.fsync(self._file)
        os.close(self._file)
        self._file = None
        self._path.replace(path)


def _object(line: bytes) -> Document:
    try:
        found: Any = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _lines(writes: Iterable[Write], reason: str) -> Iterator[str]:
    now = datetime.now(UTC)
    return (encode(Entry(write, reason, now)) for write in writes)


def _append(descriptor: int, lines: Iterable[str]) -> int:
    """Append lines, one at a time, and be sure that they are on the disk; how many they are."""
    before = os.fstat(descriptor).st_size
    number = 0
    try:
        for line in lines:
            _write(descriptor, f"{line}\n".encode())
            number += 1
        os.fsync(descriptor)
    except Exception:
        with suppress(OSError):
            os.ftruncate(descriptor, before)  # part of a line would spoil the next one
        raise
    return number


def _write(descriptor: int, data: bytes) -> None:
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]
