"""The ledger: one document per note with its progress and how it ended."""

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
from xhs.crawl.storage import NOTES_PER_QUERY, NoteRecord, StoredCounts, StoreFailed
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


def read_note(document: Document, now: datetime) -> NoteRecord:
    """Read a document of the ledger, ignoring fields of the wrong type.

    ``now`` is used as the start of a pass whose start the document lacks.
    """
    note_id = document["_id"]
    state, author_id = document.get("state"), document.get("user_id")
    return NoteRecord(
        note_id,
        state if isinstance(state, str) else None,
        read_reason(document.get("stop_reason")),
        _texts(document.get("arguments"), NOTE_ARGUMENTS),
        read_checkpoint(note_id, document.get("checkpoint"), now),
        read_wanted(document.get("wanted")),
        read_watermark(document.get("watermark")),
        _count(document.get("pages")) or 0,
        author_id if isinstance(author_id, str) else None,
        _count(document.get("comment_count")),
        _count(document.get("comment_count_l1")),
    )


def read_checkpoint(note_id: str, document: Any, now: datetime) -> Checkpoint | None:
    """Read a stored checkpoint; None if there is none, or it is malformed."""
    if not isinstance(document, Mapping):
        return None
    cursor, sort, version, began = (
        document.get(name) for name in ("cursor", "sort", "version", "began")
    )
    if not isinstance(sort, str) or not isinstance(version, str):
        return None
    if not isinstance(cursor, str | None):
        return None
    stop, mode = read_reason(document.get("stop_reason")), document.get("mode")
    return Checkpoint(
        PageRef(note_id, cursor, sort),
        version,
        mode if mode == "update" else "full",
        began if isinstance(began, datetime) else now,
        read_watermark(document.get("watermark")),
        _count(document.get("kept")) or 0,
        _count(document.get("calls")) or 0,
        pass_arguments(_texts(document.get("arguments"), PASS_ARGUMENTS)),
        stop if stop and stop.ended else None,
    )


def read_wanted(document: Any) -> Wanted | None:
    """Read a stored wanted pass; None if there is none, or it is malformed."""
    if not isinstance(document, Mapping) or document.get("mode") not in ("full", "update"):
        return None
    return Wanted(document["mode"], _texts(document.get("arguments"), (*PASS_ARGUMENTS, "sort")))


def read_watermark(document: Any) -> Watermark | None:
    """Read a stored watermark; None if there is none, or it is malformed."""
    if not isinstance(document, Mapping):
        return None
    ids, newest = document.get("comment_ids"), document.get("newest")
    if not isinstance(ids, list) or not isinstance(newest, datetime | None):
        return None
    return Watermark(
        frozenset(comment_id for comment_id in ids if isinstance(comment_id, str)),
        newest,
        document.get("complete") is True,
    )


def _texts(value: Any, names: Collection[str]) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {name: str(text) for name, text in value.items() if name in names}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def add_note(note_id: str, wanted: Wanted, now: datetime) -> Write:
    """Return the write that queues a note before its first call.

    A note that the ledger already has stays unchanged: only an answer changes it.
    """
    new_fields = {
        "note_id": note_id,
        "state": "queued",
        "wanted": wanted_document(wanted),
        "complete": False,
        "billed_calls": 0,
    }
    update = {"$setOnInsert": new_fields, "$min": {"first_seen_at": now}}
    return Write(NOTES, note_id, update)


