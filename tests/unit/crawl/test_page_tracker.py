"""The page ledger: a page is settled when every item of it is in."""

from __future__ import annotations

import asyncio

from xhs.crawl.page_tracker import PageTracker
from xhs.crawl.storage import Provenance

PAGE = "page"
ITEMS = [({"id": number}, Provenance("note", 1, {"raw": number})) for number in range(3)]


def settle(*lost: bool) -> tuple[bool | None, int]:
    """The page's outcome after these items, and how often its checkpoint was written."""

    async def run() -> tuple[bool | None, int]:
        written: list[int] = []
        ledger = PageTracker()
        settled = ledger.open(PAGE, ITEMS, lambda: written.append(1))
        for one in lost:
            ledger.count(PAGE, lost=one)
        return settled.result() if settled.done() else None, len(written)

    return asyncio.run(run())


def test_it_waits_for_the_last_item() -> None:
    assert settle(False, False) == (None, 0)
    assert settle(False, False, False) == (True, 1)


def test_one_lost_item_keeps_the_checkpoint_back() -> None:
    assert settle(False, True, False) == (False, 0)


def test_a_late_item_changes_nothing() -> None:
    assert settle(False, False, False, True) == (True, 1)


def test_a_page_without_items_is_settled_at_once() -> None:
    async def run() -> bool:
        return PageTracker().open(PAGE, []).result()

    assert asyncio.run(run())


def test_origins_are_known_while_the_page_is_open() -> None:
    async def run() -> None:
        ledger = PageTracker()
        ledger.open(PAGE, ITEMS)
        ledger.open("another", [])
        assert ledger.provenance(ITEMS[1][0]) == ITEMS[1][1]
        assert ledger.provenance({"id": 1}) is None
        for _ in ITEMS:
            ledger.count(PAGE)
        assert ledger.provenance(ITEMS[1][0]) is None

    asyncio.run(run())
