"""The life of one note's pages. Pure: a page goes in, what comes next comes out.

Every chain ends, also where the server's cursors lie: each lie has its name (:class:`StopReason`)
and costs at most one call after the page that lies, pages that bring nothing new at most two.
"""

from __future__ import annotations

from typing import NamedTuple

from xhs.api.endpoints import Call
from xhs.api.page import Page
from xhs.endings import StopReason

_PAGE_SIZE = 10
"""First-level comments on a page, as the documented answer has them."""


class Step(NamedTuple):
    """What follows a page: the next call, or the reason why there is none."""

    next: Call | None
    stop: StopReason | None


class Chain:
    """The pages of one note, from the first until its :attr:`stop`.

    It may go on where another run stopped: then ``first`` has a cursor, and ``pages`` came before.

    ``pages`` counts those that came in this pass, ``comment_ids`` holds the IDs of the first-level
    comments that this chain has met. ``author_id``, ``comment_count`` and ``comment_count_l1`` are
    as last reported.
    """

    def __init__(self, first: Call, pages: int = 0, reported: int | None = None) -> None:
        self.note_id = first.note_id
        self.sort = first.sort
        self.call = first
        self.pages = pages
        self.comment_ids: set[str] = set()
        self.author_id: str | None = None
        self.comment_count: int | None = None
        self.comment_count_l1 = reported
        self.stop: StopReason | None = None
        self._resuming = first.cursor is not None
        self._first_ids: list[str] | None = None
        self._cursors = {first.cursor}
        self._pages_without_news = 0

    def step(self, page: Page) -> Step:
        """Take the page that :attr:`call` asked for, and say what follows it."""
        if not page.comments and (first := self.restart()):
            return Step(first, None)
        self._resuming = False
        self.pages += 1
        self._note(page)
        ids = page.ids
        news = not self.comment_ids.issuperset(ids)
        self._pages_without_news = 0 if news else self._pages_without_news + 1
        self.stop = self._reason_to_stop(page, ids)
        self.comment_ids.update(ids)
        if self._first_ids is None:
            self._first_ids = ids
        if self.stop:
            return Step(None, self.stop)
        self._cursors.add(page.cursor)
        self.call = Call(self.note_id, page.cursor, self.sort)
        return Step(self.call, None)

    def restart(self) -> Call | None:
        """The first page again, where the cursor that another run left leads nowhere; else None."""
        if not self._resuming:
            return None
        self._resuming = False
        self.pages = 0
        self.call = Call(self.note_id, sort=self.sort)
        self._cursors = {None}
        return self.call

    @property
    def pages_left(self) -> int:
        """How many pages are still to come, as far as is known; at least one."""
        if self.comment_count_l1 is None:
            return 1
        return max(1, -(-self.comment_count_l1 // _PAGE_SIZE) - self.pages)

    def end(self, stop: StopReason) -> None:
        """End the chain from outside: its call failed, or the crawl stops."""
        self.stop = stop

    def _note(self, page: Page) -> None:
        self.author_id = page.author_id or self.author_id
        if page.comment_count is not None:
            self.comment_count = page.comment_count
        if page.comment_count_l1 is not None:
            self.comment_count_l1 = page.comment_count_l1

    def _reason_to_stop(self, page: Page, ids: list[str]) -> StopReason | None:
        if ids and ids == self._first_ids:
            return StopReason.CURSOR_IGNORED
        if page.has_more is False:
            found = page.comments or page.author_id or page.comment_count or page.comment_count_l1
            return StopReason.COMPLETE if found or self.pages > 1 else StopReason.NOT_FOUND
        if page.cursor is None:
            return StopReason.CURSOR_MISSING
        if page.cursor in self._cursors:
            # The first page again, with a comment more or one less?
            known = len(set(ids) & set(self._first_ids or ()))
            return StopReason.CURSOR_IGNORED if 2 * known > len(ids) else StopReason.CURSOR_REPEATED
        if self._pages_without_news == 2:
            return StopReason.NO_PROGRESS
        return None
