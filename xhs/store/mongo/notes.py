"""The ledger: one document a note, which says how far it is and how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from xhs.api.endpoints import PageRef
from xhs.crawl.arguments import NOTE_ARGUMENTS
from xhs.crawl.checkpoint import PASS_ARGUMENTS, Checkpoint, Wanted, pass_arguments
from xhs.crawl.paginator import Watermark
from xhs.crawl.storage import LOOKUP, NoteRecord, StoredCounts, StoreFailed
from xhs.reasons import StopReason, read_reason
from xhs.store.mongo.collections import (
    COMMENTS,
    NOTES,
    Document,
    Write,
    document_fields,
    last_listed_field,
)
from xhs.store.mongo.paging import batches_by_id
from xhs.store.mongo.retrying import describe, retry_until_answered

_STATES_NOT_ENDED = ["queued", "running", "unfinished"]
_TO_RESUME = {
    "$or": [{"state": {"$in": _STATES_NOT_ENDED}}, {"wanted.mode": {"$in": ["full", "update"]}}]
}


def checkpoint_document(checkpoint: Checkpoint) -> Document:
    """Return a checkpoint as the ledger keeps it."""
    call, stop = checkpoint.next_page, checkpoint.stop_reason
    return {
        "cursor": call.cursor if stop is None else None,
        "sort": call.sort,
        "version": checkpoint.version,
        "watermark": watermark_document(checkpoint.watermark),
        "mode": checkpoint.mode,
        "began": checkpoint.began,
        "kept": checkpoint.kept,
        "calls": checkpoint.calls,
        "arguments": dict(checkpoint.arguments),
        "stop_reason": stop,
    }


def wanted_document(wanted: Wanted | None) -> Document | None:
    """Return a wanted pass as the ledger keeps it."""
    if wanted is None:
        return None
    return {"mode": wanted.mode, "arguments": dict(wanted.arguments)}


def watermark_document(watermark: Watermark | None) -> Document | None:
    """Return a watermark as the ledger keeps it."""
    if watermark is None:
        return None
    return {
        "comment_ids": sorted(watermark.comment_ids),
        "newest": watermark.newest,
        "complete": watermark.complete,
    }


def read_note(found: Document, now: datetime) -> NoteRecord:
    """Read a document of the ledger; what is odd in it is left out.

    ``now`` is when a pass began of which the document does not say it.
    """
    note_id = found["_id"]
    state, author_id = found.get("state"), found.get("user_id")
    return NoteRecord(
        note_id,
        state if isinstance(state, str) else None,
        read_reason(found.get("stop_reason")),
        _texts(found.get("arguments"), NOTE_ARGUMENTS),
        read_checkpoint(note_id, found.get("checkpoint"), now),
        read_wanted(found.get("wanted")),
        read_watermark(found.get("watermark")),
        _count(found.get("pages")) or 0,
        author_id if isinstance(author_id, str) else None,
        _count(found.get("comment_count")),
        _count(found.get("comment_count_l1")),
    )


def read_checkpoint(note_id: str, found: Any, now: datetime) -> Checkpoint | None:
    """Return the checkpoint that the ledger has; None if there is none."""
    if not isinstance(found, Mapping):
        return None
    cursor, sort, version, began = (
        found.get(name) for name in ("cursor", "sort", "version", "began")
    )
    if not isinstance(sort, str) or not isinstance(version, str):
        return None
    if not isinstance(cursor, str | None):
        return None
    stop, mode = read_reason(found.get("stop_reason")), found.get("mode")
    return Checkpoint(
        PageRef(note_id, cursor, sort),
        version,
        mode if mode == "update" else "full",
        began if isinstance(began, datetime) else now,
        read_watermark(found.get("watermark")),
        _count(found.get("kept")) or 0,
        _count(found.get("calls")) or 0,
        pass_arguments(_texts(found.get("arguments"), PASS_ARGUMENTS)),
        stop if stop and stop.ended else None,
    )


def read_wanted(found: Any) -> Wanted | None:
    """Return the pass that is wanted; None if none is."""
    if not isinstance(found, Mapping) or found.get("mode") not in ("full", "update"):
        return None
    return Wanted(found["mode"], _texts(found.get("arguments"), (*PASS_ARGUMENTS, "sort")))


def read_watermark(found: Any) -> Watermark | None:
    """Return the watermark that the ledger has; None if there is none."""
    if not isinstance(found, Mapping):
        return None
    ids, newest = found.get("comment_ids"), found.get("newest")
    if not isinstance(ids, list) or not isinstance(newest, datetime | None):
        return None
    return Watermark(
        frozenset(one for one in ids if isinstance(one, str)),
        newest,
        found.get("complete") is True,
    )


def _texts(found: Any, names: Collection[str]) -> dict[str, str]:
    if not isinstance(found, Mapping):
        return {}
    return {name: str(value) for name, value in found.items() if name in names}


def _count(found: Any) -> int | None:
    return found if isinstance(found, int) and found >= 0 else None


def add_note(note_id: str, wanted: Wanted, now: datetime) -> Write:
    """The first call for a note that the ledger may not know is about to be sent: it is queued.

    A note that is there stays as it is: only an answer changes it.
    """
    fresh = {
        "note_id": note_id,
        "state": "queued",
        "wanted": wanted_document(wanted),
        "complete": False,
        "billed_calls": 0,
    }
    update = {"$setOnInsert": fresh, "$min": {"first_seen_at": now}}
    return Write(NOTES, note_id, update)


def save_checkpoint(
    note_id: str, fields: Mapping[str, Any], checkpoint: Checkpoint, calls: int, now: datetime
) -> Write:
    """A page is stored: what the pages say of the note, and how far the pass
    is now. With its first page a pass is no longer only wanted.

    ``calls``: billed calls for the note that the ledger does not know of yet.
    """
    # Another run may have ended the note meanwhile.
    update = {**fields, "state": "running", "wanted": None, "last_crawled_at": now}
    if checkpoint.is_storable:
        update["checkpoint"] = checkpoint_document(checkpoint)
    else:
        update.pop("pages", None)
    return _booking(note_id, calls, {"$set": update})


def end_note(
    item: Mapping[str, Any],
    calls: int,
    now: datetime,
    watermark: Watermark | None = None,
    wanted: Wanted | None = None,
) -> Write:
    """The update that a ``NoteItem`` asks for: the note has ended, or is left at its checkpoint.

    ``watermark``: where the next update may stop; None leaves the stored one as it is. ``wanted``:
    the pass that follows one that has ended.
    """
    reason = StopReason(item["stop_reason"])
    fields = document_fields(item)
    update = {name: value for name, value in fields.items() if value is not None}
    update["state"] = "ended" if reason.ended else "unfinished"
    update["last_seen_at"] = fields["scraped_at"]
    update["last_crawled_at"] = now
    if reason.ended:
        update["checkpoint"] = None
        update["wanted"] = wanted_document(wanted)
    if watermark is not None:
        update["watermark"] = watermark_document(watermark)
    return _booking(item["note_id"], calls, {"$set": update})


def leave_note(checkpoint: Checkpoint, calls: int) -> Write:
    """The crawl stops before the note's end: it is left at its checkpoint."""
    update = {"state": "unfinished", "stop_reason": StopReason.INTERRUPTED.value, "complete": False}
    if checkpoint.is_storable:
        update["checkpoint"] = checkpoint_document(checkpoint)
    return _booking(checkpoint.next_page.note_id, calls, {"$set": update})


