"""The cursor paginator of a note's comments or a comment's replies. Pure: it takes a page, and
returns what is kept of it and the next page or a stop reason.

Every chain ends, even if the server's cursors are wrong: each fault has its :class:`StopReason`,
and costs at most one call after the faulty page; pages without new comments cost at most two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from xhs.api.endpoints import PageRef
from xhs.api.page import ListedComment, Page
from xhs.reasons import StopReason

PAGE_SIZE = 10
"""Comments on a full page. Source: the documented answer."""


class Watermark(NamedTuple):
    """The newest comments of a note on the first page of a pass, without the pinned ones.

    Once that pass has ended, an update may stop here: older comments have been read, or were
    excluded by the limits of that pass. ``complete``: True if all older comments had been read.
    """

    comment_ids: frozenset[str]
    newest: datetime | None
    complete: bool = False

    @classmethod
    def of(cls, listed: Iterable[ListedComment]) -> Watermark:
        """Return the watermark of a first page."""
        plain = [comment for comment in listed if not comment.is_pinned]
        ids = (comment.comment_id for comment in plain if comment.comment_id is not None)
        times = (comment.created for comment in plain if comment.created is not None)
        return cls(frozenset(ids), max(times, default=None))

    def is_reached_by(self, comment: ListedComment) -> bool:
        """True if a comment is at the watermark or older; a pinned one is out of order."""
        created = comment.created
        if comment.is_pinned:
            return False
        older = self.newest is not None and created is not None and created < self.newest
        return older or comment.comment_id in self.comment_ids


class Limits(NamedTuple):
    """The user's limits: first-level comments of a note, and none older than ``since``."""

    max_comments: int | None = None
    since: datetime | None = None


NO_LIMITS = Limits()


class PageResult(NamedTuple):
    """The part of a page that is kept, and the next page or the reason to stop.

    ``undated``: the comments kept although ``since`` could not judge them, because they have no
    readable time.
    """

    page: Page
    next: PageRef | None
    stop: StopReason | None
    undated: int = 0


class _WithinLimits(NamedTuple):
    """The part of a page within the limits, and the place on it at which a limit ends the chain."""

    page: Page
    limit_place: int | None
    limit: StopReason | None
    undated: int


