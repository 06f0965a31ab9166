"""What a crawl asks of the place that keeps its notes and items: :class:`Storage`.

There are two: MongoDB (:mod:`xhs.store.mongo.storage`), and :class:`NullStorage` for a crawl
without a store. Another store would be a third class with these methods.
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
    """The store is gone for good. What it has not acknowledged is not stored."""


class Unstorable(Exception):
    """One object that is refused; the message says why, without its content.

    ``permanent``: no database can ever hold it, so it need not be tried again.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class StoredCounts(NamedTuple):
    """Counts of what is stored for a note, all runs together.

    ``comments`` (first level) and ``replies`` have not vanished. ``replies_reported`` and
    ``replies_missing`` are about the comments held: the replies that they report, and how many of
    these are not held. ``comments_new`` and ``replies_new`` were first seen since a pass began;
    ``comments_met`` were on its pages.
    """

    comments: int
    replies: int
    replies_reported: int = 0
    replies_missing: int = 0
    comments_new: int = 0
    replies_new: int = 0
    comments_met: int = 0

    def fields(self, reported: int | None) -> dict[str, int | None]:
        """Return what a note's item says of them. ``reported``: its first-level comments."""
        return {
            "comments_collected": self.comments,
            "replies_collected": self.replies,
            "missing": None if reported is None else max(0, reported - self.comments),
            "replies_reported": self.replies_reported,
            "replies_missing": self.replies_missing,
        }


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """What the ledger has of a note. Counts are as last reported; None is unknown."""

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
    """A first-level comment's place in a pass: the order, when the pass began, and how many replies
    came with the comment and were kept.
    """

    sort: str
    began: datetime
    inline_replies: int = 0


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an item came from: the note and page (from 1), and the provider's object.

    The rest is what else it takes to read the object again: the note's author, the comment that it
    replies to, and when the answer came. ``thread_id``: the comment whose replies were asked for.
    ``listing``: that of a first-level comment in its pass.
    """

    note_id: str
    page: int
    raw: Any
    author_id: str | None = None
    parent_comment_id: str | None = None
    scraped_at: str | None = None
    thread_id: str | None = None
    listing: Listing | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an object is no valid item: the path of the field, dotted, and what is wrong there."""

    path: str
    message: str


class LastPass(NamedTuple):
    """The last pass that read a note to its end: its pages."""

    pages: int | None


class Storage(Protocol):
    """Where a crawl keeps its notes and items.

    Methods that return :data:`Written` may be called without waiting: writes to one collection are
    carried out in the order in which they are asked for. Every coroutine, and the result of a
    write, may raise :class:`StoreFailed`.
    """

    @property
    def is_null(self) -> bool:
        """True if nothing is kept."""

    @property
    def failed(self) -> bool:
        """True if it takes no more writes."""

    def explain(self, failure: StoreFailed) -> str:
        """Return why it has failed, and what to do if that is known."""

    # Items

    def save_item(self, fields: Mapping[str, Any], listing: Listing | None) -> Written:
        """Save a comment or a user. The result may raise :class:`Unstorable`."""

    async def save_rejected(
        self, kind: str, provenance: Provenance, problems: Sequence[Problem]
    ) -> str | None:
        """Keep an object that is no valid item, whole; say where if not in the store itself."""

    def delivered(self, fields: Mapping[str, Any], provenance: Provenance | None) -> None:
        """An item has passed every pipeline."""

    # The ledger

    async def count_notes(self, *, to_resume: bool) -> int:
        """Count the notes of the ledger, or those that ``mode=resume`` takes up."""

    def notes(self, *, to_resume: bool) -> AsyncIterator[NoteRecord]:
        """Yield the notes that :meth:`count_notes` counts."""

    async def known_notes(self, note_ids: Sequence[str]) -> dict[str, NoteRecord]:
        """Return what the ledger has of these notes, :data:`LOOKUP` at most."""

    async def mark_wanted(
        self, note_ids: Sequence[str] | None, wanted: Wanted | None, *, is_default: bool = False
    ) -> None:
        """Say how these notes, or all, are to be read; None takes it back.

        ``is_default``: a mode that the ledger keeps with a note wins over that of ``wanted``.
        """

    # The progress of a note's crawl

    def add_note(self, note_id: str, wanted: Wanted) -> Written:
        """See that the ledger has the note, since its first call is about to be sent."""

    def save_checkpoint(
        self, note_id: str, facts: Mapping[str, Any], checkpoint: Checkpoint, calls: int
    ) -> Written:
        """Say how far a pass is, what its pages say of the note, and book billed calls."""

    def save_thread(
        self,
        thread: Thread,
        began: datetime,
        *,
        cursor: str | None = None,
        stop_reason: StopReason | None = None,
    ) -> Written:
        """Say how far a thread is in the pass that ``began`` then, or how it ended."""

    async def end_pass(
        self,
        item: Mapping[str, Any],
        counts: StoredCounts | None,
        checkpoint: Checkpoint,
        calls: int,
        watermark: Watermark | None,
        wanted: Wanted | None,
    ) -> None:
        """Write how a pass ended, as the note's item has it, and book billed calls."""

    def leave_note(self, checkpoint: Checkpoint, calls: int) -> Written:
        """Leave a note at its checkpoint, since the crawl stops."""

    def book_calls(self, note_id: str, calls: int) -> Written:
        """Book billed calls, and say nothing else of the note."""

    async def leave_unchanged(self, note_id: str, calls: int, *, is_wanted: bool) -> None:
        """Leave the state of a note as it is, since its pass brought no page; book billed calls.

        ``is_wanted``: ``mode=resume`` is to try again what was wanted.
        """

    async def counts(self, note_id: str, sort: str, began: datetime) -> StoredCounts:
        """Count what is held of a note; of the pass in this order, that ``began`` then."""

    async def mark_vanished(self, checkpoint: Checkpoint, reported: int | None) -> int:
        """Mark the comments that a complete pass has not met; return how many."""

    def answered_comments(self, checkpoint: Checkpoint) -> AsyncIterator[list[AnsweredComment]]:
        """Yield the comments of a pass that have replies, some at a time."""

    def forget(self, note_id: str) -> None:
        """The crawl of a note is over: nothing more will be asked about it."""

    # What passes have cost

    async def usual_calls(self, note_id: str | None = None) -> float | None:
        """Return the average cost of an update of a note, or of reading one whole."""

    async def last_pass(self, note_id: str, sort: str) -> LastPass | None:
        """Return the last pass that read a note to its end in this order."""

    async def count_since(self, note_id: str, since: datetime) -> int:
        """Count the first-level comments held that are no older."""


LOOKUP = 200
"""Notes that are asked for at once."""


@dataclass(slots=True)
class _Delivered:
    """The comments of a note that this run has delivered: how many replies each first-level comment
    reports, and the first-level comment of each reply.
    """

    comments: dict[str, int] = field(default_factory=dict)
    replies: dict[str, str] = field(default_factory=dict)
    answered: dict[str, AnsweredComment] = field(default_factory=dict)


class NullStorage:
    """Keeps nothing. It knows of each open note what this run has delivered."""

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
        """Note a comment. A user's pipeline may have left fields out."""
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

    async def known_notes(self, note_ids: Sequence[str]) -> dict[str, NoteRecord]:
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
        came = Counter(note.replies.values())
        missing = [max(0, reported - came[one]) for one, reported in note.comments.items()]
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

    async def last_pass(self, note_id: str, sort: str) -> LastPass | None:
        return None

    async def count_since(self, note_id: str, since: datetime) -> int:
        return 0


def _nothing_written() -> Written:
    """Return a write that is done."""
    done: Written = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done
