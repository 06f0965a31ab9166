"""Which pages are done, counted from the outcome of each of their items."""

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
    handed_over: int
    then: Callable[[], object] | None
    whole: bool = True


class PageTracker:
    """Counts every item of a page in: stored, rejected, dropped or failed.

    When all are in, the page is done, and its checkpoint is written: later than the data that it
    speaks of. Memory is bounded by the pages that are open.
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
        """Expect these items from ``page``, and do ``then`` when all are in.

        The future tells when the page is done; False if the store failed on one of its
        items, and ``then`` was not done.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = _OpenPage([item for item, _ in items], len(items), done, 0, then)
        self._pages[page] = entry
        self._provenances.update((id(item), provenance) for item, provenance in items)
        self._finish_if_all_are_in(page, entry)
        return done

    def provenance(self, item: Any) -> Provenance | None:
        """Where an item of an open page came from."""
        return self._provenances.get(id(item))

    def stored(self, item: Any) -> None:
        """An item is in the store: whatever happens to it later, it is not to be rejected."""
        self._provenances.pop(id(item), None)

    def hand_over(self, page: Hashable) -> None:
        """One item of ``page`` has passed every spider middleware, on its way to the pipelines."""
        if entry := self._pages.get(page):
            entry.handed_over += 1

    def all_yielded(self, page: Hashable, *, whole: bool = True) -> None:
        """No more items of ``page`` follow: those that no middleware let through are in.

        Not ``whole``: an exception came between, and what was not handed over is lost.
        """
        if entry := self._pages.get(page):
            filtered = len(entry.items) - entry.handed_over
            entry.handed_over += filtered
            entry.waiting -= filtered
            entry.whole = entry.whole and (whole or not filtered)
            self._finish_if_all_are_in(page, entry)

    def count(self, page: Hashable, *, lost: bool = False) -> None:
        """Count one item of ``page`` in; ``lost`` where it is neither stored nor kept."""
        if entry := self._pages.get(page):
            entry.waiting -= 1
            entry.whole = entry.whole and not lost
            self._finish_if_all_are_in(page, entry)

    def _finish_if_all_are_in(self, page: Hashable, entry: _OpenPage) -> None:
        if entry.waiting > 0:
            return
        del self._pages[page]
        for item in entry.items:
            self._provenances.pop(id(item), None)
        if entry.whole and entry.then:
            entry.then()
        entry.done.set_result(entry.whole)
