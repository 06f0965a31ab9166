"""Group commit: order, merging and failure, against a double of the database."""

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

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = {"$min": {"first_seen_at": NOW}, "$max": {"last_seen_at": NOW, "last_listed_latest": NOW}}


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
    """Answers bulks with ``answers``, first to last; what is no exception is a success.

    ``turns``: how many turns of the event loop a collection's bulks take, where not one.
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
    return Write(collection, key, {"$set": {"value": value}, **MOMENTS}, NOW)


def refused(*entries: tuple[int, int]) -> BulkWriteError:
    errors = [{"index": index, "code": code} for index, code in entries]
    return BulkWriteError({"writeErrors": errors, "upserted": [], "writeConcernErrors": []})


async def put(database: Database, *writes: Write) -> list[bool | BaseException | None]:
    writer = Writer(database)  # type: ignore[arg-type]
    futures = [writer.put(one) for one in writes]
    results = await asyncio.gather(*futures, return_exceptions=True)
    await writer.close()
    return results


def test_what_waits_goes_out_in_one_bulk_for_each_collection() -> None:
    database = Database()
    writes = [write("a"), write("u", collection=USERS), write("b")]
    assert asyncio.run(put(database, *writes)) == [True] * 3
    assert sorted(database.bulks) == [(COMMENTS, ["a", "b"]), (USERS, ["u"])]


def test_a_document_is_written_once_a_bulk_and_in_order() -> None:
    database = Database()
    asyncio.run(put(database, write("a", 1), write("b"), write("a", 2), write("a", 3), write("c")))
    assert database.bulks == [
        (COMMENTS, ["a", "b", "c"]),
        (COMMENTS, ["a"]),
        (COMMENTS, ["a"]),
    ]


def test_an_overtaken_document_is_merged_and_not_new() -> None:
    database = Database(refused((1, 11000)))
    results = asyncio.run(put(database, write("a"), write("b")))
    assert results == [True, False]
    assert database.bulks == [(COMMENTS, ["a", "b"]), (COMMENTS, ["b"])]


def test_where_a_newer_answer_is_stored_only_the_first_and_last_moments_are_merged() -> None:
    database = Database(refused((0, 11000)))
    database.matched = 0
    assert asyncio.run(put(database, write("a"))) == [False]
    assert database.operations[-1] == UpdateOne({"_id": "a"}, MOMENTS)


def test_what_cannot_be_merged_is_refused_and_no_failure() -> None:
    database = Database(refused((0, 11000), (1, 11000)), refused((1, 17419)))
    merged, too_large = asyncio.run(put(database, write("a"), write("b")))
    assert merged is False
    assert isinstance(too_large, Unstorable)
    assert too_large.permanent


def test_what_one_database_refuses_another_may_hold() -> None:
    (refusal,) = asyncio.run(put(Database(refused((0, 121))), write("a")))
    assert isinstance(refusal, Unstorable)
    assert not refusal.permanent


def test_known_documents_are_updated_at_once_while_most_are() -> None:
    database = Database(refused((0, 11000)), None, None)
    known, again = asyncio.run(one_by_one(database, write("a"), write("b")))
    assert (known, again) == (False, True)
    assert [type(operation) for operation in database.operations] == [
        InsertOne,
        UpdateOne,
        UpdateOne,
    ]


async def one_by_one(database: Database, *writes: Write) -> list[bool | None]:
    writer = Writer(database)  # type: ignore[arg-type]
    results = [await writer.put(one) for one in writes]
    await writer.close()
    return results


def test_a_refused_document_does_not_take_its_batch_mates_along() -> None:
    first, second = asyncio.run(put(Database(refused((0, 17420))), write("a"), write("b")))
    assert isinstance(first, Unstorable)
    assert "17420" in str(first)
    assert second is True


@pytest.mark.parametrize("value", [2**70, "\ud83d", {"a\x00b": 1}])
def test_what_bson_cannot_hold_is_found_out(value: object) -> None:
    database = Database(OverflowError("int too large"))
    good, bad = asyncio.run(put(database, write("a"), write("b", value)))
    assert good is True
    assert isinstance(bad, Unstorable)
    assert bad.permanent
    assert str(value) not in str(bad)
    assert database.bulks[-1] == (COMMENTS, ["a"])


AWAY = AutoReconnect("gone")


def test_a_database_that_is_away_for_a_while_is_waited_for() -> None:
    database = Database(AWAY, AWAY)
    assert asyncio.run(put(database, write("a"))) == [True]
    assert database.bulks == [(COMMENTS, ["a"])] * 3


async def abandon(spill: Spill | None) -> tuple[list[object], list[str], int]:
    """Writes before and after a failure; what became of them, what was reported, the bulks."""
    told: list[str] = []
    database = Database(*[AWAY] * 99)
    writer = Writer(database, spill, lambda error: told.append(str(error)), 0.2)  # type: ignore[arg-type]
    before = [writer.put(write("a")), writer.put(write("u", collection=USERS))]
    results: list[object] = list(await asyncio.gather(*before, return_exceptions=True))
    bulks = len(database.bulks)
    results += await asyncio.gather(writer.put(write("b")), return_exceptions=True)
    await writer.close()
    assert len(database.bulks) == bulks
    return results, told, bulks


def spilled(path: Path) -> list[Write]:
    """The writes in a spill file for the database ``xhs``."""
    with path.open("rb") as file:
        reader = SpillReader(file)
        assert reader.database == "xhs"
        return [decode(reader.text(line)).write for line in reader.lines()]


def test_one_that_is_gone_for_good_is_told_once_and_asked_no_more() -> None:
    results, told, _ = asyncio.run(abandon(None))
    assert all(isinstance(result, StoreFailed) for result in results)
    assert len(told) == 1
    assert "gone" not in told[0]


def test_what_it_would_not_take_is_kept_in_the_spill(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", "xhs")
    results, told, _ = asyncio.run(abandon(spill))
    spill.close()
    assert results == [None] * 3
    assert len(told) == 1
    (path,) = spill.folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert spilled(path) == [write("a"), write("u", collection=USERS), write("b")]


def test_the_spill_keeps_the_order_also_of_writes_on_their_way_when_it_fails(
    tmp_path: Path,
) -> None:
    """The comments have failed, and the users' server has not answered yet."""
    spill = Spill(tmp_path / "spill", "xhs")

    async def run() -> None:
        database = Database(*[AWAY] * 99)
        database.turns[USERS] = 10**9
        writer = Writer(database, spill, retry_seconds=0.2)  # type: ignore[arg-type]
        users = [writer.put(write("u", 1, USERS))]
        assert await writer.put(write("a")) is None
        users.append(writer.put(write("u", 2, USERS)))
        assert await asyncio.gather(*users) == [None, None]
        await writer.close()

    asyncio.run(run())
    spill.close()
    (path,) = spill.folder.iterdir()
    assert spilled(path) == [write("a"), write("u", 1, USERS), write("u", 2, USERS)]


