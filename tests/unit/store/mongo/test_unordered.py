"""Comments read once, in no order: a database that fails is a store that fails."""

from __future__ import annotations

from typing import Any, Self

import pytest
from pymongo.errors import AutoReconnect

from xhs.crawl.storage import StoreFailed
from xhs.store.mongo.joined import Joined, Selection

pytestmark = pytest.mark.anyio


class Failing:
    """A database whose cursors fail after some documents; it keeps the queries."""

    def __init__(self, documents: int) -> None:
        self._documents = documents
        self.queries: list[dict[str, Any]] = []

    def __getitem__(self, collection: str) -> Self:
        return self

    def find(self, query: dict[str, Any], fields: dict[str, int]) -> Self:
        self.queries.append(query)
        return self

    def batch_size(self, size: int) -> Self:
        return self

    async def to_list(self, length: int) -> list[dict[str, Any]]:
        if self._documents:
            self._documents -= 1
            return [{"_id": self._documents}]
        raise AutoReconnect("mongodb://user:secret@host")


async def test_a_failing_cursor_is_a_failing_store_and_says_no_address() -> None:
    joined: Any = Joined(Failing(3))  # type: ignore[arg-type]
    with pytest.raises(StoreFailed) as raised:
        async for _ in joined.unordered(Selection(), ["content"]):
            pass
    assert "AutoReconnect" in str(raised.value)
    assert "secret" not in str(raised.value)


async def test_many_notes_are_asked_for_in_parts() -> None:
    database = Failing(0)
    notes = [f"n{number}" for number in range(1200)]
    with pytest.raises(StoreFailed):
        async for _ in Joined(database).unordered(Selection(notes, min_likes=1), ["content"]):  # type: ignore[arg-type]
            pass
    [query] = database.queries
    assert query == {"like_count": {"$gte": 1}, "note_id": {"$in": notes[:500]}}
