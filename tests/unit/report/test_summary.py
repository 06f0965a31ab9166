"""What a report shows of notes and of their passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("rjieba", reason="pip install -r requirements-look.txt")

from xhs.report.figures import Comment, Figures
from xhs.report.summary import GROWTH_SHOWN, Growths, Pass, note_rows, read_pass, summarise
from xhs.report.text import Words

START = datetime(2026, 3, 1, tzinfo=UTC)


def figures(counts: dict[str, int]) -> Figures:
    """Return the figures of notes with so many comments."""
    result = Figures(Words())
    for note_id, count in counts.items():
        for number in range(count):
            comment_id = f"{note_id}/{number}"
            fields: Any = (
                comment_id,
                note_id,
                None,
                None,
                "",
                START,
                number,
                0,
                None,
                False,
                False,
            )
            result.add(Comment(*fields))
    return result


def test_notes_that_lack_something_come_first() -> None:
    ended = {"complete": True, "stop_reason": "complete", "comment_count_l1": 3}
    ledger = [
        {"_id": "a", **ended},
        {"_id": "b", **ended},
        {"_id": "c", **ended, "complete": False, "stop_reason": "interrupted"},
    ]
    rows = note_rows(ledger, figures({"a": 3, "b": 2, "c": 1, "d": 5}))
    assert [(row.note_id, row.missing, row.lacks_nothing) for row in rows] == [
        ("d", None, False),  # the ledger does not have it
        ("b", 1, False),
        ("c", 2, False),
        ("a", 0, True),
    ]


def test_a_document_of_wrong_types_is_read_as_far_as_it_goes() -> None:
    document = dict.fromkeys(
        ("state", "stop_reason", "complete", "comment_count_l1", "billed_calls", "last_crawled_at"),
        ("?",),
    )
    [row] = note_rows([{"_id": "a", **document}], figures({}))
    assert (row.state, row.stop_reason, row.complete, row.reported) == (None, None, False, None)
    assert (row.calls, row.last_crawled_at, row.missing) == (0, None, None)
    assert read_pass({"note_id": "a", "ended_at": "x"}) is None


def passed(note_id: str, day: int, held: int | None) -> Pass:
    return Pass(note_id, START + timedelta(days=day), held, held, held)


def test_growth_of_the_notes_that_were_read_twice() -> None:
    growths = Growths()
    for one in (
        passed("a", 0, 10),
        passed("b", 3, 30),
        passed("b", 0, 1),
        passed("c", 0, 1),
        passed("c", 1, None),
        passed("c", 2, 5),
    ):
        growths.add(one)
    found = growths.most_gained()
    assert [(growth.note_id, growth.gained) for growth in found] == [("b", 29), ("c", 4)]
    assert [one.held for one in found[0].passes] == [1, 30]
    assert len(growths) == 2


def test_only_the_notes_that_grew_most_are_kept() -> None:
    growths = Growths()
    for number in range(3 * GROWTH_SHOWN):
        growths.add(passed(f"n{number:03}", 0, 0))
        growths.add(passed(f"n{number:03}", 1, number))
    gained = [growth.gained for growth in growths.most_gained()]
    assert gained == list(range(3 * GROWTH_SHOWN - 1, 2 * GROWTH_SHOWN - 1, -1))
    assert len(growths) == 3 * GROWTH_SHOWN


def test_a_page_shows_no_more_comments_than_it_can_hold() -> None:
    counted = figures({f"n{number}": 100 for number in range(30)})
    summary = summarise(counted, note_rows([], counted))
    assert counted.comments == 3000
    assert len(summary.comment_ids()) < 200
