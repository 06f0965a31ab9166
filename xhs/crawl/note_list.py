"""Notes given as an argument, in a file or on standard input. Each source is read once.

One streaming pass checks every line and stores each distinct ID in a :class:`NoteList`. So all
lines are checked before the first call, and memory does not grow with the list.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import json
import logging
import re
import sqlite3
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from xhs.crawl import json_list
from xhs.crawl.arguments import Arguments
from xhs.crawl.note_ids import (
    NotesFound,
    begins_with_note,
    find_notes,
    holds_link,
    is_destroyed,
    is_text_alone,
    names_note,
)

SHOWN_ERRORS = 100
_BATCH = 1000
COLUMNS = ("note_id", "笔记ID", "note_url", "笔记链接", "url")
"""Columns of a table, or keys of an object, that name a note; the first with a value is used."""
_DELIMITERS = ",;\t"
_COLUMN_NAMES = f"{', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
_BETWEEN_WORDS = re.compile(r"[\s_\u200b-\u200f\u2060\ufeff-]+")
_DECLARED_DELIMITER = re.compile(r"sep=([^\w\s\"]|\t)\s*", re.IGNORECASE)
"""The first line that some spreadsheets write."""
_OPENS_JSON = re.compile(r"[\[{]\s*(?:$|[\"{])")
_MOST_LINES = 50
"""Lines of words before a link that are read as one share text with it."""
_LEAST_ID = 10**15
"""The smallest number that may be meant as an ID."""
_HASHTAG = (
    "it begins with #, which makes it a comment, but contains a link or an ID: put that on a line "
    "of its own, or put a blank after the # of a comment"
)

logger = logging.getLogger(__name__)


class WrongNotes(ValueError):
    """Malformed notes: the first :data:`SHOWN_ERRORS` errors, and the ``total`` number of them."""

    def __init__(self, errors: list[str], total: int) -> None:
        super().__init__(f"{total} errors in the notes")
        self.errors = errors
        self.total = total

    @property
    def messages(self) -> list[str]:
        """The errors, followed by their total if not all of them are shown."""
        if self.total <= len(self.errors):
            return self.errors
        return [*self.errors, f"{self.total} errors in the notes, {len(self.errors)} of them shown"]


class Value(NamedTuple):
    """A text that should name notes, and its place in the source; ``error`` if it is malformed.

    ``is_comment``: it names notes, but in a comment, so they are left out.
    """

    place: str
    text: str
    error: str | None = None
    is_comment: bool = False


class _Repeated(NamedTuple):
    """A JSON object that has one of :data:`COLUMNS` twice."""

    name: str


class NoteList:
    """Distinct note IDs in the order in which they were named, stored on disk."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE notes (place INTEGER PRIMARY KEY, id BLOB UNIQUE)")
        self._database.execute("BEGIN")

    def add(self, note_ids: Iterable[str]) -> None:
        """Append the IDs that are not in the list yet."""
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
        WrongNotes: with all errors, each with its place.
    """
    notes = NoteList()
    errors: list[str] = []
    total = 0
    comments = 0
    first_comment = ""
    try:
        for value in _values(arguments):
            if value.is_comment:
                first_comment = first_comment or value.place
                comments += 1
                continue
            found = NotesFound([], [value.error]) if value.error else find_notes(value.text)
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
    if comments:
        logger.warning(
            "%s: a note in a comment (#) is left out%s",
            first_comment,
            f"; so are those of {comments - 1} other lines" if comments > 1 else "",
        )
    return notes


class _Unreadable(Exception):
    """A file of which the rest cannot be read."""


def _values(arguments: Arguments) -> Iterator[Value]:
    if arguments.notes is not None:
        yield Value("notes", arguments.notes)
    if arguments.notes_file is not None:
        yield from _file_values(arguments.notes_file)


def _file_values(name: str) -> Iterator[Value]:
    suffix = Path(name).suffix.lower() if name != "-" else ".txt"
    shown_name = _shown(name)
    if suffix not in _READERS:
        # A share text given instead of a file's name contains a person's words.
        is_plain = name.isascii() and not holds_link(name) and len(name.split()) == 1
        raise _Unreadable(
            f"{shown_name if is_plain else 'notes_file'}: the name must end in "
            f"{', '.join(_READERS)}, or be -{'' if is_plain else '; give links as notes'}"
        )
    try:
        with _open(name) as lines:
            for value in _READERS[suffix](lines):
                yield value._replace(place=f"{shown_name}, {value.place}")
    except _Unreadable as error:
        raise _Unreadable(f"{shown_name}: {error}") from None
    except (OSError, RuntimeError) as error:  # a RuntimeError if ~USER has no home
        reason = getattr(error, "strerror", None) or error
        # A job of Scrapyd's does not show its working directory.
        where = "" if Path(name).is_absolute() else f" ({Path(name).absolute()})"
        raise _Unreadable(f"{shown_name}: cannot be read: {reason}{where}") from None
    except UnicodeDecodeError as error:
        raise _Unreadable(f"{shown_name}: is {_other_text(error)}") from None


def _other_text(error: UnicodeDecodeError) -> str:
    """Return what a file is that is not UTF-8 text, and what to do about it."""
    start = error.object[:4]
    if start.startswith(b"PK\x03\x04"):
        return "a workbook, not text: save it as “CSV UTF-8”"
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
    block: list[str] = []  # lines of words, which may begin a share text
    start = end = 0
    is_first = True
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith("#"):
            if names_note(text):
                yield _comment(number, text)
            elif _is_hashtag(text):
                continue  # it may be part of a share text
            text = ""
        if text and is_first:
            _check_is_text(number, text)
            is_first = False
        if block and text and holds_link(text):
            yield Value(_lines(start, number), "\n".join([*block, text]))
            block = []
            continue
        is_full = len(block) == _MOST_LINES
        if block and text and not is_full and "://" not in text and not names_note(text):
            block.append(text)
            end = number
            continue
        if block:
            yield Value(_lines(start, end), "\n".join(block))
            block = []
        if is_text_alone(text):
            block, start, end = [text], number, number
        elif text:
            yield Value(f"line {number}", text)
    if block:
        yield Value(_lines(start, end), "\n".join(block))


def _comment(number: int, text: str) -> Value:
    if _is_hashtag(text):
        return Value(f"line {number}", "", _HASHTAG)
    return Value(f"line {number}", "", is_comment=True)


def _is_hashtag(text: str) -> bool:
    """True for ``#word``; False for ``# word``, ``#LINK`` and ``#ID``, which are comments."""
    after = text.lstrip("#")
    return after.lstrip() == after != "" and not begins_with_note(after)


