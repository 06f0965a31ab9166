"""The ledger: one document a note, which says how far it is and how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from xhs.chain import Chain, Head
from xhs.endings import StopReason
from xhs.notes.checkpoint import Checkpoint, head_document
from xhs.store.documents import COMMENTS, NOTES, Document, Write, document_fields, met_field
from xhs.store.patience import StoreFailed, describe, patiently

LOOKUP = 200
"""Notes that are asked for at once."""
_STATES_NOT_ENDED = ["queued", "running", "unfinished"]
_NOT_ENDED = {"state": {"$in": _STATES_NOT_ENDED}}


class Held(NamedTuple):
    """What is stored for a note, all runs together: first-level comments, and replies. Of these,
    what was first seen since a pass began, and the first-level comments that it met.
    """

    comments: int
    replies: int
    comments_new: int = 0
    replies_new: int = 0
    comments_met: int = 0


def held_fields(held: Held, reported: int | None) -> Document:
    """What a note's item and document say of what is stored for it."""
    return {
        "comments_collected": held.comments,
        "replies_collected": held.replies,
        "missing": None if reported is None else max(0, reported - held.comments),
    }


def begin_pass(checkpoint: Checkpoint, now: datetime) -> Write:
    """The note's first call is about to be sent: it is running, from there."""
    note_id = checkpoint.call.note_id
    return Write(
        NOTES,
        note_id,
        {
            "$set": {
                "note_id": note_id,
                "state": "running",
                "checkpoint": checkpoint.document(),
                "last_crawled_at": now,
            },
            "$min": {"first_seen_at": now},
        },
    )


def chain_fields(chain: Chain) -> Document:
    """What the pages of a note say of it so far."""
    fields: Document = {
        "sort": chain.sort,
        "user_id": chain.author_id,
        "comment_count": chain.comment_count,
        "comment_count_l1": chain.comment_count_l1,
    }
    return {name: value for name, value in fields.items() if value is not None} | {
        "pages": chain.pages
    }


def settle_page(
    note_id: str, fields: Mapping[str, Any], checkpoint: Checkpoint, calls: int
) -> Write:
    """A page is stored: what the pages say of the note (:func:`chain_fields`), and how far the pass
    is now.

    ``calls``: billed calls for the note that the ledger does not know of yet.
    """
    # Another run may have ended the note meanwhile.
    update = {**fields, "state": "running"}
    if checkpoint.is_storable:
        update["checkpoint"] = checkpoint.document()
    else:
        update.pop("pages", None)
    return _booking(note_id, calls, {"$set": update})


def end_note(item: Mapping[str, Any], calls: int, head: Head | None = None) -> Write:
    """The update that a ``NoteItem`` asks for: the note has ended, or is left at its checkpoint.

    ``head``: where the next update finds known ground; None leaves it as it is.
    """
    reason = StopReason(item["stop_reason"])
    fields = document_fields(item)
    update = {name: value for name, value in fields.items() if value is not None}
    update["state"] = "ended" if reason.ended else "unfinished"
    update["last_seen_at"] = fields["scraped_at"]
    if reason.ended:
        update["checkpoint"] = None
    if head is not None:
        update["head"] = head_document(head)
    return _booking(item["note_id"], calls, {"$set": update})


def leave_note(checkpoint: Checkpoint, calls: int) -> Write:
    """The crawl stops before the note's end: it is left at its checkpoint."""
    update = {"state": "unfinished", "stop_reason": StopReason.INTERRUPTED.value, "complete": False}
    if checkpoint.is_storable:
        update["checkpoint"] = checkpoint.document()
    return _booking(checkpoint.call.note_id, calls, {"$set": update})


def book_calls(note_id: str, calls: int) -> Write:
    """Calls outside a crawl of the note: what they cost, and nothing of how far it is."""
    fresh = {
        "note_id": note_id,
        "state": "unfinished",
        "stop_reason": StopReason.INTERRUPTED.value,
        "complete": False,
    }
    return _booking(note_id, calls, {"$setOnInsert": fresh})


def _booking(note_id: str, calls: int, update: Document) -> Write:
    """A write that books calls, and does so once, however often it is repeated."""
    booked = {**update, "$inc": {"billed_calls": calls}}
    if not calls:
        return Write(NOTES, note_id, booked)
    once = uuid4().hex
    booked["$set"] = {**update.get("$set", {}), "last_write": once}
    return Write(NOTES, note_id, booked, once=once)


def _one_if(field: str, since: datetime) -> Document:
    return {"$cond": [{"$gte": [f"${field}", since]}, 1, 0]}


