"""Where notes come from: arguments, files, standard input, the ledger. Each is read once.

One streaming pass checks every line and keeps the IDs, each once, in a :class:`NoteList`: nothing
is paid for before the last line is known to be right, and memory does not grow with the list.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import json
import re
import sqlite3
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from xhs.crawl import json_list
from xhs.crawl.arguments import Arguments
from xhs.crawl.note_ids import Found, find_notes, holds_link, is_destroyed, is_text_alone

SHOWN_ERRORS = 100
_BATCH = 1000
_FORMATS = (".txt", ".csv", ".json", ".jsonl")
COLUMNS = ("note_id", "笔记ID", "note_url", "笔记链接", "url")
"""Columns of a table and keys of an object that name a note; the first with a value counts."""
_DELIMITERS = ",;\t"
_COLUMN_NAMES = f"{', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
_BETWEEN_WORDS = re.compile(r"[\s_\u200b-\u200f\u2060\ufeff-]+")
_DECLARED_DELIMITER = re.compile(r"sep=([^\w\s\"]|\t)\s*", re.IGNORECASE)
"""A first line that some spreadsheets write."""


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
    """A value that names notes, and where it stands; ``error`` if it is none."""

    place: str
    text: str
    error: str | None = None


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
            found = Found([], [value.error]) if value.error else find_notes(value.text)
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
        # A share text given in the place of a file holds a person's words.
        is_plain = name.isascii() and not holds_link(name) and len(name.split()) == 1
        raise _Unreadable(
            f"{shown_name if is_plain else 'notes_file'}: the name must end in "
            f"{', '.join(_FORMATS)}, or be -{'' if is_plain else '; give links as notes'}"
        )
    try:
        with _open(name) as lines:
            for place, text, error in _READERS[suffix](lines):
                yield Value(f"{shown_name}, {place}", text, error)
    except _Unreadable as error:
        raise _Unreadable(f"{shown_name}: {error}") from None
    except (OSError, RuntimeError) as error:  # a RuntimeError where ~USER has no home
        reason = getattr(error, "strerror", None) or error
        # Relative to what, a job of Scrapyd's does not show.
        where = "" if Path(name).is_absolute() else f" ({Path(name).absolute()})"
        raise _Unreadable(f"{shown_name}: cannot be read: {reason}{where}") from None
    except UnicodeDecodeError as error:
        raise _Unreadable(f"{shown_name}: is {_other_text(error)}") from None


def _other_text(error: UnicodeDecodeError) -> str:
    """What a file is that is no UTF-8 text, and what to do about it."""
    start = error.object[:4]
    if start.startswith(b"PK\x03\x04"):
        return "a workbook and no text: save it as “CSV UTF-8”"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
    else:
        try:
            codecs.getincrementaldecoder("gb18030")().decode(error.object)
        except UnicodeDecodeError:
            return "not UTF-8 text: save it as UTF-8"
        encoding = "GB18030"
    whose = ", as a Chinese spreadsheet saves CSV" if encoding == "GB18030" else ""
    return (
        f"not UTF-8 text, but probably {encoding}{whose}: save it as “CSV UTF-8”, or convert it "
        f"with `iconv -f {encoding} -t UTF-8 OLD > NEW`"
    )


def _shown(name: str) -> str:
    return "standard input" if name == "-" else f"notes_file={name}"


def _open(name: str) -> contextlib.AbstractContextManager[IO[str]]:
    if name == "-":
        return contextlib.nullcontext(open(sys.stdin.fileno(), encoding="utf-8-sig", closefd=False))
    return Path(name).expanduser().open(encoding="utf-8-sig", newline="")


def _text_values(lines: IO[str]) -> Iterator[Value]:
    words = None  # a line of words, which may be the first of a share text
    for number, line in enumerate(lines, 1):
        text = "" if line.lstrip().startswith("#") else line.strip()
        if words and holds_link(text):
            yield Value(f"lines {number - 1} and {number}", f"{words.text}\n{text}")
            words = None
            continue
        if words:
            yield words
            words = None
        if is_text_alone(text):
            words = Value(f"line {number}", text)
        elif text:
            yield Value(f"line {number}", text)
    if words:
        yield words


def _csv_values(lines: IO[str]) -> Iterator[Value]:
    first, before = next(lines, ""), 0
    delimiters = _DELIMITERS
    if declared := _DECLARED_DELIMITER.fullmatch(first):
        first, before, delimiters = next(lines, ""), 1, declared[1]
    if "\0" in first:
        raise _Unreadable("is UTF-16 text: save it as “CSV UTF-8”")
    rows = csv.reader(chain([first], lines), delimiter=_delimiter(first, delimiters))
    try:
        columns = _note_columns(next(rows, []))
        if not columns:
            raise _Unreadable(f"line {before + 1}: a column named {_COLUMN_NAMES} is needed")
        for row in rows:
            if text := _first(row[column] for column in columns if column < len(row)):
                yield Value(f"line {rows.line_num + before}", text)
    except csv.Error as error:
        raise _Unreadable(f"line {rows.line_num + before}: no CSV: {error}") from None


def _delimiter(header: str, delimiters: str) -> str:
    """Return the first with which the header names a note."""
    for delimiter in delimiters:
        with contextlib.suppress(csv.Error):
            if _note_columns(next(csv.reader([header], delimiter=delimiter), [])):
                return delimiter
    return delimiters[0]


def _note_columns(names: list[str]) -> list[int]:
    """Return the places of the names that stand for a note, in the order of :data:`COLUMNS`."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(_plain(name), place)
    return [places[_plain(name)] for name in COLUMNS if _plain(name) in places]


def _plain(name: str) -> str:
    """A column's name without its case, blanks, underscores and invisible characters."""
    return _BETWEEN_WORDS.sub("", unicodedata.normalize("NFKC", name)).casefold()


def _first(values: Iterable[Any]) -> Any:
    """Return the first value; an ID that a spreadsheet has destroyed only if there is no other."""
    present = [one for one in values if one and not (isinstance(one, str) and one.isspace())]
    intact = (
        one for one in present if not (isinstance(one, str | float) and is_destroyed(str(one)))
    )
    return next(intact, present[0] if present else None)


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
        cells = list(entry.values())
        entry = _first(cells[column] for column in _note_columns(list(entry)))
    if isinstance(entry, float):
        entry = str(entry)
    if isinstance(entry, str):
        return Value(place, entry)
    return Value(place, "", f"neither a text nor an object with {_COLUMN_NAMES} and a text in it")


_READERS = {
    ".txt": _text_values,
    ".csv": _csv_values,
    ".json": _json_values,
    ".jsonl": _jsonl_values,
}
