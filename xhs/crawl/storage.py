"""The interface of the store that keeps a crawl's notes and items: :class:`Storage`.

There are two implementations: MongoDB (:mod:`xhs.store.mongo.storage`), and :class:`NullStorage`
for a crawl without a store. Another store would be a third class with these methods.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from xhs.crawl.checkpoint import Checkpoint, Wanted
from xhs.crawl.paginator import Watermark
from xhs.crawl.replies import AnsweredComment, Thread
from xhs.reasons import StopReason

Written = asyncio.Future[bool | None]
"""A write under way: its result is True for a new document, None if it waits in the spill."""


class StoreFailed(Exception):
    """The store has failed for good. Writes that it has not acknowledged are not stored."""


class Unstorable(Exception):
    """One object was refused; the message gives the reason, without the object's content.

    ``permanent``: no database can store it, so it need not be retried.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class StoredCounts(NamedTuple):
    """Counts of what is stored for a note, over all runs.

    ``comments`` (first level) and ``replies`` exclude those that have vanished.
    ``replies_reported``: the replies that the comments held report. ``replies_missing``: those of
    them that are not held. ``comments_new`` and ``replies_new``: those first seen since a pass
    began. ``comments_listed``: those listed on its pages.
    """

    comments: int
    replies: int
    replies_reported: int = 0
    replies_missing: int = 0
    comments_new: int = 0
    replies_new: int = 0
    comments_listed: int = 0

    def fields(self, reported: int | None) -> dict[str, int | None]:
        """Return them as fields of a note's item. ``reported``: its first-level comments."""
        return {
            "comments_collected": self.comments,
            "replies_collected": self.replies,
            "missing": None if reported is None else max(0, reported - self.comments),
            "replies_reported": self.replies_reported,
            "replies_missing": self.replies_missing,
        }


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """A note in the ledger. Counts are as last reported; None if unknown."""

    note_id: str
    state: str | None = None
    stop_reason: StopReason | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    wanted: Wanted | None = None
    watermark: Watermark | None = None
    pages: int = 0
    author_id: str | None = None
    comment_count: int | None = None
    comment_count_l1: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The listing of a first-level comment by a pass: its order, when the pass began, and the
    number of replies that came with the comment and were kept.
    """

    sort: str
    began: datetime
    inline_replies: int = 0


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of an item: the note and page (from 1), and the provider's object.

    The other fields are needed to parse the object again: the note's author, the comment that it
    replies to, and when the answer was received. ``thread_id``: the comment whose replies were
    requested. ``listing``: that of a first-level comment.
    """

    note_id: str
    page: int
    raw: Any
    author_id: str | None = None
    parent_comment_id: str | None = None
    scraped_at: str | None = None
    thread_id: str | None = None
    listing: Listing | None = None

    @property
    def is_inline(self) -> bool:
        """True for a reply that came with its first-level comment."""
        return self.parent_comment_id is not None and self.thread_id is None


@dataclass(frozen=True, slots=True)
class Problem:
    """An error in an object that is not a valid item: the field's dotted path, and a message."""

    path: str
    message: str


