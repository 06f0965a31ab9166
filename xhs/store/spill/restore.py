"""Storing what waits in spill files, and what stays there and why."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from xhs.crawl.storage import LOOKUP, Unstorable
from xhs.store.lock import drop_lock, take_lock
from xhs.store.mongo.collections import HISTORY, NOTES, Document, Write
from xhs.store.mongo.history import pass_counts
from xhs.store.mongo.notes import Ledger
from xhs.store.mongo.writer import Writer
from xhs.store.spill.files import (
    Entry,
    Line,
    NewFile,
    SpillReader,
    decode,
    encode,
    lock_of,
    unstorable_of,
)

T = TypeVar("T")

_BATCH = 500
_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of a file after which a batch is full: memory is bounded by them and the longest line."""
_MOST_NAMED = 100
"""Lines of a file that are named; of those beyond there is the number."""


@dataclass(slots=True)
class Restored:
    """How many writes of spill files are stored now, and one sentence for each that stays, or that
    is set aside because no database can hold it.
    """

    stored: int = 0
    left: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)


async def restore(folder: Path, database: str, writer: Writer, ledger: Ledger) -> Restored:
    """Store what waits in the folder for this database, and remove the files that are done.

    Files that a running crawl still writes are left alone.

    Raises:
        StoreFailed: if the database does not answer; the files stay as they are.
    """
    found = Restored()
    for path in _files(folder):
        lock = None
        try:
            lock = take_lock(lock_of(path))
            if lock is None:
                continue
            await _restore_file(path, database, writer, ledger, found)
        except FileNotFoundError:
            pass  # another process was faster
        except (OSError, ValueError) as error:
            found.left.append(f"{path}: {getattr(error, 'strerror', None) or error}")
        finally:
            if lock is not None:
                drop_lock(lock_of(path), lock)
    return found


async def _restore_file(
    path: Path, database: str, writer: Writer, ledger: Ledger, found: Restored
) -> None:
    aside = _unused(unstorable_of(path))
    left = NewFile(path.with_suffix(".new"), database)
    unstorable = NewFile(aside.with_suffix(".unstorable.new"), database)
    with left, unstorable:
        with path.open("rb") as file:
            reader = SpillReader(file)
            if reader.database != database:
                found.left.append(
                    f"{path}: is for the database {reader.database}: set MONGODB_DATABASE to it"
                )
                return
            restoring = _FileRestore(path, reader, writer, ledger, left, unstorable)
            await restoring.run()
        unstorable.replace(aside)  # first, so that each line is in a file at any moment
        left.replace(path)
    found.stored += restoring.lines - left.lines - unstorable.lines
    found.left += restoring.sentences(left)
    found.set_aside += [f"{one}; now in {aside}" for one in restoring.sentences(unstorable)]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def _unused(path: Path) -> Path:
    """A path with no file, this one if possible."""
    stem = path.stem
    for number in count(2):
        if not path.exists():
            break
        path = path.with_stem(f"{stem}-{number}")
    return path


class _Waiting(NamedTuple):
    """A line for the ledger, and the name of its write."""

    line: Line
    once: str | None


_Numbered = tuple[Line, Entry]


