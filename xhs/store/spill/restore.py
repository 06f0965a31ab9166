"""Storing what waits in spill files, and what stays there and why."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xhs.crawl.storage import LOOKUP, Unstorable
from xhs.store.lock import drop_lock, take_lock
from xhs.store.mongo.collections import HISTORY, NOTES, Document, Write
from xhs.store.mongo.history import pass_counts
from xhs.store.mongo.notes import Ledger
from xhs.store.mongo.writer import Writer
from xhs.store.spill.files import Entry, decode, encode, head, lock_of, read

_BATCH = 500


@dataclass(slots=True)
class Restored:
    """How many writes of spill files are stored now, and one sentence for each that stays."""

    stored: int = 0
    left: list[str] = field(default_factory=list)


async def restore(folder: Path, database: str, writer: Writer, ledger: Ledger) -> Restored:
    """Store what waits in the folder for this database, and remove the files that are done.

    Files that a running crawl still writes are left alone.

    Raises:
        StoreFailed: where the database does not answer; the files stay as they are.
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
    meant_for, lines = read(path)
    if meant_for != database:
        found.left.append(f"{path}: is for the database {meant_for}: set MONGODB_DATABASE to it")
        return
    left: list[str] = []
    passes: list[Entry] = []
    later: list[Entry] = []
    stages = {NOTES: later, HISTORY: passes}
    batch: list[Entry] = []
    number = 1
    for number, line in enumerate(lines, 2):
        try:
            entry = decode(line)
        except ValueError as error:
            left.append(line.rstrip("\n"))
            found.left.append(f"{path}, line {number}: {error}")
            continue
        # What is said of data is stored in a later stage than these.
        stages.get(entry.write.collection, batch).append(entry)
        if len(batch) == _BATCH:
            left += await _store(path, batch, writer, found)
            batch = []
    left += await _store(path, batch, writer, found)
    left += await _store(path, await _count(passes, ledger), writer, found)
    notes: dict[str, list[Entry]] = {}
    for entry in later:
        notes.setdefault(entry.write.key, []).append(entry)
    for keys in _parts(sorted(notes)):
        known = await ledger.known(keys)
        part = [_as_one(notes[key], known.get(key, {})) for key in keys]
        left += await _store(path, await _still_true(part, known, ledger), writer, found)
    found.stored += number - 1 - len(left)
    _keep(path, [head(database), *left] if left else [])


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


async def _store(
    path: Path, entries: Sequence[Entry], writer: Writer, found: Restored
) -> list[str]:
    """Store entries; the lines of those that no database would take."""
    results = await asyncio.gather(
        *(writer.put(entry.write) for entry in entries), return_exceptions=True
    )
    left = []
    for entry, result in zip(entries, results, strict=True):
        if isinstance(result, Unstorable):
            left.append(encode(replace(entry, reason=str(result))))
            found.left.append(f"{path}: one of {entry.write.collection}: {result}")
        elif isinstance(result, BaseException):
            raise result
    return left


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), LOOKUP):
        yield keys[start : start + LOOKUP]


def _as_one(entries: Sequence[Entry], note: Document) -> Entry:
    """All that the ledger was to be told of a note, as one write with a name of its own.

    Of several a note would know the last alone, and could book the others twice. What it has been
    told already, though the answer was lost, is not booked again: that up to its last write.
    """
    names = [entry.write.once for entry in entries]
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
    # What is set needs no default, and a server takes no path twice.
    for name in update.get("$set", {}).keys() & update.get("$setOnInsert", {}).keys():
        del update["$setOnInsert"][name]
    if not update.get("$setOnInsert", True):
        del update["$setOnInsert"]
    once = hashlib.sha256("".join(name or "" for name in names).encode()).hexdigest()[:32]
    update["$set"] = {**update.get("$set", {}), "last_write": once}
    return replace(entries[-1], write=Write(NOTES, entries[-1].write.key, update, once=once))


def _merged(operator: str, before: Any, value: Any) -> Any:
    if before is None:
        return value
    if operator == "$inc":
        return before + value
    return min(before, value) if operator == "$min" else value


async def _still_true(
    entries: Sequence[Entry], known: Mapping[str, Document], ledger: Ledger
) -> list[Entry]:
    """What the ledger was to be told, without what a later crawl of the note has overtaken."""
    told = []
    for entry in entries:
        note = known.get(entry.write.key, {})
        begun = note.get("last_crawled_at")
        if begun is not None and begun > entry.spilled_at:
            told.append(replace(entry, write=_cost_alone(entry.write)))
            continue
        fields = entry.write.update.get("$set", {})
        if fields.get("state") == "ended":
            held = await ledger.held(entry.write.key)
            fields |= held.fields(fields.get("comment_count_l1"))
        told.append(entry)
    return told


async def _count(entries: Sequence[Entry], ledger: Ledger) -> Sequence[Entry]:
    """What a pass came to, counted now that what it brought is stored."""
    for entry in entries:
        fields = entry.write.update.get("$set", {})
        with suppress(KeyError):  # somebody may have edited the file
            held = await ledger.held(fields["note_id"], fields["sort"], fields["began_at"])
            fields |= pass_counts(held, fields["comment_count_l1"])
    return entries


def _cost_alone(write: Write) -> Write:
    update: Document = {name: what for name, what in write.update.items() if name == "$inc"}
    if write.once is not None:
        update["$set"] = {"last_write": write.once}
    return replace(write, update=update or {"$setOnInsert": {"note_id": write.key}})


def _keep(path: Path, lines: Sequence[str]) -> None:
    """Leave these lines in a file, as a whole, or remove it where there are none."""
    if not lines:
        path.unlink()
        return
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
