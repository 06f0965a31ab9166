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
"""The most notes open at once: they bound the memory, whatever the length of the list."""


class CallsLeft(NamedTuple):
    """Calls that a note still takes: for its own pages, and for replies (at most).

    ``may_be_more``: its answers have no count, or an update has not reached the watermark yet.
    ``may_be_fewer``: ``since`` may end it earlier. ``threads_known``: all its threads are known.
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
    """True once the last page received is stored; None before the first page."""
    checkpoint: asyncio.Future[bool | None] | None = None
    """The last write of a checkpoint."""
    answered_at: str | None = None
    comments_listed: int = 0
    comments_rejected: int = 0
    """Comments of this chain, without inline replies, that this run has received, and rejected."""
    lost: bool = False
    """True if items of a page are neither stored nor kept, so that no page may follow it."""

    @property
    def is_all_rejected(self) -> bool:
        """True if this run has received comments of the chain and rejected all of them."""
        return 0 < self.comments_listed <= self.comments_rejected

    async def is_done(self) -> bool:
        """Wait until the last page is done; True if all pages of the chain are stored."""
        if self.done is not None and not await self.done:
            self.lost = True
        return not self.lost


@dataclass(slots=True, eq=False)
class OpenThread(OpenChain):
    """A thread that is being followed."""

    thread: Thread = field(kw_only=True)


class ThreadQueue:
    """The threads of a note that are still to be requested, one at a time."""

    def __init__(self, threads: AsyncIterator[Thread]) -> None:
        self._threads = threads
        self._lock = asyncio.Lock()
        self._is_over = False
        self.is_empty = False

    async def next(self) -> Thread | None:
        """Return the next thread; None after the last. Safe for concurrent callers.

        Raises:
            StoreFailed: once, if the database does not answer. ``is_empty`` stays False then.
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
    """An open note: the chain of its own pages, then its threads."""

    plan: NotePlan = field(kw_only=True)
    progress: Checkpoint = field(kw_only=True)
    """The checkpoint of the last write, which may still be under way."""
    calls: int = 0
    """Calls billed for this pass."""
    has_page: bool = False
    """True once a readable page has been received."""
    has_checkpoint: bool = False
    """True once this run has written a checkpoint."""
    counted: bool = True
    """False for a page of ``scrapy parse``, which keeps its items: the ledger books only calls."""
    worst: StopReason = StopReason.COMPLETE
    """The worst stop reason among the note's own pages and its threads."""
    threads: dict[str, OpenThread] = field(default_factory=dict)
    queue: ThreadQueue | None = None
    ending: bool = False
    order_logged: bool = False
    """True once it is logged that its order is not by time."""
    is_estimated: bool = False
    """True once :attr:`calls_left` is an estimate: its first page has been received."""
    listed: int = 0
    """First-level comments on the pages received."""
    thread_calls_listed: int = 0
    """Calls for the threads of those comments."""
    reply_calls: int | None = None
    """Calls still to be made for replies, at most; None until its own pages have ended."""

    @classmethod
    def begin(cls, plan: NotePlan) -> OpenNote:
        """Return the open note of a plan."""
        checkpoint = plan.checkpoint
        return cls(plan.paginator(), plan=plan, progress=checkpoint, calls=checkpoint.calls)

    @property
    def note_id(self) -> str:
        """The note's ID."""
        return self.paginator.note_id

    def facts(self) -> dict[str, Any]:
        """Return the facts of the pages received so far, as fields of the note's item."""
        paginator = self.paginator
        fields = {
            "sort": paginator.sort,
            "user_id": paginator.author_id,
            "comment_count": paginator.comment_count,
            "comment_count_l1": paginator.comment_count_l1,
        }
        present = {name: value for name, value in fields.items() if value is not None}
        return present | {"pages": paginator.pages}

    def current_checkpoint(self) -> Checkpoint:
        """Return the checkpoint after the last page received."""
        paginator = self.paginator
        return replace(
            self.progress,
            next_page=paginator.next_page,
            watermark=paginator.new_watermark,
            kept=paginator.kept,
            stop_reason=paginator.stop,
        )

    @property
    def next_watermark(self) -> Watermark | None:
        """The watermark for the next update once this pass has ended; None to keep the stored one.

        It covers the note's own pages, and does not depend on how their threads ended.
        """
        stop = self.paginator.stop
        if stop is None or not self.worst.ended or self.worst is StopReason.ALL_REJECTED:
            return None
        limited = stop in {StopReason.MAX_COMMENTS, StopReason.SINCE}
        moves = stop.moves_watermark or (limited and self.plan.known_watermark is None)
        watermark = self.paginator.new_watermark
        return watermark._replace(complete=self.is_complete) if moves and watermark else None

    @property
    def is_complete(self) -> bool:
        """True if all requested pages have been read, by this pass or earlier ones."""
        watermark = self.plan.watermark
        if self.worst is StopReason.UP_TO_DATE:
            return watermark is not None and watermark.complete
        return self.worst is StopReason.COMPLETE

    @property
    def calls_left(self) -> CallsLeft:
        """The calls that the note still takes, according to its answers."""
        paginator, plan = self.paginator, self.plan
        first_level = paginator.comment_count_l1
        replies, continues = self.reply_calls or 0, paginator.stop is None
        more = plan.then_again or (
            continues and (first_level is None or plan.watermark is not None)
        )
        if self.replies == "all" and self.reply_calls is None:
            share = self.thread_calls_listed / self.listed if self.listed else 0
            replies = math.ceil(share * max(first_level or 0, self.listed))
            more = more or first_level is None
        return CallsLeft(
            (paginator.pages_left if continues else 0) + plan.then_again,
            replies,
            may_be_more=more,
            may_be_fewer=continues and first_level is not None and plan.arguments.since is not None,
            threads_known=self.reply_calls is not None,
        )

    @property
    def replies(self) -> str:
        """The pass's argument ``replies``."""
        return self.plan.arguments.replies


