"""Threads of replies and their progress, stored with their first-level comments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from pymongo.asynchronous.database import AsyncDatabase

from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.replies import AnsweredComment, Thread
from xhs.reasons import StopReason, read_reason
from xhs.store.mongo.collections import COMMENTS, Document, Write, last_listed_field
from xhs.store.mongo.paging import batches_by_id

_BATCH = 500
_FIELDS = {"sub_comment_count": 1, "inline_replies": 1, "thread": 1, "extra.sub_comment_cursor": 1}


def thread_write(
    thread: Thread,
    began: datetime,
    *,
    cursor: str | None = None,
    stop_reason: StopReason | None = None,
) -> Write:
    """Return the write for a thread's progress in the pass that began at ``began``.

    It updates the thread's first-level comment. Put it after the thread's replies are stored.
    """
    fields = {
        "began": began,
        "followed": thread.reported if stop_reason else None,
        "cursor": cursor,
        "stop_reason": stop_reason,
    }
    return Write(COMMENTS, thread.comment_id, {"$set": {"thread": fields}})


def read_answered(document: Document) -> AnsweredComment:
    """Read the fields of a comment that are needed to follow its thread."""
    thread, extra = document.get("thread"), document.get("extra")
    thread = thread if isinstance(thread, Mapping) else {}
    return AnsweredComment(
        document["_id"],
        document.get("sub_comment_count"),
        document.get("inline_replies") or 0,
        extra.get("sub_comment_cursor") if isinstance(extra, Mapping) else None,
        thread.get("began"),
        thread.get("followed"),
        read_reason(thread.get("stop_reason")),
        thread.get("cursor"),
    )


class Threads:
    """First-level comments that have replies."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._comments = database[COMMENTS]

    async def answered(self, checkpoint: Checkpoint) -> AsyncIterator[list[AnsweredComment]]:
        """Yield batches of the comments with replies that a pass has listed, by ID.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query: Document = {
            "note_id": checkpoint.next_page.note_id,
            "parent_comment_id": None,
            "vanished_at": None,
            "sub_comment_count": {"$gt": 0},
            last_listed_field(checkpoint.next_page.sort): {"$gte": checkpoint.began},
        }

        async def fetch(ids: Document) -> list[Document]:
            cursor = self._comments.find({**query, "_id": ids}, _FIELDS).sort("_id").limit(_BATCH)
            return await cursor.to_list()

        async for batch in batches_by_id(fetch):
            yield [read_answered(comment) for comment in batch]
