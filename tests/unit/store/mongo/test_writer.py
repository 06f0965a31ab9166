"""Group commit: order, merging and failure, with a fake database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import InsertOne, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure

from xhs.crawl.storage import StoreFailed, Unstorable
from xhs.store.mongo.collections import COMMENTS, USERS, Write
from xhs.store.mongo.writer import Writer
from xhs.store.spill.files import Spill, SpillReader, decode

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = {"$min": {"first_seen_at": NOW}, "$max": {"last_seen_at": NOW, "last_listed_latest": NOW}}


class Result:
    def __init__(self, count: int, matched: int) -> None:
        self.upserted_ids = {index: index for index in range(count)}
        self.matched_count = matched


def key(operation: InsertOne[Any] | UpdateOne) -> str:
    document = operation._doc if isinstance(operation, InsertOne) else operation._filter
    return str(document["_id"])


class Collection:
    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name

    async def bulk_write(self, operations: list[Any], ordered: bool) -> Result:
        for _ in range(self._database.turns.get(self._name, 1)):
            await asyncio.sleep(0)
        self._database.bulks.append((self._name, [key(op) for op in operations]))
        if self._database.refused_key in [key(op) for op in operations]:
            raise OperationFailure("one of them", code=15)
        if self._database.answers:
            answer = self._database.answers.pop(0)
            if isinstance(answer, Exception):
                self._database.operations += operations
                raise answer
        self._database.operations += operations
        matched = self._database.matched
        return Result(len(operations), len(operations) if matched is None else matched)


class Database:
    """Answers bulks with ``answers`` in order: an exception is raised, None is a success.

    ``turns``: the turns of the event loop that a collection's bulks take, 1 by default.
    """

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.turns: dict[str, int] = {}
        self.bulks: list[tuple[str, list[str]]] = []
        self.operations: list[Any] = []
        self.matched: int | None = None
        self.refused_key: str | None = None

    def __getitem__(self, name: str) -> Collection:
        return Collection(self, name)


def write(key: str, value: object = 1, collection: str = COMMENTS) -> Write:
    return Write(collection, key, {"$set": {"value": value}, **TIMES}, NOW)


def refused(*entries: tuple[int, int]) -> BulkWriteError:
    errors = [{"index": index, "code": code} for index, code in entries]
    return BulkWriteError({"writeErrors": errors, "upserted": [], "writeConcernErrors": []})


async def put(database: Database, *writes: Write) -> list[bool | BaseException | None]:
    writer = Writer(database)  # type: ignore[arg-type]
    futures = [writer.put(write) for write in writes]
    results = await asyncio.gather(*futures, return_exceptions=True)
    await writer.close()
    return results


async def test_pending_writes_are_sent_in_one_bulk_per_collection() -> None:
    database = Database()
    writes = [write("a"), write("u", collection=USERS), write("b")]
    assert await put(database, *writes) == [True] * 3
    assert sorted(database.bulks) == [(COMMENTS, ["a", "b"]), (USERS, ["u"])]


async def test_a_bulk_has_each_document_once_and_writes_keep_their_order() -> None:
    database = Database()
    await put(database, write("a", 1), write("b"), write("a", 2), write("a", 3), write("c"))
    assert database.bulks == [
        (COMMENTS, ["a", "b", "c"]),
        (COMMENTS, ["a"]),
        (COMMENTS, ["a"]),
    ]


async def test_an_existing_document_is_merged_and_not_new() -> None:
    database = Database(refused((1, 11000)))
    results = await put(database, write("a"), write("b"))
    assert results == [True, False]
    assert database.bulks == [(COMMENTS, ["a", "b"]), (COMMENTS, ["b"])]


async def test_writes_are_acknowledged_in_their_order_even_if_some_are_merged() -> None:
    """So that feeds have a new reply under its known comment."""
    writer = Writer(Database(refused((0, 11000))))  # type: ignore[arg-type]
    futures = {writer.put(write(name)): name for name in ("known", "new", "newer")}
    order: list[str] = []
    for future in futures:
        future.add_done_callback(lambda done: order.append(futures[done]))
    await writer.close()
    await asyncio.sleep(0)
    assert order == ["known", "new", "newer"]


async def test_what_is_new_stays_new_if_a_merge_has_to_be_repeated() -> None:
    database = Database(refused((0, 11000)), AutoReconnect("gone"), refused((0, 11000), (1, 11000)))
    assert await put(database, write("known"), write("new")) == [False, True]


async def test_only_first_and_last_times_are_merged_into_a_newer_answer() -> None:
    database = Database(refused((0, 11000)))
    database.matched = 0
    assert await put(database, write("a")) == [False]
    assert database.operations[-1] == UpdateOne({"_id": "a"}, TIMES)


async def test_a_document_that_cannot_be_merged_is_refused_without_a_failure() -> None:
    database = Database(refused((0, 11000), (1, 11000)), refused((1, 17419)))
    merged, too_large = await put(database, write("a"), write("b"))
    assert merged is False
    assert isinstance(too_large, Unstorable)
    assert too_large.permanent


async def test_a_document_refused_by_this_database_may_be_stored_by_another() -> None:
    (refusal,) = await put(Database(refused((0, 121))), write("a"))
    assert isinstance(refusal, Unstorable)
    assert not refusal.permanent


async def test_documents_are_updated_first_while_most_are_stored() -> None:
    database = Database(refused((0, 11000)), None, None)
    known, again = await one_by_one(database, write("a"), write("b"))
    assert (known, again) == (False, True)
    assert [type(operation) for operation in database.operations] == [
        InsertOne,
        UpdateOne,
        UpdateOne,
    ]


async def one_by_one(database: Database, *writes: Write) -> list[bool | None]:
    writer = Writer(database)  # type: ignore[arg-type]
    results = [await writer.put(write) for write in writes]
    await writer.close()
    return results


async def test_a_refused_document_does_not_affect_the_rest_of_its_bulk() -> None:
    first, second = await put(Database(refused((0, 17420))), write("a"), write("b"))
    assert isinstance(first, Unstorable)
    assert "17420" in str(first)
    assert second is True


@pytest.mark.parametrize("value", [2**70, "\ud83d", {"a\x00b": 1}])
async def test_a_document_that_bson_cannot_hold_is_refused(value: object) -> None:
    database = Database(OverflowError("int too large"))
    good, bad = await put(database, write("a"), write("b", value))
    assert good is True
    assert isinstance(bad, Unstorable)
    assert bad.permanent
    assert str(value) not in str(bad)
    assert database.bulks[-1] == (COMMENTS, ["a"])


AWAY = AutoReconnect("gone")


async def test_a_database_that_is_away_for_a_while_is_retried() -> None:
    database = Database(AWAY, AWAY)
    assert await put(database, write("a")) == [True]
    assert database.bulks == [(COMMENTS, ["a"])] * 3


async def abandon(spill: Spill | None) -> tuple[list[object], list[str], int]:
    """Put writes before and after a failure; return their results, the reports, and the bulks."""
    reports: list[str] = []
    database = Database(*[AWAY] * 99)
    writer = Writer(database, spill, lambda error: reports.append(str(error)), 0.2)  # type: ignore[arg-type]
    before = [writer.put(write("a")), writer.put(write("u", collection=USERS))]
    results: list[object] = list(await asyncio.gather(*before, return_exceptions=True))
    bulks = len(database.bulks)
    results += await asyncio.gather(writer.put(write("b")), return_exceptions=True)
    await writer.close()
    assert len(database.bulks) == bulks
    return results, reports, bulks


def spilled(path: Path) -> list[Write]:
    """Return the writes in a spill file for the database ``xhs``."""
    with path.open("rb") as file:
        reader = SpillReader(file)
        assert reader.database == "xhs"
        return [decode(reader.text(line)).write for line in reader.lines()]


async def test_a_failed_database_is_reported_once_and_receives_no_more_bulks() -> None:
    results, reports, _ = await abandon(None)
    assert all(isinstance(result, StoreFailed) for result in results)
    assert len(reports) == 1
    assert "gone" not in reports[0]


async def test_writes_that_a_failed_database_did_not_take_are_in_the_spill(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", "xhs")
    results, reports, _ = await abandon(spill)
    spill.close()
    assert results == [None] * 3
    assert len(reports) == 1
    (path,) = spill.folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert spilled(path) == [write("a"), write("u", collection=USERS), write("b")]


async def test_the_spill_keeps_the_order_of_writes_in_flight_at_the_failure(
    tmp_path: Path,
) -> None:
    """The comments have failed while a bulk of users is unanswered."""
    spill = Spill(tmp_path / "spill", "xhs")
    database = Database(*[AWAY] * 99)
    database.turns[USERS] = 10**9
    writer = Writer(database, spill, retry_seconds=0.2)  # type: ignore[arg-type]
    users = [writer.put(write("u", 1, USERS))]
    assert await writer.put(write("a")) is None
    users.append(writer.put(write("u", 2, USERS)))
    assert await asyncio.gather(*users) == [None, None]
    await writer.close()
    spill.close()
    (path,) = spill.folder.iterdir()
    assert spilled(path) == [write("a"), write("u", 1, USERS), write("u", 2, USERS)]


async def test_a_write_that_no_database_can_hold_is_not_spilled(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", "xhs")
    writer = Writer(Database(*[AWAY] * 99), spill, retry_seconds=0.2)  # type: ignore[arg-type]
    puts = [writer.put(write("a", "x" * 17_000_000)), writer.put(write("b"))]
    too_large, spilled_write = await asyncio.gather(*puts, return_exceptions=True)
    await writer.close()
    spill.close()
    assert isinstance(too_large, Unstorable)
    assert too_large.permanent
    assert spilled_write is None
    (path,) = spill.folder.iterdir()
    assert spilled(path) == [write("b")]


async def test_a_spill_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    results, _, _ = await abandon(Spill(tmp_path / "file" / "spill", "xhs"))
    assert all("spill" in str(result) for result in results)
    assert all(isinstance(result, StoreFailed) for result in results)


async def test_closing_carries_out_pending_writes() -> None:
    database = Database()
    writer = Writer(database)  # type: ignore[arg-type]
    future = writer.put(write("a"))
    await writer.close()
    assert future.result() is True
    assert database.bulks == [(COMMENTS, ["a"])]


async def test_a_closed_writer_accepts_no_writes() -> None:
    writer = Writer(Database())  # type: ignore[arg-type]
    await writer.close()
    with pytest.raises(StoreFailed):
        await writer.put(write("a"))


async def test_a_merged_write_without_first_and_last_times_is_applied_once() -> None:
    database = Database(refused((0, 11000)))
    count = Write(COMMENTS, "a", {"$inc": {"billed_calls": 1}})
    assert await put(database, count) == [False]
    assert database.bulks == [(COMMENTS, ["a"]), (COMMENTS, ["a"])]


async def test_a_document_that_makes_a_server_reject_the_bulk_is_isolated() -> None:
    """It may be nested too deeply, or too large for the server only."""
    database = Database()
    database.refused_key = "c"
    results = await put(database, *(write(name) for name in "abcde"))
    assert isinstance(results[2], Unstorable)
    assert "15" in str(results[2])
    assert [result for place, result in enumerate(results) if place != 2] == [True] * 4
    assert {key(operation) for operation in database.operations} == set("abde")


async def test_an_unexpected_error_fails_every_write_too() -> None:
    writer = Writer(Database(RuntimeError("content")))  # type: ignore[arg-type]
    first = await asyncio.gather(writer.put(write("a")), return_exceptions=True)
    second = await asyncio.gather(writer.put(write("b")), return_exceptions=True)
    with pytest.raises(RuntimeError):
        await writer.close()
    for error in [*first, *second]:
        assert isinstance(error, StoreFailed)
        assert "content" not in str(error)


@pytest.mark.parametrize("answer", [None, refused((0, 17420)), refused((0, 11000))])
async def test_a_cancelled_caller_does_not_affect_others(answer: Exception | None) -> None:
    writer = Writer(Database(answer))  # type: ignore[arg-type]
    gone, stays = writer.put(write("a")), writer.put(write("b"))
    gone.cancel()
    results = [await stays, await writer.put(write("c"))]
    await writer.close()
    assert results[1] is True


async def test_many_writes_are_split_into_bulks() -> None:
    database = Database()
    results = await put(database, *(write(str(i)) for i in range(2500)))
    assert results == [True] * 2500
    assert [key for _, keys in database.bulks for key in keys] == [str(i) for i in range(2500)]
    assert max(len(keys) for _, keys in database.bulks) <= 1000
