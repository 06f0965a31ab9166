"""The crawl of a note: its own pages, its threads of replies, and its end or another pass."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from xhs.api.endpoints import PageRef
from xhs.api.values import format_time
from xhs.crawl.arguments import Arguments
from xhs.crawl.expected_calls import ExpectedCalls
from xhs.crawl.open_notes import FIRST_CALL, OpenChain, OpenNote, OpenNotes, OpenThread, ThreadQueue
from xhs.crawl.paginator import CommentPaginator
from xhs.crawl.planning import NotePlan, now, plan_note, wanted_by
from xhs.crawl.progress import Progress
from xhs.crawl.replies import Thread
from xhs.crawl.storage import Storage, StoredCounts, StoreFailed
from xhs.reasons import ADVICE, StopReason
from xhs.stats import Stat

logger = logging.getLogger(__name__)


class PageRequest(NamedTuple):
    """A page to request, and the priority of the call."""

    page: PageRef
    priority: int


NoteFields = dict[str, Any]
"""The fields of a note's item."""

Next = AsyncIterator[PageRequest | NoteFields]


class NoteCrawls:
    """Follows each note of a crawl from its first page to its item.

    ``count`` adds to a stat. ``on_failure`` is called if the store fails for good.
    """

    def __init__(
        self,
        arguments: Arguments,
        version: str,
        *,
        notes: OpenNotes,
        progress: Progress,
        storage: Storage,
        expected: ExpectedCalls,
        count: Callable[[str, int], None],
        on_failure: Callable[[StoreFailed], None],
    ) -> None:
        self._arguments = arguments
        self._version = version
        self._notes = notes
        self._progress = progress
        self._storage = storage
        self._expected = expected
        self._count = count
        self._on_failure = on_failure

    async def begin(self, plan: NotePlan) -> Next:
        """Begin a pass, or continue it."""
        note = self._notes.open(plan)
        self._expected.begin()
        self._progress.begin(note, wanted_by(self._arguments))
        if plan.first_page is not None:
            yield PageRequest(plan.first_page, FIRST_CALL)
            return
        async for output in self._pages_ended(note):
            yield output

    async def chain_ended(self, note: OpenNote, opened: OpenChain, why: str = "") -> Next:
        """Yield what follows a chain that has stopped, once its last page is done.

        Nothing follows if one of its pages is lost. ``why``: the message of a failed call.
        """
        stop = opened.paginator.stop
        if stop is None or not await opened.is_done():
            return
        if isinstance(opened, OpenThread) and opened.is_all_rejected and stop.may_hide_rejections:
            stop = StopReason.ALL_REJECTED
            opened.paginator.end(stop)
        if not stop.satisfied:
            _log_end(opened.paginator, stop, why)
        if not isinstance(opened, OpenThread):
            async for output in self._pages_ended(note):
                yield output
            return
        note.worst = note.worst.or_worse(stop)
        if await self._progress.end_thread(note, opened):
            self._notes.close_thread(note, opened)
            async for output in self._next_threads(note):
                yield output

    async def _pages_ended(self, note: OpenNote) -> Next:
        """Continue with a note's threads after its own pages have ended and are stored."""
        stop = note.paginator.stop
        if stop is None:
            return
        note.worst = stop
        if not note.counted:
            counts = await self._progress.counts(note)
            if note.paginator.next_page.comment_id is None and counts:
                yield _note_fields(note, stop, counts)
            return
        if note.replies != "all" or not stop.ended:
            following = self._note_ended(note)
        elif await self._begin_threads(note):
            following = self._next_threads(note)
        else:
            return
        async for output in following:
            yield output

    async def _begin_threads(self, note: OpenNote) -> bool:
        """Write a checkpoint at which only replies are left, and count the most calls for them.

        False if the store fails.
        """
        self._progress.page_done(note, note.facts(), note.current_checkpoint())
        calls = 0
        try:
            async for thread in self._progress.threads(note):
                if isinstance(thread, Thread):
                    calls += thread.calls
                else:
                    note.worst = note.worst.or_worse(thread)
        except StoreFailed as error:
            self._on_failure(error)
            return False
        self._count(Stat.REPLY_CALLS_EXPECTED, calls)
        note.reply_calls = calls
        self._expected.estimate(note)
        threads = self._progress.threads(note)
        note.queue = ThreadQueue(thread async for thread in threads if isinstance(thread, Thread))
        return True

    async def _next_thread(self, note: OpenNote) -> OpenThread | None:
        """Open a note's next thread; None if there is none, or enough are open."""
        if note.queue is None or (note.threads and not self._notes.has_room_for_threads):
            return None
        try:
            thread = await note.queue.next()
        except StoreFailed as error:
            self._on_failure(error)
            return None
        return self._notes.open_thread(note, thread) if thread else None

    async def _next_threads(self, note: OpenNote) -> Next:
        """Request more of a note's threads; after the last thread the note ends."""
        while opened := await self._next_thread(note):
            yield PageRequest(opened.paginator.next_page, self._notes.priority(opened.paginator))
        no_thread_left = note.queue is not None and note.queue.is_empty and not note.threads
        if no_thread_left and not note.ending:
            note.ending = True
            async for output in self._note_ended(note):
                yield output

    async def _note_ended(self, note: OpenNote) -> Next:
        """End a note's pass, and yield its item.

        There is no item if another pass follows, or if the store cannot count what is held.
        """
        note.reply_calls = 0
        self._expected.estimate(note)
        counts = await self._progress.counts(note)
        if counts and note.worst is StopReason.COMPLETE and note.progress.mode == "full":
            counts = await self._without_vanished(note, counts)
        listed_before = counts is not None and counts.comments_listed
        if note.is_all_rejected and note.worst.may_hide_rejections and not listed_before:
            note.worst = StopReason.ALL_REJECTED
            _log_end(note.paginator, note.worst, "")
        stop = note.worst
        item = _note_fields(note, stop, counts)
        again = note.plan.then_again and stop.ended
        wanted = wanted_by(self._arguments) if again else None
        if not await self._progress.end_pass(note, item, counts, wanted):
            return
        if again:
            async for output in self._begin_again(note):
                yield output
            return
        self._notes.close(note.note_id)
        self._storage.forget(note.note_id)
        self._count(Stat.of_notes(stop), 1)
        if counts:
            if stop not in (StopReason.MAX_COMMENTS, StopReason.SINCE):
                self._count(Stat.COMMENTS_MISSING, item["missing"] or 0)
            self._count(Stat.REPLIES_REPORTED, counts.replies_reported)
            self._count(Stat.REPLIES_MISSING, counts.replies_missing)
            _log_missing(item, note.comments_rejected)
            yield item

    async def _without_vanished(self, note: OpenNote, counts: StoredCounts) -> StoredCounts | None:
        """Mark the comments that a complete full pass has not listed; return the counts then.

        If all that are held were listed, the database need not be asked.
        """
        all_listed = counts.comments == counts.comments_listed
        vanished = 0 if all_listed else await self._progress.mark_vanished(note)
        self._count(Stat.COMMENTS_VANISHED, vanished)
        return await self._progress.counts(note) if vanished else counts

    async def _begin_again(self, note: OpenNote) -> Next:
        """Begin the requested update after an earlier pass was finished."""
        note_id = note.note_id
        try:
            stored = (await self._storage.note_records([note_id])).get(note_id)
        except StoreFailed as error:
            self._on_failure(error)
            return
        stored = stored and replace(stored, checkpoint=None)
        plan = plan_note(note_id, stored, self._arguments, self._version, now())
        if isinstance(plan, NotePlan):
            async for output in self.begin(plan):
                yield output


