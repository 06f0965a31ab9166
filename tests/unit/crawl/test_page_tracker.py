"""The page tracker: a page is done when the outcome of every item is counted."""

from __future__ import annotations

import pytest

from xhs.crawl.page_tracker import PageTracker
from xhs.crawl.storage import Provenance

pytestmark = pytest.mark.anyio

PAGE = "page"
ITEMS = [({"id": number}, Provenance("note", 1, {"raw": number})) for number in range(3)]


async def outcome(*lost: bool) -> tuple[bool | None, int]:
    """Return the page's result after these items, and the number of checkpoints written."""
    written: list[int] = []
    tracker = PageTracker()
    done = tracker.open(PAGE, ITEMS, lambda: written.append(1))
    for is_lost in lost:
        tracker.count(PAGE, lost=is_lost)
    return done.result() if done.done() else None, len(written)


async def test_a_page_is_done_after_its_last_item() -> None:
    assert await outcome(False, False) == (None, 0)
    assert await outcome(False, False, False) == (True, 1)


async def test_a_lost_item_prevents_the_checkpoint() -> None:
    assert await outcome(False, True, False) == (False, 0)


async def test_a_late_item_changes_nothing() -> None:
    assert await outcome(False, False, False, True) == (True, 1)


async def test_a_page_without_items_is_done_at_once() -> None:
    assert PageTracker().open(PAGE, []).result()


async def test_provenances_are_kept_while_the_page_is_open() -> None:
    tracker = PageTracker()
    tracker.open(PAGE, ITEMS)
    tracker.open("another", [])
    assert tracker.provenance(ITEMS[1][0]) == ITEMS[1][1]
    assert tracker.provenance({"id": 1}) is None
    for _ in ITEMS:
        tracker.count(PAGE)
    assert tracker.provenance(ITEMS[1][0]) is None
