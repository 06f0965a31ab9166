"""Notes and threads between their first call and their end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.paginator import CommentPaginator, Watermark, calls_for
from xhs.crawl.planning import NotePlan
from xhs.crawl.replies import Thread
from xhs.reasons import StopReason
from xhs.store.mongo.collections import Document
from xhs.store.mongo.notes import StoredCounts


class CallsLeft(NamedTuple):
    """Calls that a note still takes: for its pages, and for replies at most.

    ``may_be_more``: its answers name no count, or an update has not reached the watermark yet.
    ``may_be_fewer``: ``since`` ends it before.
    """

    pages: int
    replies: int
    may_be_more: bool
    may_be_fewer: bool


@dataclass(slots=True, eq=False)
class OpenChain:
    """A chain of pages that is being followed."""

    chain: CommentPaginator
    settled: asyncio.Future[bool] | None = None
    """Whether the last page that came is stored; None before the first."""
    checkpoint: asyncio.Future[bool | None] | None = None
    """The last write of a checkpoint."""
    answered_at: str | None = None
    lost: bool = False
    """Whether items of a page are neither stored nor kept, so that nothing may follow it."""

    async def is_settled(self) -> bool:
        """Wait for the last page that came; whether all of them are stored."""
        if self.settled is not None and not await self.settled:
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

    first: NotePlan = field(kw_only=True)
    progress: Checkpoint = field(kw_only=True)
    """The checkpoint that was asked to be written last."""
    calls: int = 0
    """Calls billed for this pass."""
    has_page: bool = False
    """True once the ledger was told of a page that this run has stored."""
    comments_met: int = 0
    comments_rejected: int = 0
    """Comments, replies too, that this run has met and rejected."""
    counted: bool = True
    """False for a page asked for on its own: ``scrapy parse`` keeps its items to itself, and the
    ledger learns of its cost alone."""
    worst: StopReason = StopReason.COMPLETE
    """How the note's pages ended, or one of its threads where that ended worse."""
    threads: dict[str, OpenThread] = field(default_factory=dict)
    queue: ThreadQueue | None = None
    ending: bool = False
    told: bool = False
    """Whether the log says that its order is not by time."""
    is_estimated: bool = False
    """True if :attr:`calls_left` is more than a guess: its first page has come."""
    reply_calls: int | None = None
    """Calls still to be made for replies, at most; None until its own pages have ended."""
    held_comments: dict[str, int] = field(default_factory=dict)
    """The first-level comments that this run has delivered, and how many replies each reports."""
    held_replies: dict[str, str] = field(default_factory=dict)
    """The replies, each with its first-level comment. Both are empty if there is a store."""
    answered: dict[str, Document] = field(default_factory=dict)
    """The comments that may have replies, by their IDs; kept only without a store."""

    @classmethod
    def begin(cls, first: NotePlan) -> OpenNote:
        """A note whose pass begins or goes on."""
        return cls(
            first.chain(),
            first=first,
            progress=first.checkpoint,
            calls=first.checkpoint.calls,
        )

    def delivered(self) -> StoredCounts:
        """Count what this run has delivered, for a crawl without a store."""
        came = Counter(self.held_replies.values())
        missing = [max(0, reported - came[one]) for one, reported in self.held_comments.items()]
        return StoredCounts(
            comments=len(self.held_comments),
            replies=len(self.held_replies),
            replies_reported=sum(self.held_comments.values()),
            replies_missing=sum(missing),
            reply_calls=sum(map(calls_for, missing)),
        )

    def met_only_rejected(self, held: StoredCounts | None) -> bool:
        """True if this pass has met comments, and every one of them was rejected."""
        stored = held.comments_met if held else 0
        return 0 < self.comments_met <= self.comments_rejected and not stored

    def checkpoint_here(self) -> Checkpoint:
        """How far the pass is with the last page that came."""
        chain = self.chain
        return replace(
            self.progress,
            call=chain.call,
            watermark=chain.new_watermark,
            kept=chain.kept,
            stop_reason=chain.stop,
        )

    @property
    def next_watermark(self) -> Watermark | None:
        """Where the next update may stop, once this pass has ended; None if that stays as it is.

        It is about the note's own pages, however their threads ended.
        """
        stop = self.chain.stop
        if stop is None or not self.worst.ended or self.worst is StopReason.ALL_REJECTED:
            return None
        limited = stop in {StopReason.MAX_COMMENTS, StopReason.SINCE}
        moves = stop.moves_watermark or (limited and self.first.known_watermark is None)
        found = self.chain.new_watermark
        return found._replace(complete=self.is_complete) if moves and found else None

    @property
    def is_complete(self) -> bool:
        """True if all pages that were asked for have been read, by this pass or those before."""
        watermark = self.first.watermark
        if self.worst is StopReason.UP_TO_DATE:
            return watermark is not None and watermark.complete
        return self.worst is StopReason.COMPLETE

    @property
    def calls_left(self) -> CallsLeft:
        """The calls that the note still takes, as far as its answers tell."""
        chain, first = self.chain, self.first
        every, first_level = chain.comment_count, chain.comment_count_l1
        replies, goes_on = self.reply_calls or 0, chain.stop is None
        more = first.then_again or (
            goes_on and (first_level is None or first.watermark is not None)
        )
        if self.replies == "all" and self.reply_calls is None:
            replies = max(0, (every or 0) - (first_level or 0))
            more = more or every is None
        return CallsLeft(
            (chain.pages_left if goes_on else 0) + first.then_again,
            replies,
            may_be_more=more,
            may_be_fewer=goes_on and first_level is not None and first.arguments.since is not None,
        )

    @property
    def replies(self) -> str:
        """Which replies the pass reads."""
        return self.first.arguments.replies

    @property
    def has_ended(self) -> bool:
        """Whether no thread is left."""
        return self.queue is not None and self.queue.is_empty and not self.threads
