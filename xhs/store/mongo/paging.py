"""Batches of documents in the order of their IDs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from xhs.store.mongo.collections import Document
from xhs.store.mongo.retrying import retry_until_answered


async def batches_by_id(
    fetch: Callable[[Document], Awaitable[list[Document]]], full: int = 1
) -> AsyncIterator[list[Document]]:
    """Yield the batches that ``fetch`` returns, each after the last ID of the one before.

    ``fetch`` receives a condition on ``_id`` and returns the next documents, sorted by ``_id``.
    A batch with fewer than ``full`` documents is the last one.

    Raises:
        StoreFailed: if the database does not answer.
    """
    after = ""
    while True:
        batch = await retry_until_answered(lambda: fetch({"$gt": after}))  # noqa: B023 (awaited here)
        if batch:
            yield batch
        if len(batch) < full:
            return
        after = batch[-1]["_id"]
