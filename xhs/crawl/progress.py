"""The progress of each note's crawl, as it is written: that it begins, how far it is, its end.

Nothing is written of a page before its items are stored: see docs/architecture.md.
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
    """Writes how far the notes of a crawl are.

    ``take_billed`` returns the billed calls for a note since it was last asked. If the store fails
    for good, ``on_failure`` is called.
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
        """See that the ledger has a note whose first call is about to be sent."""
        if note.plan.is_new:
            self._watch(self._storage.add_note(note.note_id, wanted))

    def page_done(self, note: OpenNote, facts: Mapping[str, Any], checkpoint: Checkpoint) -> None:
        """Write how far a note is, now that one of its pages is stored."""
        note.has_checkpoint = True
        self._save(note, facts, checkpoint, self._calls_to_book(note))

    def thread_page_done(self, note: OpenNote, opened: OpenThread, cursor: str | None) -> None:
        """Write how far a thread is, now that one of its pages is stored."""
        if cursor is not None and is_storable(cursor):
            began = note.progress.began
            written = self._storage.save_thread(opened.thread, began, cursor=cursor)
            opened.checkpoint = self._watch(written)
        self._book(note)

    async def end_thread(self, note: OpenNote, opened: OpenThread) -> bool:
        """Write how a thread has ended; False if that fails."""
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
        """Write the end of a note's pass, as its item has it; False if that fails.

        The ledger says how a note ended whatever becomes of the item in the pipelines. A pass that
        is left before its first page changes nothing that an earlier answer said. ``wanted``: the
        pass that follows.
        """
        await checkpoint_written(note)
        calls = self._take_calls(note)
        stop = StopReason(item["stop_reason"])
        try:
            if note.has_page or not note.plan.has_state:
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
        """Leave a note at its checkpoint, if it has one: the crawl stops before its end."""
        await checkpoint_written(note)
        calls = self._take_calls(note)
        if note.has_checkpoint:
            checkpoint = replace(note.progress, calls=note.calls)
            self._watch(self._storage.leave_note(checkpoint, calls))
        elif calls:
            self._watch(self._storage.book_calls(note.note_id, calls))

    async def mark_vanished(self, note: OpenNote) -> int:
        """Mark the comments that a full pass, which is complete, has not met; return how many."""
        if self._storage.failed:
            return 0
        try:
            reported = note.paginator.comment_count_l1
            return await self._storage.mark_vanished(note.progress, reported)
        except StoreFailed as error:
            self._on_failure(error)
            return 0

    async def counts(self, note: OpenNote) -> StoredCounts | None:
        """Return what is held of a note; None if the store has failed."""
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
        """Yield the threads under the comments that a pass met: to be asked for, or how they ended.

        Raises:
            StoreFailed: if the database does not answer.
        """
        async for comments in self._storage.answered_comments(note.progress):
            # Whoever waits for one of them holds no more than these.
            found = [thread_of(one, note.progress, note.plan.resumed) for one in comments]
            comments.clear()
            for one in found:
                if one is not None:
                    yield one

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
        """One write that books is under way at a time: of two in one bulk, which is repeated if its
        acknowledgement is lost, the ledger would know the second alone.
        """
        if note.checkpoint is not None and not note.checkpoint.done():
            return 0
        return self._take_calls(note)

    def _take_calls(self, note: OpenNote) -> int:
        calls = self._take_billed(note.note_id)
        note.calls += calls
        return calls

    def _watch(self, written: Written) -> Written:
        """Do not wait for a write. A failure of the store stops the crawl."""
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
