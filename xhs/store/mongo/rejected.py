"""The collection of objects that were not valid items."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pymongo.asynchronous.database import AsyncDatabase

from xhs.store.mongo.collections import REJECTED, Document
from xhs.store.mongo.paging import batches_by_id
from xhs.store.mongo.retrying import retry_until_answered

_BATCH = 100
_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of objects after which a batch is full: one object may have 16 MB."""


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
