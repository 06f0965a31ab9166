"""What the store is told of each pass over a note: that it begins, how far it is, how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from xhs.api.values import is_storable
from xhs.crawl.checkpoint import Checkpoint, Wanted
from xhs.crawl.open_notes import OpenChain, OpenNote, OpenThread
from xhs.crawl.planned import now
from xhs.crawl.replies import Thread, thread_of
from xhs.download.budget import CallBudget
from xhs.reasons import StopReason
from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import Document, Write
from xhs.store.mongo.history import pass_ended
from xhs.store.mongo.notes import (
    StoredCounts,
    add_note,
    book_calls,
    end_note,
    leave_note,
    save_checkpoint,
)
from xhs.store.mongo.replies import thread_write
from xhs.store.mongo.retrying import StoreFailed

logger = logging.getLogger(__name__)


class Progress:
    """Writes a crawl's passes to its store, where it has one; without, it knows what was delivered.

    Where the store fails for good, ``on_failure`` is called.
    """

    def __init__(
        self, store: Store | None, gate: CallBudget, on_failure: Callable[[StoreFailed], None]
    ) -> None:
        self._store = store
        self._gate = gate
        self._on_failure = on_failure

    def begin(self, note: OpenNote, wanted: Wanted) -> None:
        """A note's first call is about to be sent: see that the ledger has the note."""
        if note.first.is_new:
            self._write(add_note(note.chain.note_id, wanted, datetime.now(UTC)))

    def settle(self, note: OpenNote, fields: Mapping[str, Any], checkpoint: Checkpoint) -> None:
        """A note's page is stored: ask for the write that says how far the note is."""
        calls = self._calls_to_book(note)
        note.has_page = True
        note.progress = replace(checkpoint, calls=note.calls)
        note.checkpoint = self._write(
            save_checkpoint(note.chain.note_id, fields, note.progress, calls, datetime.now(UTC))
        )

    def settle_thread(self, note: OpenNote, opened: OpenThread, cursor: str | None) -> None:
        """A page of replies is stored: ask for the write that says how far the thread is."""
        if cursor is not None and is_storable(cursor):
            write = thread_write(opened.thread, note.progress.began, cursor=cursor)
            opened.checkpoint = self._write(write)
        self._book(note)

    async def end_thread(self, note: OpenNote, opened: OpenThread) -> bool:
        """A thread's chain has stopped: say so where it has ended; false where that fails."""
        stop = opened.chain.stop
        if self._store is not None and stop is not None and stop.ended:
            try:
                await self._store.writer.put(
                    thread_write(opened.thread, note.progress.began, stop_reason=stop)
                )
            except StoreFailed as error:
                self._on_failure(error)
                return False
        self._book(note)
        return True

    async def end_pass(
        self,
        note: OpenNote,
        fields: Mapping[str, Any],
        held: StoredCounts | None,
        wanted: Wanted | None = None,
    ) -> bool:
        """Write the end of a note's pass, as its item has it; false if that fails.

        The ledger says how a note ended whatever becomes of the item in the pipelines. A pass that
        is left before its first page changes nothing that an earlier answer said. ``wanted``: the
        pass that follows.
        """
        await checkpoint_written(note)
        calls = self._take_calls(note)
        if self._store is None:
            return True
        stop, writer = StopReason(fields["stop_reason"]), self._store.writer
        try:
            if stop.ended:
                checkpoint = replace(note.progress, calls=note.calls)
                await writer.put(pass_ended(fields, held, checkpoint, now()))
            if stop.ended or note.has_page or not note.first.has_state:
                moment = datetime.now(UTC)
                await writer.put(end_note(fields, calls, moment, note.next_watermark, wanted))
            elif calls:
                await writer.put(book_calls(note.chain.note_id, calls))
        except StoreFailed as error:
            self._on_failure(error)
            return False
        return True

    async def leave(self, note: OpenNote) -> None:
        """The crawl stops before a note's end: leave it at its checkpoint, if it has one."""
        await checkpoint_written(note)
        calls = self._take_calls(note)
        if note.has_page:
            self._write(leave_note(replace(note.progress, calls=note.calls), calls))
        elif calls:
            self._write(book_calls(note.chain.note_id, calls))

    async def mark_vanished(self, note: OpenNote) -> int:
        """Mark the comments that a full pass, which is complete, has not met; how many they are."""
        if self._store is None or self._store.failed:
            return 0
        try:
            return await self._store.history.mark_vanished(
                note.progress, note.chain.comment_count_l1, datetime.now(UTC)
            )
        except StoreFailed as error:
            self._on_failure(error)
            return 0

    async def held(self, note: OpenNote) -> StoredCounts | None:
        """What is held of a note; None where the store has failed."""
        if self._store is None:
            return note.delivered()
        if self._store.failed:
            return None
        try:
            return await self._store.ledger.held(
                note.chain.note_id, note.chain.sort, note.progress.began
            )
        except StoreFailed as error:
            self._on_failure(error)
            return None

    async def threads(self, note: OpenNote) -> AsyncIterator[Thread | StopReason]:
        """The threads under the comments that a pass met: to be asked for, or how they ended.

        Raises:
            StoreFailed: where the database does not answer.
        """
        async for comments in self._answered(note):
            # Whoever waits for one of them holds no more than these.
            found = [thread_of(comment, note.progress, note.first.resumed) for comment in comments]
            comments.clear()
            for one in found:
                if one is not None:
                    yield one

    async def _answered(self, note: OpenNote) -> AsyncIterator[list[Document]]:
        if self._store is None:
            yield list(note.answered.values())
        else:
            async for comments in self._store.threads.answered(note.progress):
                yield comments

    def _book(self, note: OpenNote) -> None:
        if calls := self._calls_to_book(note):
            note.progress = replace(note.progress, calls=note.calls)
            note.checkpoint = self._write(
                save_checkpoint(note.chain.note_id, {}, note.progress, calls, datetime.now(UTC))
            )

    def _calls_to_book(self, note: OpenNote) -> int:
        """One write that books is under way at a time: of two in one bulk, which is repeated where
        its acknowledgement is lost, the ledger would know the second alone.
        """
        if note.checkpoint is not None and not note.checkpoint.done():
            return 0
        return self._take_calls(note)

    def _take_calls(self, note: OpenNote) -> int:
        calls = self._gate.take_billed(note.chain.note_id)
        note.calls += calls
        return calls

    def _write(self, write: Write) -> asyncio.Future[bool | None] | None:
        """Ask for a write and go on. A failure of the store stops the crawl."""
        if self._store is None:
            return None
        written = self._store.writer.put(write)
        written.add_done_callback(self._written)
        return written

    def _written(self, future: asyncio.Future[bool | None]) -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, StoreFailed):
            self._on_failure(error)
        elif error is not None:
            logger.error("The ledger could not be written: %s", error)


async def checkpoint_written(opened: OpenChain) -> None:
    """Wait until a chain's last checkpoint is stored, kept or lost."""
    if opened.checkpoint is not None:
        await asyncio.wait([opened.checkpoint])
