"""The project's Scrapy extensions: store, open notes, rejected objects, outcomes of items."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from itemadapter import ItemAdapter
from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, DropItem
from scrapy.http import Response
from twisted.python.failure import Failure

from xhs.component import Component
from xhs.crawl.open_notes import OpenNotes
from xhs.crawl.page_tracker import PageTracker
from xhs.crawl.progress import Progress
from xhs.crawl.storage import NullStorage, Problem, Provenance, Storage, StoreFailed
from xhs.download._scrapy import is_closing
from xhs.download.budget import CallBudget
from xhs.download.call_order import CallOrder
from xhs.download.page_request import page_of
from xhs.items import is_note, item_type
from xhs.reasons import STOPPED, CloseReason, StopReason
from xhs.shutdown import shutdown
from xhs.stats import Stat
from xhs.store.mongo.client import Store, StoreUnavailable
from xhs.store.mongo.retrying import shorten_retries
from xhs.store.mongo.storage import MongoStorage
from xhs.store.spill.files import Spill

logger = logging.getLogger(__name__)


class NotStored(DropItem):
    """Raised if the store failed on an item that is not spilled either: its page is not done."""

    def __init__(self) -> None:
        super().__init__("the store has failed", log_level="DEBUG")


class CrawlStore(Component):
    """Opens the crawl's store as the spider opens, and closes it as the spider closes.

    ``storage`` is a :class:`NullStorage` if ``MONGODB_URI`` is empty or the store failed to open.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        self._crawler = crawler
        self._stop = asyncio.Event()
        if shutdown.received:
            self._stop.set()
        self._stopping: asyncio.Task[None] | None = None
        self._store: Store | None = None
        self._spill: Spill | None = None
        self.storage: Storage = NullStorage()
        if uri := settings["MONGODB_URI"]:
            self._spill = Spill(Path(settings["XHS_SPILL_DIR"]), settings["MONGODB_DATABASE"])
            self._store = Store(uri, settings["MONGODB_DATABASE"], self._spill, self.fail)
            self.storage = MongoStorage(self._store)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        extension = cls(crawler)
        crawler.signals.connect(extension._open, signals.spider_opened)
        return extension

    @property
    def place(self) -> str | None:
        """The database and its server; None without a store."""
        return self._store.place if self._store else None

    def fail(self, error: StoreFailed) -> None:
        """Send no more calls: the store has failed for good."""
        reason = self.storage.explain(error)
        CallBudget.of(self._crawler).stop(CloseReason.STORE_FAILED, reason)

    def stop(self) -> None:
        """Stop the crawl on a signal. Answers of calls in flight are still stored.

        If the store is being opened, that is abandoned; if it is unreachable, retries are cut
        short. A spider that is already closing may finish.
        """
        self._stop.set()
        shorten_retries()
        if not is_closing(self._crawler):
            self._stopping = asyncio.create_task(self._crawler.stop_async())

    def check_not_stopped(self) -> None:
        """Raise if the crawl was stopped before it could begin.

        Raises:
            CloseSpider: if it was stopped.
        """
        if self._stop.is_set():
            raise CloseSpider(STOPPED)

    async def close(self) -> None:
        """Write what is queued, and close the store."""
        if self._store is not None:
            await self._store.close()
        if self._spill is None:
            return
        for stat, number in (
            (Stat.SPILLED, self._spill.kept),
            (Stat.UNSTORABLE, self._spill.unstorable),
        ):
            if number:
                self._crawler.stats.set_value(stat, number)

    async def _open(self) -> None:
        """Open the store, and store what an earlier run spilled.

        Raises:
            CloseSpider: if the store cannot be opened (logged), or a signal stops the crawl.
        """
        store = self._store
        if store is None:
            return
        opening = asyncio.ensure_future(self._open_and_restore(store))
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({opening, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                self._disable()
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
                await store.abandon()
                raise CloseSpider(STOPPED)
            opening.result()
        finally:
            stop.cancel()

    async def _open_and_restore(self, store: Store) -> None:
        try:
            await store.open()
        except StoreUnavailable as error:
            logger.error("%s", error)
            self._disable()
            raise CloseSpider(CloseReason.STORE_FAILED.value) from None
        logger.info("Storing in %s", store.place)
        try:
            restored = await store.restore(Path(self._crawler.settings["XHS_SPILL_DIR"]))
        except StoreFailed as error:
            self.fail(error)
            return
        if restored.stored:
            logger.info("Stored %d writes that an earlier run had spilled", restored.stored)
        for sentence in restored.left:
            logger.warning("Left in the spill: %s", sentence)
        for sentence in restored.set_aside:
            logger.warning("Set aside, and not tried again: %s", sentence)

    def _disable(self) -> None:
        self._store, self.storage = None, NullStorage()


class CrawlState(Component):
    """State of a crawl: its open notes, unfinished pages and progress."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self.pages = PageTracker()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        state = cls(crawler)
        crawler.signals.connect(state._sent, signals.request_reached_downloader)
        # An answer from Scrapy's cache is received without being sent.
        crawler.signals.connect(state._sent, signals.response_received)
        crawler.signals.connect(state._close, signals.spider_closed)
        return state

    # Cached properties, since extensions can be looked up only when all of them are made.
    @cached_property
    def notes(self) -> OpenNotes:
        """The notes that are open."""
        places = self._crawler.settings.getint("CONCURRENT_REQUESTS")
        return OpenNotes(places, CallOrder.of(self._crawler))

    @cached_property
    def progress(self) -> Progress:
        """Writer of each note's progress."""
        return Progress(self.storage, self._budget.take_billed, self.fail_store)

    @cached_property
    def _store(self) -> CrawlStore:
        return CrawlStore.of(self._crawler)

    @cached_property
    def _budget(self) -> CallBudget:
        return CallBudget.of(self._crawler)

    @property
    def storage(self) -> Storage:
        """The storage of the crawl's notes and items."""
        return self._store.storage

    def count(self, stat: str, number: int = 1) -> None:
        """Increment a stat."""
        self._crawler.stats.inc_value(stat, number)

    def fail_store(self, error: StoreFailed) -> None:
        """Send no more calls: the store has failed for good."""
        self._store.fail(error)

    def forced_to_stop(self) -> None:
        """Set the stats that closing the spider would set: a second signal came before that.

        Calls in flight may have been billed.
        """
        stats, ended = self._crawler.stats, datetime.now(UTC)
        stats.set_value("finish_reason", STOPPED)
        stats.set_value("finish_time", ended)
        started = stats.get_value("start_time", ended)
        stats.set_value("elapsed_time_seconds", (ended - started).total_seconds())
        self.count(Stat.CALLS_UNKNOWN, self._budget.in_flight)
        self._count_notes_left()
        if not stats.get_value(Stat.NOTES_LEFT):  # all notes had ended: the crawl was closing
            self.count(Stat.PIPELINES_UNCLOSED)

    def _sent(self, request: Request) -> None:
        if page := page_of(request):
            self.notes.sent(page.note_id)

    async def _close(self) -> None:
        """Leave open notes at their checkpoints, then close the store."""
        self._count_notes_left()
        for note in list(self.notes):
            await self.progress.leave(note)
        try:
            await self._store.close()
        except Exception:
            logger.exception("The store could not be closed: what it held may be lost")
            self.count(Stat.PIPELINES_UNCLOSED)

    def _count_notes_left(self) -> None:
        """Count the notes that ``mode=resume`` would continue or begin."""
        stats = self._crawler.stats
        if self.notes:
            stats.set_value(Stat.of_notes(StopReason.INTERRUPTED), len(self.notes))
        unfinished = sum(
            stats.get_value(Stat.of_notes(reason), 0) for reason in StopReason if not reason.ended
        )
        not_begun = self._not_begun()
        if not_begun is not None:
            stats.set_value(Stat.NOTES_LEFT, unfinished + not_begun)

    def _not_begun(self) -> int | None:
        """Return how many notes have not begun; None if the ledger was not read."""
        if self.notes.waiting is not None:
            return self.notes.waiting
        # The crawl stopped before its notes were counted.
        checked = getattr(self._crawler.spider, "checked", None)
        return len(checked.notes) if checked and checked.notes is not None else None


class Rejections(Component):
    """Keeps objects that are not valid items whole in ``rejected``, and counts them by field."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    @cached_property
    def _state(self) -> CrawlState:
        return CrawlState.of(self._crawler)

    async def reject(self, kind: str, provenance: Provenance, problems: Sequence[Problem]) -> None:
        """Keep a raw object, with its provenance and everything that is wrong with it.

        Raises:
            NotStored: if the store takes no more writes.
        """
        state = self._state
        state.count(Stat.REJECTED)
        for path in sorted({problem.path.split(".")[0] or "item" for problem in problems}):
            state.count(Stat.REJECTED_FIELDS + path)
        storage = state.storage
        logger.warning(
            "Rejected a %s of note %s%s, page %d: %s%s",
            kind,
            provenance.note_id,
            f", replies to {provenance.thread_id}" if provenance.thread_id else "",
            provenance.page,
            "; ".join(f"{problem.path or 'item'} {problem.message}" for problem in problems),
            " (not kept: there is no store)" if storage.is_null else "",
        )
        try:
            message = await storage.save_rejected(kind, provenance, problems)
        except StoreFailed as error:
            state.fail_store(error)
            raise NotStored from None
        if message:
            logger.warning("%s", message)

    async def reject_item(
        self, item: Any, problems: Sequence[Problem], *, is_invalid: bool = True
    ) -> None:
        """Keep the raw object of an item, as :meth:`reject` does.

        If an item did not come from a page, or is a copy that a user's pipeline made, the item
        itself is kept. ``is_invalid`` is false if a user's pipeline failed on the item.
        """
        adapter = ItemAdapter(item)
        provenance = self._state.pages.provenance(item)
        if provenance is None:
            provenance = Provenance(str(adapter.get("note_id")), 0, adapter.asdict())
        kind = item_type(item) or "item"
        if kind == "comment" and is_invalid and not provenance.is_inline:
            self._state.notes.rejected(provenance.note_id, provenance.thread_id)
        await self.reject(kind, provenance, problems)


class ItemOutcomes(Component):
    """Counts the outcome of each item in the pipelines. A page is done when all are counted.

    docs/architecture.md shows the way of an item from page to checkpoint.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @cached_property
    def _state(self) -> CrawlState:
        return CrawlState.of(self._crawler)

    @cached_property
    def _rejections(self) -> Rejections:
        return Rejections.of(self._crawler)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        outcomes = cls(crawler)
        crawler.signals.connect(outcomes._scraped, signals.item_scraped)
        crawler.signals.connect(outcomes._dropped, signals.item_dropped)
        crawler.signals.connect(outcomes._failed, signals.item_error)
        return outcomes

    def _scraped(self, item: Any, response: Response | None) -> None:
        kind, pages = item_type(item), self._state.pages
        self._state.count(f"{Stat.ITEMS}{kind}")
        if kind == "comment":
            comment = ItemAdapter(item)
            if comment.get("parent_comment_id"):
                self._state.count(Stat.REPLIES_DELIVERED)
            self._state.storage.delivered(comment, pages.provenance(item))
        if kind != "note":
            pages.count(response)

    def _dropped(self, item: Any, response: Response | None, exception: Exception) -> None:
        lost = isinstance(exception, NotStored)
        if lost:
            self._state.count(Stat.LOST)
        if not is_note(item):
            self._state.pages.count(response, lost=lost)

    async def _failed(self, item: Any, response: Response | None, failure: Failure) -> None:
        self._state.count(Stat.PIPELINES_FAILED)
        if is_note(item):
            return
        if self._state.storage.is_null:
            self._state.count(Stat.LOST)
        lost = False
        if self._state.pages.provenance(item):
            problem = Problem("", f"an item pipeline raised {type(failure.value).__name__}")
            try:
                await self._rejections.reject_item(item, [problem], is_invalid=False)
            except NotStored:
                lost = True
        self._state.pages.count(response, lost=lost)