class Storage(Protocol):
    """The store of a crawl's notes and items.

    Methods that return :data:`Written` may be called without waiting: the writes to one collection
    are executed in the order of the calls. Every coroutine, and the result of a write, may raise
    :class:`StoreFailed`.
    """

    @property
    def is_null(self) -> bool:
        """True if nothing is stored."""

    @property
    def failed(self) -> bool:
        """True if the store accepts no more writes."""

    def explain(self, failure: StoreFailed) -> str:
        """Return the reason of a failure and, if known, what to do about it."""

    # Items

    def save_item(self, fields: Mapping[str, Any], listing: Listing | None) -> Written:
        """Save a comment or a user. The result may raise :class:`Unstorable`."""

    async def save_rejected(
        self, kind: str, provenance: Provenance, problems: Sequence[Problem]
    ) -> str | None:
        """Keep an invalid object, whole. Return a message if it is kept outside the store."""

    def delivered(self, fields: Mapping[str, Any], provenance: Provenance | None) -> None:
        """Take note of an item that has passed every pipeline."""

    # The ledger

    async def count_notes(self, *, to_resume: bool) -> int:
        """Count the notes of the ledger, or those that ``mode=resume`` continues."""

    def notes(self, *, to_resume: bool) -> AsyncIterator[NoteRecord]:
        """Yield the notes that :meth:`count_notes` counts."""

    async def note_records(self, note_ids: Sequence[str]) -> dict[str, NoteRecord]:
        """Return the records of the notes that the ledger has, by ID.

        ``note_ids``: at most :data:`NOTES_PER_QUERY`.
        """

    async def mark_wanted(
        self, note_ids: Sequence[str] | None, wanted: Wanted | None, *, is_default: bool = False
    ) -> None:
        """Set the wanted pass of these notes, or of all notes; ``wanted=None`` removes it.

        ``is_default``: a mode that the ledger keeps with a note overrides that of ``wanted``.
        """

    # The progress of a note's crawl

    def add_note(self, note_id: str, wanted: Wanted) -> Written:
        """Add a note to the ledger, unless it is there, before its first call is sent."""

    def save_checkpoint(
        self, note_id: str, facts: Mapping[str, Any], checkpoint: Checkpoint, calls: int
    ) -> Written:
        """Save the checkpoint of a pass and the ``facts`` of its pages, and book billed calls."""

    def save_thread(
        self,
        thread: Thread,
        began: datetime,
        *,
        cursor: str | None = None,
        stop_reason: StopReason | None = None,
    ) -> Written:
        """Save the cursor of a thread, or its end, in the pass that ``began`` then."""

    async def end_pass(
        self,
        item: Mapping[str, Any],
        counts: StoredCounts | None,
        checkpoint: Checkpoint,
        calls: int,
        watermark: Watermark | None,
        wanted: Wanted | None,
    ) -> None:
        """Save the end of a pass from the note's item, and book billed calls."""

    def leave_note(self, checkpoint: Checkpoint, calls: int) -> Written:
        """Leave a note at its checkpoint, because the crawl stops."""

    def book_calls(self, note_id: str, calls: int) -> Written:
        """Book billed calls, and change nothing else of the note."""

    async def leave_unchanged(self, note_id: str, calls: int, *, is_wanted: bool) -> None:
        """Keep the state of a note, because its pass received no page, and book billed calls.

        ``is_wanted``: keep its wanted pass too, so that ``mode=resume`` tries it again.
        """

    async def counts(self, note_id: str, sort: str, began: datetime) -> StoredCounts:
        """Count what is held of a note, and what its pass with this sort and begin has listed."""

    async def mark_vanished(self, checkpoint: Checkpoint, reported: int | None) -> int:
        """Mark the comments that a complete pass has not listed; return their number."""

    def answered_comments(self, checkpoint: Checkpoint) -> AsyncIterator[list[AnsweredComment]]:
        """Yield the comments of a pass that have replies, in batches."""

    def forget(self, note_id: str) -> None:
        """Free what is in memory for a note, because its crawl has ended."""

    # What passes have cost

    async def usual_calls(self, note_id: str | None = None) -> float | None:
        """Return the average calls of an update of this note; without one, of a complete pass."""

    async def pages_of_last_pass(self, note_id: str, sort: str) -> int | None:
        """Return the pages of the last pass that read a note to its end in this order."""

    async def count_since(self, note_id: str, since: datetime) -> int:
        """Count the first-level comments held that are not older than ``since``."""


NOTES_PER_QUERY = 200
"""The most notes in one query."""


@dataclass(slots=True)
class _Delivered:
    """The comments of a note that this run has delivered: the number of replies that each
    first-level comment reports, and the first-level comment of each reply.
    """

    comments: dict[str, int] = field(default_factory=dict)
    replies: dict[str, str] = field(default_factory=dict)
    answered: dict[str, AnsweredComment] = field(default_factory=dict)


