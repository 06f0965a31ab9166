"""``scrapy status``: the ledger, as a table or as JSON Lines."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import datetime
from typing import Any

from xhs.api.values import iso
from xhs.command import ProjectCommand
from xhs.endings import ExitStatus
from xhs.notes.ids import find_notes
from xhs.store.documents import Document
from xhs.store.store import Store, StoreUnavailable

_COLUMNS = {
    "note": ("_id", 24),
    "state": ("state", 10),
    "stop reason": ("stop_reason", 17),
    "reported": ("comment_count_l1", 9),
    "held": ("comments_collected", 9),
    "missing": ("missing", 8),
    "replies": ("replies_collected", 8),
    "calls": ("billed_calls", 6),
    "last crawled": ("last_crawled_at", 16),
}
"""A column's title: its field in the ledger, and its width in characters."""


class Command(ProjectCommand):
    """Prints one line a note."""

    def short_desc(self) -> str:
        """What it does."""
        return "Show how far each note is, and how it ended"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options to Scrapy's own."""
        super().add_options(parser)
        parser.add_argument("--incomplete", action="store_true", help="only notes not complete")
        parser.add_argument("--note", metavar="ID", help="only this note (an ID or a link)")
        parser.add_argument("--json", action="store_true", help="JSON Lines, one object a note")

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Read the ledger and print it."""
        assert self.settings is not None  # noqa: S101 (Scrapy sets it)
        query: Document = {"complete": {"$ne": True}} if opts.incomplete else {}
        if opts.note is not None:
            found = find_notes(opts.note)
            if found.errors or len(found.notes) != 1:
                self.fail("--note: " + (found.errors[0] if found.errors else "one note is needed"))
                return
            query["_id"] = found.notes[0]
        uri = self.settings["MONGODB_URI"]
        if not uri:
            self.fail("MONGODB_URI is empty: without a store there is no ledger")
            return
        try:
            asyncio.run(
                self._print(Store(uri, self.settings["MONGODB_DATABASE"]), query, opts.json)
            )
        except StoreUnavailable as error:
            self.fail(str(error), ExitStatus.FAILED)

    async def _print(self, store: Store, query: Document, as_json: bool) -> None:
        async with store:
            if not as_json:
                self.print(_row({name: title for title, (name, _) in _COLUMNS.items()}))
            async for note in store.ledger.notes(query):
                as_text = json.dumps(_plain(note), ensure_ascii=False) if as_json else _row(note)
                self.print(as_text)


def _row(values: Document) -> str:
    cells = ((_shown(values.get(name)), width) for name, width in _COLUMNS.values())
    return "  ".join(text.ljust(width) for text, width in cells).rstrip()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if name != "_id"}
    return iso(value) if isinstance(value, datetime) else value


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return "" if value is None else str(value)
