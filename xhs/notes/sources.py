"""Where notes come from: arguments, files, standard input, the ledger. Each is read once.

One streaming pass checks every line and keeps the IDs, each once, in a :class:`NoteList`: nothing
is paid for before the last line is known to be right, and memory does not grow with the list.
"""

from __future__ import annotations

import contextlib
import csv
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from xhs.arguments import Arguments
from xhs.notes import json_list
from xhs.notes.ids import find_notes, shown
from xhs.store.documents import Document
from xhs.store.ledger import LOOKUP, Ledger

SHOWN_ERRORS = 100
_BATCH = 1000
_FORMATS = (".txt", ".csv", ".json", ".jsonl")
_COLUMNS = ("note_id", "url")


class WrongNotes(ValueError):
    """Notes that are no notes: the first :data:`SHOWN_ERRORS` errors, and how many there are."""

    def __init__(self, errors: list[str], total: int) -> None:
        super().__init__(f"{total} errors in the notes")
        self.errors = errors
        self.total = total

    @property
    def told(self) -> list[str]:
        """The errors and, where more were found than are shown, how many."""
        if self.total <= len(self.errors):
            return self.errors
        return [*self.errors, f"{self.total} errors in the notes, {len(self.errors)} of them shown"]


class Value(NamedTuple):
    """A value that names notes, and where it stands."""

    place: str
    text: str


class NoteList:
    """Distinct note IDs in the order in which they were named, kept on disk."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE notes (place INTEGER PRIMARY KEY, id BLOB UNIQUE)")
        self._database.execute("BEGIN")

    def add(self, note_ids: Iterable[str]) -> None:
        """Append those that are not there yet."""
        self._database.executemany(
            "INSERT OR IGNORE INTO notes (id) VALUES (?)",
            ((bytes.fromhex(note_id),) for note_id in note_ids),
        )

    def __len__(self) -> int:
        count: int = self._database.execute("SELECT count(*) FROM notes").fetchone()[0]
        return count

    def __iter__(self) -> Iterator[str]:
        place = 0
        while rows := self._database.execute(
            "SELECT place, id FROM notes WHERE place > ? ORDER BY place LIMIT ?", (place, _BATCH)
        ).fetchall():
            for place, note_id in rows:  # noqa: B007 (the next batch begins after the last place)
                yield note_id.hex()

    def close(self) -> None:
        """Free the disk space."""
        self._database.close()


def read_notes(arguments: Arguments) -> NoteList:
    """Read and check every note that the arguments name.

    Raises:
        WrongNotes: with everything that is wrong, the place first.
    """
    notes = NoteList()
    errors: list[str] = []
    total = 0
    try:
        for value in _values(arguments):
            found = find_notes(value.text)
            notes.add(found.notes)
            total += len(found.errors)
            room = SHOWN_ERRORS - len(errors)
            errors += [f"{value.place}: {error}" for error in found.errors[:room]]
    except _Unreadable as error:
        total += 1
        errors.append(str(error))
    if not total and not len(notes):
        where = _shown(arguments.notes_file) if arguments.notes_file else "notes"
        errors.append(f"{where}: there is no note in it")
        total = 1
    if errors:
        notes.close()
        raise WrongNotes(errors, total)
    return notes


async def count(notes: NoteList | None, mode: str, ledger: Ledger | None) -> int:
    """How many notes :func:`wanted` gives, the skipped ones included.

    Raises:
        StoreFailed: where the database does not answer.
    """
    if notes is not None:
        return len(notes)
    return await ledger.count(to_resume=mode == "resume") if ledger else 0


async def wanted(
    notes: NoteList | None, mode: str, ledger: Ledger | None
) -> AsyncIterator[tuple[str, Document | None]]:
    """The notes of a crawl, each with what the ledger has of it.

    Without a list, all that the ledger has; in ``resume`` those that have not ended.

    Raises:
        StoreFailed: where the database does not answer.
    """
    if notes is None:
        if ledger is not None:
            async for note in ledger.to_resume() if mode == "resume" else ledger.all():
                yield note["_id"], note
    elif ledger is None:
        for note_id in notes:
            yield note_id, None
    else:
        remaining = iter(notes)
        while batch := list(islice(remaining, LOOKUP)):
            known = await ledger.known(batch)
            for note_id in batch:
                yield note_id, known.get(note_id)


class _Unreadable(Exception):
    """A file that cannot be read any further."""


def _values(arguments: Arguments) -> Iterator[Value]:
    if arguments.notes is not None:
        yield Value("notes", arguments.notes)
    if arguments.notes_file is not None:
        yield from _file_values(arguments.notes_file)


def _file_values(name: str) -> Iterator[Value]:
    suffix = Path(name).suffix.lower() if name != "-" else ".txt"
    shown_name = _shown(name)
    if suffix not in _FORMATS:
        raise _Unreadable(f"{shown_name}: the name must end in {', '.join(_FORMATS)}, or be -")
    try:
        with _open(name) as lines:
            for place, text in _READERS[suffix](lines):
                yield Value(f"{shown_name}, {place}", text)
    except _Unreadable as error:
        raise _Unreadable(f"{shown_name}: {error}") from None
    except (OSError, RuntimeError) as error:  # a RuntimeError where ~USER has no home
        reason = getattr(error, "strerror", None) or error
        # Relative to what, a job of Scrapyd's does not show.
        where = "" if Path(name).is_absolute() else f" ({Path(name).absolute()})"
        raise _Unreadable(f"{shown_name}: cannot be read: {reason}{where}") from None
    except UnicodeDecodeError:
        raise _Unreadable(f"{shown_name}: is not UTF-8 text: save it as UTF-8") from None


def _shown(name: str) -> str:
    return "standard input" if name == "-" else f"notes_file={name}"


def _open(name: str) -> contextlib.AbstractContextManager[IO[str]]:
    if name == "-":
        return contextlib.nullcontext(open(sys.stdin.fileno(), encoding="utf-8-sig", closefd=False))
    return Path(name).expanduser().open(encoding="utf-8-sig", newline="")


def _text_values(lines: IO[str]) -> Iterator[Value]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield Value(f"line {number}", text)


def _csv_values(lines: IO[str]) -> Iterator[Value]:
    rows = csv.DictReader(lines)
    try:
        names = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
        columns = [names[name] for name in _COLUMNS if name in names]
        if not columns:
            raise _Unreadable(f"line 1: a column named {' or '.join(_COLUMNS)} is needed")
        for row in rows:
            texts = ((row[column] or "").strip() for column in columns)
            if text := next(filter(None, texts), None):
                yield Value(f"line {rows.line_num}", text)
    except csv.Error as error:
        raise _Unreadable(f"line {rows.line_num}: no CSV: {error}") from None


def _json_values(lines: IO[str]) -> Iterator[Value]:
    try:
        for number, entry in enumerate(json_list.entries(lines), 1):
            yield _json_value(f"entry {number}", entry)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise _Unreadable(str(error)) from None


def _jsonl_values(lines: IO[str]) -> Iterator[Value]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _Unreadable(f"line {number}: no JSON: {error}") from None
        yield _json_value(f"line {number}", entry)


def _json_value(place: str, entry: Any) -> Value:
    if isinstance(entry, dict):
        entry = next((entry[name] for name in _COLUMNS if entry.get(name)), entry)
    return Value(place, entry if isinstance(entry, str) else shown(json.dumps(entry)))


_READERS = {
    ".txt": _text_values,
    ".csv": _csv_values,
    ".json": _json_values,
    ".jsonl": _jsonl_values,
}