def save_checkpoint(
    note_id: str, fields: Mapping[str, Any], checkpoint: Checkpoint, calls: int, now: datetime
) -> Write:
    """Return the write for a stored page: the note's fields and the checkpoint of its pass.

    It clears ``wanted``: the pass has begun. ``calls``: billed calls not yet in the ledger.
    """
    # Set the state every time: another run may have ended the note meanwhile.
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
    """Return the write for a ``NoteItem``: the note has ended, or is left at its checkpoint.

    ``watermark``: where the next update may stop; None keeps the stored one. ``wanted``: the next
    pass, if this one has ended.
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
    """Return the write that leaves a note at its checkpoint, since the crawl stops."""
    update = {"state": "unfinished", "stop_reason": StopReason.INTERRUPTED.value, "complete": False}
    if checkpoint.is_storable:
        update["checkpoint"] = checkpoint_document(checkpoint)
    return _booking(checkpoint.next_page.note_id, calls, {"$set": update})


def book_calls(note_id: str, calls: int) -> Write:
    """Return the write that books calls outside a crawl of the note; its progress is unchanged."""
    new_fields = {
        "note_id": note_id,
        "state": "unfinished",
        "stop_reason": StopReason.INTERRUPTED.value,
        "complete": False,
    }
    return _booking(note_id, calls, {"$setOnInsert": new_fields})


def leave_unchanged(note_id: str, calls: int, is_wanted: bool) -> Write:
    """Return the write for a pass without a page: the note's state is unchanged."""
    return _booking(note_id, calls, {} if is_wanted else {"$set": {"wanted": None}})


def _booking(note_id: str, calls: int, update: Document) -> Write:
    """Return a write that books calls once, even if it is repeated."""
    booked = {**update, "$inc": {"billed_calls": calls}}
    if not calls:
        return Write(NOTES, note_id, booked)
    once = uuid4().hex
    booked["$set"] = {**update.get("$set", {}), "last_write": once}
    return Write(NOTES, note_id, booked, once=once)


def _one_if(field: str, since: datetime) -> Document:
    return {"$cond": [{"$gte": [f"${field}", since]}, 1, 0]}


