"""Restoring the writes of spill files, and reporting those that stay there and why."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from xhs.crawl.storage import NOTES_PER_QUERY, Unstorable
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
    lock_path,
    unstorable_path,
)

T = TypeVar("T")

_BATCH = 500
_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of a file after which a batch is full: they and the longest line bound the memory."""
_MOST_NAMED = 100
"""Lines of a file that are reported one by one; further ones are only counted."""


@dataclass(slots=True)
class Restored:
    """Result of a restore: the number of writes stored, and sentences about the others.

    ``left``: one for each write that stays in its spill file. ``set_aside``: one for each write
    that no database can hold.
    """

    stored: int = 0
    left: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)


async def restore(
    folder: Path,
    database: str,
    writer: Writer,
    ledger: Ledger,
    advance: Callable[[int], object] | None = None,
) -> Restored:
    """Store the writes for this database in the folder's spill files, and remove finished files.

    Files that a running crawl is writing are skipped. ``advance`` is called with the number of
    writes tried since its last call.

    Raises:
        StoreFailed: if the database does not answer. Files not finished stay unchanged.
    """
    restored = Restored()
    for path in _files(folder):
        lock = None
        try:
            lock = take_lock(lock_path(path))
            if lock is None:
                continue
            await _restore_file(path, database, writer, ledger, restored, advance)
        except FileNotFoundError:
            pass  # another process has restored it
        except (OSError, ValueError) as error:
            restored.left.append(f"{path}: {getattr(error, 'strerror', None) or error}")
        finally:
            if lock is not None:
                drop_lock(lock_path(path), lock)
    return restored


async def _restore_file(
    path: Path,
    database: str,
    writer: Writer,
    ledger: Ledger,
    restored: Restored,
    advance: Callable[[int], object] | None,
) -> None:
    aside = _unused(unstorable_path(path))
    left = NewFile(path.with_suffix(".new"), database)
    unstorable = NewFile(aside.with_suffix(".unstorable.new"), database)
    with left, unstorable:
        with path.open("rb") as file:
            reader = SpillReader(file)
            if reader.database != database:
                restored.left.append(
                    f"{path}: is for the database {reader.database}: set MONGODB_DATABASE to it"
                )
                return
            file_restore = _FileRestore(path, reader, writer, ledger, left, unstorable, advance)
            await file_restore.run()
        unstorable.replace(aside)  # first, so that each line is in a file at any moment
        left.replace(path)
    restored.stored += file_restore.lines - left.lines - unstorable.lines
    restored.left += file_restore.sentences(left)
    restored.set_aside += [
        f"{sentence}; now in {aside}" for sentence in file_restore.sentences(unstorable)
    ]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def _unused(path: Path) -> Path:
    """Return a path without a file: this one if possible, or with a number added."""
    stem = path.stem
    for number in count(2):
        if not path.exists():
            break
        path = path.with_stem(f"{stem}-{number}")
    return path


class _LedgerLine(NamedTuple):
    """A line with a write to the ledger, and the unique name of the write, if it has one."""

    line: Line
    once: str | None


_LineEntry = tuple[Line, Entry]