def book_calls(note_id: str, calls: int) -> Write:
    """Calls outside a crawl of the note: what they cost, and nothing of how far it is."""
    fresh = {
        "note_id": note_id,
        "state": "unfinished",
        "stop_reason": StopReason.INTERRUPTED.value,
        "complete": False,
    }
    return _booking(note_id, calls, {"$setOnInsert": fresh})


def leave_unchanged(note_id: str, calls: int, is_wanted: bool) -> Write:
    """A pass brought no page: the note's state stays as it is."""
    return _booking(note_id, calls, {} if is_wanted else {"$set": {"wanted": None}})


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

    async def held(
        self, note_id: str, sort: str = "", began: datetime | None = None
    ) -> StoredCounts:
        """Count what is stored for a note; comments that have vanished are not held.

        What is new, and what was met, is so since the pass in this order that ``began`` then.

        Raises:
            StoreFailed: if the database does not answer.
        """
        return await retry_until_answered(lambda: self._held(note_id, sort, began))

    async def _held(self, note_id: str, sort: str, began: datetime | None) -> StoredCounts:
        is_reply = {"$ne": [{"$ifNull": ["$parent_comment_id", None]}, None]}
        comment: Document = {"comments": 1, "replies_reported": "$sub_comment_count"}
        reply: Document = {"replies": 1}
        if began is not None:
            comment["comments_new"] = _one_if("first_seen_at", began)
            comment["comments_met"] = _one_if(last_listed_field(sort), began)
            reply["replies_new"] = _one_if("first_seen_at", began)
        of_thread = {
            **{name: {"$sum": {"$cond": [is_reply, 0, one]}} for name, one in comment.items()},
            **{name: {"$sum": {"$cond": [is_reply, one, 0]}} for name, one in reply.items()},
        }
        missing = {"$max": [0, {"$subtract": ["$replies_reported", "$replies"]}]}
        cursor = await self._database[COMMENTS].aggregate(
            [
                {"$match": {"note_id": note_id, "vanished_at": None}},
                {"$group": {"_id": {"$ifNull": ["$parent_comment_id", "$_id"]}, **of_thread}},
                {"$addFields": {"replies_missing": missing}},
                {
                    "$group": {
                        "_id": None,
                        **{name: {"$sum": f"${name}"} for name in (*of_thread, "replies_missing")},
                    }
                },
            ]
        )
        found = await cursor.to_list()
        counts = found[0] if found else {"comments": 0, "replies": 0}
        return StoredCounts(**{name: int(count) for name, count in counts.items() if name != "_id"})

    async def count_since(self, note_id: str, since: datetime) -> int:
        """How many first-level comments of a note are stored that are no older.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query = {"note_id": note_id, "parent_comment_id": None, "created_at": {"$gte": since}}
        return await retry_until_answered(lambda: self._database[COMMENTS].count_documents(query))

    async def enqueue(self, note_ids: Sequence[str], arguments: Mapping[str, str]) -> int:
        """Queue these notes, :data:`LOOKUP` at most, and keep ``arguments`` with them.

        A note that has ended is queued again, with these arguments alone; one that is queued or
        under way stays as it is, and keeps its own arguments where none are given. Returns how many
        were queued.

        Raises:
            StoreFailed: if the database does not answer.
        """
        now = datetime.now(UTC)
        kept = {"arguments": dict(arguments), "wanted": None} if arguments else {}
        notes = self._database[NOTES]
        ids = {"_id": {"$in": list(note_ids)}}

        async def write() -> int:
            there = await notes.distinct("_id", ids)
            ended = await notes.update_many(
                {**ids, "state": {"$nin": _STATES_NOT_ENDED}},
                {"$set": {"state": "queued", "arguments": dict(arguments), "wanted": None}},
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

        return await retry_until_answered(write)

    async def want(self, note_ids: Sequence[str] | None, wanted: Wanted | None) -> None:
        """Say of these notes, or of all, that a crawl is about to read them so; None takes it back.

        It stands beside their state: if the crawl stops before their first page, ``mode=resume``
        reads them so. A note with a checkpoint is found by that.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query: Document = {"checkpoint": None}
        if note_ids is not None:
            query["_id"] = {"$in": list(note_ids)}
        update = {"$set": {"wanted": wanted_document(wanted)}}
        await retry_until_answered(lambda: self._database[NOTES].update_many(query, update))

    async def want_as_kept(self, note_ids: Sequence[str] | None) -> None:
        """Want these notes, or all that are wanted, in the mode that is kept with each.

        Raises:
            StoreFailed: if the database does not answer.
        """
        for mode in ("full", "update"):
            query: Document = {"wanted.mode": {"$ne": None}, "arguments.mode": mode}
            if note_ids is not None:
                query["_id"] = {"$in": list(note_ids)}
            update = {"$set": {"wanted.mode": mode}}
            await retry_until_answered(lambda: self._database[NOTES].update_many(query, update))  # noqa: B023 (awaited here)

    async def enqueue_unfinished(self) -> int:
        """Queue every note that was begun and has not ended, to go on from its checkpoint.

        Raises:
            StoreFailed: if the database does not answer.
        """
        begun: Document = {"state": {"$in": ["running", "unfinished"]}}
        wanted: Document = {"state": "ended", "wanted.mode": {"$in": ["full", "update"]}}
        query = {"$or": [begun, wanted]}
        done = await retry_until_answered(
            lambda: self._database[NOTES].update_many(query, {"$set": {"state": "queued"}})
        )
        return done.modified_count

    async def known(self, note_ids: Sequence[str]) -> dict[str, Document]:
        """What the ledger has of these notes, :data:`LOOKUP` at most, by their IDs.

        Raises:
            StoreFailed: if the database does not answer.
        """
        found = await retry_until_answered(lambda: self._find({"_id": {"$in": list(note_ids)}}))
        return {note["_id"]: note for note in found}

    async def each(self, *, to_resume: bool) -> AsyncIterator[Document]:
        """Yield every note in the order of their IDs, or those that have not ended or are wanted.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query = _TO_RESUME if to_resume else {}
        async for batch in batches_by_id(lambda ids: self._find({**query, "_id": ids}), LOOKUP):
            for note in batch:
                yield note

    async def count(self, *, to_resume: bool) -> int:
        """Count the notes that :meth:`each` yields.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query = _TO_RESUME if to_resume else {}
        return await retry_until_answered(lambda: self._database[NOTES].count_documents(query))

    async def _find(self, query: Document) -> list[Document]:
        found = self._database[NOTES].find(query).sort("_id").limit(LOOKUP)
        return await found.to_list()

    async def notes(self, query: Document) -> AsyncIterator[Document]:
        """The notes that match ``query``, in the order of their IDs.

        Raises:
            StoreFailed: if the database does not answer.
        """
        try:
            async for note in self._database[NOTES].find(query).sort("_id"):
                yield note
        except PyMongoError as error:
            raise StoreFailed(f"the database does not answer: {describe(error)}") from None
