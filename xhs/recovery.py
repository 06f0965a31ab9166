"""Rejected objects tried again with today's parsing and schemas."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from itemadapter import ItemAdapter

from xhs.api.fields import parse_again
from xhs.api.values import iso
from xhs.crawl.storage import Problem, Unstorable
from xhs.items import make_item
from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import NOTES, Document, Write, item_write
from xhs.validation import problems


@dataclass(slots=True)
class Retried:
    """How many objects of each kind are stored now; and of those that stay, why, and how many."""

    stored: Counter[str] = field(default_factory=Counter)
    left: Counter[tuple[str, str]] = field(default_factory=Counter)


async def retry_rejected(store: Store) -> Retried:
    """Store what is valid by now, take it out of ``rejected``, and say what stays and why.

    Raises:
        StoreFailed: if the database does not answer.
    """
    done = Retried()
    async for batch in store.rejected.batches():
        stored: list[str] = []
        notes: set[str] = set()
        for document in batch:
            kind = str(document.get("kind"))
            found = _try_again(document)
            why = found if isinstance(found, list) else await _store(store, found)
            if why:
                reason = "; ".join(f"{one.path or 'item'} {one.message}" for one in why)
                done.left[kind, reason] += 1
                continue
            stored.append(document["_id"])
            done.stored[kind] += 1
            if kind == "comment":
                notes.add(document["note_id"])
        if stored:
            await _count_again(store, sorted(notes))
            await store.rejected.remove(stored)
    return done


def read_again(document: Document) -> Write | list[Problem]:
    """The write that a rejected object asks for today, or what is still wrong with it."""
    raw, kind = json.loads(document["raw"]), document["kind"]
    when: datetime = document.get("scraped_at") or document["last_seen_at"]
    parsed = parse_again(
        kind,
        raw,
        note_id=document["note_id"],
        author_id=document.get("author_id"),
        parent_comment_id=document.get("parent_comment_id"),
        scraped_at=iso(when),
    )
    if parsed is None:
        return [Problem(**error) for error in document["errors"]]
    item = make_item(kind, parsed.fields)
    fields = ItemAdapter(item).asdict()
    return problems(type(item), fields) or item_write(fields)


def _try_again(document: Document) -> Write | list[Problem]:
    try:
        return read_again(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        return [Problem("", "is no rejected object as a crawl keeps it")]


async def _store(store: Store, write: Write) -> list[Problem]:
    try:
        await store.writer.put(write)
    except Unstorable as error:
        return [Problem("", str(error))]
    return []


async def _count_again(store: Store, note_ids: Sequence[str]) -> None:
    """The ledger says how much is held of a note that has ended."""
    for note_id, note in (await store.ledger.known(note_ids)).items():
        if note.get("state") == "ended":
            held = await store.ledger.held(note_id)
            fields = held.fields(note.get("comment_count_l1"))
            await store.writer.put(Write(NOTES, note_id, {"$set": fields}))
