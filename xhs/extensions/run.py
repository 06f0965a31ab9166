"""What the parts of one crawl share: its gate, its token, its store and its page ledger."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from itemadapter import ItemAdapter
from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, DropItem
from scrapy.http import Response
from twisted.python.failure import Failure

from xhs.api.endpoints import PageRef, read_page_ref
from xhs.crawl.arguments import Arguments
from xhs.crawl.checkpoint import Checkpoint, Wanted
from xhs.crawl.expected_calls import ExpectedCalls
from xhs.crawl.open_notes import OpenChain, OpenNote, OpenThread
from xhs.crawl.order import CallOrder
from xhs.crawl.page_tracker import PageTracker
from xhs.crawl.paginator import CommentPaginator
from xhs.crawl.planned import now, of_a_note
from xhs.crawl.planning import NotePlan
from xhs.crawl.progress import Progress
from xhs.crawl.replies import Thread, as_stored
from xhs.download._scrapy import hurry, is_closing
from xhs.download.budget import CallBudget
from xhs.download.token import NoToken, Token, read_token
from xhs.items import item_type
from xhs.privacy import as_sent
from xhs.reasons import STOPPED, CloseReason, StopReason
from xhs.shutdown import shutdown
from xhs.store.mongo.client import Store, StoreUnavailable
from xhs.store.mongo.collections import Problem, Provenance, Write, rejected_write
from xhs.store.mongo.retrying import StoreFailed, hurry_up
from xhs.store.mongo.writer import Unstorable
from xhs.store.spill.files import Spill, SpillFailed

logger = logging.getLogger(__name__)

_MOST_OPEN = 1000
"""Notes that are open at once: memory is bounded by them, not by the list."""


class NotStored(DropItem):
    """The store failed on this item: it is neither stored nor kept, so its page is not settled."""

    def __init__(self) -> None:
        super().__init__("the store has failed", log_level="DEBUG")


class Run:
    """One crawl's shared state, as an extension, so that every component finds it.

    It makes the store and closes the crawl when the gate stops. The items that come back from the
    pipelines are counted into :attr:`pages` here.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        self._crawler = crawler
        self._closing: asyncio.Task[None] | None = None
        self._token: Token | None = None
        with suppress(NoToken):  # whoever needs it is told; from now on no log shows it
            self._token = read_token(os.environ)
        self.base_url: str = settings["JUSTONEAPI_BASE_URL"]
        self.version: str = settings["JUSTONEAPI_COMMENTS_VERSION"]
        self.gate = CallBudget(self.count, self._close, settings.getint("XHS_MAX_CALLS"))
        self.pages = PageTracker()
        self.protect = as_sent
        self.open_notes: dict[str, OpenNote] = {}
        self.notes_waiting: int | None = None
        """Notes that were not begun yet."""
        self._places = settings.getint("CONCURRENT_REQUESTS")
        self.order = CallOrder(self._places)
        self._stop = asyncio.Event()
        if shutdown.received:
            self._stop.set()
        self._threads_open = 0
        self._unsent: set[str] = set()
        self.expected = ExpectedCalls(self.gate, self.open_notes, lambda: self.notes_waiting or 0)
        self._room = asyncio.Event()
        self.store: Store | None = None
        self.spill: Spill | None = None
        if uri := settings["MONGODB_URI"]:
            self.spill = Spill(Path(settings["XHS_SPILL_DIR"]), settings["MONGODB_DATABASE"])
            self.store = Store(uri, settings["MONGODB_DATABASE"], self.spill, self.fail_store)
        self.passbook = Progress(self.store, self.gate, self.fail_store)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        run = cls(crawler)
        crawler.signals.connect(run._item_scraped, signals.item_scraped)
        crawler.signals.connect(run._item_dropped, signals.item_dropped)
        crawler.signals.connect(run._item_error, signals.item_error)
        crawler.signals.connect(run._sent, signals.request_reached_downloader)
        crawler.signals.connect(run._sent, signals.response_received)  # from a cache: never sent
        crawler.signals.connect(run._answered, signals.request_left_downloader)
        crawler.signals.connect(run._count_notes_left, signals.spider_closed)
        return run

    @classmethod
    def of(cls, crawler: Crawler) -> Self:
        """The run of a crawler.

        Raises:
            RuntimeError: where the extension was taken out of ``EXTENSIONS``.
        """
        run = crawler.get_extension(cls)
        if run is None:
            raise RuntimeError(f"EXTENSIONS must have {cls.__module__}.{cls.__name__}")
        return run

    @property
    def token(self) -> Token:
        """The access token.

        Raises:
            NoToken: where there is none.
        """
        if self._token is None:
            self._token = read_token(os.environ)
        return self._token

    @token.setter
    def token(self, token: Token) -> None:
        self._token = token

    def count(self, stat: str, number: int = 1) -> None:
        """Add to a stat."""
        self._crawler.stats.inc_value(stat, number)

    def waits_no_longer(self) -> None:
        """One note fewer waits to be begun."""
        self.notes_waiting = max(0, (self.notes_waiting or 0) - 1)

    async def room(self) -> None:
        """Wait until another note may be opened: enough are, or their first calls still wait."""
        while len(self.open_notes) >= _MOST_OPEN or len(self._unsent) >= self._places:
            self._room.clear()
            await self._room.wait()

    def begin(self, first: NotePlan) -> OpenNote:
        """Open a note, and write to the ledger from where it is asked for."""
        note_id = first.checkpoint.call.note_id
        note = self.open_notes[note_id] = OpenNote.begin(first)
        if first.call is not None:
            self._unsent.add(note_id)
        self.expected.begin()
        self.passbook.begin(note, self.wanted)
        return note

    @property
    def wanted(self) -> Wanted:
        """How this crawl reads notes of which the ledger knows nothing else."""
        arguments = self.arguments
        mode = "full" if arguments.mode == "resume" else arguments.mode
        return Wanted(mode, of_a_note(arguments))

    def opened(self, call: PageRef) -> tuple[OpenNote, OpenChain]:
        """The note and the chain that a call belongs to.

        A page that no note here asked for, as with ``scrapy parse``, is a chain of its own.
        """
        note = self.open_notes.get(call.note_id)
        if note is None:
            first = NotePlan(Checkpoint(call, self.version, "full", now()), self.arguments)
            note = OpenNote.begin(first)
            note.counted = False
            self.open_notes[call.note_id] = note
        if call.comment_id is None or not note.counted:
            return note, note
        return note, note.threads[call.comment_id]

    @property
    def arguments(self) -> Arguments:
        """What the crawl was told."""
        told: Arguments = self._crawler.spider.arguments  # type: ignore[union-attr]
        return told

    def priority(self, chain: CommentPaginator) -> int:
        """The priority of a chain's next call."""
        self.order.seen(chain.chain_id, chain.pages_left)
        unseen = (self.notes_waiting or 0) + len(self._unsent)
        return self.order.priority(chain.chain_id, unseen)

    @property
    def has_room_for_threads(self) -> bool:
        """Whether a note that has a thread open may open another."""
        return self._threads_open < 2 * self._places

    def open_thread(self, note: OpenNote, found: Thread) -> OpenThread:
        """Open a thread of a note."""
        opened = OpenThread(found.chain(note.chain.note_id), thread=found)
        note.threads[found.comment_id] = opened
        self._threads_open += 1
        return opened

    def close_thread(self, note: OpenNote, opened: OpenThread) -> None:
        """A thread is no longer open."""
        del note.threads[opened.thread.comment_id]
        self._threads_open -= 1
        self.order.forget(opened.thread.comment_id)

    def close_note(self, note_id: str) -> None:
        """A note is no longer open."""
        self.open_notes.pop(note_id, None)
        self.order.forget(note_id)
        self._unsent.discard(note_id)
        self._room.set()

    def _sent(self, request: Request) -> None:
        if self._unsent and (call := read_page_ref(request.url)):
            self._unsent.discard(call.note_id)
            self._room.set()

    def _answered(self, request: Request) -> None:
        if call := read_page_ref(request.url):
            self.order.answered(call.chain_id)

    def stop(self) -> None:
        """Stop the crawl, since a signal asks for it: calls in flight land and are stored.

        A store that is being opened is left; one that is away is waited for no longer. A spider
        that is being closed already takes its time.
        """
        self._stop.set()
        hurry_up()
        if not is_closing(self._crawler):
            self._closing = asyncio.create_task(self._crawler.stop_async())

    def check_not_stopped(self) -> None:
        """Do nothing unless the crawl was stopped before it could begin.

        Raises:
            CloseSpider: if it was.
        """
        if self._stop.is_set():
            raise CloseSpider(STOPPED)

    async def open_store(self) -> None:
        """Open the store, where there is one, and store what an earlier run had to spill.

        Raises:
            CloseSpider: where it cannot be opened, which is logged, or a signal stops the crawl.
        """
        store = self.store
        if store is None:
            return
        opening = asyncio.ensure_future(self._open(store))
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({opening, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                self.store = None
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
                await store.abandon()
                raise CloseSpider(STOPPED)
            opening.result()
        finally:
            stop.cancel()

    async def _open(self, store: Store) -> None:
        try:
            await store.open()
        except StoreUnavailable as error:
            logger.error("%s", error)
            self.store = None
            raise CloseSpider(CloseReason.STORE_FAILED.value) from None
        logger.info("Storing in %s", store.place)
        assert self.spill is not None  # noqa: S101 (made with the store)
        try:
            restored = await store.restore(self.spill.folder)
        except StoreFailed as error:
            self.fail_store(error)
            return
        if restored.stored:
            logger.info("Stored %d writes that an earlier run had to spill", restored.stored)
        for sentence in restored.left:
            logger.warning("Left in the spill: %s", sentence)

    async def close_store(self) -> None:
        """Leave the notes that are open at their checkpoints, and close the store."""
        for note in self.open_notes.values():
            await self.passbook.leave(note)
        if self.store is not None:
            await self.store.close()
        if self.spill is not None and self.spill.kept:
            self._crawler.stats.set_value("xhs/spilled", self.spill.kept)

    def end_note(self, note: OpenNote, stop: StopReason) -> None:
        """A note has ended: close and count it."""
        self.close_note(note.chain.note_id)
        self.count(f"xhs/notes/{stop}")

    async def reject(self, kind: str, origin: Provenance, problems: Sequence[Problem]) -> None:
        """Keep an object that is no valid item, whole, in ``rejected``, and count it by field.

        Raises:
            NotStored: where the store takes no more writes.
        """
        self.count("xhs/rejected")
        if kind == "comment" and (note := self.open_notes.get(origin.note_id)):
            note.comments_rejected += 1
        for path in sorted({problem.path.split(".")[0] or "item" for problem in problems}):
            self.count(f"xhs/rejected/{path}")
        logger.warning(
            "Rejected a %s of note %s, page %d: %s%s",
            kind,
            origin.note_id,
            origin.page,
            "; ".join(f"{problem.path or 'item'} {problem.message}" for problem in problems),
            "" if self.store else " (not kept: there is no store)",
        )
        if self.store is not None:
            write = rejected_write(kind, origin, problems, datetime.now(UTC))
            try:
                await self.store.writer.put(write)
            except StoreFailed as error:
                self.fail_store(error)
                raise NotStored from None
            except Unstorable as error:
                self._keep(write, str(error))

    def _keep(self, write: Write, reason: str) -> None:
        """Keep in the spill what not even ``rejected`` can hold."""
        assert self.store is not None  # noqa: S101 (it was asked first)
        try:
            self.store.keep(write, reason)
        except SpillFailed as error:
            self.fail_store(StoreFailed(f"the spill cannot be written: {error}"))
            raise NotStored from None
        logger.warning("Kept in the spill: one of %s: %s", write.collection, reason)

    async def reject_item(self, item: Any, problems: Sequence[Problem]) -> None:
        """Keep the object that an item was read from, as :meth:`reject` does.

        An item that did not come from a page, or is a user's copy of one, stands for itself.
        """
        adapter = ItemAdapter(item)
        origin = self.pages.origin(item)
        if origin is None:
            origin = Provenance(str(adapter.get("note_id")), 0, adapter.asdict())
        await self.reject(item_type(item) or "item", origin, problems)

    def fail_store(self, error: StoreFailed) -> None:
        """The store has failed for good: stop paying."""
        why = self.store.why(error) if self.store else str(error)
        self.gate.stop(CloseReason.STORE_FAILED, why)

    def _close(self, reason: CloseReason, message: str) -> None:
        level = logging.WARNING if reason is CloseReason.BUDGET_SPENT else logging.ERROR
        logger.log(level, "Stopping (%s): %s", reason, message)
        hurry(self._crawler)
        self._closing = asyncio.create_task(
            self._crawler.engine.close_spider_async(reason=reason.value)
        )

    def _item_scraped(self, item: Any, response: Response | None) -> None:
        kind = item_type(item)
        self.count(f"xhs/items/{kind}")
        if kind == "note":
            return
        if self.store is None:
            self._count_delivered(ItemAdapter(item), self.pages.origin(item))
        self.pages.count(response)

    def _count_delivered(self, item: ItemAdapter, origin: Provenance | None) -> None:
        """What the store would know of a comment. A pipeline may have left fields out."""
        note = self.open_notes.get(item.get("note_id", ""))
        comment_id = item.get("comment_id")
        if note is None or comment_id is None or item.get("item_type") != "comment":
            return
        parent = origin.parent_comment_id if origin else None
        parent = item.get("parent_comment_id", parent)
        top = parent is None
        if top:
            reported = item.get("sub_comment_count")
            note.held_comments[comment_id] = reported if isinstance(reported, int) else 0
        else:
            note.held_replies[comment_id] = str(parent)
        if top and note.replies == "all" and origin and origin.met:
            comment = as_stored(item.asdict(), origin.met.inline_replies)
            note.answered[comment_id] = comment

    def _item_dropped(self, item: Any, response: Response | None, exception: Exception) -> None:
        lost = isinstance(exception, NotStored)
        if lost:
            self.count("xhs/lost")
        if not is_note(item):
            self.pages.count(response, lost=lost)

    async def _item_error(self, item: Any, response: Response | None, failure: Failure) -> None:
        self.count("xhs/pipelines/failed")
        if is_note(item):
            return
        if self.store is None:
            self.count("xhs/lost")
        lost = False
        if self.pages.origin(item):
            problem = Problem("", f"an item pipeline raised {type(failure.value).__name__}")
            try:
                await self.reject_item(item, [problem])
            except NotStored:
                lost = True
        self.pages.count(response, lost=lost)

    def was_forced_to_stop(self) -> None:
        """Say what the close of the spider would have said, where a second signal came before it.
        Calls that are not answered may have been billed.
        """
        stats, ended = self._crawler.stats, datetime.now(UTC)
        stats.set_value("finish_reason", STOPPED)
        stats.set_value("finish_time", ended)
        began = stats.get_value("start_time", ended)
        stats.set_value("elapsed_time_seconds", (ended - began).total_seconds())
        self.count("xhs/calls/unknown", self.gate.in_flight)
        self._count_notes_left()
        if not stats.get_value("xhs/notes/left"):  # all had ended, and the crawl was closing
            self.count("xhs/pipelines/unclosed")

    def _count_notes_left(self) -> None:
        """Notes that ``mode=resume`` takes up, or that were not begun."""
        stats = self._crawler.stats
        if self.open_notes:
            stats.set_value(f"xhs/notes/{StopReason.INTERRUPTED}", len(self.open_notes))
        unfinished = sum(
            stats.get_value(f"xhs/notes/{reason}", 0) for reason in StopReason if not reason.ended
        )
        not_begun = self._not_begun()
        if not_begun is not None:
            stats.set_value("xhs/notes/left", unfinished + not_begun)

    def _not_begun(self) -> int | None:
        """Notes that were not begun, also where the crawl stopped before it looked at any; None
        where the ledger names them and was not read.
        """
        if self.notes_waiting is not None:
            return self.notes_waiting
        prepared = getattr(self._crawler.spider, "prepared", None)
        return len(prepared.notes) if prepared and prepared.notes is not None else None


def is_note(item: Any) -> bool:
    """Whether an item is a note's end, which no page waits for."""
    return item_type(item) == "note"
