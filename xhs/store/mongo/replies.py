"""The threads of replies that the store knows of, and how far each is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from pymongo.asynchronous.database import AsyncDatabase

from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.replies import Thread, thread_document
from xhs.reasons import StopReason
from xhs.store.mongo.collections import COMMENTS, Document, Write, last_listed_field
from xhs.store.mongo.retrying import retry_until_answered

_BATCH = 500
_NEEDED = {"sub_comment_count": 1, "inline_replies": 1, "thread": 1, "extra.sub_comment_cursor": 1}


def thread_write(
    thread: Thread,
    began: datetime,
    *,
    cursor: str | None = None,
    stop_reason: StopReason | None = None,
) -> Write:
    """How far a thread is, kept with its comment; to be asked for once its replies are stored."""
    fields = thread_document(thread, began, cursor=cursor, stop_reason=stop_reason)
    return Write(COMMENTS, thread.comment_id, {"$set": {"thread": fields}})


class Threads:
    """First-level comments that have replies."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._comments = database[COMMENTS]

    async def answered(self, checkpoint: Checkpoint) -> AsyncIterator[list[Document]]:
        """The comments that a pass met and that have replies, some at a time, in the order of their
        IDs, with what it takes to follow their threads.

        Raises:
            StoreFailed: where the database does not answer.
        """
        after = ""
        query: Document = {
            "note_id": checkpoint.call.note_id,
            "parent_comment_id": None,
            "vanished_at": None,
            "sub_comment_count": {"$gt": 0},
            last_listed_field(checkpoint.call.sort): {"$gte": checkpoint.began},
        }
        while True:
            batch = {**query, "_id": {"$gt": after}}
            found = await retry_until_answered(
                lambda: self._comments.find(batch, _NEEDED).sort("_id").limit(_BATCH).to_list()  # noqa: B023 (awaited here)
            )
            if not found:
                return
            after = found[-1]["_id"]
            yield found
