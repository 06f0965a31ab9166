"""Restoring of spill files, with a fake writer and a fake ledger."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from xhs.crawl.storage import StoredCounts, StoreFailed, Unstorable
from xhs.store.mongo.collections import HISTORY, LARGEST_DOCUMENT, NOTES, USERS, Write
from xhs.store.spill import files as spill_module
from xhs.store.spill.files import Entry, SpillReader, decode, encode, head
from xhs.store.spill.restore import Restored, restore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from xhs.store.mongo.collections import Document

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Writer:
    """Stores writes for which ``check`` does not raise.

    ``most``: the largest size of the writes put at once, in MB.
    """

    def __init__(self, check: Callable[[Write], None] = lambda _: None) -> None:
        self.check = check
        self.stored: list[Write] = []
        self.most = 0.0
        self._pending = 0.0

    async def put(self, write: Write) -> bool:
        size = len(str(write.update)) / 1e6
        self._pending += size
        self.most = max(self.most, self._pending)
        await asyncio.sleep(0)
        self._pending -= size
        self.check(write)
        self.stored.append(write)
        return True


class Ledger:
    """A ledger without notes."""

    async def documents(self, _: Sequence[str]) -> dict[str, Document]:
        return {}

    async def counts(self, *_: Any) -> StoredCounts:
        return StoredCounts(0, 0)


def write(key: str, value: object = 1, collection: str = USERS) -> Write:
    return Write(collection, key, {"$set": {"value": value}})


def put(folder: Path, *writes: Write | str) -> Path:
    """Create a spill file with these writes, or with these texts as lines."""
    path = folder / "file.jsonl"
    lines = [
        write if isinstance(write, str) else encode(Entry(write, "away", NOW)) for write in writes
    ]
    path.write_text("".join(f"{line}\n" for line in [head("xhs"), *lines]))
    return path


async def run(folder: Path, writer: Writer) -> Restored:
    return await restore(folder, "xhs", writer, Ledger())  # type: ignore[arg-type]


def entries(path: Path) -> list[Entry]:
    with path.open("rb") as file:
        reader = SpillReader(file)
        return [decode(reader.text(line)) for line in reader.lines()]


def refuse(key: str, *, permanent: bool) -> Callable[[Write], None]:
    def check(write: Write) -> None:
        if write.key == key:
            raise Unstorable("no such thing here", permanent=permanent)

    return check


async def test_a_write_that_this_database_refuses_is_tried_again(tmp_path: Path) -> None:
    path = put(tmp_path, write("a"), write("b"), write("c"))
    refused = await run(tmp_path, Writer(refuse("b", permanent=False)))
    assert (refused.stored, refused.set_aside) == (2, [])
    assert refused.left == [f"{path}, line 3: a write to users: no such thing here"]
    (entry,) = entries(path)
    assert (entry.write, entry.reason) == (write("b"), "no such thing here")
    assert await run(tmp_path, Writer()) == Restored(1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("collection", [USERS, HISTORY, NOTES])
async def test_a_write_that_no_database_can_hold_is_tried_once(
    tmp_path: Path, collection: str
) -> None:
    path = put(tmp_path, write("a", collection=collection), write("b"))
    refused = await run(tmp_path, Writer(refuse("a", permanent=True)))
    aside = tmp_path / "file.unstorable"
    assert (refused.stored, refused.left) == (1, [])
    sentence = f"{path}, line 2: a write to {collection}: no such thing here; now in {aside}"
    assert refused.set_aside == [sentence]
    assert [entry.write.key for entry in entries(aside)] == ["a"]
    writer = Writer()
    assert await run(tmp_path, writer) == Restored()
    assert writer.stored == []
    assert list(tmp_path.iterdir()) == [aside]


async def test_a_line_that_is_too_long_is_moved_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill_module, "LONGEST_LINE", 1000)
    long = "no entry, 界, \0" * 200_000
    put(tmp_path, write("a"), long, write("b"), write("c", "x" * 1000), long)
    writer = Writer()
    restored = await run(tmp_path, writer)
    assert (restored.stored, restored.left, len(restored.set_aside)) == (2, [], 3)
    assert [write.key for write in writer.stored] == ["a", "b"]
    aside = tmp_path / "file.unstorable"
    kept = encode(Entry(write("c", "x" * 1000), "away", NOW))
    assert aside.read_text() == "".join(f"{line}\n" for line in [head("xhs"), long, kept, long])


async def test_a_line_of_maximum_size_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = encode(Entry(write("a", "x" * 5000), "away", NOW))
    for longest, stored in ((len(line) + 1, 1), (len(line), 0)):
        monkeypatch.setattr(spill_module, "LONGEST_LINE", longest)
        put(tmp_path, write("a", "x" * 5000))
        assert (await run(tmp_path, Writer())).stored == stored


def test_the_largest_document_fits_into_a_line() -> None:
    largest = write("a" * 1000, b"x" * LARGEST_DOCUMENT)
    line = encode(Entry(largest, "the database has not answered", NOW))
    assert len(line) < spill_module.LONGEST_LINE


@pytest.mark.parametrize("collection", [USERS, HISTORY, NOTES])
async def test_large_writes_are_not_all_in_memory_at_once(tmp_path: Path, collection: str) -> None:
    put(tmp_path, *(write(f"k{serial}", "x" * 3_000_000, collection) for serial in range(20)))
    writer = Writer()
    assert (await run(tmp_path, writer)).stored == 20
    assert writer.most < 13


async def test_only_a_hundred_lines_that_stay_are_reported_one_by_one(tmp_path: Path) -> None:
    path = put(tmp_path, *(f"no entry {serial}" for serial in range(130)), write("a"))
    restored = await run(tmp_path, Writer())
    assert restored.stored == 1
    assert len(restored.left) == 101
    assert restored.left[-1] == f"{path}: and 30 more lines"
    lines = path.read_text().splitlines()
    assert lines == [head("xhs"), *(f"no entry {serial}" for serial in range(130))]


async def test_a_failed_store_leaves_the_files_unchanged(tmp_path: Path) -> None:
    path = put(tmp_path, "no entry", write("a"), write("b"), write("c"))
    before = path.read_bytes()

    def check(write: Write) -> None:
        if write.key == "a":
            raise Unstorable("too large", permanent=True)
        if write.key == "c":
            raise StoreFailed("gone")

    with pytest.raises(StoreFailed):
        await run(tmp_path, Writer(check))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before