class Priorities(Protocol):
    """The order of calls, from the remaining pages of each chain."""

    def update(self, chain_id: str, pages_left: int) -> None:
        """Set the remaining pages of a chain."""

    def forget(self, chain_id: str) -> None:
        """Remove a chain that is no longer open."""

    def priority(self, chain_id: str, notes_unseen: int) -> int:
        """Return the priority of a chain's next call."""


class OpenNotes:
    """The open notes of a crawl, and the room for others.

    ``places``: the number of concurrent calls. ``waiting``: the number of notes that have not
    begun; None until they are counted.
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
        """Return an open note; None if it is not open."""
        return self._notes.get(note_id)

    def count_begun(self) -> None:
        """Count a note that has begun, or is skipped, as no longer waiting."""
        self.waiting = max(0, (self.waiting or 0) - 1)

    async def wait_for_room(self) -> None:
        """Wait while :data:`_MOST_OPEN` notes are open, or ``places`` first calls are not sent."""
        while len(self._notes) >= _MOST_OPEN or len(self._unsent) >= self._places:
            self._room.clear()
            await self._room.wait()

    def open(self, plan: NotePlan) -> OpenNote:
        """Open a note."""
        note = self._notes[plan.note_id] = OpenNote.begin(plan)
        if plan.first_page is not None:
            self._unsent.add(plan.note_id)
        return note

    def open_for_one_page(self, plan: NotePlan) -> OpenNote:
        """Open a note for a single page that no crawl requested, as with ``scrapy parse``."""
        note = self._notes[plan.note_id] = OpenNote.begin(plan)
        note.counted = False
        return note

    def chain(self, note: OpenNote, page: PageRef) -> OpenChain:
        """Return the chain of a note that a page belongs to."""
        if page.comment_id is None or not note.counted:
            return note
        return note.threads[page.comment_id]

    def rejected(self, note_id: str, thread_id: str | None) -> None:
        """Count a rejected comment, on one of a note's own pages or on a page of its threads."""
        if note := self._notes.get(note_id):
            chain: OpenChain = note.threads.get(thread_id or "", note)
            chain.comments_rejected += 1

    def sent(self, note_id: str) -> None:
        """Take note that a call for a note has left the queue."""
        if note_id in self._unsent:
            self._unsent.discard(note_id)
            self._room.set()

    def close(self, note_id: str) -> None:
        """Close a note."""
        self._notes.pop(note_id, None)
        self._priorities.forget(note_id)
        self._unsent.discard(note_id)
        self._room.set()

    @property
    def has_room_for_threads(self) -> bool:
        """True if a note that has a thread open may open another."""
        return self._threads_open < 2 * self._places

    def open_thread(self, note: OpenNote, thread: Thread) -> OpenThread:
        """Open a thread of a note."""
        opened = OpenThread(thread.paginator(note.note_id), thread=thread)
        note.threads[thread.comment_id] = opened
        self._threads_open += 1
        return opened

    def close_thread(self, note: OpenNote, opened: OpenThread) -> None:
        """Close a thread of a note."""
        del note.threads[opened.thread.comment_id]
        self._threads_open -= 1
        self._priorities.forget(opened.thread.comment_id)

    def priority(self, paginator: CommentPaginator) -> int:
        """Return the priority of a chain's next call."""
        self._priorities.update(paginator.chain_id, paginator.pages_left)
        return self._priorities.priority(
            paginator.chain_id, (self.waiting or 0) + len(self._unsent)
        )