class Ledger:
    """What the database knows of notes."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._database = database

    async def held(self, note_id: str, sort: str = "", began: datetime | None = None) -> Held:
        """Count what is stored for a note; comments that have vanished are not held.

        What is new, and what was met, is so since the pass in this order that ``began`` then.

        Raises:
            StoreFailed: where the database does not answer.
        """
        return await patiently(lambda: self._held(note_id, sort, began))

    async def _held(self, note_id: str, sort: str, began: datetime | None) -> Held:
        counts: Document = {"held": 1}
        if began is not None:
            counts["new"] = _one_if("first_seen_at", began)
            counts["met"] = _one_if(met_field(sort), began)
        groups: dict[bool, Document] = {True: {}, False: {}}
        cursor = await self._database[COMMENTS].aggregate(
            [
                {"$match": {"note_id": note_id, "vanished_at": None}},
                {
                    "$group": {
                        "_id": {"$eq": [{"$ifNull": ["$parent_comment_id", None]}, None]},
                        **{name: {"$sum": one} for name, one in counts.items()},
                    }
                },
            ]
        )
        async for group in cursor:
            groups[group["_id"]] = group
        first_level, replies = groups[True], groups[False]
        return Held(
            comments=first_level.get("held", 0),
            replies=replies.get("held", 0),
            comments_new=first_level.get("new", 0),
            replies_new=replies.get("new", 0),
            comments_met=first_level.get("met", 0),
        )

    async def count_since(self, note_id: str, since: datetime) -> int:
        """How many first-level comments of a note are stored that are no older.

        Raises:
            StoreFailed: where the database does not answer.
        """
        query = {"note_id": note_id, "parent_comment_id": None, "created_at": {"$gte": since}}
        return await patiently(lambda: self._database[COMMENTS].count_documents(query))

    async def enqueue(self, note_ids: Sequence[str], arguments: Mapping[str, str]) -> int:
        """Queue these notes, :data:`LOOKUP` at most, and keep ``arguments`` with them.

        A note that has ended is queued again, with these arguments alone; one that is queued or
        under way stays as it is, and keeps its own arguments where none are given. Returns how many
        were queued.

        Raises:
            StoreFailed: where the database does not answer.
        """
        now = datetime.now(UTC)
        kept = {"arguments": dict(arguments)} if arguments else {}
        notes = self._database[NOTES]
        ids = {"_id": {"$in": list(note_ids)}}

        async def write() -> int:
            there = await notes.distinct("_id", ids)
            ended = await notes.update_many(
                {**ids, "state": {"$nin": _STATES_NOT_ENDED}},
                {"$set": {"state": "queued", "arguments": dict(arguments)}},
            )
            await notes.bulk_write(
                [
                    UpdateOne(
                        {"_id": note_id},
                        {
                            "$set": {"note_id": note_id, **kept},
                            "$setOnInsert": {"state": "queued", "first_seen_at": now},
                        },
                        upsert=True,
                    )
                    for note_id in note_ids
                ],
                ordered=False,
            )
            return ended.modified_count + len(set(note_ids) - set(there))

        return await patiently(write)

    async def queue_ended(self, note_ids: Sequence[str] | None, checkpoint: Document) -> None:
        """Queue those of these notes that have ended, or all that have: a crawl is about to read
        them anew, and should it stop before, ``mode=resume`` is to find them.

        Raises:
            StoreFailed: where the database does not answer.
        """
        query: Document = {"state": "ended"}
        if note_ids is not None:
            query["_id"] = {"$in": list(note_ids)}
        update = {"$set": {"state": "queued", "checkpoint": checkpoint}}
        await patiently(lambda: self._database[NOTES].update_many(query, update))

    async def end_again(self, note_id: str) -> None:
        """Take a note back that :meth:`queue_ended` has queued.

        Raises:
            StoreFailed: where the database does not answer.
        """
        queued = {"_id": note_id, "state": "queued", "checkpoint.cursor": None}
        query = {**queued, "stop_reason": {"$ne": None}, "checkpoint": {"$ne": None}}
        update = {"$set": {"state": "ended", "checkpoint": None}}
        await patiently(lambda: self._database[NOTES].update_one(query, update))

    async def enqueue_unfinished(self) -> int:
        """Queue every note that was begun and has not ended, to go on from its checkpoint.

        Raises:
            StoreFailed: where the database does not answer.
        """
        query = {"state": {"$in": ["running", "unfinished"]}}
        done = await patiently(
            lambda: self._database[NOTES].update_many(query, {"$set": {"state": "queued"}})
        )
        return done.modified_count

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
        async for note in self._patiently_each(_NOT_ENDED):
            yield note

    async def all(self) -> AsyncIterator[Document]:
        """Every note, in the order of their IDs.

        Raises:
            StoreFailed: where the database does not answer.
        """
        async for note in self._patiently_each({}):
            yield note

    async def count(self, *, not_ended: bool = False) -> int:
        """How many notes :meth:`all` or :meth:`not_ended` gives.

        Raises:
            StoreFailed: where the database does not answer.
        """
        query = _NOT_ENDED if not_ended else {}
        return await patiently(lambda: self._database[NOTES].count_documents(query))

    async def _patiently_each(self, wanted: Document) -> AsyncIterator[Document]:
        after = ""
        while True:
            query = {**wanted, "_id": {"$gt": after}}
            found = await patiently(lambda: self._find(query))  # noqa: B023 (awaited here)
            for note in found:
                yield note
            if len(found) < LOOKUP:
                return
            after = found[-1]["_id"]

    async def _find(self, query: Document) -> list[Document]:
        found = self._database[NOTES].find(query).sort("_id").limit(LOOKUP)
        return await found.to_list()

    async def notes(self, query: Document) -> AsyncIterator[Document]:
        """The notes that match ``query``, in the order of their IDs.

        Raises:
            StoreFailed: where the database does not answer.
        """
        try:
            async for note in self._database[NOTES].find(query).sort("_id"):
                yield note
        except PyMongoError as error:
            raise StoreFailed(f"the database does not answer: {describe(error)}") from None