class _FileRestore:
    """Restore of one spill file.

    Each line goes to the database, to the file's new content (``left``), or to the file for writes
    that no database can hold (``unstorable``). Writes about passes and notes are stored after the
    data that they describe. Until then, only the positions of their lines are in memory.
    """

    def __init__(
        self,
        path: Path,
        reader: SpillReader,
        writer: Writer,
        ledger: Ledger,
        left: NewFile,
        unstorable: NewFile,
        advance: Callable[[int], object] | None,
    ) -> None:
        self._path = path
        self._advance = advance
        self._reader = reader
        self._writer = writer
        self._ledger = ledger
        self._left = left
        self._unstorable = unstorable
        self._passes: list[Line] = []
        self._notes: dict[str, list[_LedgerLine]] = {}
        self._sentences: dict[NewFile, list[str]] = {left: [], unstorable: []}
        self.lines = 0

    async def run(self) -> None:
        """Store the data in one reading of the file, then read the lines of passes and notes."""
        for batch in _batches(self._data(), lambda item: item[0].size, _BATCH):
            await self._store(batch)
        for lines in _batches(self._passes, lambda line: line.size, _BATCH):
            passes = [(line, self._entry(line)) for line in lines]
            await _correct_counts(passes, self._ledger)
            await self._store(passes)
        for keys in _batches(sorted(self._notes), self._size_of_note, NOTES_PER_QUERY):
            stored = await self._ledger.documents(keys)
            notes = [self._note(key, stored.get(key, {})) for key in keys]
            await self._store(await _update_notes(notes, stored, self._ledger))

    def sentences(self, file: NewFile) -> Iterator[str]:
        """Yield one for each of the first 100 lines moved to ``file``, then count the others."""
        sentences = self._sentences[file]
        yield from sentences
        if file.lines > len(sentences):
            yield f"{self._path}: and {file.lines - len(sentences)} more lines"

    def _data(self) -> Iterator[_LineEntry]:
        for line in self._reader.lines():
            self.lines += 1
            if line.is_too_long:
                reason = f"{line.size} bytes are more than any database can hold"
                self._move(self._unstorable, line, reason, self._reader.pieces(line))
                continue
            try:
                entry = self._entry(line)
            except ValueError as error:
                self._move(self._left, line, str(error), self._reader.pieces(line))
                continue
            if entry.write.collection == NOTES:
                ledger_line = _LedgerLine(line, entry.write.once)
                self._notes.setdefault(entry.write.key, []).append(ledger_line)
            elif entry.write.collection == HISTORY:
                self._passes.append(line)
            else:
                yield line, entry

    def _entry(self, line: Line) -> Entry:
        return decode(self._reader.text(line))

    def _note(self, key: str, document: Document) -> _LineEntry:
        lines = self._notes[key]
        entries = (self._entry(item.line) for item in lines)
        return lines[-1].line, _merge([item.once for item in lines], entries, document)

    def _size_of_note(self, key: str) -> int:
        return sum(item.line.size for item in self._notes[key])

    async def _store(self, batch: Sequence[_LineEntry]) -> None:
        results = await asyncio.gather(
            *(self._writer.put(entry.write) for _, entry in batch), return_exceptions=True
        )
        for (line, entry), result in zip(batch, results, strict=True):
            if isinstance(result, Unstorable):
                file = self._unstorable if result.permanent else self._left
                reason = f"a write to {entry.write.collection}: {result}"
                text = encode(replace(entry, reason=str(result))).encode()
                self._move(file, line, reason, [text])
            elif isinstance(result, BaseException):
                raise result
        if self._advance:
            self._advance(len(batch))

    def _move(self, file: NewFile, line: Line, reason: str, pieces: Iterable[bytes]) -> None:
        file.add(pieces)
        sentences = self._sentences[file]
        if len(sentences) < _MOST_NAMED:
            sentences.append(f"{self._path}, line {line.number}: {reason}")


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


def _merge(names: Sequence[str | None], entries: Iterable[Entry], note: Document) -> Entry:
    """Merge a note's ledger entries into one, whose write has a name of its own.

    The note's document keeps only the last write's name, so several writes could book their calls
    twice. Calls up to the document's ``last_write`` are not booked again: these writes were stored,
    but their acknowledgements were lost.
    """
    last = note.get("last_write")
    booked = names.index(last) + 1 if last is not None and last in names else 0
    update: Document = {}
    for number, entry in enumerate(entries):
        for operator, fields in entry.write.update.items():
            if operator == "$inc" and number < booked:
                continue
            merged = update.setdefault(operator, {})
            for name, value in fields.items():
                merged[name] = _merged_value(operator, merged.get(name), value)
    # A server rejects a path in two operators, and a field that is written needs no default.
    written = {
        name for operator, fields in update.items() if operator != "$setOnInsert" for name in fields
    }
    for name in written & update.get("$setOnInsert", {}).keys():
        del update["$setOnInsert"][name]
    if not update.get("$setOnInsert", True):
        del update["$setOnInsert"]
    once = hashlib.sha256("".join(name or "" for name in names).encode()).hexdigest()[:32]
    update["$set"] = {**update.get("$set", {}), "last_write": once}
    return replace(entry, write=Write(NOTES, entry.write.key, update, once=once))


def _merged_value(operator: str, before: Any, value: Any) -> Any:
    if before is None:
        return value
    if operator == "$inc":
        return before + value
    return min(before, value) if operator == "$min" else value


async def _update_notes(
    entries: Sequence[_LineEntry], stored: Mapping[str, Document], ledger: Ledger
) -> list[_LineEntry]:
    """Correct the counts of notes that ended; if a note was crawled later, keep only its cost."""
    updated = []
    for line, entry in entries:
        note = stored.get(entry.write.key, {})
        crawled_at = note.get("last_crawled_at")
        if crawled_at is not None and crawled_at > entry.spilled_at:
            updated.append((line, replace(entry, write=_only_cost(entry.write))))
            continue
        fields = entry.write.update.get("$set", {})
        if fields.get("state") == "ended":
            held = await ledger.counts(entry.write.key)
            fields |= held.fields(fields.get("comment_count_l1"))
        updated.append((line, entry))
    return updated


async def _correct_counts(passes: Sequence[_LineEntry], ledger: Ledger) -> None:
    """Correct the counts of passes, now that their comments are stored."""
    for _, entry in passes:
        fields = entry.write.update.get("$set", {})
        with suppress(KeyError):  # the file may have been edited by hand
            held = await ledger.counts(fields["note_id"], fields["sort"], fields["began_at"])
            fields |= pass_counts(held, fields["comment_count_l1"])


def _only_cost(write: Write) -> Write:
    update: Document = {name: fields for name, fields in write.update.items() if name == "$inc"}
    if write.once is not None:
        update["$set"] = {"last_write": write.once}
    return replace(write, update=update or {"$setOnInsert": {"note_id": write.key}})
