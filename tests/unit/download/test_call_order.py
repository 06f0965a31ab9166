"""Which call goes first."""

from __future__ import annotations

from xhs.crawl.open_notes import FIRST_CALL
from xhs.download.call_order import CallOrder


def order(*left: int, places: int = 4) -> CallOrder:
    """An order with open notes ``a``, ``b``, ``c`` … of which so many pages are left."""
    made = CallOrder(places)
    for name, pages in zip("abcdefgh", left, strict=False):
        made.update(name, pages)
    return made


def test_notes_that_nobody_has_seen_go_first_then_the_longest() -> None:
    notes = order(3, 9, 5, 8, 9)
    first = {name: notes.priority(name, 100) for name in "abc"}
    assert FIRST_CALL > first["b"] > first["c"] > first["a"]


def test_a_note_as_long_as_all_the_rest_never_waits() -> None:
    notes = order(10, 15, 15)
    assert notes.priority("a", 0) > FIRST_CALL
    assert notes.priority("a", 1) < FIRST_CALL
    notes.update("b", 14)
    assert notes.priority("a", 1) > FIRST_CALL


def test_of_notes_that_never_wait_the_longest_goes_first() -> None:
    notes = order(10, 12)
    assert notes.priority("b", 0) > notes.priority("a", 0) > FIRST_CALL


def test_a_note_that_has_ended_is_left_no_longer() -> None:
    notes = order(10, 40)
    assert notes.priority("a", 0) < FIRST_CALL
    notes.forget("b")
    assert notes.priority("a", 0) > FIRST_CALL


def test_a_note_that_never_waits_keeps_its_place_until_its_next_call_is_in_line() -> None:
    notes = order(10)
    notes.priority("a", 0)
    assert notes.places_kept == 0
    notes.answered("a")
    assert notes.places_kept == 1
    notes.asked("a")
    assert notes.places_kept == 0


def test_a_note_that_ends_or_may_wait_keeps_no_place() -> None:
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
