"""Retries of rejected objects with the current parser and schemas."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from itemadapter import ItemAdapter

from xhs.api.fields import parse_again
from xhs.api.values import format_time
from xhs.crawl.storage import Problem, Unstorable
from xhs.items import make_item
from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import NOTES, Document, Write, item_write
from xhs.validation import problems


@dataclass(slots=True)
class Retried:
    """Numbers of objects stored, by kind, and of those that stay (``left``), by kind and reason."""

    stored: Counter[str] = field(default_factory=Counter)
    left: Counter[tuple[str, str]] = field(default_factory=Counter)


async def retry_rejected(store: Store, advance: Callable[[int], object]) -> Retried:
    """Store the objects that are valid now, and remove them from ``rejected``.

    ``advance`` is called with the number of objects tried since its last call.

    Raises:
        StoreFailed: if the database does not answer.
    """
    retried = Retried()
    async for batch in store.rejected.batches():
        stored: list[str] = []
        notes: set[str] = set()
        for document in batch:
            kind = str(document.get("kind"))
            result = _parse_safely(document)
            errors = result if isinstance(result, list) else await _store(store, result)
            if errors:
                reason = "; ".join(f"{error.path or 'item'} {error.message}" for error in errors)
                retried.left[kind, reason] += 1
                continue
            stored.append(document["_id"])
            retried.stored[kind] += 1
            if kind == "comment":
                notes.add(document["note_id"])
        if stored:
            await _update_counts(store, sorted(notes))
            await store.rejected.remove(stored)
        advance(len(batch))
    return retried


def _parse(document: Document) -> Write | list[Problem]:
    """Return the write that stores a rejected object, or its problems if it is still invalid."""
    raw, kind = json.loads(document["raw"]), document["kind"]
    scraped_at: datetime = document.get("scraped_at") or document["last_seen_at"]
    parsed = parse_again(
        kind,
        raw,
        note_id=document["note_id"],
        author_id=document.get("author_id"),
        parent_comment_id=document.get("parent_comment_id"),
        scraped_at=format_time(scraped_at),
    )
    if parsed is None:
        return [Problem(**error) for error in document["errors"]]
    item = make_item(kind, parsed.fields)
    fields = ItemAdapter(item).asdict()
    return problems(type(item), fields) or item_write(fields)


def _parse_safely(document: Document) -> Write | list[Problem]:
    try:
        return _parse(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        return [Problem("", "is not a rejected object as a crawl stores it")]


async def _store(store: Store, write: Write) -> list[Problem]:
    try:
        await store.writer.put(write)
    except Unstorable as error:
        return [Problem("", str(error))]
    return []


async def _update_counts(store: Store, note_ids: Sequence[str]) -> None:
    """Update the counts that the ledger keeps for notes that have ended."""
    for note_id, note in (await store.ledger.documents(note_ids)).items():
        if note.get("state") == "ended":
            held = await store.ledger.counts(note_id)
            fields = held.fields(note.get("comment_count_l1"))
            await store.writer.put(Write(NOTES, note_id, {"$set": fields}))
