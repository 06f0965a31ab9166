"""``scrapy status``: print the state of the notes for a person, or as JSON Lines."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from xhs.api.values import format_time
from xhs.command import StoreCommand
from xhs.crawl.estimate import calls_for_replies
from xhs.crawl.note_ids import find_notes
from xhs.crawl.price import Price, read_price
from xhs.reasons import ExitStatus, read_reason
from xhs.status import EMPTY, READ, Finding, Overview, advice, findings, note_lines
from xhs.store.mongo.client import Store, has_password
from xhs.store.mongo.collections import NOTES, Document
from xhs.store.mongo.notes import read_note
from xhs.store.mongo.storage import MongoStorage

_INCOMPLETE = {
    "$or": [
        {"complete": {"$ne": True}},
        {"missing": {"$gt": 0}},
        {"replies_missing": {"$gt": 0}},
        {"replies_missing": None},
        {"wanted.mode": {"$ne": None}},
    ]
}


class Command(StoreCommand):
    """Prints what is wrong first, with the command that mends it."""

    def short_desc(self) -> str:
        """Return the command's summary."""
        return "Show the progress of each note, and how it ended"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options to Scrapy's own."""
        super().add_options(parser)
        parser.add_argument(
            "--incomplete",
            action="store_true",
            help="only notes that are not complete, or lack comments or replies that are reported",
        )
        parser.add_argument(
            "--note", metavar="ID", action="append", help="only this note (an ID or a link)"
        )
        parser.add_argument("--json", action="store_true", help="JSON Lines, one object a note")

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Read the ledger and print it."""
        query: Document = dict(_INCOMPLETE) if opts.incomplete else {}
        if opts.note is not None:
            parsed = find_notes(opts.note[0])
            if parsed.errors or len(parsed.notes) != 1 or len(opts.note) != 1:
                self.fail("--note: " + (parsed.errors[0] if parsed.errors else "name one note"))
                return
            query["_id"] = parsed.notes[0]
        try:
            price = read_price(self.settings["XHS_CALL_PRICE"])
        except ValueError as error:
            self.fail(str(error))
            return
        if store := self.store():
            options = _options(opts.set)
            self.run_on(store, self._print(store, query, Overview(price, options), opts))

    async def _print(
        self, store: Store, query: Document, overview: Overview, opts: argparse.Namespace
    ) -> None:
        async with store:
            if (note_id := query.get("_id")) and not await self._has(store, query, note_id):
                return
            if opts.json:
                async for note in store.ledger.notes(query):
                    await self._findings(store, note, overview.price)
                    self.print(json.dumps(_plain(note), ensure_ascii=False))
                return
            of_note: list[str] = []
            with self.progress("Reading notes") as advance:
                async for note in store.ledger.notes(query):
                    overview.add(note, await self._findings(store, note, overview.price))
                    if note_id:
                        of_note += note_lines(note, overview.price)
                    advance(1)
            if note_id:
                self._print_lines(of_note)
                self._print_lines(overview.group_lines(with_notes=False))
            elif overview.count:
                self._print_lines(overview.lines(only_incomplete=opts.incomplete))
            elif await store.count(NOTES):
                self.print("Nothing to do: no note is incomplete.")
            else:
                self._print_lines(EMPTY)

    def _print_lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.print(line)

    async def _findings(self, store: Store, note: Document, price: Price | None) -> list[Finding]:
        """Return what is wrong with a note.

        Add to its fields what the ledger does not keep: the current counts, and advice.
        """
        await store.ledger.update_counts(note)
        if note.get("replies_missing"):
            now = datetime.now(UTC)
            calls = await calls_for_replies(MongoStorage(store), read_note(note, now), now)
            note["replies_calls"] = calls or 0
        orders: set[str] = set()
        rejected = 0
        if read_reason(note.get("stop_reason")) in READ and note.get("missing"):
            orders = await store.history.orders(note["_id"])
            rejected = await store.rejected.count_comments(note["_id"])
        version = self.settings["JUSTONEAPI_COMMENTS_VERSION"]
        found = [*findings(note, orders, price, rejected, version)]
        if sentence := advice(found):
            note["advice"] = sentence
        return found

    async def _has(self, store: Store, query: Document, note_id: str) -> bool:
        """True if the query matches the note. If not, a message says why there is no output.

        A note that is not in the ledger is a failure, as for grep; a complete note is not.
        """
        async for _ in store.ledger.notes(query):
            return True
        if await store.ledger.documents([note_id]):
            sys.stderr.write(f"note {note_id} is complete: nothing that was reported is missing\n")
        else:
            self.fail(f"note {note_id} is not in the ledger", ExitStatus.FAILED)
        return False


def _options(given: Iterable[str]) -> list[str]:
    """Return those ``-s`` options of this command that name the ledger, without a password.

    The commands that it prints need them too.
    """
    pairs = (option.partition("=") for option in given)
    return [
        f"-s {shlex.quote(f'{name}={value}')}"
        for name, _, value in pairs
        if name in ("MONGODB_URI", "MONGODB_DATABASE") and not has_password(value)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if name != "_id"}
    return format_time(value) if isinstance(value, datetime) else value
