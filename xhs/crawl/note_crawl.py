"""What follows when a chain has ended: a note's threads, its end, or another pass."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import NamedTuple

from itemadapter import ItemAdapter

from xhs.api.endpoints import PageRef
from xhs.api.values import iso
from xhs.crawl.open_notes import OpenChain, OpenNote, OpenThread, ThreadQueue
from xhs.crawl.order import UNSEEN
from xhs.crawl.paginator import CommentPaginator
from xhs.crawl.planned import now
from xhs.crawl.planning import NotePlan, plan
from xhs.crawl.replies import Thread
from xhs.extensions.run import Run
from xhs.items import NoteItem
from xhs.reasons import ADVICE, StopReason
from xhs.store.mongo.notes import StoredCounts, count_fields, note_fields
from xhs.store.mongo.retrying import StoreFailed

logger = logging.getLogger(__name__)


class PageRequest(NamedTuple):
    """A call that is to be made."""

    call: PageRef
    priority: int


Next = AsyncIterator[PageRequest | NoteItem]


class NoteCrawls:
    """The passes of a crawl, each from its first call to the note's item."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._book = run.passbook

    async def begin(self, first: NotePlan) -> Next:
        """Begin a pass, or go on with it."""
        note = self._run.begin(first)
        if first.call is not None:
            yield PageRequest(first.call, UNSEEN)
            return
        async for following in self._pages_ended(note):
            yield following

    async def chain_ended(self, note: OpenNote, opened: OpenChain, why: str = "") -> Next:
        """A chain has stopped: what follows once its last page is settled; nothing where that page
        is lost. ``why`` is what a call that failed said.
        """
        stop = opened.chain.stop
        if stop is None or not await opened.is_settled():
            return
        if not stop.satisfied:
            _log_end(opened.chain, stop, why)
        if not isinstance(opened, OpenThread):
            async for following in self._pages_ended(note):
                yield following
            return
        note.worst = note.worst.or_worse(stop)
        if await self._book.end_thread(note, opened):
            self._run.close_thread(note, opened)
            async for following in self._next_threads(note):
                yield following

    async def _pages_ended(self, note: OpenNote) -> Next:
        """A note's own pages have ended, and all of them are stored: on to its threads."""
        stop = note.chain.stop
        assert stop is not None  # noqa: S101 (it has ended)
        note.worst = stop
        if not note.counted:
            if note.chain.call.comment_id is None and (held := await self._book.held(note)):
                yield _note_item(note, stop, held)
            return
        if note.replies != "all" or not stop.ended:
            following = self._note_ended(note)
        elif await self._begin_threads(note):
            following = self._next_threads(note)
        else:
            return
        async for one in following:
            yield one

    async def _begin_threads(self, note: OpenNote) -> bool:
        """Go on to a note's threads: write that to the ledger, and say what they will cost at most.

        False where the store fails.
        """
        self._book.settle(note, note_fields(note.chain), note.checkpoint_here())
        calls = 0
        try:
            async for found in self._book.threads(note):
                if isinstance(found, Thread):
                    calls += found.calls
                else:
                    note.worst = note.worst.or_worse(found)
        except StoreFailed as error:
            self._run.fail_store(error)
            return False
        self._run.count("xhs/replies/calls_expected", calls)
        note.reply_calls = calls
        self._run.expected.estimate(note)
        note.queue = ThreadQueue(self._threads_to_ask(note))
        return True

    async def _threads_to_ask(self, note: OpenNote) -> AsyncIterator[Thread]:
        async for found in self._book.threads(note):
            if isinstance(found, Thread):
                yield found

    async def _next_thread(self, note: OpenNote) -> OpenThread | None:
        """Open a note's next thread; None where there is none, or enough are open."""
        if note.queue is None or (note.threads and not self._run.has_room_for_threads):
            return None
        try:
            found = await note.queue.next()
        except StoreFailed as error:
            self._run.fail_store(error)
            return None
        return self._run.open_thread(note, found) if found else None

    async def _next_threads(self, note: OpenNote) -> Next:
        """Ask for more of a note's threads; after the last of them the note ends."""
        while opened := await self._next_thread(note):
            yield PageRequest(opened.chain.call, self._run.priority(opened.chain))
        if note.has_ended and not note.ending:
            note.ending = True
            async for following in self._note_ended(note):
                yield following

    async def _note_ended(self, note: OpenNote) -> Next:
        """A note's pass has ended. Its item follows, unless another pass does, or what is held of
        the note cannot be known.
        """
        run = self._run
        note.reply_calls = 0
        run.expected.estimate(note)
        if note.worst is StopReason.COMPLETE and note.progress.mode == "full":
            run.count("xhs/comments/vanished", await self._book.mark_vanished(note))
        held = await self._book.held(note)
        if note.worst.satisfied and note.met_only_rejected(held):
            note.worst = StopReason.ALL_REJECTED
            _log_end(note.chain, note.worst, "")
        stop = note.worst
        item = _note_item(note, stop, held)
        again = note.first.then_again and stop.ended
        wanted = run.wanted if again else None
        if not await self._book.end_pass(note, ItemAdapter(item).asdict(), held, wanted):
            return
        if again:
            async for following in self._begin_again(note):
                yield following
            return
        run.end_note(note, stop)
        if held:
            run.count("xhs/replies/reported", held.replies_reported)
            run.count("xhs/replies/missing", held.replies_missing)
            _log_missing(item)
            yield item

    async def _begin_again(self, note: OpenNote) -> Next:
        """An update has finished the pass that was left; now it makes its own."""
        run, note_id = self._run, note.chain.note_id
        assert run.store is not None  # noqa: S101 (an update needs one)
        try:
            known = (await run.store.ledger.known([note_id])).get(note_id, {})
        except StoreFailed as error:
            run.fail_store(error)
            return
        first = plan(note_id, {**known, "checkpoint": None}, run.arguments, run.version, now())
        assert isinstance(first, NotePlan)  # noqa: S101 (an update leaves none alone)
        async for following in self.begin(first):
            yield following


def named(call: PageRef) -> str:
    """What a log calls a chain."""
    of_thread = f", replies to {call.comment_id}," if call.comment_id else ""
    return f"Note {call.note_id}{of_thread}"


def _note_item(note: OpenNote, stop: StopReason, held: StoredCounts | None) -> NoteItem:
    chain = note.chain
    reported = chain.comment_count_l1
    return NoteItem(
        item_type="note",
        note_id=chain.note_id,
        user_id=chain.author_id,
        comment_count=chain.comment_count,
        comment_count_l1=reported,
        **(count_fields(held, reported) if held else {}),
        sort=chain.sort,
        pages=chain.pages,
        complete=note.is_complete,
        stop_reason=stop.value,
        scraped_at=note.answered_at or iso(datetime.now(UTC)),
    )


def _log_end(chain: CommentPaginator, stop: StopReason, failure: str) -> None:
    page, level = chain.pages, logging.WARNING
    if failure:
        page, level = page + 1, logging.ERROR
    why = failure or ADVICE.get(stop)
    told = f": {why}" if why else ""
    logger.log(level, "%s ended at page %d: %s%s", named(chain.call), page, stop, told)


def _log_missing(item: NoteItem) -> None:
    if item["complete"] and item["missing"]:
        logger.info(
            "Note %s is complete, but %d of %d reported comments are not held; `scrapy status` "
            "says which other sort to try",
            item["note_id"],
            item["missing"],
            item["comment_count_l1"],
        )
