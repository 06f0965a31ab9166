"""Notes and threads between their first call and their end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from xhs.api.endpoints import PageRef
from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.paginator import CommentPaginator, Watermark
from xhs.crawl.planning import NotePlan
from xhs.crawl.replies import Thread
from xhs.reasons import StopReason

FIRST_CALL = 0
"""The priority of a note's first call."""

_MOST_OPEN = 1000
"""Notes that are open at once: memory is bounded by them, not by the list."""


class CallsLeft(NamedTuple):
    """Calls that a note still takes: for its pages, and for replies at most.

    ``may_be_more``: its answers name no count, or an update has not reached the watermark yet.
    ``may_be_fewer``: ``since`` ends it before. ``threads_known``: all its threads are.
    """

    pages: int
    replies: int
    may_be_more: bool
    may_be_fewer: bool
    threads_known: bool


@dataclass(slots=True, eq=False)
class OpenChain:
    """A chain of pages that is being followed."""

    paginator: CommentPaginator
    done: asyncio.Future[bool] | None = None
    """True if the last page that came is stored; None before the first."""
    checkpoint: asyncio.Future[bool | None] | None = None
    """The last write of a checkpoint."""
    answered_at: str | None = None
    comments_met: int = 0
    comments_rejected: int = 0
    """Comments of this chain, with the replies that came with them, that this run has met and
    rejected."""
    lost: bool = False
    """True if items of a page are neither stored nor kept, so that nothing may follow it."""

    @property
    def is_all_rejected(self) -> bool:
        """True if this run has met comments of the chain, and every one of them was rejected."""
        return 0 < self.comments_met <= self.comments_rejected

    async def is_done(self) -> bool:
        """Wait for the last page that came; True if all of them are stored."""
        if self.done is not None and not await self.done:
            self.lost = True
        return not self.lost


@dataclass(slots=True, eq=False)
class OpenThread(OpenChain):
    """The replies to a comment that are being followed."""

    thread: Thread = field(kw_only=True)


class ThreadQueue:
    """The threads of a note that are still to be asked for, one at a time."""

    def __init__(self, threads: AsyncIterator[Thread]) -> None:
        self._threads = threads
        self._lock = asyncio.Lock()
        self._is_over = False
        self.is_empty = False

    async def next(self) -> Thread | None:
        """The next one, None after the last. May be asked by several at once.

        Raises:
            StoreFailed: once, where the database does not answer; the queue is not empty then.
        """
        async with self._lock:
            if self._is_over:
                return None
            self._is_over = True
            async for thread in self._threads:
                self._is_over = False
                return thread
            self.is_empty = True
            return None


@dataclass(slots=True, eq=False)
class OpenNote(OpenChain):
    """A note, its pages and then its threads."""

    plan: NotePlan = field(kw_only=True)
    progress: Checkpoint = field(kw_only=True)
    """The checkpoint that was asked to be written last."""
    calls: int = 0
    """Calls billed for this pass."""
    has_page: bool = False
    """True once a page has come that can be read."""
    has_checkpoint: bool = False
    """True once the ledger was told of a page that this run has stored."""
    counted: bool = True
    """False for a page asked for on its own: ``scrapy parse`` keeps its items to itself, and the
    ledger learns of its cost alone."""
    worst: StopReason = StopReason.COMPLETE
    """How the note's pages ended, or one of its threads where that ended worse."""
    threads: dict[str, OpenThread] = field(default_factory=dict)
    queue: ThreadQueue | None = None
    ending: bool = False
    order_logged: bool = False
    """True once the log says that its order is not by time."""
    is_estimated: bool = False
    """True if :attr:`calls_left` is more than a guess: its first page has come."""
    listed: int = 0
    thread_calls_listed: int = 0
    """First-level comments on the pages that came, and the calls for their other replies."""
    reply_calls: int | None = None
    """Calls still to be made for replies, at most; None until its own pages have ended."""

    @classmethod
    def begin(cls, plan: NotePlan) -> OpenNote:
        """Open a note whose pass begins or continues."""
        checkpoint = plan.checkpoint
        return cls(plan.paginator(), plan=plan, progress=checkpoint, calls=checkpoint.calls)

    @property
    def note_id(self) -> str:
        """The note's ID."""
        return self.paginator.note_id

    def facts(self) -> dict[str, Any]:
        """Return what the pages say of the note so far, as fields of its item."""
        paginator = self.paginator
        fields = {
            "sort": paginator.sort,
            "user_id": paginator.author_id,
            "comment_count": paginator.comment_count,
            "comment_count_l1": paginator.comment_count_l1,
        }
        known = {name: value for name, value in fields.items() if value is not None}
        return known | {"pages": paginator.pages}

    def checkpoint_here(self) -> Checkpoint:
        """How far the pass is with the last page that came."""
        chain = self.paginator
        return replace(
            self.progress,
            next_page=chain.next_page,
            watermark=chain.new_watermark,
            kept=chain.kept,
            stop_reason=chain.stop,
        )

    @property
    def next_watermark(self) -> Watermark | None:
        """Where the next update may stop, once this pass has ended; None if that stays as it is.

        It is about the note's own pages, however their threads ended.
        """
        stop = self.paginator.stop
        if stop is None or not self.worst.ended or self.worst is StopReason.ALL_REJECTED:
            return None
        limited = stop in {StopReason.MAX_COMMENTS, StopReason.SINCE}
        moves = stop.moves_watermark or (limited and self.plan.known_watermark is None)
        found = self.paginator.new_watermark
        return found._replace(complete=self.is_complete) if moves and found else None

    @property
    def is_complete(self) -> bool:
        """True if all pages that were asked for have been read, by this pass or those before."""
        watermark = self.plan.watermark
        if self.worst is StopReason.UP_TO_DATE:
            return watermark is not None and watermark.complete
        return self.worst is StopReason.COMPLETE

    @property
    def calls_left(self) -> CallsLeft:
        """The calls that the note still takes, as far as its answers tell."""
        chain, first = self.paginator, self.plan
        first_level = chain.comment_count_l1
        replies, goes_on = self.reply_calls or 0, chain.stop is None
        more = first.then_again or (
            goes_on and (first_level is None or first.watermark is not None)
        )
        if self.replies == "all" and self.reply_calls is None:
            share = self.thread_calls_listed / self.listed if self.listed else 0
            replies = math.ceil(share * max(first_level or 0, self.listed))
            more = more or first_level is None
        return CallsLeft(
            (chain.pages_left if goes_on else 0) + first.then_again,
            replies,
            may_be_more=more,
            may_be_fewer=goes_on and first_level is not None and first.arguments.since is not None,
            threads_known=self.reply_calls is not None,
        )

    @property
    def replies(self) -> str:
        """Which replies the pass reads."""
        return self.plan.arguments.replies