def _check_is_text(number: int, text: str) -> None:
    """Check that the first line of a text does not belong to another format.

    Raises:
        _Unreadable: if it does. Otherwise each line would be an error.
    """
    if _DECLARED_DELIMITER.fullmatch(text) or _note_columns(_cells(text)):
        raise _Unreadable(
            f"line {number} is the header of a table: give it as a file that ends in .csv"
        )
    if _OPENS_JSON.match(text) and not holds_link(text):
        raise _Unreadable(
            f"line {number} begins JSON: give it as a file that ends in .json or .jsonl"
        )


def _lines(start: int, end: int) -> str:
    if start == end:
        return f"line {start}"
    return f"lines {start} {'and' if end == start + 1 else 'to'} {end}"


def _csv_values(lines: IO[str]) -> Iterator[Value]:
    header, lines_before = next(lines, ""), 0
    delimiters = _DELIMITERS
    if declared := _DECLARED_DELIMITER.fullmatch(header):
        header, lines_before, delimiters = next(lines, ""), 1, declared[1]
    if "\0" in header:
        raise _Unreadable("is UTF-16 text: save it as “CSV UTF-8”")
    rows = csv.reader(chain([header], lines), delimiter=_delimiter(header, delimiters))
    try:
        names = next(rows, [])
        columns = _note_columns(names)
        if repeated := _repeated(names):
            raise _Unreadable(
                f"line {lines_before + 1}: two columns are named {repeated}, and one would be "
                "lost: rename one"
            )
        if not columns:
            raise _Unreadable(f"line {lines_before + 1}: a column named {_COLUMN_NAMES} is needed")
        for row in rows:
            if text := _first_value(row[column] for column in columns if column < len(row)):
                yield Value(f"line {rows.line_num + lines_before}", text)
    except csv.Error as error:
        raise _Unreadable(f"line {rows.line_num + lines_before}: not CSV: {error}") from None


