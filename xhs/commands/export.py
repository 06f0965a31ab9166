"""``scrapy export``: write comments, users, notes or passes of the store to a file."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple

from xhs import terminal
from xhs.api.values import is_storable
from xhs.command import StoreCommand
from xhs.crawl.arguments import read_time
from xhs.crawl.note_ids import find_notes, is_word
from xhs.crawl.storage import NOTES_PER_QUERY
from xhs.export.files import output_error, replacing
from xhs.export.formats import FORMATS, ID_LIST, Format
from xhs.export.tables import TABLES, Table
from xhs.reasons import ExitStatus
from xhs.store.mongo.client import Store
from xhs.store.mongo.joined import Selection

_STANDARD_OUTPUT = "-"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SHORTEST_DATE_TIME = len("20261124T08")
_LARGEST_NUMBER = 2**63 - 1
_LONGEST_TEXT = 1000


class Command(StoreCommand):
    """Writes one file, in the format that its name ends with."""

    positional = ("out",)

    def short_desc(self) -> str:
        """Return the command's summary."""
        return "Write what is stored to a file for people or programs"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options to Scrapy's own."""
        super().add_options(parser)
        parser.add_argument(
            "--what",
            metavar="TABLE",
            default="comments",
            help=f"what to write: {', '.join(TABLES)} (default: comments)",
        )
        parser.add_argument(
            "--ids", action="store_true", help="only the IDs; to a .txt file, one a line"
        )
        parser.add_argument(
            "--note",
            metavar="ID",
            action="append",
            help="only this note (an ID or a link); may be given several times",
        )
        parser.add_argument(
            "--since", metavar="TIME", help="only comments written at or after this time (UTC)"
        )
        parser.add_argument(
            "--until",
            metavar="TIME",
            help="only comments written before this time (UTC); a date includes its day",
        )
        parser.add_argument(
            "--first-seen-since",
            metavar="TIME",
            help="only what was first received at or after this time (UTC)",
        )
        parser.add_argument(
            "--contains", metavar="TEXT", help="only comments with this text, in any case"
        )
        parser.add_argument(
            "--min-likes", metavar="N", help="only comments with at least this many likes"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Check all input, then write the file."""
        (out,) = args
        try:
            table, form = _table_and_format(out, opts)
            selection = _selection(table, opts)
        except ValueError as error:
            self.fail(str(error))
            return
        if store := self.store():
            self.run_on(store, self._export(store, Export(out, table, form, selection)))

    async def _export(self, store: Store, export: Export) -> None:
        async with store:
            if missing := await _unknown_note(store, export.selection):
                self.fail(f"note {missing} is not in the store", ExitStatus.FAILED)
                return
            try:
                with _opened(export.out) as file:
                    counts = await self._write(store, export, file)
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                self.fail(f"{export.out} cannot be written: {error.strerror or error}", 1)
                return
        self._say(export, counts)

    async def _write(self, store: Store, export: Export, file: BinaryIO) -> Counts:
        """Write the rows, and return their numbers."""
        table, form = export.table, export.form
        total = None
        # Rows that are printed to the terminal show by themselves how the export gets on.
        is_displayed = terminal.can_display() and not (
            export.out == _STANDARD_OUTPUT and terminal.is_terminal(sys.stdout)
        )
        if table.name == "comments" and is_displayed:  # counting takes time
            total = await store.joined.count(export.selection)
        progress = self.progress(f"Exporting {table.name}", total)
        read = written = wrong = 0
        with (
            form.open(file, table) as writer,
            progress if is_displayed else nullcontext(_ignore) as advance,
        ):
            async for rows in table.read(store, export.selection, form.without_extra):
                checked = [table.checked(row) for row in rows]
                written += writer.write([row for row, _ in checked])
                wrong += sum(is_wrong for _, is_wrong in checked)
                read += len(rows)
                advance(len(rows))
        return Counts(read, written, wrong)

    def _say(self, export: Export, counts: Counts) -> None:
        read, written, wrong = counts
        kind = export.table.name
        place = "standard output" if export.out == _STANDARD_OUTPUT else export.out
        if read == 0:
            sys.stderr.write(f"nothing matches: {place} has no {kind}\n")
            return
        if wrong:
            sys.stderr.write(
                f"{wrong:,} {kind} have values of the wrong type: these count as missing\n"
            )
        if left_out := read - written:
            sys.stderr.write(f"{left_out:,} {kind} have no time, and were left out\n")
        sys.stderr.write(f"{written:,} {kind} in {place}\n")


class Export(NamedTuple):
    """The checked input of the command."""

    out: str
    table: Table
    form: Format
    selection: Selection


class Counts(NamedTuple):
    """Numbers of rows: read, written to the file, and with values of the wrong type."""

    read: int
    written: int
    wrong: int


def _ignore(_: int) -> None:
    pass


@contextmanager
def _opened(out: str) -> Iterator[BinaryIO]:
    if out == _STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with replacing(Path(out)) as file:
            yield file


async def _unknown_note(store: Store, selection: Selection) -> str | None:
    """Return the first selected note that is not in the store."""
    note_ids = selection.note_ids or ()
    for start in range(0, len(note_ids), NOTES_PER_QUERY):
        some = note_ids[start : start + NOTES_PER_QUERY]
        known = await store.ledger.documents(some)
        if unknown := [note_id for note_id in some if note_id not in known]:
            return unknown[0]
    return None


def _table_and_format(out: str, opts: argparse.Namespace) -> tuple[Table, Format]:
    """Return what to write, and how.

    Raises:
        ValueError: if there is no such table or format, or they do not go together.
    """
    table = TABLES.get(opts.what)
    if table is None:
        raise ValueError(f"--what{_shown(opts.what)} is none of {', '.join(TABLES)}")
    if opts.ids and table.name == "history":
        raise ValueError("--ids goes with comments, users and notes: a pass has no ID to publish")
    form = _format(out, ids=opts.ids)
    if form.only_comments and (table.name != "comments" or opts.ids):
        what = "--ids" if opts.ids else f"--what {table.name}"
        raise ValueError(f"{Path(out).suffix} holds comments, so {what} does not go with it")
    if not form.is_installed:
        raise ValueError(f"{form.package} is not installed: pip install -r requirements-look.txt")
    if out != _STANDARD_OUTPUT and (problem := output_error(Path(out))):
        raise ValueError(problem)
    return (table.of_ids() if opts.ids else table), form


def _format(out: str, *, ids: bool) -> Format:
    formats = {**FORMATS, ".txt": ID_LIST} if ids else FORMATS
    if out == _STANDARD_OUTPUT:
        return ID_LIST if ids else FORMATS[".jsonl"]
    form = formats.get(Path(out).suffix.lower())
    if form is None:
        *others, last = formats
        raise ValueError(f"{out} must end with {', '.join(others)} or {last}")
    return form


def _selection(table: Table, opts: argparse.Namespace) -> Selection:
    """Return the selected rows.

    Raises:
        ValueError: if a filter is wrong, or does not go with the table.
    """
    given = {
        name: value
        for name in ("note", "since", "until", "first_seen_since", "contains", "min_likes")
        if (value := getattr(opts, name)) is not None
    }
    if wrong := [name for name in given if name not in table.filters]:
        raise ValueError(f"{_option(wrong[0])} does not go with --what {table.name}")
    since, until = _time(given, "since"), _until(given)
    if since and until and since >= until:
        raise ValueError("--since is not before --until")
    if (text := given.get("contains")) is not None and not (text and is_storable(text)):
        raise ValueError("--contains needs a text in UTF-8")
    if text and len(text) > _LONGEST_TEXT:
        raise ValueError(f"--contains takes at most {_LONGEST_TEXT:,} characters")
    return Selection(
        note_ids=_note_ids(given["note"]) if "note" in given else None,
        since=since,
        until=until,
        first_seen_since=_time(given, "first_seen_since"),
        contains=given.get("contains"),
        min_likes=_min_likes(given["min_likes"]) if "min_likes" in given else None,
    )


def _time(given: dict[str, str], name: str) -> datetime | None:
    if (value := given.get(name)) is None:
        return None
    try:
        return read_time(value)
    except ValueError as error:
        raise ValueError(f"{_option(name)}{_shown(value)} {error}") from None


def _until(given: dict[str, str]) -> datetime | None:
    """Return the end of the selected time; a date alone means the end of that day."""
    time = _time(given, "until")
    if time is None:
        return None
    value = given["until"]
    if not _DATE.fullmatch(value):
        if len(value) < _SHORTEST_DATE_TIME:
            raise ValueError(
                f"--until{_shown(value)} is neither a date as 2026-11-24 nor a date-time"
            )
        return time
    try:
        return time + timedelta(days=1)
    except OverflowError:
        raise ValueError(
            f"--until{_shown(value)} is the end of the calendar: leave it out"
        ) from None


def _min_likes(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and int(value) <= _LARGEST_NUMBER):
        raise ValueError(
            f"--min-likes{_shown(value)} is not a number of likes: 0 or more is needed"
        )
    return int(value)


def _note_ids(values: list[str]) -> list[str]:
    note_ids: list[str] = []
    for value in values:
        parsed = find_notes(value)
        if parsed.errors or not parsed.notes:
            raise ValueError("--note: " + (parsed.errors[0] if parsed.errors else "name a note"))
        note_ids += parsed.notes
    return note_ids


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shown(value: str) -> str:
    """Quote a value if it is one word: another text may be private."""
    return f" {value}" if is_word(value) else ""
