"""Group commit: all pending writes of a collection are sent in one bulk write."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

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
_DOCUMENT_ERRORS = frozenset({15, 22, 10334, 17280, 17419, 17420})
"""Error codes caused by one document: Overflow, InvalidBSON, and too large. A server may reject the
whole command with them."""
_ENCODING_ERRORS = (BSONError, OverflowError, UnicodeError, DocumentTooLarge)

_Operation = InsertOne[Document] | UpdateOne
_Entry = tuple[Write, asyncio.Future[bool | None]]


class _Lane:
    """The pending writes of one collection, and the task that sends them."""

    def __init__(self) -> None:
        self.waiting: deque[_Entry] = deque()
        self.wake = asyncio.Event()
        self.writing = False
        self.task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return not self.writing and not self.waiting


class _Result(NamedTuple):
    """The positions in a bulk whose documents are new, and how many documents updates matched."""

    upserted: set[int]
    matched: int


class Writer:
    """Writes to the database, in order within each collection.

    There is no timer: while a bulk is in flight, the next one collects. :meth:`put` does not wait,
    so a caller that needs an order between two collections must await the first write.

    While the database does not answer, a bulk is retried for ``retry_seconds``. Then the database
    has failed for good: ``on_failure`` is called once, and pending and later writes go to
    ``spill``.
    """

    def __init__(
        self,
        database: AsyncDatabase[Document],
        spill: Spill | None = None,
        on_failure: Callable[[StoreFailed], None] | None = None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._database = database
        self._spill = spill
        self._on_failure = on_failure
        self._retry_seconds = retry_seconds
        self._lanes: dict[str, _Lane] = {}
        self._closing = False
        self._mostly_stored: set[str] = set()
        self._loss_logged = spill is None
        self.failure: StoreFailed | None = None

    def put(self, write: Write) -> asyncio.Future[bool | None]:
        """Queue a write.

        The future's result comes when the write is acknowledged and journaled: True for a new
        document, False for an updated one. It is None if the write is in the spill. The future
        fails with :class:`Unstorable`, or with :class:`StoreFailed` if the write is neither stored
        nor in the spill.
        """
        future: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        if self._closing:
            future.set_exception(StoreFailed("the store is closed"))
            return future
        lane = self._lane(write.collection)
        if self.failure and lane.idle:
            self._keep([(write, future)], self.failure)
        else:  # also after a failure, so that writes reach the spill in their order
            lane.waiting.append((write, future))
            lane.wake.set()
        return future

    async def close(self) -> None:
        """Carry out the pending writes, then stop."""
        self._closing = True
        for lane in self._lanes.values():
            lane.wake.set()
        await asyncio.gather(*(lane.task for lane in self._lanes.values() if lane.task))

    async def abandon(self) -> None:
        """Stop at once and drop the pending writes."""
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
                await retry_until_answered(
                    lambda: self._bulk(collection, batch),  # noqa: B023 (awaited here)
                    self._retry_seconds,
                )
            except StoreFailed as failure:
                self._fail(failure, batch, lane)
            except Exception as error:
                self._fail(StoreFailed(f"{type(error).__name__} while writing"), batch, lane)
                raise
            finally:
                lane.writing = False

    async def _bulk(self, collection: str, batch: Sequence[_Entry]) -> None:
        # An insert costs a server less than an upsert. If the document exists, it is merged.
        insert = collection not in self._mostly_stored
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
            if error.code not in _DOCUMENT_ERRORS:
                raise
            await self._bisect(collection, batch, error.code)
            return
        outcomes: dict[int, bool | Unstorable] = {}
        duplicates = []
        for index, operation in enumerate(operations):
            code = refusals.get(index)
            if code == _DUPLICATE_KEY:
                duplicates.append(index)
            elif code is not None:
                outcomes[index] = _unstorable(code)
            else:
                outcomes[index] = isinstance(operation, InsertOne) or index in result.upserted
        try:
            if duplicates:
                merged = await self._merge(collection, [batch[index] for index in duplicates])
                outcomes |= zip(duplicates, merged, strict=True)
        finally:
            # In the order of the writes, so that feeds have replies under their comment. Before a
            # failed merge is repeated, too: what is new would be taken for a duplicate then.
            for index in sorted(outcomes):
                _settle(batch[index][1], outcomes[index])
        new = sum(outcome is True for outcome in outcomes.values())
        if 2 * new > len(batch):
            self._mostly_stored.discard(collection)
        else:
            self._mostly_stored.add(collection)

    async def _merge(
        self, collection: str, batch: Sequence[_Entry]
    ) -> list[Literal[False] | Unstorable]:
        """Update documents that exist; some may already hold a newer answer.

        Return False for each that is stored, and the error for each that is refused.
        """
        operations = [_operation(write, upsert=False) for write, _ in batch]
        result, refusals = await self._send(collection, operations)
        bounds = [operation for write, _ in batch for operation in _bounds(write)]
        if bounds and result.matched < len(batch):
            await self._send(collection, bounds)
        codes = (refusals.get(index) for index in range(len(batch)))
        return [False if code is None else _unstorable(code) for code in codes]

    async def _send(
        self, collection: str, operations: Sequence[_Operation]
    ) -> tuple[_Result, dict[int, int]]:
        """Send one bulk write; return its result, and the error codes by position."""
        try:
            result = await self._database[collection].bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            details = dict(error.details or {})
            if details.get("writeConcernErrors"):
                raise
            upserted = {entry["index"] for entry in details.get("upserted", ())}
            refusals = {entry["index"]: entry["code"] for entry in details["writeErrors"]}
            return _Result(upserted, details.get("nMatched", 0)), refusals
        return _Result(set(result.upserted_ids or ()), result.matched_count), {}

    async def _without_unencodable(self, collection: str, batch: Sequence[_Entry]) -> None:
        encodable = []
        for write, future in batch:
            if error := _encoding_error(write):
                _refuse(future, error)
            else:
                encodable.append((write, future))
        if len(encodable) == len(batch):
            raise StoreFailed("a bulk could not be encoded, though each of its documents can be")
        if encodable:
            await self._bulk(collection, encodable)

    async def _bisect(self, collection: str, batch: Sequence[_Entry], code: int) -> None:
        """Find the document for which the server rejected the whole bulk, and send the others."""
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
        pending = []
        for write, future in entries:
            if future.done():
                continue
            if error := _encoding_error(write):
                _refuse(future, error)
            else:
                pending.append((write, future))
        if not pending:
            return
        try:
            if self._spill is None:
                raise SpillFailed("there is none")
            self._spill.keep([write for write, _ in pending], str(failure))
        except SpillFailed as error:
            if not self._loss_logged:
                logger.error("Paid answers are lost, since the spill cannot be written: %s", error)
                self._loss_logged = True
            for _, future in pending:
                _refuse(future, StoreFailed(f"{failure}; the spill cannot be written: {error}"))
        else:
            for _, future in pending:
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
    if code in _DOCUMENT_ERRORS:
        return Unstorable(f"no database can hold it (code {code})", permanent=True)
    return Unstorable(f"the database refuses it (code {code})")


def _bounds(write: Write) -> Iterator[UpdateOne]:
    """Yield the update of first and last times, which applies whichever answer is newer."""
    bounds: Document = {
        name: write.update[name] for name in ("$min", "$max") if name in write.update
    }
    if bounds:
        yield UpdateOne({"_id": write.key}, bounds)


def _operation(write: Write, *, upsert: bool) -> UpdateOne:
    return UpdateOne(write.filter, write.update, upsert=upsert)


def _take(waiting: deque[_Entry]) -> list[_Entry]:
    """Take the next batch, with each document at most once: a bulk's writes have no order."""
    batch: list[_Entry] = []
    postponed: list[_Entry] = []
    taken: set[str] = set()
    while waiting and len(batch) < _BATCH:
        entry = waiting.popleft()
        (postponed if entry[0].key in taken else batch).append(entry)
        taken.add(entry[0].key)
    waiting.extendleft(reversed(postponed))
    return batch


def _accept(future: asyncio.Future[bool | None], *, new: bool | None) -> None:
    if not future.done():  # the future is cancelled with the task that awaits it
        future.set_result(new)


def _settle(future: asyncio.Future[bool | None], outcome: bool | Unstorable) -> None:
    if isinstance(outcome, Unstorable):
        _refuse(future, outcome)
    else:
        _accept(future, new=outcome)


def _refuse(future: asyncio.Future[bool | None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _retrieve(future: asyncio.Future[bool | None]) -> None:
    """Mark a failure as retrieved: not every caller awaits it, and the writer reports failures."""
    if not future.cancelled():
        future.exception()
