"""The life of one note's pages, or of one comment's replies. Pure: a page goes in, what is kept of
it and what comes next come out.

Every chain ends, also where the server's cursors lie: each lie has its name (:class:`StopReason`)
and costs at most one call after the page that lies, pages that bring nothing new at most two.
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
"""Comments on a page, as the documented answer has them."""


class Watermark(NamedTuple):
    """The newest comments of a note, pinned ones left out, as they stood on a first page.

    After a pass that ended, this is where an update may stop: what lies below has been read, or was
    left out by the limits of that pass. ``complete``: whether all below it had been read.
    """

    comment_ids: frozenset[str]
    newest: datetime | None
    complete: bool = False

    @classmethod
    def of(cls, seen: Iterable[ListedComment]) -> Watermark:
        """Return the watermark that a first page shows."""
        plain = [one for one in seen if not one.is_pinned]
        return cls(
            frozenset(one.comment_id for one in plain if one.comment_id is not None),
            max((one.created for one in plain if one.created is not None), default=None),
        )

    def is_reached_by(self, one: ListedComment) -> bool:
        """True if a comment stands at the watermark or below; a pinned one is out of order."""
        if one.is_pinned:
            return False
        older = self.newest is not None and one.created is not None and one.created < self.newest
        return older or one.comment_id in self.comment_ids


class Limits(NamedTuple):
    """What a user wants of a note at most: first-level comments, and none older than ``since``."""

    max_comments: int | None = None
    since: datetime | None = None


NO_LIMITS = Limits()


class PageResult(NamedTuple):
    """What is kept of a page, and the next call or the reason why there is none.

    ``undated``: of the comments kept, those that ``since`` could not judge, since they have no time
    that can be read.
    """

    page: Page
    next: PageRef | None
    stop: StopReason | None
    undated: int = 0


class _WithinLimits(NamedTuple):
    """What the limits let through of a page, and where on it a limit ends the chain."""

    page: Page
    crossed: int | None
    limit: StopReason | None
    undated: int


class CommentPaginator:
    """The pages of one note or thread, from the first until its :attr:`stop`.

    It may go on where another run stopped: then ``first`` has a cursor, and ``pages`` with ``kept``
    comments came before. ``reported``: how many comments there are, as far as is known.
    ``watermark`` ends it if it is reached. ``first_cursor_is_old`` is false if the first cursor
    came just now, so that an empty page behind it is the end.

    ``pages`` counts those that came in this pass, ``comment_ids`` holds the IDs of the comments
    that this chain has met. ``author_id``, ``comment_count`` and ``comment_count_l1`` are as last
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
        """True if ``since`` or a watermark needs the order by time, and the API used another."""
        self._limits = limits
        self._watermark = watermark
        self._left_out: StopReason | None = None
        self._resuming = first.cursor is not None
        self._first_cursor_is_old = first_cursor_is_old
        self._first_ids: list[str] | None = None
        self._cursors = {first.cursor}
        self._pages_without_news = 0

    def take(self, page: Page) -> PageResult:
        """Take the page that :attr:`next_page` asked for, and say what follows it."""
        if not page.is_readable:
            self.pages += 1
            self.stop = StopReason.UNREADABLE_ANSWER
            return PageResult(page, None, self.stop)
        if not page.comments and self._first_cursor_is_old and (first := self.restart()):
            return PageResult(page, first, None)
        self._resuming = False
        self.pages += 1
        self._note(page)
        seen = list(page.seen)
        if self.pages == 1:
            self.new_watermark = Watermark.of(seen)
        ids = [one.comment_id for one in seen if one.comment_id is not None]
        kept = self._keep(page, seen)
        news = not self.comment_ids.issuperset(ids)
        self._pages_without_news = 0 if news else self._pages_without_news + 1
        self.stop = self._reason_to_stop(page, seen, ids, kept)
        self.comment_ids.update(ids)
        if self._first_ids is None:
            self._first_ids = ids
        if self.stop:
            return PageResult(kept.page, None, self.stop, kept.undated)
        self._cursors.add(page.cursor)
        self.next_page = self.next_page._replace(cursor=page.cursor)
        return PageResult(kept.page, self.next_page, None, kept.undated)

    def restart(self) -> PageRef | None:
        """The first page again, where the cursor that it began with leads nowhere; else None."""
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
        """How many pages are still to come, as far as is known; at least one."""
        if self.comment_count_l1 is None or self._watermark is not None:
            return 1
        most = self._limits.max_comments
        wanted = self.comment_count_l1 if most is None else min(self.comment_count_l1, most)
        return max(1, calls_for(wanted) - self.pages)

    def end(self, stop: StopReason) -> None:
        """End the chain from outside: its call failed, or the crawl stops."""
        self.stop = stop

    def _note(self, page: Page) -> None:
        self.author_id = page.author_id or self.author_id
        if page.comment_count is not None:
            self.comment_count = page.comment_count
        if page.comment_count_l1 is not None:
            self.comment_count_l1 = page.comment_count_l1
        if self._limits.since or self._watermark:
            self.out_of_order = self.out_of_order or not page.is_by_time(self.sort)

    def _keep(self, page: Page, seen: Sequence[ListedComment]) -> _WithinLimits:
        """What the limits let through. A pinned comment stands out of its order, so that it may be
        too old and ends nothing.
        """
        most, since = self._limits
        comments, met = [], set(self.comment_ids)
        crossed: int | None = None
        limit: StopReason | None = None
        undated = 0
        for place, (raw, one) in enumerate(zip(page.comments, seen, strict=True)):
            too_old = since is not None and one.created is not None and one.created < since
            too_many = most is not None and self.kept >= most and one.comment_id not in met
            if too_old or too_many:
                reason = StopReason.SINCE if too_old else StopReason.MAX_COMMENTS
                self._left_out = self._left_out or reason
                in_order = page.is_by_time(self.sort) and not one.is_pinned
                if crossed is None and (not too_old or in_order):
                    crossed, limit = place, reason
                continue
            comments.append(raw)
            undated += since is not None and one.comment_id is not None and one.created is None
            if one.comment_id is not None and one.comment_id not in met:
                met.add(one.comment_id)
                self.kept += 1
        return _WithinLimits(replace(page, comments=comments), crossed, limit, undated)

    def _reason_to_stop(
        self, page: Page, seen: Sequence[ListedComment], ids: list[str], kept: _WithinLimits
    ) -> StopReason | None:
        if ids and ids == self._first_ids:
            return StopReason.CURSOR_IGNORED
        met = self._watermark_place(page, seen)
        if kept.crossed is not None and (met is None or kept.crossed < met):
            return kept.limit
        if page.has_more is False:
            if self._left_out:
                return self._left_out if met is None else StopReason.UP_TO_DATE
            return StopReason.COMPLETE if self._is_there(page) else StopReason.NOT_FOUND
        if met is not None:
            return StopReason.UP_TO_DATE
        if self._limits.max_comments is not None and self.kept >= self._limits.max_comments:
            return StopReason.MAX_COMMENTS
        return self._flaw(page, ids)

    def _watermark_place(self, page: Page, seen: Sequence[ListedComment]) -> int | None:
        """Return the place on a page at which the watermark is reached, or None."""
        if self._watermark is None or not page.is_by_time(self.sort):
            return None
        return next((at for at, one in enumerate(seen) if self._watermark.is_reached_by(one)), None)

    def _is_there(self, page: Page) -> bool:
        """True if there is such a note; a comment whose replies are asked for there was."""
        found = page.comments or page.author_id or page.comment_count or page.comment_count_l1
        return bool(found) or self.pages > 1 or self.next_page.comment_id is not None

    def _flaw(self, page: Page, ids: list[str]) -> StopReason | None:
        """What is wrong with the way on."""
        if page.cursor is None:
            return StopReason.CURSOR_MISSING
        if page.cursor in self._cursors:
            # The first page again, with a comment more or one less?
            known = len(set(ids) & set(self._first_ids or ()))
            return StopReason.CURSOR_IGNORED if 2 * known > len(ids) else StopReason.CURSOR_REPEATED
        if self._pages_without_news == 2:
            return StopReason.NO_PROGRESS
        return None


def calls_for(comments: int) -> int:
    """How many pages so many comments take."""
    return -(-comments // PAGE_SIZE)
