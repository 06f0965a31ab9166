"""Tracker of the pages under way, by the outcome of each of their items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from xhs.crawl.storage import Provenance


@dataclass(slots=True)
class _OpenPage:
    items: list[Any]
    waiting: int
    done: asyncio.Future[bool]
    then: Callable[[], object] | None
    handed_over: int = 0
    whole: bool = True


class PageTracker:
    """Counts the outcome of every item of a page: stored, rejected, dropped or failed.

    When all are counted, the page is done, and its checkpoint is written: after the data that it
    covers. Memory is bounded by the pages that are open.
    """

    def __init__(self) -> None:
        self._pages: dict[Hashable, _OpenPage] = {}
        self._provenances: dict[int, Provenance] = {}

    def open(
        self,
        page: Hashable,
        items: Sequence[tuple[Any, Provenance]],
        then: Callable[[], object] | None = None,
    ) -> asyncio.Future[bool]:
        """Expect these items of ``page``, and call ``then`` when all are counted.

        The future's result is True when the page is done, and False if one of its items was lost:
        ``then`` is not called in that case.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = _OpenPage([item for item, _ in items], len(items), done, then)
        self._pages[page] = entry
        self._provenances.update((id(item), provenance) for item, provenance in items)
        self._finish_if_all_counted(page, entry)
        return done

    def provenance(self, item: Any) -> Provenance | None:
        """Return the provenance of an item of an open page."""
        return self._provenances.get(id(item))

    def stored(self, item: Any) -> None:
        """Take note that an item is in the store, so that it is not rejected afterwards."""
        self._provenances.pop(id(item), None)

    def count_yielded(self, page: Hashable) -> None:
        """Count an item of ``page`` that has passed every spider middleware."""
        if entry := self._pages.get(page):
            entry.handed_over += 1

    def all_yielded(self, page: Hashable, *, whole: bool = True) -> None:
        """Count the items of ``page`` that a spider middleware dropped, since no others follow.

        ``whole``: False if an exception ended the page, so that these items are lost.
        """
        if entry := self._pages.get(page):
            dropped = len(entry.items) - entry.handed_over
            entry.handed_over += dropped
            entry.waiting -= dropped
            entry.whole = entry.whole and (whole or not dropped)
            self._finish_if_all_counted(page, entry)

    def count(self, page: Hashable, *, lost: bool = False) -> None:
        """Count the outcome of one item of ``page``; ``lost`` if it is neither stored nor kept."""
        if entry := self._pages.get(page):
            entry.waiting -= 1
            entry.whole = entry.whole and not lost
            self._finish_if_all_counted(page, entry)

    def _finish_if_all_counted(self, page: Hashable, entry: _OpenPage) -> None:
        if entry.waiting > 0:
            return
        del self._pages[page]
        for item in entry.items:
            self._provenances.pop(id(item), None)
        if entry.whole and entry.then:
            entry.then()
        entry.done.set_result(entry.whole)
