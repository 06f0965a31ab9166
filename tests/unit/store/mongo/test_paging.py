"""Batches in the order of IDs, and their last one."""

from __future__ import annotations

import pytest

from xhs.store.mongo.collections import Document
from xhs.store.mongo.paging import batches_by_id


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("full", "count", "expected", "queries"),
    [
        (1, 0, [], 1),
        (1, 3, [["0", "1"], ["2"]], 3),
        (2, 3, [["0", "1"], ["2"]], 2),
        (2, 4, [["0", "1"], ["2", "3"]], 3),
    ],
)
async def test_each_batch_continues_after_the_last_id(
    full: int, count: int, expected: list[list[str]], queries: int
) -> None:
    conditions: list[Document] = []

    async def fetch(ids: Document) -> list[Document]:
        conditions.append(ids)
        stored = [str(number) for number in range(count)]
        return [{"_id": key} for key in stored if key > ids["$gt"]][:2]

    read = [[note["_id"] for note in batch] async for batch in batches_by_id(fetch, full)]
    assert read == expected
    last_ids = ["", *(batch[-1] for batch in expected)]
    assert conditions == [{"$gt": last_id} for last_id in last_ids[:queries]]
