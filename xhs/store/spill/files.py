"""The spill: JSON Lines files of paid answers that the database did not accept.

The first line names the database. Each other line is one write (:class:`Entry`), with the update
as base64 of BSON, so that it is restored exactly. A file is created with its first write, is
readable by its owner only, and is removed when all its writes are stored.

Writes that no database can hold are in files of the same format in the same folder, whose names
end in ``.unstorable``. No run reads these.
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
_NOT_AN_ENTRY = "not an entry of a spill file"

LONGEST_LINE = LARGEST_DOCUMENT * 3 // 2
"""Bytes of the longest line that is read into memory.

The update may be as large as the largest document, of which base64 makes 4 bytes for every 3. The
rest is for the other fields.
"""
_CHUNK = 1 << 20


class SpillFailed(Exception):
    """A write could not be kept. The message says where and why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A write, the reason why it was not stored, and the time."""

    write: Write
    reason: str
    spilled_at: datetime


class Spill:
    """The spill of one run."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.kept = 0
        self.unstorable = 0
        """Writes that were set aside."""
        self._database = database
        self._path: Path | None = None
        self._file: int | None = None
        self._lock: int | None = None
        self._aside: int | None = None

    def keep(self, writes: Iterable[Write], reason: str) -> None:
        """Append writes in order, and sync them to disk.

        Raises:
            SpillFailed: if this fails.
        """
        with self._failing():
            if self._file is None:
                path = self._name()
                if self._lock is None:
                    self._lock = take_lock(lock_path(path))
                self._file = self._create(path)
            self.kept += _append(self._file, _lines(writes, reason))

    def set_aside(self, write: Write, reason: str) -> Path:
        """Add a write that no database can hold to a file that no run reads; return its path.

        Raises:
            SpillFailed: if this fails.
        """
        with self._failing():
            path = unstorable_path(self._name())
            if self._aside is None:
                self._aside = self._create(path)
            self.unstorable += _append(self._aside, _lines([write], reason))
            return path

    def close(self) -> None:
        """Close the files, so that other processes can restore them."""
        for descriptor in (self._file, self._aside):
            if descriptor is not None:
                os.close(descriptor)
        if self._path is not None and self._lock is not None:
            drop_lock(lock_path(self._path), self._lock)
        self._file = self._aside = self._lock = self._path = None

    def _name(self) -> Path:
        """Return the path of this run's spill file. It may not exist yet."""
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


def lock_path(path: Path) -> Path:
    """Return the path of the file that is locked while a spill file is in use."""
    return path.with_suffix(".lock")


def unstorable_path(path: Path) -> Path:
    """Return the path of a spill file's companion for writes that no database can hold."""
    return path.with_suffix(".unstorable")


def head(database: str) -> str:
    """Return the first line of a spill file, without its newline."""
    return json.dumps({_DATABASE: database})


def encode(entry: Entry) -> str:
    """Return an entry as a line of a spill file, without its newline."""
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
    """Read the entry on a line.

    Raises:
        ValueError: if the line is not an entry, such as the last line of a killed run.
    """
    fields = _object(line)
    try:
        update = bson.decode(b64decode(fields["update"], validate=True), _AWARE)
        as_of = fields["as_of"] and datetime.fromisoformat(fields["as_of"])
        write = Write(fields["collection"], fields["key"], update, as_of, fields["once"])
        entry = Entry(write, fields["reason"], datetime.fromisoformat(fields["spilled_at"]))
    except (KeyError, TypeError, ValueError, BSONError):
        raise ValueError(_NOT_AN_ENTRY) from None
    if not _is_valid(entry):
        raise ValueError(_NOT_AN_ENTRY)
    return entry


def _is_valid(entry: Entry) -> bool:
    """True if the fields have valid types and values: the file may have been edited by hand."""
    write, times = entry.write, (entry.spilled_at, entry.write.as_of)
    return (
        write.collection in COLLECTIONS
        and all(isinstance(text, str) for text in (write.key, entry.reason))
        and isinstance(write.once, str | None)
        and all(time is None or time.tzinfo is not None for time in times)
        and all(
            operator in _OPERATORS and isinstance(fields, dict)
            for operator, fields in write.update.items()
        )
    )


class Line(NamedTuple):
    """A line's number in its spill file, from 1, its offset, and its size with the newline."""

    number: int
    start: int
    size: int

    @property
    def is_too_long(self) -> bool:
        """True if the line is longer than any write that a database can hold."""
        return self.size > LONGEST_LINE


class SpillReader:
    """Reader of a spill file that holds at most one line of :data:`LONGEST_LINE` in memory.

    Raises:
        ValueError: if it is not a spill file.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._head = file.readline(LONGEST_LINE)
        database = _object(self._head).get(_DATABASE)
        if not isinstance(database, str):
            raise ValueError("not a spill file")
        self.database = database

    def lines(self) -> Iterator[Line]:
        """Yield the lines after the first. Other methods may be called in between."""
        start = len(self._head)
        for number in count(2):
            self._file.seek(start)
            size = self._line_length()
            if not size:
                return
            yield Line(number, start, size)
            start += size

    def text(self, line: Line) -> bytes:
        """Return the content of a line that is not too long."""
        self._file.seek(line.start)
        return self._file.read(line.size)

    def pieces(self, line: Line) -> Iterator[bytes]:
        """Yield the content of a line of any length, with its newline, in pieces."""
        self._file.seek(line.start)
        remaining = line.size
        while remaining and (piece := self._file.read(min(_CHUNK, remaining))):
            remaining -= len(piece)
            yield piece

    def _line_length(self) -> int:
        length = 0
        while piece := self._file.readline(_CHUNK):
            length += len(piece)
            if piece.endswith(b"\n"):
                break
        return length


class NewFile:
    """A file at a temporary path that replaces another one as a whole, or is removed."""

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
        """Add a line, which may be larger than memory. The first one creates the file."""
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
        """Sync to disk and replace the file at ``path``. Without any line, remove that file."""
        if self._file is None:
            path.unlink(missing_ok=True)
            return
        os.fsync(self._file)
        os.close(self._file)
        self._file = None
        self._path.replace(path)


def _object(line: bytes) -> Document:
    try:
        value: Any = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _lines(writes: Iterable[Write], reason: str) -> Iterator[str]:
    now = datetime.now(UTC)
    return (encode(Entry(write, reason, now)) for write in writes)


def _append(descriptor: int, lines: Iterable[str]) -> int:
    """Append lines one at a time, sync them to disk, and return their number."""
    size_before = os.fstat(descriptor).st_size
    number = 0
    try:
        for line in lines:
            _write(descriptor, f"{line}\n".encode())
            number += 1
        os.fsync(descriptor)
    except Exception:
        with suppress(OSError):
            os.ftruncate(descriptor, size_before)  # part of a line would corrupt the next one
        raise
    return number


def _write(descriptor: int, data: bytes) -> None:
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]
