"""The objects that were no valid items, as they were kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pymongo.asynchronous.database import AsyncDatabase

from xhs.store.mongo.collections import REJECTED, Document
from xhs.store.mongo.retrying import retry_until_answered

_BATCH = 100


class Rejected:
    """The collection ``rejected``."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._collection = database[REJECTED]

    async def batches(self) -> AsyncIterator[list[Document]]:
        """All of them, some at a time, in the order of their IDs.

        Raises:
            StoreFailed: where the database does not answer.
        """
        after = ""
        while found := await self._after(after):
            yield found
            after = found[-1]["_id"]

    async def remove(self, ids: Sequence[str]) -> None:
        """Remove those that are stored as items now.

        Raises:
            StoreFailed: where the database does not answer.
        """
        await retry_until_answered(
            lambda: self._collection.delete_many({"_id": {"$in": list(ids)}})
        )

    async def _after(self, after: str) -> list[Document]:
        return await retry_until_answered(
            lambda: (
                self._collection.find({"_id": {"$gt": after}}).sort("_id").limit(_BATCH).to_list()
            )
        )
