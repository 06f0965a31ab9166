"""Queries of the collection ``note_history`` and of a store whose database is away."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from xhs.crawl.storage import StoreFailed
from xhs.store.mongo import retrying
from xhs.store.mongo.client import Store
from xhs.store.mongo.history import History

pytestmark = pytest.mark.anyio


class Away:
    """A collection that does not answer its first ``failures`` queries."""

    def __init__(self, failures: int) -> None:
        self._failures = failures

    async def distinct(self, field: str, query: dict[str, Any]) -> list[str]:
        self._fail()
        return ["latest"]

    async def count_documents(self, query: dict[str, Any]) -> int:
        self._fail()
        return 3

    def _fail(self) -> None:
        self._failures -= 1
        if self._failures >= 0:
            raise AutoReconnect("gone")


def database(failures: int) -> Any:
    collection = Away(failures)
    return defaultdict(lambda: collection)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_FIRST_WAIT", 0.001)


async def test_an_order_is_asked_for_again_until_the_database_answers() -> None:
    assert await History(database(2)).orders("note") == {"latest"}


async def test_documents_are_counted_again_until_the_database_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store("mongodb://127.0.0.1/", "xhs")
    monkeypatch.setattr(store, "_database", database(2), raising=False)
    assert await store.count("comments") == 3


async def test_a_database_that_stays_away_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_limit_seconds", 0.01)
    with pytest.raises(StoreFailed, match="has not answered"):
        await History(database(10**9)).orders("note")
