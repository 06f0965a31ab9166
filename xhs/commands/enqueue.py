"""``scrapy enqueue``: put notes into the ledger, for crawls that read their notes from there."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from itertools import islice

from xhs.command import StoreCommand, read_arguments, unknown_words
from xhs.crawl.arguments import NOTE_ARGUMENTS, Arguments, WrongArguments, is_argument_name, parse
from xhs.crawl.note_list import NoteList, WrongNotes, read_notes
from xhs.crawl.storage import NOTES_PER_QUERY
from xhs.store.mongo.client import Store


class Command(StoreCommand):
    """Queues the notes of a file, or all unfinished notes of the ledger."""

    def syntax(self) -> str:
        """Return the usage after the command's name."""
        return "[options] <file or -> | --unfinished"

    def short_desc(self) -> str:
        """Return the command's summary."""
        return "Put notes into the ledger, for crawls with mode=resume or mode=update"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options to Scrapy's own."""
        super().add_options(parser)
        parser.add_argument(
            "-a",
            dest="kept",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"an argument to keep with each note: {', '.join(NOTE_ARGUMENTS)}",
        )
        parser.add_argument(
            "--unfinished", action="store_true", help="queue every note that was left unfinished"
        )

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Require a file name, unless ``--unfinished`` is given."""
        positional = () if opts.unfinished else ("file",)
        if problem := unknown_words(args, positional):
            self.fail(problem)
            return
        self.attempt(args, opts)

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Queue the notes, and print how many there are."""
        if (store := self.store()) is None:
            return
        if opts.unfinished and opts.kept:
            self.fail("-a goes with a file of notes, not with --unfinished")
            return
        kept, notes = self._read(args, opts)
        if notes is None and not opts.unfinished:
            return
        self.run_on(store, self._queue(store, notes, kept))

    def _read(
        self, args: list[str], opts: argparse.Namespace
    ) -> tuple[Mapping[str, str], NoteList | None]:
        kept, errors = read_arguments(opts.kept)
        notes = None
        try:
            parse({name: value for name, value in kept.items() if name in NOTE_ARGUMENTS})
        except WrongArguments as error:
            errors += error.errors
        others = [name for name in kept if name not in NOTE_ARGUMENTS]
        errors += [
            f"{name}: cannot be kept with a note; {', '.join(NOTE_ARGUMENTS)} can"
            for name in filter(is_argument_name, others)
        ]
        if not all(map(is_argument_name, others)):
            errors.append(
                f"-a needs NAME=VALUE, NAME being one of {', '.join(NOTE_ARGUMENTS)}; notes belong "
                "in the file"
            )
        if kept.get("mode") == "resume":
            errors.append("mode='resume' is for crawls; a note can keep mode=full or mode=update")
        if not opts.unfinished:
            try:
                notes = read_notes(Arguments(notes_file=args[0]))
            except WrongNotes as error:
                errors += error.messages
        for message in errors:
            self.fail(message)
        return kept, None if errors else notes

    async def _queue(self, store: Store, notes: NoteList | None, kept: Mapping[str, str]) -> None:
        async with store:
            if notes is None:
                queued = await store.ledger.enqueue_unfinished()
                self.print(f"{queued} notes queued")
                return
            queued, remaining = 0, iter(notes)
            with self.progress("Queueing notes", len(notes)) as advance:
                while batch := list(islice(remaining, NOTES_PER_QUERY)):
                    queued += await store.ledger.enqueue(batch, kept)
                    advance(len(batch))
            self.print(
                f"{queued} notes queued, {len(notes) - queued} were queued or under way already"
            )