class Ledger:
    """The collection ``notes``, and counts of a note's stored comments."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._database = database

    async def counts(
        self, note_id: str, sort: str = "", began: datetime | None = None
    ) -> StoredCounts:
        """Count a note's stored comments and replies, without those that have vanished.

        The counts of new and listed comments refer to the pass in this order that began at
        ``began``; without it, they are 0.

        Raises:
            StoreFailed: if the database does not answer.
        """
        return await retry_until_answered(lambda: self._counts(note_id, sort, began))

    async def _counts(self, note_id: str, sort: str, began: datetime | None) -> StoredCounts:
        is_reply = {"$ne": [{"$ifNull": ["$parent_comment_id", None]}, None]}
        comment: Document = {"comments": 1, "replies_reported": "$sub_comment_count"}
        reply: Document = {"replies": 1}
        if began is not None:
            comment["comments_new"] = _one_if("first_seen_at", began)
            comment["comments_listed"] = _one_if(last_listed_field(sort), began)
            reply["replies_new"] = _one_if("first_seen_at", began)
        of_thread = {
            **{name: {"$sum": {"$cond": [is_reply, 0, value]}} for name, value in comment.items()},
            **{name: {"$sum": {"$cond": [is_reply, value, 0]}} for name, value in reply.items()},
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
        groups = await cursor.to_list()
        counts = groups[0] if groups else {"comments": 0, "replies": 0}
        return StoredCounts(**{name: int(count) for name, count in counts.items() if name != "_id"})

    async def update_counts(self, note: Document) -> None:
        """Replace the counts in a note's document by the current ones, unless its end has them.

        Raises:
            StoreFailed: if the database does not answer.
        """
        if note.get("state") != "ended" or note.get("replies_missing") is None:
            counts = await self.counts(note["_id"])
            note.update(counts.fields(_count(note.get("comment_count_l1"))))

    async def count_since(self, note_id: str, since: datetime) -> int:
        """Count a note's stored first-level comments created at ``since`` or later.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query = {"note_id": note_id, "parent_comment_id": None, "created_at": {"$gte": since}}
        return await retry_until_answered(lambda: self._database[COMMENTS].count_documents(query))

    async def enqueue(self, note_ids: Sequence[str], arguments: Mapping[str, str]) -> int:
        """Queue at most :data:`NOTES_PER_QUERY` notes and store ``arguments`` with them.

        A note that has ended is queued again, and its arguments are replaced. A note that is
        queued, running or unfinished keeps its state, and its arguments if none are given.

        Return the number of notes queued.

        Raises:
            StoreFailed: if the database does not answer.
        """
        now = datetime.now(UTC)
        given = {"arguments": dict(arguments), "wanted": None} if arguments else {}
        notes = self._database[NOTES]
        ids = {"_id": {"$in": list(note_ids)}}

        async def write() -> int:
            stored_ids = await notes.distinct("_id", ids)
            ended = await notes.update_many(
                {**ids, "state": {"$nin": _STATES_NOT_ENDED}},
                {"$set": {"state": "queued", "arguments": dict(arguments), "wanted": None}},
            )
            await notes.bulk_write(
                [
                    UpdateOne(
                        {"_id": note_id},
                        {
                            "$set": {"note_id": note_id, **given},
                            "$setOnInsert": {"state": "queued", "first_seen_at": now},
                        },
                        upsert=True,
                    )
                    for note_id in note_ids
                ],
                ordered=False,
            )
            return ended.modified_count + len(set(note_ids) - set(stored_ids))

        return await retry_until_answered(write)

    async def mark_wanted(self, note_ids: Sequence[str] | None, wanted: Wanted | None) -> None:
        """Set the pass that a crawl is about to do on these notes, or on all; None clears it.

        It is stored beside the notes' state: if the crawl stops before a note's first page,
        ``mode=resume`` does this pass. Notes with a checkpoint are left out: they resume from it.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query: Document = {"checkpoint": None}
        if note_ids is not None:
            query["_id"] = {"$in": list(note_ids)}
        update = {"$set": {"wanted": wanted_document(wanted)}}
        await retry_until_answered(lambda: self._database[NOTES].update_many(query, update))

    async def set_wanted_to_kept_mode(self, note_ids: Sequence[str] | None) -> None:
        """Replace the mode of the wanted passes of these notes, or of all, by the notes' own modes.

        A note's own mode is the ``mode`` in its stored arguments.

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
        """Queue every note whose pass has begun or is wanted, but has not ended.

        A crawl then continues from their checkpoints. Return the number of notes queued.

        Raises:
            StoreFailed: if the database does not answer.
        """
        begun: Document = {"state": {"$in": ["running", "unfinished"]}}
        wanted: Document = {"state": "ended", "wanted.mode": {"$in": ["full", "update"]}}
        query = {"$or": [begun, wanted]}
        result = await retry_until_answered(
            lambda: self._database[NOTES].update_many(query, {"$set": {"state": "queued"}})
        )
        return result.modified_count

    async def documents(self, note_ids: Sequence[str]) -> dict[str, Document]:
        """Return the documents of at most :data:`NOTES_PER_QUERY` notes, by note ID.

        Raises:
            StoreFailed: if the database does not answer.
        """
        notes = await retry_until_answered(lambda: self._find({"_id": {"$in": list(note_ids)}}))
        return {note["_id"]: note for note in notes}

    async def each(self, *, to_resume: bool) -> AsyncIterator[Document]:
        """Yield every note in the order of their IDs, or those that have not ended or are wanted.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query = _TO_RESUME if to_resume else {}
        async for batch in batches_by_id(
            lambda ids: self._find({**query, "_id": ids}), NOTES_PER_QUERY
        ):
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
        return await self._database[NOTES].find(query).sort("_id").limit(NOTES_PER_QUERY).to_list()

    async def notes(self, query: Document) -> AsyncIterator[Document]:
        """Yield the notes that match ``query`` in the order of their IDs, without retries.

        Raises:
            StoreFailed: if the database does not answer.
        """
        try:
            async for note in self._database[NOTES].find(query).sort("_id"):
                yield note
        except PyMongoError as error:
            raise StoreFailed(f"the database does not answer: {describe(error)}") from None