class _FileRestore:
    """Takes each line of a spill file to the database, to the file's new content, or aside.

    What is said of data is stored after it. Until then only the place of such a line is kept.
    """

    def __init__(
        self,
        path: Path,
        reader: SpillReader,
        writer: Writer,
        ledger: Ledger,
        left: NewFile,
        unstorable: NewFile,
    ) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._ledger = ledger
        self._left = left
        self._unstorable = unstorable
        self._passes: list[Line] = []
        self._notes: dict[str, list[_Waiting]] = {}
        self._sentences: dict[NewFile, list[str]] = {left: [], unstorable: []}
        self.lines = 0

    async def run(self) -> None:
        """Read the file once, and once more what waits for its data."""
        for batch in _batches(self._data(), lambda numbered: numbered[0].size, _BATCH):
            await self._store(batch)
        for lines in _batches(self._passes, lambda line: line.size, _BATCH):
            passes = [(line, self._entry(line)) for line in lines]
            await _count(passes, self._ledger)
            await self._store(passes)
        for keys in _batches(sorted(self._notes), self._size_of_note, LOOKUP):
            known = await self._ledger.known(keys)
            notes = [self._note(key, known.get(key, {})) for key in keys]
            await self._store(await _still_true(notes, known, self._ledger))

    def sentences(self, file: NewFile) -> Iterator[str]:
        """One for each line that went to this file; beyond the first hundred their number."""
        named = self._sentences[file]
        yield from named
        if file.lines > len(named):
            yield f"{self._path}: and {file.lines - len(named)} more lines"

    def _data(self) -> Iterator[_Numbered]:
        for line in self._reader.lines():
            self.lines += 1
            if line.is_too_long:
                why = f"{line.size} bytes are more than any database can hold"
                self._move(self._unstorable, line, why, self._reader.pieces(line))
                continue
            try:
                entry = self._entry(line)
            except ValueError as error:
                self._move(self._left, line, str(error), self._reader.pieces(line))
                continue
            if entry.write.collection == NOTES:
                waiting = _Waiting(line, entry.write.once)
                self._notes.setdefault(entry.write.key, []).append(waiting)
            elif entry.write.collection == HISTORY:
                self._passes.append(line)
            else:
                yield line, entry

    def _entry(self, line: Line) -> Entry:
        return decode(self._reader.text(line))

    def _note(self, key: str, document: Document) -> _Numbered:
        waiting = self._notes[key]
        entries = (self._entry(one.line) for one in waiting)
        return waiting[-1].line, _as_one([one.once for one in waiting], entries, document)

    def _size_of_note(self, key: str) -> int:
        return sum(one.line.size for one in self._notes[key])

    async def _store(self, batch: Sequence[_Numbered]) -> None:
        results = await asyncio.gather(
            *(self._writer.put(entry.write) for _, entry in batch), return_exceptions=True
        )
        for (line, entry), result in zip(batch, results, strict=True):
            if isinstance(result, Unstorable):
                file = self._unstorable if result.permanent else self._left
                why = f"one of {entry.write.collection}: {result}"
                text = encode(replace(entry, reason=str(result))).encode()
                self._move(file, line, why, [text])
            elif isinstance(result, BaseException):
                raise result

    def _move(self, file: NewFile, line: Line, why: str, pieces: Iterable[bytes]) -> None:
        file.add(pieces)
        named = self._sentences[file]
        if len(named) < _MOST_NAMED:
            named.append(f"{self._path}, line {line.number}: {why}")


def _batches(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    batch: list[T] = []
    total = 0
    for item in items:
        batch.append(item)
        total += size(item)
        if len(batch) == most or total >= _BATCH_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _as_one(names: Sequence[str | None], entries: Iterable[Entry], note: Document) -> Entry:
    """All that the ledger was to be told of a note, as one write with a name of its own.

    Of several a note would know the last alone, and could book the others twice. What it has been
    told already, though the answer was lost, is not booked again: that up to its last write.
    """
    last = note.get("last_write")
    booked = names.index(last) + 1 if last is not None and last in names else 0
    update: Document = {}
    for number, entry in enumerate(entries):
        for operator, fields in entry.write.update.items():
            if operator == "$inc" and number < booked:
                continue
            there = update.setdefault(operator, {})
            for name, value in fields.items():
                there[name] = _merged(operator, there.get(name), value)
    # What another operator writes needs no default, and a server takes no path twice.
    written = {name for one, fields in update.items() if one != "$setOnInsert" for name in fields}
    for name in written & update.get("$setOnInsert", {}).keys():
        del update["$setOnInsert"][name]
    if not update.get("$setOnInsert", True):
        del update["$setOnInsert"]
    once = hashlib.sha256("".join(name or "" for name in names).encode()).hexdigest()[:32]
    update["$set"] = {**update.get("$set", {}), "last_write": once}
    return replace(entry, write=Write(NOTES, entry.write.key, update, once=once))


def _merged(operator: str, before: Any, value: Any) -> Any:
    if before is None:
        return value
    if operator == "$inc":
        return before + value
    return min(before, value) if operator == "$min" else value


async def _still_true(
    entries: Sequence[_Numbered], known: Mapping[str, Document], ledger: Ledger
) -> list[_Numbered]:
    """What the ledger was to be told, without what a later crawl of the note has overtaken."""
    told = []
    for line, entry in entries:
        note = known.get(entry.write.key, {})
        begun = note.get("last_crawled_at")
        if begun is not None and begun > entry.spilled_at:
            told.append((line, replace(entry, write=_cost_alone(entry.write))))
            continue
        fields = entry.write.update.get("$set", {})
        if fields.get("state") == "ended":
            held = await ledger.held(entry.write.key)
            fields |= held.fields(fields.get("comment_count_l1"))
        told.append((line, entry))
    return told


async def _count(passes: Sequence[_Numbered], ledger: Ledger) -> None:
    """Correct what passes came to, now that what they brought is stored."""
    for _, entry in passes:
        fields = entry.write.update.get("$set", {})
        with suppress(KeyError):  # somebody may have edited the file
            held = await ledger.held(fields["note_id"], fields["sort"], fields["began_at"])
            fields |= pass_counts(held, fields["comment_count_l1"])


def _cost_alone(write: Write) -> Write:
    update: Document = {name: what for name, what in write.update.items() if name == "$inc"}
    if write.once is not None:
        update["$set"] = {"last_write": write.once}
    return replace(write, update=update or {"$setOnInsert": {"note_id": write.key}})
