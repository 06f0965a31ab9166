"""Results of passes, one document per note and pass, and the comments that a pass did not list."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from xhs.api.values import format_time
from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.storage import StoredCounts
from xhs.store.mongo.collections import (
    COMMENTS,
    HISTORY,
    REJECTED,
    Document,
    Write,
    last_listed_field,
)
from xhs.store.mongo.paging import batches_by_id
from xhs.store.mongo.retrying import retry_until_answered

_BATCH = 500
_ITEM_FIELDS = (
    "note_id",
    "sort",
    "stop_reason",
    "complete",
    "pages",
    "comment_count",
    "comment_count_l1",
)


def pass_ended(
    item: Mapping[str, Any], held: StoredCounts | None, checkpoint: Checkpoint, now: datetime
) -> Write:
    """Return the write for a pass that ended with this ``NoteItem``.

    ``held`` is None if the stored comments could not be counted.
    """
    fields = {
        **{name: item[name] for name in _ITEM_FIELDS},
        **(pass_counts(held, item["comment_count_l1"]) if held else {}),
        "mode": checkpoint.mode,
        "began_at": checkpoint.began,
        "ended_at": now,
        "billed_calls": checkpoint.calls,
    }
    return Write(HISTORY, _key(item["note_id"], checkpoint.began), {"$set": fields})


def pass_counts(held: StoredCounts, reported: int | None) -> Document:
    """Return the counts of stored comments and replies for a pass's document."""
    return {
        **held.fields(reported),
        "comments_listed": held.comments_listed,
        "comments_new": held.comments_new,
        "replies_new": held.replies_new,
    }


def _missed(document: Mapping[str, Any]) -> int | None:
    """Return how many of the reported first-level comments a pass did not list."""
    reported, listed = document.get("comment_count_l1"), document.get("comments_listed")
    return reported - listed if isinstance(reported, int) and isinstance(listed, int) else None


def _key(note_id: str, began: datetime) -> str:
    return f"{note_id}/{format_time(began)}"


class History:
    """The collection ``note_history``, and the comments that a pass did not list."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._database = database

    async def orders(self, note_id: str) -> set[str]:
        """Return the sort orders in which a pass over a note was complete.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query = {"note_id": note_id, "stop_reason": "complete"}
        history = self._database[HISTORY]
        return set(await retry_until_answered(lambda: history.distinct("sort", query)))

    async def batches(self, query: Document) -> AsyncIterator[list[Document]]:
        """Yield the passes that match in batches, by note and start.

        Raises:
            StoreFailed: if the database does not answer.
        """
        history = self._database[HISTORY]

        async def fetch(ids: Document) -> list[Document]:
            return await history.find({**query, "_id": ids}).sort("_id").limit(_BATCH).to_list()

        async for batch in batches_by_id(fetch, _BATCH):
            yield batch

    async def usual_calls(self, note_id: str | None = None) -> float | None:
        """Return the average billed calls of a note's updates, or None if it had none.

        Without a note, return the average over all notes of each one's most expensive complete
        pass, or None if there was none.

        Raises:
            StoreFailed: if the database does not answer.
        """
        if note_id is None:
            stages: list[Document] = [
                {"$match": {"stop_reason": "complete"}},
                {"$group": {"_id": "$note_id", "billed_calls": {"$max": "$billed_calls"}}},
            ]
        else:
            stages = [{"$match": {"note_id": note_id, "stop_reason": "up_to_date"}}]
        return await retry_until_answered(lambda: self._average_calls(stages))

    async def last_whole(self, note_id: str, sort: str) -> Document | None:
        """Return the last complete pass over a note in this order.

        Raises:
            StoreFailed: if the database does not answer.
        """
        return await retry_until_answered(lambda: self._last_whole(note_id, sort, {}))

    async def _average_calls(self, stages: list[Document]) -> float | None:
        cursor = await self._database[HISTORY].aggregate(
            [*stages, {"$group": {"_id": None, "calls": {"$avg": "$billed_calls"}}}]
        )
        averages = await cursor.to_list()
        return float(averages[0]["calls"]) if averages else None

    async def mark_vanished(
        self, checkpoint: Checkpoint, reported: int | None, now: datetime
    ) -> int:
        """Mark as vanished the first-level comments that a complete full pass did not list.

        This is an inference: a pass may miss comments that exist. So a comment is marked only if
        this pass missed no more comments than the last pass that listed the comment. If that pass
        was not complete, its number of missed comments is unknown: the last complete pass before
        this one is used instead, or zero if there is none.

        Return the number of comments marked.

        Raises:
            StoreFailed: if the database does not answer.
        """
        if reported is None:
            return 0
        return await retry_until_answered(lambda: self._mark_vanished(checkpoint, reported, now))

    async def _mark_vanished(self, checkpoint: Checkpoint, reported: int, now: datetime) -> int:
        note_id, sort = checkpoint.next_page.note_id, checkpoint.next_page.sort
        comments, began = self._database[COMMENTS], checkpoint.began
        last_listed = last_listed_field(sort)
        first_level: Document = {"note_id": note_id, "parent_comment_id": None}
        not_listed = {
            **first_level,
            "vanished_at": None,
            last_listed: {"$lt": began},
            "last_seen_at": {"$lt": began},
        }
        passes = await comments.distinct(last_listed, not_listed)
        if not passes:
            return 0
        not_listed["_id"] = {"$nin": await self._rejected_since(note_id, began)}
        listed = await comments.count_documents({**first_level, last_listed: {"$gte": began}})
        marked = 0
        for earlier in passes:
            if reported - listed <= await self._missed_before(note_id, sort, earlier, began):
                query = {**not_listed, last_listed: earlier}
                result = await comments.update_many(query, {"$set": {"vanished_at": now}})
                marked += result.modified_count
        return marked

    async def _rejected_since(self, note_id: str, began: datetime) -> list[str]:
        """Return the IDs of comments that were listed but invalid: they have not vanished.

        A rejected object that no crawl has written, and that is unreadable, names no comment.
        """
        query = {"note_id": note_id, "kind": "comment", "last_seen_at": {"$gte": began}}
        ids = []
        async for document in self._database[REJECTED].find(query, {"raw": 1}):
            try:
                raw = json.loads(document["raw"])
            except (KeyError, TypeError, ValueError):
                continue
            if isinstance(raw, dict) and isinstance(raw.get("id"), str):
                ids.append(raw["id"])
        return ids

    async def _missed_before(
        self, note_id: str, sort: str, earlier: datetime, began: datetime
    ) -> int:
        """Return how many comments the pass that began at ``earlier`` missed.

        If that pass was not complete, use the last complete pass before ``began``, or return 0.
        """
        document = await self._last_whole(note_id, sort, {"_id": _key(note_id, earlier)})
        if document is None:
            document = await self._last_whole(note_id, sort, {"began_at": {"$lt": began}})
        return max(0, _missed(document or {}) or 0)

    async def _last_whole(self, note_id: str, sort: str, condition: Document) -> Document | None:
        return await self._database[HISTORY].find_one(
            {"note_id": note_id, "sort": sort, "stop_reason": "complete", **condition},
            sort=[("began_at", -1)],
        )
