"""The store on a real server: its indexes and the merging of documents."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from support.crawl import database

from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import item_write

if TYPE_CHECKING:
    from support.crawl import Document, Project

OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def user(scraped_at: str, **fields: Any) -> dict[str, Any]:
    given = {"nickname": None, "avatar_url": None, **fields}
    return {"item_type": "user", "user_id": "u1", "scraped_at": scraped_at, **given}


def written(project: Project, *items: dict[str, Any]) -> tuple[list[bool | None], Document]:
    """Write these items in turn; return whether each was new, and the final document."""

    async def write() -> list[bool | None]:
        async with Store(project.uri, project.name) as store:
            return [await store.writer.put(item_write(item)) for item in items]

    return asyncio.run(write()), project.documents("users")["u1"]


def test_a_newer_answer_overwrites_and_its_nulls_do_not(project: Project) -> None:
    new, document = written(
        project, user(OLD, nickname="a", avatar_url="x"), user(NEW, nickname="b", avatar_url=None)
    )
    assert new == [True, False]
    assert (document["nickname"], document["avatar_url"]) == ("b", "x")
    assert document["first_seen_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert document["last_seen_at"] == datetime(2026, 2, 1, tzinfo=UTC)


def test_an_older_answer_tells_only_that_it_was_seen_before(project: Project) -> None:
    new, document = written(project, user(NEW, nickname="b"), user(OLD, nickname="a"))
    assert new == [True, False]
    assert document["nickname"] == "b"
    assert document["scraped_at"] == document["last_seen_at"] == datetime(2026, 2, 1, tzinfo=UTC)
    assert document["first_seen_at"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_new_document_has_every_field(project: Project) -> None:
    _, document = written(project, user(NEW))
    assert document["nickname"] is None
    assert not {"item_type", "is_new"} & set(document)


def test_indexes_are_there_once_it_is_open(project: Project) -> None:
    written(project, user(NEW))
    with database(project.uri, project.name) as found:
        keys = {
            name: [list(index["key"]) for index in found[name].index_information().values()]
            for name in ("comments", "notes", "rejected")
        }
    first_fields = {name: {index[0][0] for index in indexes} for name, indexes in keys.items()}
    assert first_fields == {
        "comments": {"_id", "note_id", "user_id", "last_seen_at"},
        "notes": {"_id", "state", "wanted.mode", "last_seen_at"},
        "rejected": {"_id", "note_id", "last_seen_at"},
    }


def test_large_rejected_objects_are_not_all_read_at_once(project: Project) -> None:
    with database(project.uri, project.name) as found:
        for serial in range(5):
            found["rejected"].insert_one({"_id": f"{serial}", "raw": "x" * 5_000_000})
        found["rejected"].insert_many([{"_id": f"{serial}"} for serial in range(5, 8)])

    async def read() -> list[list[str]]:
        async with Store(project.uri, project.name) as store:
            batches = store.rejected.batches()
            return [[document["_id"] for document in batch] async for batch in batches]

    assert asyncio.run(read()) == [["0", "1"], ["2", "3"], ["4", "5", "6", "7"]]