def _delimiter(header: str, delimiters: str) -> str:
    """Return the first delimiter by which the header has a column of notes."""
    matches = (delimiter for delimiter in delimiters if _note_columns(_cells(header, delimiter)))
    return next(matches, delimiters[0])


def _cells(line: str, delimiter: str | None = None) -> list[str]:
    """Return the cells of a table's line; none if it is not CSV."""
    with contextlib.suppress(csv.Error):
        delimiter = delimiter or _delimiter(line, _DELIMITERS)
        return next(csv.reader([line], delimiter=delimiter), [])
    return []


def _note_columns(names: list[str]) -> list[int]:
    """Return the places of the columns that name a note, in the order of :data:`COLUMNS`."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(_plain(name), place)
    return [places[_plain(name)] for name in COLUMNS if _plain(name) in places]


def _repeated(names: Iterable[str]) -> str | None:
    """Return the first of :data:`COLUMNS` that occurs twice."""
    counts = Counter(map(_plain, names))
    return next((name for name in COLUMNS if counts[_plain(name)] > 1), None)


@lru_cache(maxsize=1000)
def _plain(name: str) -> str:
    """Return a column's name without case, blanks, underscores and invisible characters."""
    return _BETWEEN_WORDS.sub("", unicodedata.normalize("NFKC", name)).casefold()


def _first_value(cells: Iterable[Any]) -> Any:
    """Return the first value; an ID that a spreadsheet has destroyed only if there is no other."""
    values = [cell for cell in cells if cell and not (isinstance(cell, str) and cell.isspace())]
    intact = (
        value
        for value in values
        if not (isinstance(value, str | float) and is_destroyed(str(value)))
    )
    return next(intact, values[0] if values else None)


def _json_values(lines: IO[str]) -> Iterator[Value]:
    try:
        for number, entry in enumerate(json_list.entries(lines, _read_object), 1):
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
            entry = json.loads(line, object_pairs_hook=_read_object)
        except (ValueError, RecursionError) as error:
            raise _Unreadable(f"line {number}: not JSON: {error}") from None
        yield _json_value(f"line {number}", entry)


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Repeated:
    """Make a dict of a JSON object, unless it has two values for a note: one would be lost."""
    repeated = _repeated(name for name, _ in pairs)
    return _Repeated(repeated) if repeated else dict(pairs)


def _json_value(place: str, entry: Any) -> Value:
    if isinstance(entry, _Repeated):
        return Value(place, "", f"it has {entry.name} twice, and one would be lost")
    if isinstance(entry, dict):
        cells = list(entry.values())
        entry = _first_value(cells[column] for column in _note_columns(list(entry)))
    if isinstance(entry, float):
        entry = str(entry)
    if isinstance(entry, int) and abs(entry) >= _LEAST_ID:
        return Value(place, "", f"{entry} is a number: an ID must be a text, in quotation marks")
    if isinstance(entry, str):
        return Value(place, entry)
    return Value(place, "", f"neither a text nor an object with a text in {_COLUMN_NAMES}")


_READERS = {
    ".txt": _text_values,
    ".csv": _csv_values,
    ".json": _json_values,
    ".jsonl": _jsonl_values,
}
