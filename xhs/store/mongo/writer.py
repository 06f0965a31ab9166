"""Group commit: everything that waits for a collection goes out in one bulk write."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import bson
from bson.errors import BSONError
from pymongo import InsertOne, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure

from xhs.crawl.storage import StoreFailed, Unstorable
from xhs.store.mongo.collections import LARGEST_DOCUMENT, Document, Write
from xhs.store.mongo.retrying import RETRY_SECONDS, retry_until_answered
from xhs.store.spill.files import Spill, SpillFailed

logger = logging.getLogger(__name__)

_BATCH = 1000
_DUPLICATE_KEY = 11000
_OF_ONE_DOCUMENT = frozenset({15, 22, 10334, 17280, 17419, 17420})
"""Codes that refuse a document for what it is: Overflow, InvalidBSON, and too large. They may
refuse a whole command for it."""
_ENCODING_ERRORS = (BSONError, OverflowError, UnicodeError, DocumentTooLarge)

_Operation = InsertOne[Document] | UpdateOne
_Entry = tuple[Write, asyncio.Future[bool | None]]


class _Lane:
    """The writes of one collection that wait, and the task that writes them."""

    def __init__(self) -> None:
        self.waiting: deque[_Entry] = deque()
        self.wake = asyncio.Event()
        self.writing = False
        self.task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return not self.writing and not self.waiting


class _Result(NamedTuple):
    """The places in a bulk whose document is new, and how many documents an update matched."""

    upserted: set[int]
    matched: int


class Writer:
    """Writes as fast as the server acknowledges them: in the order in which they are put, of each
    collection for itself.

    There is no timer: while a bulk is on its way the next one gathers. :meth:`put` may be called
    without waiting, so a caller who wants order between two collections waits for the first write.

    While the database is away the writes wait for ``patience`` seconds. Then it is taken to have
    failed: ``on_failure`` is called once, and they go to the ``spill``, as do all that follow.
    """

    def __init__(
        self,
        database: AsyncDatabase[Document],
        spill: Spill | None = None,
        on_failure: Callable[[StoreFailed], None] | None = None,
        patience: float = RETRY_SECONDS,
    ) -> None:
        self._database = database
        self._spill = spill
        self._on_failure = on_failure
        self._patience = patience
        self._lanes: dict[str, _Lane] = {}
        self._closing = False
        self._mostly_known: set[str] = set()
        self._told = spill is None
        self.failure: StoreFailed | None = None

    def put(self, write: Write) -> asyncio.Future[bool | None]:
        """Ask for a write.

        The future tells, once the write is acknowledged and journaled, whether the document is
        new; None if it waits in the spill. It fails with :class:`Unstorable` or, where it is
        neither stored nor kept, with :class:`StoreFailed`.
        """
        future: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        if self._closing:
            future.set_exception(StoreFailed("the store is closed"))
            return future
        lane = self._lane(write.collection)
        if self.failure and lane.idle:
            self._keep([(write, future)], self.failure)
        else:  # also after a failure: what was put before is to be in the spill before
            lane.waiting.append((write, future))
            lane.wake.set()
        return future

    async def close(self) -> None:
        """Write all that waits, then stop."""
        self._closing = True
        for lane in self._lanes.values():
            lane.wake.set()
        await asyncio.gather(*(lane.task for lane in self._lanes.values() if lane.task))

    async def abandon(self) -> None:
        """Stop at once, and leave unwritten what waits."""
        self._closing = True
        tasks = [lane.task for lane in self._lanes.values() if lane.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _lane(self, collection: str) -> _Lane:
        if collection not in self._lanes:
            lane = self._lanes[collection] = _Lane()
            lane.task = asyncio.create_task(self._run(collection, lane))
        return self._lanes[collection]

    async def _run(self, collection: str, lane: _Lane) -> None:
        while True:
            if not lane.waiting:
                if self._closing:
                    return
                lane.wake.clear()
                await lane.wake.wait()
                continue
            if self.failure:
                self._keep_waiting(lane, self.failure)
                continue
            batch = _take(lane.waiting)
            lane.writing = True
            try:
                await retry_until_answered(lambda: self._bulk(collection, batch), self._patience)  # noqa: B023 (awaited here)
            except StoreFailed as failure:
                self._fail(failure, batch, lane)
            except Exception as error:
                self._fail(StoreFailed(f"{type(error).__name__} while writing"), batch, lane)
                raise
            finally:
                lane.writing = False

    async def _bulk(self, collection: str, batch: Sequence[_Entry]) -> None:
        # An insert costs a server less than an upsert; where it fails the document is merged.
        insert = collection not in self._mostly_known
        operations = [
            InsertOne(write.document)
            if insert and write.as_of is not None
            else _operation(write, upsert=True)
            for write, _ in batch
        ]
        try:
            result, refusals = await self._send(collection, operations)
        except _ENCODING_ERRORS:
            await self._without_unencodable(collection, batch)
            return
        except OperationFailure as error:
            if error.code not in _OF_ONE_DOCUMENT:
                raise
            await self._in_halves(collection, batch, error.code)
            return
        overtaken, new = [], 0
        for index, (write, future) in enumerate(batch):
            code = refusals.get(index)
            if code == _DUPLICATE_KEY:
                overtaken.append((write, future))
            elif code is not None:
                _refuse(future, _unstorable(code))
            else:
                is_new = isinstance(operations[index], InsertOne) or index in result.upserted
                new += is_new
                _accept(future, new=is_new)
        if overtaken:
            await self._merge_overtaken(collection, overtaken)
        change = self._mostly_known.discard if 2 * new > len(batch) else self._mostly_known.add
        change(collection)

    async def _merge_overtaken(self, collection: str, batch: Sequence[_Entry]) -> None:
        """Writes whose document is there already; perhaps it holds a newer answer."""
        operations = [_operation(write, upsert=False) for write, _ in batch]
        result, refusals = await self._send(collection, operations)
        bounds = [one for write, _ in batch for one in _bounds(write)]
        if bounds and result.matched < len(batch):
            await self._send(collection, bounds)
        for index, (_, future) in enumerate(batch):
            if (code := refusals.get(index)) is not None:
                _refuse(future, _unstorable(code))
            else:
                _accept(future, new=False)

    async def _send(
        self, collection: str, operations: Sequence[_Operation]
    ) -> tuple[_Result, dict[int, int]]:
        """One bulk write: what it did, and the code of each operation that was refused."""
        try:
            done = await self._database[collection].bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            details = dict(error.details or {})
            if details.get("writeConcernErrors"):
                raise
            upserted = {entry["index"] for entry in details.get("upserted", ())}
            refusals = {entry["index"]: entry["code"] for entry in details["writeErrors"]}
            return _Result(upserted, details.get("nMatched", 0)), refusals
        return _Result(set(done.upserted_ids or ()), done.matched_count), {}

    async def _without_unencodable(self, collection: str, batch: Sequence[_Entry]) -> None:
        good = []
        for write, future in batch:
            if error := _encoding_error(write):
                _refuse(future, error)
            else:
                good.append((write, future))
        if len(good) == len(batch):
            raise StoreFailed("a bulk could not be encoded, and none of its documents is at fault")
        if good:
            await self._bulk(collection, good)

    async def _in_halves(self, collection: str, batch: Sequence[_Entry], code: int) -> None:
        """Find the document for which a server refuses a whole bulk."""
        if len(batch) == 1:
            _refuse(batch[0][1], _unstorable(code))
            return
        middle = len(batch) // 2
        await self._bulk(collection, batch[:middle])
        await self._bulk(collection, batch[middle:])

    def _fail(self, failure: StoreFailed, batch: Iterable[_Entry], lane: _Lane) -> None:
        if self.failure is None:
            self.failure = failure
            if self._on_failure:
                self._on_failure(failure)
        self._keep(batch, failure)
        self._keep_waiting(lane, failure)

    def _keep_waiting(self, lane: _Lane, failure: StoreFailed) -> None:
        self._keep(lane.waiting, failure)
        lane.waiting.clear()

    def _keep(self, entries: Iterable[_Entry], failure: StoreFailed) -> None:
        left = []
        for write, future in entries:
            if future.done():
                continue
            if error := _encoding_error(write):
                _refuse(future, error)
            else:
                left.append((write, future))
        if not left:
            return
        try:
            if self._spill is None:
                raise SpillFailed("there is none")
            self._spill.keep([write for write, _ in left], str(failure))
        except SpillFailed as error:
            if not self._told:
                logger.error(
                    "What was paid for is lost, since the spill cannot be written: %s", error
                )
                self._told = True
            for _, future in left:
                _refuse(future, StoreFailed(f"{failure}; the spill cannot be written: {error}"))
        else:
            for _, future in left:
                _accept(future, new=None)


def _encoding_error(write: Write) -> Unstorable | None:
    try:
        size = len(bson.encode(write.document))
    except _ENCODING_ERRORS as error:
        return Unstorable(f"BSON cannot hold it ({type(error).__name__})", permanent=True)
    if size <= LARGEST_DOCUMENT:
        return None
    return Unstorable("BSON cannot hold it (it is above 16 MB)", permanent=True)


def _unstorable(code: int) -> Unstorable:
    if code in _OF_ONE_DOCUMENT:
        return Unstorable(f"no database can hold it (code {code})", permanent=True)
    return Unstorable(f"the database refuses it (code {code})")


def _bounds(write: Write) -> Iterator[UpdateOne]:
    """What is true of a document whichever answer is the newer one: first and last times."""
    bounds: Document = {
        name: write.update[name] for name in ("$min", "$max") if name in write.update
    }
    if bounds:
        yield UpdateOne({"_id": write.key}, bounds)


def _operation(write: Write, *, upsert: bool) -> UpdateOne:
    return UpdateOne(write.filter, write.update, upsert=upsert)


def _take(waiting: deque[_Entry]) -> list[_Entry]:
    """The next batch: no document twice, since a bulk's writes have no order."""
    batch: list[_Entry] = []
    again: list[_Entry] = []
    taken: set[str] = set()
    while waiting and len(batch) < _BATCH:
        entry = waiting.popleft()
        (again if entry[0].key in taken else batch).append(entry)
        taken.add(entry[0].key)
    waiting.extendleft(reversed(again))
    return batch


def _accept(future: asyncio.Future[bool | None], *, new: bool | None) -> None:
    if not future.done():  # a caller who was cancelled takes the future with them
        future.set_result(new)


def _refuse(future: asyncio.Future[bool | None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _retrieve(future: asyncio.Future[bool | None]) -> None:
    """Mark a failure as seen: not every caller waits, and the writer itself reports failures."""
    if not future.cancelled():
        future.exception()