def chain_name(page: PageRef) -> str:
    """Return the name of a page's chain for a log line."""
    of_thread = f" (replies to {page.comment_id})" if page.comment_id else ""
    return f"Note {page.note_id}{of_thread}"


def _note_fields(note: OpenNote, stop: StopReason, counts: StoredCounts | None) -> NoteFields:
    paginator = note.paginator
    reported = paginator.comment_count_l1
    return {
        "item_type": "note",
        "note_id": paginator.note_id,
        "user_id": paginator.author_id,
        "comment_count": paginator.comment_count,
        "comment_count_l1": reported,
        **(counts.fields(reported) if counts else {}),
        "sort": paginator.sort,
        "pages": paginator.pages,
        "complete": note.is_complete,
        "stop_reason": stop.value,
        "scraped_at": note.answered_at or format_time(datetime.now(UTC)),
    }


def _log_end(paginator: CommentPaginator, stop: StopReason, failure: str) -> None:
    page, level = paginator.pages, logging.WARNING
    if failure:
        page, level = page + 1, logging.ERROR
    why = failure or (ADVICE[stop].sentence if stop in ADVICE else "")
    detail = f": {why}" if why else ""
    logger.log(
        level, "%s ended at page %d: %s%s", chain_name(paginator.next_page), page, stop, detail
    )


def _log_missing(item: Mapping[str, Any], rejected: int) -> None:
    if item["complete"] and item["missing"]:
        advice = "`scrapy status` says which other sort to try"
        if rejected:
            advice = f"{rejected} received comments were rejected: see `rejected`, `scrapy recover`"
        logger.info(
            "Note %s is complete, but %d of %d reported comments are not held; %s",
            item["note_id"],
            item["missing"],
            item["comment_count_l1"],
            advice,
        )