class NullStorage:
    """A storage that stores nothing. It remembers what this run has delivered of each open note."""

    is_null = True
    failed = False

    def __init__(self) -> None:
        self._notes: dict[str, _Delivered] = {}

    def explain(self, failure: StoreFailed) -> str:
        return str(failure)

    def save_item(self, fields: Mapping[str, Any], listing: Listing | None) -> Written:
        return _nothing_written()

    async def save_rejected(
        self, kind: str, provenance: Provenance, problems: Sequence[Problem]
    ) -> str | None:
        return None

    def delivered(self, fields: Mapping[str, Any], provenance: Provenance | None) -> None:
        """Remember a comment. A user's pipeline may have removed fields."""
        comment_id, note_id = fields.get("comment_id"), fields.get("note_id")
        if comment_id is None or not isinstance(note_id, str):
            return
        note = self._notes.setdefault(note_id, _Delivered())
        parent = provenance.parent_comment_id if provenance else None
        parent = fields.get("parent_comment_id", parent)
        if parent is not None:
            note.replies[comment_id] = str(parent)
            return
        reported = fields.get("sub_comment_count")
        note.comments[comment_id] = reported if isinstance(reported, int) else 0
        if provenance and provenance.listing and note.comments[comment_id]:
            cursor = (fields.get("extra") or {}).get("sub_comment_cursor")
            note.answered[comment_id] = AnsweredComment(
                comment_id, reported, provenance.listing.inline_replies, cursor
            )

    async def count_notes(self, *, to_resume: bool) -> int:
        return 0

    async def notes(self, *, to_resume: bool) -> AsyncIterator[NoteRecord]:
        return
        yield

    async def note_records(self, note_ids: Sequence[str]) -> dict[str, NoteRecord]:
        return {}

    async def mark_wanted(
        self, note_ids: Sequence[str] | None, wanted: Wanted | None, *, is_default: bool = False
    ) -> None:
        pass

    def add_note(self, note_id: str, wanted: Wanted) -> Written:
        return _nothing_written()

    def save_checkpoint(
        self, note_id: str, facts: Mapping[str, Any], checkpoint: Checkpoint, calls: int
    ) -> Written:
        return _nothing_written()

    def save_thread(
        self,
        thread: Thread,
        began: datetime,
        *,
        cursor: str | None = None,
        stop_reason: StopReason | None = None,
    ) -> Written:
        return _nothing_written()

    async def end_pass(
        self,
        item: Mapping[str, Any],
        counts: StoredCounts | None,
        checkpoint: Checkpoint,
        calls: int,
        watermark: Watermark | None,
        wanted: Wanted | None,
    ) -> None:
        pass

    def leave_note(self, checkpoint: Checkpoint, calls: int) -> Written:
        return _nothing_written()

    def book_calls(self, note_id: str, calls: int) -> Written:
        return _nothing_written()

    async def leave_unchanged(self, note_id: str, calls: int, *, is_wanted: bool) -> None:
        pass

    async def counts(self, note_id: str, sort: str, began: datetime) -> StoredCounts:
        note = self._notes.get(note_id, _Delivered())
        held = Counter(note.replies.values())
        missing = [max(0, reported - held[parent]) for parent, reported in note.comments.items()]
        return StoredCounts(
            comments=len(note.comments),
            replies=len(note.replies),
            replies_reported=sum(note.comments.values()),
            replies_missing=sum(missing),
        )

    async def mark_vanished(self, checkpoint: Checkpoint, reported: int | None) -> int:
        return 0

    async def answered_comments(
        self, checkpoint: Checkpoint
    ) -> AsyncIterator[list[AnsweredComment]]:
        if note := self._notes.get(checkpoint.next_page.note_id):
            yield list(note.answered.values())

    def forget(self, note_id: str) -> None:
        self._notes.pop(note_id, None)

    async def usual_calls(self, note_id: str | None = None) -> float | None:
        return None

    async def pages_of_last_pass(self, note_id: str, sort: str) -> int | None:
        return None

    async def count_since(self, note_id: str, since: datetime) -> int:
        return 0


def _nothing_written() -> Written:
    """Return a write that is done."""
    done: Written = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done
