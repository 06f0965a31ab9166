"""The page ledger: which pages are settled, counted from the outcome of each of their items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from xhs.store.mongo.collections import Provenance


@dataclass(slots=True)
class _OpenPage:
    items: list[Any]
    waiting: int
    settled: asyncio.Future[bool]
    handed_over: int
    then: Callable[[], object] | None
    whole: bool = True


class PageTracker:
    """Counts every item of a page in: stored, rejected, dropped or failed.

    When all are in the page is settled, and what depends on that is done: its checkpoint is
    written, later than the data that it speaks of. Memory is bounded by the pages that are open.
    """

    def __init__(self) -> None:
        self._pages: dict[Hashable, _OpenPage] = {}
        self._origins: dict[int, Provenance] = {}

    def open(
        self,
        page: Hashable,
        items: Sequence[tuple[Any, Provenance]],
        then: Callable[[], object] | None = None,
    ) -> asyncio.Future[bool]:
        """Expect these items from ``page``, and do ``then`` when all are in.

        The future tells when the page is settled; false where the store failed on one of its
        items, and ``then`` was not done.
        """
        settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = _OpenPage([item for item, _ in items], len(items), settled, 0, then)
        self._pages[page] = entry
        self._origins.update((id(item), origin) for item, origin in items)
        self._settle_when_all_are_in(page, entry)
        return settled

    def origin(self, item: Any) -> Provenance | None:
        """Where an item of an open page came from."""
        return self._origins.get(id(item))

    def stored(self, item: Any) -> None:
        """An item is in the store: whatever happens to it later, it is not to be rejected."""
        self._origins.pop(id(item), None)

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
            self._settle_when_all_are_in(page, entry)

    def count(self, page: Hashable, *, lost: bool = False) -> None:
        """Count one item of ``page`` in; ``lost`` where it is neither stored nor kept."""
        if entry := self._pages.get(page):
            entry.waiting -= 1
            entry.whole = entry.whole and not lost
            self._settle_when_all_are_in(page, entry)

    def _settle_when_all_are_in(self, page: Hashable, entry: _OpenPage) -> None:
        if entry.waiting > 0:
            return
        del self._pages[page]
        for item in entry.items:
            self._origins.pop(id(item), None)
        if entry.whole and entry.then:
            entry.then()
        entry.settled.set_result(entry.whole)
