"""The order of calls."""

from __future__ import annotations

from xhs.crawl.open_notes import FIRST_CALL
from xhs.download.call_order import CallOrder


def order(*pages_left: int, concurrency: int = 4) -> CallOrder:
    """Return an order with open notes ``a``, ``b``, ``c`` … that have these pages left."""
    notes = CallOrder(concurrency)
    for name, pages in zip("abcdefgh", pages_left, strict=False):
        notes.update(name, pages)
    return notes


def test_unseen_notes_go_first_then_the_longest() -> None:
    notes = order(3, 9, 5, 8, 9)
    priorities = {name: notes.priority(name, 100) for name in "abc"}
    assert FIRST_CALL > priorities["b"] > priorities["c"] > priorities["a"]


def test_a_note_as_long_as_all_others_is_urgent() -> None:
    notes = order(10, 15, 15)
    assert notes.priority("a", 0) > FIRST_CALL
    assert notes.priority("a", 1) < FIRST_CALL
    notes.update("b", 14)
    assert notes.priority("a", 1) > FIRST_CALL


def test_of_urgent_notes_the_longest_goes_first() -> None:
    notes = order(10, 12)
    assert notes.priority("b", 0) > notes.priority("a", 0) > FIRST_CALL


def test_a_note_that_has_ended_no_longer_counts() -> None:
    notes = order(10, 40)
    assert notes.priority("a", 0) < FIRST_CALL
    notes.forget("b")
    assert notes.priority("a", 0) > FIRST_CALL


def test_an_urgent_note_keeps_its_place_until_its_next_call_is_queued() -> None:
    notes = order(10)
    notes.priority("a", 0)
    assert notes.places_kept == 0
    notes.answered("a")
    assert notes.places_kept == 1
    notes.asked("a")
    assert notes.places_kept == 0


def test_a_note_that_ends_or_is_not_urgent_keeps_no_place() -> None:
    notes = order(10)
    notes.priority("a", 0)
    notes.answered("a")
    notes.forget("a")
    assert notes.places_kept == 0
    notes.answered("a")
    assert notes.places_kept == 0

    notes = order(10)
    notes.priority("a", 0)
    notes.update("b", 90)
    notes.priority("a", 0)
    notes.answered("a")
    assert notes.places_kept == 0
