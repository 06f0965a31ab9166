"""The storage of a crawl in MongoDB."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from xhs.crawl.checkpoint import Checkpoint, Wanted
from xhs.crawl.paginator import Watermark
from xhs.crawl.replies import AnsweredComment, Thread
from xhs.crawl.storage import (
    Listing,
    NoteRecord,
    Problem,
    Provenance,
    StoredCounts,
    StoreFailed,
    Unstorable,
    Written,
)
from xhs.reasons import StopReason
from xhs.store.mongo import notes
from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import item_write
from xhs.store.mongo.history import pass_ended
from xhs.store.mongo.rejected import rejected_write
from xhs.store.mongo.replies import thread_write
from xhs.store.spill.files import SpillFailed

logger = logging.getLogger(__name__)


class MongoStorage:
    """:class:`xhs.crawl.storage.Storage` on an open store.

    Writes that MongoDB does not accept go to the store's spill.
    """

    is_null = False

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def failed(self) -> bool:
        return self._store.failed

    def explain(self, failure: StoreFailed) -> str:
        return self._store.why(failure)

    def save_item(self, fields: Mapping[str, Any], listing: Listing | None) -> Written:
        return self._store.writer.put(item_write(fields, listing))

    async def save_rejected(
        self, kind: str, provenance: Provenance, problems: Sequence[Problem]
    ) -> str | None:
        write = rejected_write(kind, provenance, problems, _now())
        try:
            await self._store.writer.put(write)
        except Unstorable as error:
            try:
                path = self._store.keep_refused(write, error)
            except SpillFailed as failure:
                raise StoreFailed(f"the spill cannot be written: {failure}") from None
            name = f"{kind} of note {provenance.note_id}, page {provenance.page}"
            if path is None:
                return f"Kept in the spill: {name}: {error}"
            return f"Set aside, and not tried again: {name}: {error}; in {path}"
        return None

    def delivered(self, fields: Mapping[str, Any], provenance: Provenance | None) -> None:
        pass

    async def count_notes(self, *, to_resume: bool) -> int:
        return await self._store.ledger.count(to_resume=to_resume)

    async def notes(self, *, to_resume: bool) -> AsyncIterator[NoteRecord]:
        async for document in self._store.ledger.each(to_resume=to_resume):
            yield notes.read_note(document, _now())

    async def note_records(self, note_ids: Sequence[str]) -> dict[str, NoteRecord]:
        documents = await self._store.ledger.documents(note_ids)
        return {key: notes.read_note(document, _now()) for key, document in documents.items()}

    async def mark_wanted(
        self, note_ids: Sequence[str] | None, wanted: Wanted | None, *, is_default: bool = False
    ) -> None:
        await self._store.ledger.mark_wanted(note_ids, wanted)
        if wanted is not None and is_default:
            await self._store.ledger.set_wanted_to_kept_mode(note_ids)

    def add_note(self, note_id: str, wanted: Wanted) -> Written:
        return self._store.writer.put(notes.add_note(note_id, wanted, _now()))

    def save_checkpoint(
        self, note_id: str, facts: Mapping[str, Any], checkpoint: Checkpoint, calls: int
    ) -> Written:
        write = notes.save_checkpoint(note_id, facts, checkpoint, calls, _now())
        return self._store.writer.put(write)

    def save_thread(
        self,
        thread: Thread,
        began: datetime,
        *,
        cursor: str | None = None,
        stop_reason: StopReason | None = None,
    ) -> Written:
        write = thread_write(thread, began, cursor=cursor, stop_reason=stop_reason)
        return self._store.writer.put(write)

    async def end_pass(
        self,
        item: Mapping[str, Any],
        counts: StoredCounts | None,
        checkpoint: Checkpoint,
        calls: int,
        watermark: Watermark | None,
        wanted: Wanted | None,
    ) -> None:
        writer, now = self._store.writer, _now()
        if StopReason(item["stop_reason"]).ended:
            await writer.put(pass_ended(item, counts, checkpoint, now))
        await writer.put(notes.end_note(item, calls, now, watermark, wanted))

    def leave_note(self, checkpoint: Checkpoint, calls: int) -> Written:
        return self._store.writer.put(notes.leave_note(checkpoint, calls))

    def book_calls(self, note_id: str, calls: int) -> Written:
        return self._store.writer.put(notes.book_calls(note_id, calls))

    async def leave_unchanged(self, note_id: str, calls: int, *, is_wanted: bool) -> None:
        if calls or not is_wanted:
            await self._store.writer.put(notes.leave_unchanged(note_id, calls, is_wanted))

    async def counts(self, note_id: str, sort: str, began: datetime) -> StoredCounts:
        return await self._store.ledger.counts(note_id, sort, began)

    async def mark_vanished(self, checkpoint: Checkpoint, reported: int | None) -> int:
        return await self._store.history.mark_vanished(checkpoint, reported, _now())

    async def answered_comments(
        self, checkpoint: Checkpoint
    ) -> AsyncIterator[list[AnsweredComment]]:
        async for comments in self._store.threads.answered(checkpoint):
            yield comments

    def forget(self, note_id: str) -> None:
        pass

    async def usual_calls(self, note_id: str | None = None) -> float | None:
        return await self._store.history.usual_calls(note_id)

    async def pages_of_last_pass(self, note_id: str, sort: str) -> int | None:
        document = await self._store.history.last_whole(note_id, sort)
        return None if document is None else document.get("pages")

    async def count_since(self, note_id: str, since: datetime) -> int:
        return await self._store.ledger.count_since(note_id, since)


def _now() -> datetime:
    return datetime.now(UTC)