def test_what_no_database_can_hold_does_not_wait_in_the_spill(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", "xhs")

    async def run() -> list[bool | BaseException | None]:
        writer = Writer(Database(*[AWAY] * 99), spill, retry_seconds=0.2)  # type: ignore[arg-type]
        puts = [writer.put(write("a", "x" * 17_000_000)), writer.put(write("b"))]
        results = await asyncio.gather(*puts, return_exceptions=True)
        await writer.close()
        return results

    too_large, waits = asyncio.run(run())
    spill.close()
    assert isinstance(too_large, Unstorable)
    assert too_large.permanent
    assert waits is None
    (path,) = spill.folder.iterdir()
    assert spilled(path) == [write("b")]


def test_a_spill_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    results, _, _ = asyncio.run(abandon(Spill(tmp_path / "file" / "spill", "xhs")))
    assert all("spill" in str(result) for result in results)
    assert all(isinstance(result, StoreFailed) for result in results)


def test_closing_writes_what_waits() -> None:
    async def run() -> tuple[bool | None, Database]:
        database = Database()
        writer = Writer(database)  # type: ignore[arg-type]
        future = writer.put(write("a"))
        await writer.close()
        return future.result(), database

    done, database = asyncio.run(run())
    assert done is True
    assert database.bulks == [(COMMENTS, ["a"])]


def test_nothing_is_taken_after_closing() -> None:
    async def run() -> None:
        writer = Writer(Database())  # type: ignore[arg-type]
        await writer.close()
        await writer.put(write("a"))

    with pytest.raises(StoreFailed):
        asyncio.run(run())


def test_an_overtaken_write_without_a_minimum_is_applied_once() -> None:
    database = Database(refused((0, 11000)))
    count = Write(COMMENTS, "a", {"$inc": {"billed_calls": 1}})
    assert asyncio.run(put(database, count)) == [False]
    assert database.bulks == [(COMMENTS, ["a"]), (COMMENTS, ["a"])]


def test_a_document_for_which_a_server_refuses_the_whole_bulk_is_found() -> None:
    """As where it is too deep or too large for the server alone."""

    async def run() -> tuple[list[bool | BaseException | None], Database]:
        database = Database()
        database.refused_key = "c"
        return await put(database, *(write(name) for name in "abcde")), database

    results, database = asyncio.run(run())
    assert isinstance(results[2], Unstorable)
    assert "15" in str(results[2])
    assert [result for place, result in enumerate(results) if place != 2] == [True] * 4
    assert {key(operation) for operation in database.operations} == set("abde")


def test_a_failure_without_a_name_is_everybodys_too() -> None:
    async def run() -> list[bool | BaseException | None]:
        writer = Writer(Database(RuntimeError("content")))  # type: ignore[arg-type]
        first = await asyncio.gather(writer.put(write("a")), return_exceptions=True)
        second = await asyncio.gather(writer.put(write("b")), return_exceptions=True)
        with pytest.raises(RuntimeError):
            await writer.close()
        return [*first, *second]

    for error in asyncio.run(run()):
        assert isinstance(error, StoreFailed)
        assert "content" not in str(error)


@pytest.mark.parametrize("answer", [None, refused((0, 17420)), refused((0, 11000))])
def test_a_caller_who_is_cancelled_does_no_harm_to_others(answer: Exception | None) -> None:
    async def run() -> list[bool | None]:
        writer = Writer(Database(answer))  # type: ignore[arg-type]
        gone, stays = writer.put(write("a")), writer.put(write("b"))
        gone.cancel()
        results = [await stays, await writer.put(write("c"))]
        await writer.close()
        return results

    assert asyncio.run(run())[1] is True


def test_many_writes_are_split_and_none_is_left() -> None:
    database = Database()
    results = asyncio.run(put(database, *(write(str(i)) for i in range(2500))))
    assert results == [True] * 2500
    assert [key for _, keys in database.bulks for key in keys] == [str(i) for i in range(2500)]
    assert max(len(keys) for _, keys in database.bulks) <= 1000
