"""``scrapy status``: print the ledger as a table or as JSON Lines."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from xhs.api.endpoints import SORTS
from xhs.api.values import format_time
from xhs.command import StoreCommand
from xhs.crawl.estimate import calls_for_replies
from xhs.crawl.note_ids import find_notes
from xhs.crawl.price import Price, in_money, read_price
from xhs.reasons import ADVICE, ExitStatus, StopReason, read_reason
from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import Document
from xhs.store.mongo.notes import read_note, read_wanted
from xhs.store.mongo.storage import MongoStorage

_COLUMNS = {
    "note": ("_id", 24),
    "state": ("state", 10),
    "stop reason": ("stop_reason", 17),
    "reported": ("comment_count_l1", 9),
    "held": ("comments_collected", 9),
    "missing": ("missing", 8),
    "replies": ("replies_reported", 7),
    "replies held": ("replies_collected", 12),
    "replies missing": ("replies_missing", 15),
    "calls": ("billed_calls", 6),
    "last crawled": ("last_crawled_at", 16),
    "advice": ("advice", 0),
}
"""Columns of the table by their titles: field of the ledger, and width in characters."""

_READ = (StopReason.COMPLETE, StopReason.UP_TO_DATE)
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
    """Prints one line for each note."""

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
            self.run_on(store, self._print(store, query, price, opts.json))

    async def _print(
        self, store: Store, query: Document, price: Price | None, as_json: bool
    ) -> None:
        storage = MongoStorage(store)
        async with store:
            if (note_id := query.get("_id")) and not await self._has(store, query, note_id):
                return
            if not as_json:
                self.print(_row({name: title for title, (name, _) in _COLUMNS.items()}))
            async for note in store.ledger.notes(query):
                await _add_counts_and_advice(store, storage, note, price)
                line = json.dumps(_plain(note), ensure_ascii=False) if as_json else _row(note)
                self.print(line)

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


async def _add_counts_and_advice(
    store: Store, storage: MongoStorage, note: Document, price: Price | None
) -> None:
    """Add to a note what the ledger does not keep: the current counts, and advice."""
    if note.get("state") != "ended" or note.get("replies_missing") is None:
        counts = await store.ledger.counts(note["_id"])
        note.update(counts.fields(note.get("comment_count_l1")))
    if note.get("replies_missing"):
        now = datetime.now(UTC)
        note["replies_calls"] = await calls_for_replies(storage, read_note(note, now), now) or 0
    if sentence := await _advice(store, note, price):
        note["advice"] = sentence


async def _advice(store: Store, note: Document, price: Price | None) -> str | None:
    orders, rejected = set(), 0
    if read_reason(note.get("stop_reason")) in _READ and note.get("missing"):
        orders = await store.history.orders(note["_id"])
        rejected = await store.rejected.count_comments(note["_id"])
    return "; ".join(advice(note, orders, price, rejected)) or None


def advice(
    note: Mapping[str, Any],
    orders: Collection[str],
    price: Price | None = None,
    rejected: int = 0,
) -> Iterator[str]:
    """Yield advice about a note that is incomplete, or did not end as requested.

    ``orders``: sort orders in which the note has been read to its end. ``rejected``: comments and
    replies of it that are in the collection ``rejected``.
    """
    if wanted := read_wanted(note.get("wanted")):
        yield f"mode={wanted.mode} was asked for and has not begun: -a mode=resume"
    stop, missing = read_reason(note.get("stop_reason")), note.get("missing")
    has_ended = note.get("state") == "ended"
    is_unfinished = note.get("state") == "unfinished"
    if is_unfinished:
        yield "not finished: -a mode=resume"
    elif has_ended and stop in ADVICE:
        yield ADVICE[stop]
    elif has_ended and stop in _READ and isinstance(missing, int) and missing:
        which = f"{missing} of {note.get('comment_count_l1')}"
        if rejected:
            yield f"{which} not held, {rejected} in `rejected`: see there, and `scrapy recover`"
        else:
            yield _missing_comments(f"{which} not shown", orders)
    if stop == StopReason.NOT_FOUND:
        return
    if replies := note.get("replies_missing"):
        which = f"{replies} of {note.get('replies_reported')} replies not held"
        if calls := note.get("replies_calls"):
            cost = f"at most {calls} calls{in_money(price, calls)}"
            first = "then " if is_unfinished else ""
            yield f"{which}: {first}-a mode=full -a replies=all, {cost}"
        else:
            yield f"{which}: the API does not show them"


def _missing_comments(shown: str, orders: Collection[str]) -> str:
    if not orders:
        return f"{shown}: try -a mode=full"
    untried = [order for order in SORTS if order not in orders]
    return f"{shown}: try -a sort={untried[0]}" if untried else f"{shown} in any sort order"


def _row(values: Mapping[str, Any]) -> str:
    cells = ((_shown(values.get(name)), width) for name, width in _COLUMNS.values())
    return "  ".join(text.ljust(width) for text, width in cells).rstrip()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if name != "_id"}
    return format_time(value) if isinstance(value, datetime) else value


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return "" if value is None else str(value)
