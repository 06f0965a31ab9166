"""The collection ``rejected``: objects of the API that were not valid items."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from pymongo.asynchronous.database import AsyncDatabase

from xhs.crawl.storage import Problem, Provenance
from xhs.store.mongo.collections import REJECTED, Document, Write, as_date
from xhs.store.mongo.paging import batches_by_id
from xhs.store.mongo.retrying import retry_until_answered

_BATCH = 100
_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of objects after which a batch is full: one object may have 16 MB."""


def rejected_write(
    kind: str, origin: Provenance, problems: Sequence[Problem], rejected_at: datetime
) -> Write:
    """Return the write that stores an invalid object in full."""
    raw = json.dumps(origin.raw, sort_keys=True)
    digest = hashlib.sha256("\n".join((origin.note_id, kind, raw)).encode()).hexdigest()
    fields = {
        "kind": kind,
        "note_id": origin.note_id,
        "page": origin.page,
        "raw": raw,
        "author_id": origin.author_id,
        "parent_comment_id": origin.parent_comment_id,
        "scraped_at": as_date(origin.scraped_at),
        "errors": [{"path": problem.path, "message": problem.message} for problem in problems],
    }
    return Write(
        REJECTED,
        digest,
        {
            "$set": fields,
            "$min": {"first_seen_at": rejected_at},
            "$max": {"last_seen_at": rejected_at},
        },
    )


class Rejected:
    """The collection ``rejected``."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._collection = database[REJECTED]

    async def batches(self) -> AsyncIterator[list[Document]]:
        """Yield all documents in batches, in the order of their IDs.

        Raises:
            StoreFailed: if the database does not answer.
        """
        async for batch in batches_by_id(self._fetch):
            yield batch

    async def count_comments(self, note_id: str) -> int:
        """Return how many comments and replies of a note are rejected.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query = {"note_id": note_id, "kind": "comment"}
        return await retry_until_answered(lambda: self._collection.count_documents(query))

    async def remove(self, ids: Sequence[str]) -> None:
        """Remove documents whose objects have been stored as items.

        Raises:
            StoreFailed: if the database does not answer.
        """
        await retry_until_answered(
            lambda: self._collection.delete_many({"_id": {"$in": list(ids)}})
        )

    async def _fetch(self, ids: Document) -> list[Document]:
        batch: list[Document] = []
        size = 0
        async with self._collection.find({"_id": ids}).sort("_id").limit(_BATCH) as cursor:
            async for document in cursor:
                batch.append(document)
                size += len(str(document.get("raw")))
                if size >= _BATCH_BYTES:
                    break
        return batch
