"""Writer of each note's progress: its begin, its checkpoints and its end.

A page is recorded only once its items are stored: see docs/architecture.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

from xhs.api.values import is_storable
from xhs.crawl.checkpoint import Checkpoint, Wanted
from xhs.crawl.open_notes import OpenChain, OpenNote, OpenThread
from xhs.crawl.replies import Thread, thread_of
from xhs.crawl.storage import Storage, StoredCounts, StoreFailed, Written
from xhs.reasons import StopReason

logger = logging.getLogger(__name__)


class Progress:
    """Writes the progress of a crawl's notes.

    ``take_billed`` returns the calls billed for a note since it was last called. ``on_failure`` is
    called if the store fails for good.
    """

    def __init__(
        self,
        storage: Storage,
        take_billed: Callable[[str], int],
        on_failure: Callable[[StoreFailed], None],
    ) -> None:
        self._storage = storage
        self._take_billed = take_billed
        self._on_failure = on_failure

    def begin(self, note: OpenNote, wanted: Wanted) -> None:
        """Add a note whose first call is about to be sent to the ledger, if it is new."""
        if note.plan.is_new:
            self._watch(self._storage.add_note(note.note_id, wanted))

    def page_done(self, note: OpenNote, facts: Mapping[str, Any], checkpoint: Checkpoint) -> None:
        """Write the checkpoint of a note after one of its pages is stored."""
        note.has_checkpoint = True
        self._save(note, facts, checkpoint, self._calls_to_book(note))

    def thread_page_done(self, note: OpenNote, opened: OpenThread, cursor: str | None) -> None:
        """Write the cursor of a thread after one of its pages is stored."""
        if cursor is not None and is_storable(cursor):
            began = note.progress.began
            written = self._storage.save_thread(opened.thread, began, cursor=cursor)
            opened.checkpoint = self._watch(written)
        self._book(note)

    async def end_thread(self, note: OpenNote, opened: OpenThread) -> bool:
        """Write the end of a thread; False if that fails."""
        stop = opened.paginator.stop
        if stop is not None and stop.ended:
            try:
                await self._storage.save_thread(
                    opened.thread, note.progress.began, stop_reason=stop
                )
            except StoreFailed as error:
                self._on_failure(error)
                return False
        self._book(note)
        return True

    async def end_pass(
        self,
        note: OpenNote,
        item: Mapping[str, Any],
        counts: StoredCounts | None,
        wanted: Wanted | None = None,
    ) -> bool:
        """Write the end of a note's pass from the note's item; False if that fails.

        The ledger is written even if the item is lost in the pipelines. A pass that ends before its
        first page leaves unchanged what an earlier pass said. A pass that is resumed had pages in
        an earlier crawl, so its end is written. ``wanted``: the pass that follows.
        """
        await checkpoint_written(note)
        calls = self._take_calls(note)
        stop = StopReason(item["stop_reason"])
        try:
            had_page = note.has_page or (note.plan.resumed and stop.ended)
            if had_page or not note.plan.has_state:
                checkpoint = replace(note.progress, calls=note.calls)
                await self._storage.end_pass(
                    item, counts, checkpoint, calls, note.next_watermark, wanted
                )
            else:
                await self._storage.leave_unchanged(note.note_id, calls, is_wanted=not stop.ended)
        except StoreFailed as error:
            self._on_failure(error)
            return False
        return True

    async def leave(self, note: OpenNote) -> None:
        """Leave a note at its checkpoint, if it has one, because the crawl stops before its end."""
        await checkpoint_written(note)
        calls = self._take_calls(note)
        if note.has_checkpoint:
            checkpoint = replace(note.progress, calls=note.calls)
            self._watch(self._storage.leave_note(checkpoint, calls))
        elif calls:
            self._watch(self._storage.book_calls(note.note_id, calls))

    async def mark_vanished(self, note: OpenNote) -> int:
        """Mark the comments that a complete full pass has not listed; return their number."""
        if self._storage.failed:
            return 0
        try:
            reported = note.paginator.comment_count_l1
            return await self._storage.mark_vanished(note.progress, reported)
        except StoreFailed as error:
            self._on_failure(error)
            return 0

    async def counts(self, note: OpenNote) -> StoredCounts | None:
        """Return the counts of what is held of a note; None if the store has failed."""
        if self._storage.failed:
            return None
        try:
            return await self._storage.counts(
                note.note_id, note.paginator.sort, note.progress.began
            )
        except StoreFailed as error:
            self._on_failure(error)
            return None

    async def threads(self, note: OpenNote) -> AsyncIterator[Thread | StopReason]:
        """Yield the threads of the comments that a pass listed: those to request, and the reasons
        of those that have ended.

        Raises:
            StoreFailed: if the database does not answer.
        """
        async for comments in self._storage.answered_comments(note.progress):
            threads = [thread_of(comment, note.progress, note.plan.resumed) for comment in comments]
            comments.clear()  # they need not stay in memory while the threads are followed
            for thread in threads:
                if thread is not None:
                    yield thread

    def _book(self, note: OpenNote) -> None:
        if calls := self._calls_to_book(note):
            self._save(note, {}, note.progress, calls)

    def _save(
        self, note: OpenNote, facts: Mapping[str, Any], checkpoint: Checkpoint, calls: int
    ) -> None:
        note.progress = replace(checkpoint, calls=note.calls)
        written = self._storage.save_checkpoint(note.note_id, facts, note.progress, calls)
        note.checkpoint = self._watch(written)

    def _calls_to_book(self, note: OpenNote) -> int:
        """Return the calls to book with a checkpoint; 0 while the last one is being written.

        If two writes that book calls were in one bulk, and the bulk was repeated because its
        acknowledgement was lost, the ledger would count only those of the second.
        """
        if note.checkpoint is not None and not note.checkpoint.done():
            return 0
        return self._take_calls(note)

    def _take_calls(self, note: OpenNote) -> int:
        calls = self._take_billed(note.note_id)
        note.calls += calls
        return calls

    def _watch(self, written: Written) -> Written:
        """Report a failure of a write, without waiting for it."""
        written.add_done_callback(self._written)
        return written

    def _written(self, written: Written) -> None:
        error = None if written.cancelled() else written.exception()
        if isinstance(error, StoreFailed):
            self._on_failure(error)
        elif error is not None:
            logger.error("The ledger could not be written: %s", error)


async def checkpoint_written(opened: OpenChain) -> None:
    """Wait until a chain's last checkpoint is stored, spilled or lost."""
    if opened.checkpoint is not None:
        await asyncio.wait([opened.checkpoint])
