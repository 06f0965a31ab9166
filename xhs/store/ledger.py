"""The ledger: one document a note, which says how far it is and how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from pymongo.asynchronous.database import AsyncDatabase

from xhs.api.endpoints import Call
from xhs.chain import Chain
from xhs.endings import StopReason
from xhs.store.documents import COMMENTS, NOTES, Document, Write, document_fields
from xhs.store.patience import patiently

LOOKUP = 200
"""Notes that are asked for at once."""
_NOT_ENDED = {"state": {"$in": ["queued", "running", "unfinished"]}}


class Held(NamedTuple):
    """What is stored for a note, all runs together: first-level comments, and replies."""

    comments: int
    replies: int


def held_fields(held: Held, reported: int | None) -> Document:
    """What a note's item and document say of what is stored for it."""
    return {
        "comments_collected": held.comments,
        "replies_collected": held.replies,
        "missing": None if reported is None else max(0, reported - held.comments),
    }


def begin_note(call: Call, version: str, now: datetime) -> Write:
    """The note's first call is about to be sent: it is running, from there."""
    return Write(
        NOTES,
        call.note_id,
        {
            "$set": {
                "note_id": call.note_id,
                "state": "running",
                "checkpoint": _checkpoint(call, version),
                "last_crawled_at": now,
            },
            "$min": {"first_seen_at": now},
        },
    )


def settle_page(chain: Chain, call: Call | None, version: str, calls: int) -> Write:
    """A page is stored; ``call`` asks for the page after it, None where there is none.

    ``calls``: billed calls for the note that the ledger does not know of yet.
    """
    fields: Document = {
        "sort": chain.sort,
        "user_id": chain.author_id,
        "comment_count": chain.comment_count,
        "comment_count_l1": chain.comment_count_l1,
    }
    update: Document = {name: value for name, value in fields.items() if value is not None}
    if call is not None and _is_storable(call.cursor):
        update |= {"pages": chain.pages, "checkpoint": _checkpoint(call, version)}
    return _booking(chain.note_id, calls, {"$set": update})


def end_note(item: Mapping[str, Any], calls: int) -> Write:
    """The update that a ``NoteItem`` asks for: the note has ended, or is left at its checkpoint."""
    reason = StopReason(item["stop_reason"])
    fields = document_fields(item)
    update = {name: value for name, value in fields.items() if value is not None}
    update["state"] = "ended" if reason.ended else "unfinished"
    update["last_seen_at"] = fields["scraped_at"]
    if reason.ended:
        update["checkpoint"] = None
    return _booking(item["note_id"], calls, {"$set": update})


def leave_note(note_id: str, calls: int) -> Write:
    """The crawl stops before the note's end: it is left at its checkpoint."""
    update = {"state": "unfinished", "stop_reason": StopReason.INTERRUPTED.value, "complete": False}
    return _booking(note_id, calls, {"$set": update})


def book_calls(note_id: str, calls: int) -> Write:
    """Calls outside a crawl of the note: what they cost, and nothing of how far it is."""
    fresh = {
        "note_id": note_id,
        "state": "unfinished",
        "stop_reason": StopReason.INTERRUPTED.value,
        "complete": False,
    }
    return _booking(note_id, calls, {"$setOnInsert": fresh})


def _is_storable(cursor: str | None) -> bool:
    """A cursor with a lone surrogate can be sent back, and not be stored."""
    try:
        (cursor or "").encode()
    except UnicodeEncodeError:
        return False
    return True


def _booking(note_id: str, calls: int, update: Document) -> Write:
    """A write that books calls, and does so once, however often it is repeated."""
    once = uuid4().hex
    booked = {**update, "$inc": {"billed_calls": calls}}
    booked["$set"] = {**update.get("$set", {}), "last_write": once}
    return Write(NOTES, note_id, booked, once=once)


def _checkpoint(call: Call, version: str) -> Document:
    return {"cursor": call.cursor, "sort": call.sort, "version": version, "head": None}


class Ledger:
    """What the database knows of notes."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._database = database

    async def held(self, note_id: str) -> Held:
        """Count what is stored for a note; comments that have vanished are not held.

        Raises:
            StoreFailed: where the database does not answer.
        """
        return await patiently(lambda: self._held(note_id))

    async def _held(self, note_id: str) -> Held:
        counts = {True: 0, False: 0}
        cursor = await self._database[COMMENTS].aggregate(
            [
                {"$match": {"note_id": note_id, "vanished_at": None}},
                {
                    "$group": {
                        "_id": {"$eq": [{"$ifNull": ["$parent_comment_id", None]}, None]},
                        "count": {"$sum": 1},
                    }
                },
            ]
        )
        async for group in cursor:
            counts[group["_id"]] = group["count"]
        return Held(comments=counts[True], replies=counts[False])

    async def known(self, note_ids: Sequence[str]) -> dict[str, Document]:
        """What the ledger has of these notes, :data:`LOOKUP` at most, by their IDs.

        Raises:
            StoreFailed: where the database does not answer.
        """
        found = await patiently(lambda: self._find({"_id": {"$in": list(note_ids)}}))
        return {note["_id"]: note for note in found}

    async def not_ended(self) -> AsyncIterator[Document]:
        """Every note that ``mode=resume`` takes up, in the order of their IDs.

        Raises:
            StoreFailed: where the database does not answer.
        """
        after = ""
        while True:
            query = {**_NOT_ENDED, "_id": {"$gt": after}}
            found = await patiently(lambda: self._find(query))  # noqa: B023 (awaited here)
            for note in found:
                yield note
            if len(found) < LOOKUP:
                return
            after = found[-1]["_id"]

    async def count_not_ended(self) -> int:
        """How many notes :meth:`not_ended` gives.

        Raises:
            StoreFailed: where the database does not answer.
        """
        return await patiently(lambda: self._database[NOTES].count_documents(_NOT_ENDED))

    async def _find(self, query: Document) -> list[Document]:
        found = self._database[NOTES].find(query).sort("_id").limit(LOOKUP)
        return await found.to_list()

    async def notes(self, query: Document) -> AsyncIterator[Document]:
        """The notes that match ``query``, in the order of their IDs."""
        async for note in self._database[NOTES].find(query).sort("_id"):
            yield note