class Priorities(Protocol):
    """Decides which call goes first, from the pages that are left of each chain."""

    def update(self, chain_id: str, pages_left: int) -> None:
        """A page of a chain came, and so many follow."""

    def forget(self, chain_id: str) -> None:
        """A chain is no longer open."""

    def priority(self, chain_id: str, notes_unseen: int) -> int:
        """Return the priority of a chain's next call."""


class OpenNotes:
    """The notes of a crawl that are open, and how many others may be opened.

    ``places``: calls that are made at once. ``waiting`` notes have not begun; None until they are
    counted.
    """

    def __init__(self, places: int, priorities: Priorities) -> None:
        self.waiting: int | None = None
        self._places = places
        self._priorities = priorities
        self._notes: dict[str, OpenNote] = {}
        self._threads_open = 0
        self._unsent: set[str] = set()
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return len(self._notes)

    def __iter__(self) -> Iterator[OpenNote]:
        return iter(self._notes.values())

    def get(self, note_id: str) -> OpenNote | None:
        """Return an open note."""
        return self._notes.get(note_id)

    def waits_no_longer(self) -> None:
        """One note fewer waits to begin."""
        self.waiting = max(0, (self.waiting or 0) - 1)

    async def room(self) -> None:
        """Wait until another note may be opened: enough are, or their first calls still wait."""
        while len(self._notes) >= _MOST_OPEN or len(self._unsent) >= self._places:
            self._room.clear()
            await self._room.wait()

    def open(self, plan: NotePlan) -> OpenNote:
        """Open a note."""
        note = self._notes[plan.note_id] = OpenNote.begin(plan)
        if plan.first_page is not None:
            self._unsent.add(plan.note_id)
        return note

    def open_alone(self, plan: NotePlan) -> OpenNote:
        """Open a note for a page that no crawl asked for, as with ``scrapy parse``."""
        note = self._notes[plan.note_id] = OpenNote.begin(plan)
        note.counted = False
        return note

    def chain(self, note: OpenNote, page: PageRef) -> OpenChain:
        """Return the chain of a note that a page belongs to."""
        if page.comment_id is None or not note.counted:
            return note
        return note.threads[page.comment_id]

    def rejected(self, note_id: str, thread_id: str | None) -> None:
        """A comment of a note was rejected, on a page of its own or of one of its threads."""
        if note := self._notes.get(note_id):
            chain: OpenChain = note.threads.get(thread_id or "", note)
            chain.comments_rejected += 1

    def sent(self, note_id: str) -> None:
        """A call for a note has left the queue."""
        if note_id in self._unsent:
            self._unsent.discard(note_id)
            self._room.set()

    def close(self, note_id: str) -> None:
        """A note is no longer open."""
        self._notes.pop(note_id, None)
        self._priorities.forget(note_id)
        self._unsent.discard(note_id)
        self._room.set()

    @property
    def has_room_for_threads(self) -> bool:
        """True if a note that has a thread open may open another."""
        return self._threads_open < 2 * self._places

    def open_thread(self, note: OpenNote, found: Thread) -> OpenThread:
        """Open a thread of a note."""
        opened = OpenThread(found.paginator(note.note_id), thread=found)
        note.threads[found.comment_id] = opened
        self._threads_open += 1
        return opened

    def close_thread(self, note: OpenNote, opened: OpenThread) -> None:
        """A thread is no longer open."""
        del note.threads[opened.thread.comment_id]
        self._threads_open -= 1
        self._priorities.forget(opened.thread.comment_id)

    def priority(self, paginator: CommentPaginator) -> int:
        """Return the priority of a chain's next call."""
        self._priorities.update(paginator.chain_id, paginator.pages_left)
        return self._priorities.priority(
            paginator.chain_id, (self.waiting or 0) + len(self._unsent)
        )