class CommentPaginator:
    """The pages of one note or thread, from the first until its :attr:`stop`.

    To continue an earlier run, ``first`` has a cursor, and ``pages`` and ``kept`` count the pages
    and comments before it. ``reported``: the number of comments, if it is known. The chain ends
    when it reaches ``watermark``. ``first_cursor_is_old`` is False if this run received the first
    cursor: an empty page behind it is then the end.

    ``pages`` counts the pages of this pass, ``comment_ids`` holds the IDs of the comments on the
    pages of this chain. ``author_id``, ``comment_count`` and ``comment_count_l1`` are as last
    reported; ``new_watermark`` is that of the pass's first page.
    """

    def __init__(
        self,
        first: PageRef,
        *,
        pages: int = 0,
        kept: int = 0,
        reported: int | None = None,
        limits: Limits = NO_LIMITS,
        watermark: Watermark | None = None,
        new_watermark: Watermark | None = None,
        first_cursor_is_old: bool = True,
    ) -> None:
        self.note_id = first.note_id
        self.sort = first.sort
        self.next_page = first
        self.pages = pages
        self.kept = kept
        self.new_watermark = new_watermark
        self.comment_ids: set[str] = set()
        self.author_id: str | None = None
        self.comment_count: int | None = None
        self.comment_count_l1 = reported
        self.stop: StopReason | None = None
        self.out_of_order = False
        """True if ``since`` or a watermark needs the order by time, but the API used another."""
        self._limits = limits
        self._watermark = watermark
        self._left_out: StopReason | None = None
        self._resuming = first.cursor is not None
        self._first_cursor_is_old = first_cursor_is_old
        self._first_ids: list[str] | None = None
        self._cursors = {first.cursor}
        self._pages_without_new = 0

    def take(self, page: Page) -> PageResult:
        """Take the page that :attr:`next_page` requested, and return what follows it."""
        if not page.is_readable:
            self.pages += 1
            self.stop = StopReason.UNREADABLE_ANSWER
            return PageResult(page, None, self.stop)
        if not page.comments and self._first_cursor_is_old and (first := self.restart()):
            return PageResult(page, first, None)
        self._resuming = False
        self.pages += 1
        self._read_facts(page)
        listed = list(page.listed)
        if self.pages == 1:
            self.new_watermark = Watermark.of(listed)
        ids = [comment.comment_id for comment in listed if comment.comment_id is not None]
        kept = self._within_limits(page, listed)
        has_new = not self.comment_ids.issuperset(ids)
        self._pages_without_new = 0 if has_new else self._pages_without_new + 1
        self.stop = self._reason_to_stop(page, listed, ids, kept)
        self.comment_ids.update(ids)
        if self._first_ids is None:
            self._first_ids = ids
        if self.stop:
            return PageResult(kept.page, None, self.stop, kept.undated)
        self._cursors.add(page.cursor)
        self.next_page = self.next_page._replace(cursor=page.cursor)
        return PageResult(kept.page, self.next_page, None, kept.undated)

    def restart(self) -> PageRef | None:
        """Return the first page if the chain was resumed from a cursor that has failed; else None.

        It restarts once.
        """
        if not self._resuming:
            return None
        self._resuming = False
        self.pages = self.kept = 0
        self.next_page = self.next_page._replace(cursor=None)
        self._cursors = {None}
        return self.next_page

    @property
    def chain_id(self) -> str:
        """The ID of the note, or of the comment whose replies these are."""
        return self.next_page.chain_id

    @property
    def pages_left(self) -> int:
        """The expected number of remaining pages; at least one."""
        if self.comment_count_l1 is None or self._watermark is not None:
            return 1
        most = self._limits.max_comments
        wanted = self.comment_count_l1 if most is None else min(self.comment_count_l1, most)
        return max(1, calls_for(wanted) - self.pages)

    def end(self, stop: StopReason) -> None:
        """End the chain from outside: its call failed, or the crawl stops."""
        self.stop = stop

    def _read_facts(self, page: Page) -> None:
        self.author_id = page.author_id or self.author_id
        if page.comment_count is not None:
            self.comment_count = page.comment_count
        if page.comment_count_l1 is not None:
            self.comment_count_l1 = page.comment_count_l1
        if self._limits.since or self._watermark:
            self.out_of_order = self.out_of_order or not page.is_by_time(self.sort)

    def _within_limits(self, page: Page, listed: Sequence[ListedComment]) -> _WithinLimits:
        """Apply the limits. A pinned comment is out of order: even if too old, it ends nothing."""
        most, since = self._limits
        comments, known_ids = [], set(self.comment_ids)
        limit_place: int | None = None
        limit: StopReason | None = None
        undated = 0
        for place, (raw, (comment_id, created, is_pinned)) in enumerate(
            zip(page.comments, listed, strict=True)
        ):
            too_old = since is not None and created is not None and created < since
            too_many = most is not None and self.kept >= most and comment_id not in known_ids
            if too_old or too_many:
                reason = StopReason.SINCE if too_old else StopReason.MAX_COMMENTS
                self._left_out = self._left_out or reason
                in_order = page.is_by_time(self.sort) and not is_pinned
                if limit_place is None and (not too_old or in_order):
                    limit_place, limit = place, reason
                continue
            comments.append(raw)
            undated += since is not None and comment_id is not None and created is None
            if comment_id is not None and comment_id not in known_ids:
                known_ids.add(comment_id)
                self.kept += 1
        return _WithinLimits(replace(page, comments=comments), limit_place, limit, undated)

    def _reason_to_stop(
        self, page: Page, listed: Sequence[ListedComment], ids: list[str], kept: _WithinLimits
    ) -> StopReason | None:
        if ids and ids == self._first_ids:
            return StopReason.CURSOR_IGNORED
        reached = self._watermark_place(page, listed)
        if kept.limit_place is not None and (reached is None or kept.limit_place < reached):
            return kept.limit
        if page.has_more is False:
            if self._left_out:
                return self._left_out if reached is None else StopReason.UP_TO_DATE
            return StopReason.COMPLETE if self._exists(page) else StopReason.NOT_FOUND
        if reached is not None:
            return StopReason.UP_TO_DATE
        if self._limits.max_comments is not None and self.kept >= self._limits.max_comments:
            return StopReason.MAX_COMMENTS
        return self._fault(page, ids)

    def _watermark_place(self, page: Page, listed: Sequence[ListedComment]) -> int | None:
        """Return the place on a page at which the watermark is reached, or None."""
        watermark = self._watermark
        if watermark is None or not page.is_by_time(self.sort):
            return None
        places = (at for at, comment in enumerate(listed) if watermark.is_reached_by(comment))
        return next(places, None)

    def _exists(self, page: Page) -> bool:
        """True if the note exists; a comment whose replies are requested does."""
        facts = page.comments or page.author_id or page.comment_count or page.comment_count_l1
        return bool(facts) or self.pages > 1 or self.next_page.comment_id is not None

    def _fault(self, page: Page, ids: list[str]) -> StopReason | None:
        """Return the reason why no page can follow, or None."""
        if page.cursor is None:
            return StopReason.CURSOR_MISSING
        if page.cursor in self._cursors:
            # Is it the first page again, with a comment more or less?
            repeated = len(set(ids) & set(self._first_ids or ()))
            is_first = 2 * repeated > len(ids)
            return StopReason.CURSOR_IGNORED if is_first else StopReason.CURSOR_REPEATED
        if self._pages_without_new == 2:
            return StopReason.NO_PROGRESS
        return None


def calls_for(comments: int) -> int:
    """Return the number of pages that hold this many comments."""
    return -(-comments // PAGE_SIZE)
