"""What came of each pass: one document a note and pass, and what follows for comments not met."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from xhs.api.values import iso
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
from xhs.store.mongo.retrying import retry_until_answered

_OF_THE_ITEM = (
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
    """The document of a pass that has ended as the ``NoteItem`` says; without ``held`` where that
    cannot be known.
    """
    fields = {
        **{name: item[name] for name in _OF_THE_ITEM},
        **(pass_counts(held, item["comment_count_l1"]) if held else {}),
        "mode": checkpoint.mode,
        "began_at": checkpoint.began,
        "ended_at": now,
        "billed_calls": checkpoint.calls,
    }
    return Write(HISTORY, _key(item["note_id"], checkpoint.began), {"$set": fields})


def pass_counts(held: StoredCounts, reported: int | None) -> Document:
    """What a pass's document says of what is stored."""
    return {
        **held.fields(reported),
        "comments_met": held.comments_met,
        "comments_new": held.comments_new,
        "replies_new": held.replies_new,
    }


def _missed(ended: Mapping[str, Any]) -> int | None:
    """How many first-level comments a pass has not met of those that were reported to it."""
    reported, met = ended.get("comment_count_l1"), ended.get("comments_met")
    return reported - met if isinstance(reported, int) and isinstance(met, int) else None


def _key(note_id: str, began: datetime) -> str:
    return f"{note_id}/{iso(began)}"


class History:
    """The collection ``note_history``, and the comments that a pass did not meet."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._database = database

    async def orders(self, note_id: str) -> set[str]:
        """The orders in which a note has been read to its end."""
        query = {"note_id": note_id, "stop_reason": "complete"}
        return set(await self._database[HISTORY].distinct("sort", query))

    async def usual_calls(self, note_id: str | None = None) -> float | None:
        """What it has cost on the average to update a note; without a note, to read one whole.
        None where there is no telling yet.

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
        """The last pass that read a note to its end in this order.

        Raises:
            StoreFailed: if the database does not answer.
        """
        return await retry_until_answered(lambda: self._last_whole(note_id, sort, {}))

    async def _average_calls(self, stages: list[Document]) -> float | None:
        cursor = await self._database[HISTORY].aggregate(
            [*stages, {"$group": {"_id": None, "calls": {"$avg": "$billed_calls"}}}]
        )
        found = await cursor.to_list()
        return float(found[0]["calls"]) if found else None

    async def mark_vanished(
        self, checkpoint: Checkpoint, reported: int | None, now: datetime
    ) -> int:
        """Mark the first-level comments that a full pass has not met, where it was ``complete``.

        It is an inference. A pass may miss comments that are there, so it says something of a
        comment only where it misses no more than the last pass that met that comment. Of a pass
        that was not complete itself that cannot be told; there the last one before that was counts,
        or none missing where there is none.

        Returns how many were marked.

        Raises:
            StoreFailed: if the database does not answer.
        """
        if reported is None:
            return 0
        return await retry_until_answered(lambda: self._mark_vanished(checkpoint, reported, now))

    async def _mark_vanished(self, checkpoint: Checkpoint, reported: int, now: datetime) -> int:
        note_id, sort, began = (
            checkpoint.next_page.note_id,
            checkpoint.next_page.sort,
            checkpoint.began,
        )
        comments, met = self._database[COMMENTS], last_listed_field(sort)
        first_level: Document = {"note_id": note_id, "parent_comment_id": None}
        not_met = {
            **first_level,
            "vanished_at": None,
            met: {"$lt": began},
            "last_seen_at": {"$lt": began},
        }
        passes = await comments.distinct(met, not_met)
        if not passes:
            return 0
        not_met["_id"] = {"$nin": await self._rejected_since(note_id, began)}
        missing = reported - await comments.count_documents({**first_level, met: {"$gte": began}})
        marked = 0
        for earlier in passes:
            if missing <= await self._missed_before(note_id, sort, earlier, began):
                which = {**not_met, met: earlier}
                done = await comments.update_many(which, {"$set": {"vanished_at": now}})
                marked += done.modified_count
        return marked

    async def _rejected_since(self, note_id: str, began: datetime) -> list[str]:
        """The IDs of comments that came and were not valid: they are there all the same."""
        query = {"note_id": note_id, "kind": "comment", "last_seen_at": {"$gte": began}}
        found = []
        async for document in self._database[REJECTED].find(query, {"raw": 1}):
            raw = json.loads(document["raw"])
            if isinstance(raw, dict) and isinstance(raw.get("id"), str):
                found.append(raw["id"])
        return found

    async def _missed_before(
        self, note_id: str, sort: str, earlier: datetime, began: datetime
    ) -> int:
        """How many comments may be missing for one that this earlier pass met to have vanished."""
        found = await self._last_whole(note_id, sort, {"_id": _key(note_id, earlier)})
        if found is None:
            found = await self._last_whole(note_id, sort, {"began_at": {"$lt": began}})
        return max(0, _missed(found or {}) or 0)

    async def _last_whole(self, note_id: str, sort: str, which: Document) -> Document | None:
        return await self._database[HISTORY].find_one(
            {"note_id": note_id, "sort": sort, "stop_reason": "complete", **which},
            sort=[("began_at", -1)],
        )
