"""``scrapy report``: one page with the figures of the stored comments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from xhs.command import StoreCommand
from xhs.crawl.arguments import Arguments
from xhs.crawl.note_ids import find_notes
from xhs.crawl.note_list import WrongNotes, read_notes
from xhs.crawl.price import Price, read_price
from xhs.export.files import output_error, replacing
from xhs.reasons import ExitStatus
from xhs.report import LANGUAGES
from xhs.store.mongo.client import Store

if TYPE_CHECKING:
    from xhs.report.reading import Choice
    from xhs.report.text import Words


class Command(StoreCommand):
    """Writes an HTML file that needs nothing else."""

    positional = ("OUT.html",)

    def short_desc(self) -> str:
        """Return the command's summary."""
        return "Write a page with the figures of the stored comments"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options to Scrapy's own."""
        super().add_options(parser)
        parser.add_argument(
            "--note",
            metavar="ID",
            action="append",
            default=[],
            help="only this note (an ID or a link); may be repeated",
        )
        parser.add_argument(
            "--compare",
            metavar="FILE",
            help="compare the notes of this list with --note, or with all others",
        )
        parser.add_argument(
            "--lang", choices=LANGUAGES, default="en", help="language of the page: en or zh"
        )
        parser.add_argument(
            "--stop-words", metavar="FILE", help="words to leave out, one on each line"
        )
        parser.add_argument(
            "--dictionary", metavar="FILE", help="words not to split, one on each line"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Write the page, and print what is in it."""
        path, errors = Path(args[0]), []
        if path.suffix.lower() != ".html":
            errors.append(f"{path}: the name must end in .html")
        elif problem := output_error(path):
            errors.append(problem)
        choice = _choice(opts, errors)
        words = _words(opts, errors)
        price = None
        try:
            price = read_price(self.settings["XHS_CALL_PRICE"])
        except ValueError as error:
            errors.append(str(error))
        for message in errors:
            self.fail(message)
        if not errors and words and (store := self.store()):
            self.run_on(store, self._report(store, path, choice, words, price, opts.lang))

    async def _report(
        self,
        store: Store,
        path: Path,
        choice: Choice,
        words: Words,
        price: Price | None,
        language: str,
    ) -> None:
        from xhs.report.labels import Labels
        from xhs.report.page import html
        from xhs.report.reading import ledger_notes, shown_comments, summary_of

        async with store:
            ledger = await ledger_notes(store, choice)
            if problem := _not_stored(choice, {note["_id"] for note in ledger}):
                self.fail(f"{problem} is in {store.place}", ExitStatus.FAILED)
                return
            with self.progress("comments") as advance:
                summary = await summary_of(store, choice, ledger, words, price, advance)
            shown = await shown_comments(store, summary, ledger)
        page = html(summary, shown, Labels(language), datetime.now(UTC))
        try:
            with replacing(path) as file:
                file.write(page.encode())
        except OSError as error:
            self.fail(f"{path} cannot be written: {error.strerror}", ExitStatus.FAILED)
            return
        named = {*(choice.notes or ()), *(choice.other or ())}
        if missing := len(named - {note["_id"] for note in ledger}):
            sys.stderr.write(f"{missing} of the notes asked for are not in the database\n")
        notes = Labels("en").counted(len(summary.notes), "note")
        self.print(f"{summary.figures.comments} comments on {notes}: {path}")


def _choice(opts: argparse.Namespace, errors: list[str]) -> Choice:
    """Return the notes that the options name."""
    from xhs.report.reading import Choice

    notes: list[str] = []
    for text in opts.note:
        found = find_notes(text)
        notes += found.notes
        errors += [f"--note: {error}" for error in found.errors]
        if not found.errors and not found.notes:
            errors.append("--note: name a note")
    if opts.compare is None:
        return Choice(notes or None)
    other: Sequence[str] = ()
    try:
        other = list(read_notes(Arguments(notes_file=opts.compare)))
    except WrongNotes as error:
        errors += [line.replace("notes_file=", "--compare ", 1) for line in error.messages]
    errors += [f"--note {note} is in {opts.compare} too" for note in notes if note in set(other)]
    return Choice(notes or None, other)


def _words(opts: argparse.Namespace, errors: list[str]) -> Words | None:
    from xhs.report.text import MISSING, Words, WrongWordList, is_installed, read_word_list

    if not is_installed():
        errors.append(MISSING)
        return None
    lists: list[list[str]] = []
    for name in (opts.stop_words, opts.dictionary):
        try:
            lists.append(read_word_list(name) if name else [])
        except WrongWordList as error:
            errors.append(str(error))
    return Words(*lists)


def _not_stored(choice: Choice, stored: Collection[str]) -> str | None:
    """Return which notes that are needed are not in the store; None if it has what is needed."""
    if not stored:
        return "none of the notes" if choice.note_ids else "no note"
    if choice.notes is not None and not set(choice.notes) & set(stored):
        return "no note of --note"
    if choice.other is not None and not set(choice.other) & set(stored):
        return "no note of --compare"
    return None
