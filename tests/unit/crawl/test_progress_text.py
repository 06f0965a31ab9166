"""The words for the state of a crawl."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.crawl.price import read_price
from xhs.crawl.progress_text import CrawlProgress, Rate, Stage, duration


def test_a_crawl_in_full() -> None:
    progress = CrawlProgress(
        notes=40,
        notes_done=12,
        comments=3410,
        pages=400,
        pages_per_second=8.06,
        calls=412,
        calls_left=700,
        max_calls=1000,
        price=read_price("0.05 CNY"),
        delay=0.4,
    )
    assert progress.line() == (
        "12 of 40 notes, 3,410 comments, 412 of 1,000 calls billed (20.60 CNY), 8.1 pages/s, "
        "about 1 min 13 s left; rate limited, 0.4 s between calls"
    )
    assert progress.fraction == pytest.approx(400 / 1100)


def test_nothing_is_said_of_what_is_unknown() -> None:
    assert CrawlProgress().line() == "0 notes, 0 comments, 0 calls billed"
    assert CrawlProgress().fraction is None
    assert CrawlProgress(notes=4, notes_done=1).fraction == 0.25
    assert CrawlProgress(notes=0).fraction is None


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        ({"retries": 1, "retry_in": 3.2, "too_fast": True}, ["rate limited, 4 s"]),
        ({"retries": 3, "retry_in": 7.9}, ["retrying 3 calls, next in 8 s"]),
        (
            {"retries": 2, "retry_in": 1.0, "too_fast": True, "delay": 1.25},
            ["rate limited, 1.2 s between calls", "retrying 2 calls, next in 1 s"],
        ),
        ({"delay": 9.94}, ["rate limited, 9.9 s between calls"]),
        ({"delay": 120.0}, ["rate limited, 120 s between calls"]),
        ({"store_silence": (40.4, 120.0)}, ["the store is away, 40 s of 120"]),
        (
            {"store_silence": (40.4, 120.0), "store_is_behind": True, "calls_in_flight": 2},
            ["the store is away, 40 s of 120"],
        ),
        ({"store_is_behind": True}, ["waiting for the store"]),
        (
            {"calls_in_flight": 1, "seconds_without_page": 2.0},
            ["waiting for 1 answer of the API"],
        ),
        (
            {"calls_in_flight": 16, "seconds_without_page": 60.0},
            ["waiting for 16 answers of the API"],
        ),
        ({"calls_in_flight": 16, "seconds_without_page": 1.9}, []),
        ({"seconds_without_page": 60.0}, []),
        ({"stage": Stage.PREPARING}, ["preparing the store and the list of notes"]),
        (
            {"stage": Stage.CLOSING, "store_silence": (4.0, 5.0)},
            ["stopping: what was received is being stored", "the store is away, 4 s of 5"],
        ),
    ],
)
def test_what_is_waited_for(state: dict[str, Any], waits: list[str]) -> None:
    assert list(CrawlProgress(**state).waits()) == waits


def test_the_time_left_ends_with_the_budget() -> None:
    progress = CrawlProgress(pages_per_second=2.0, calls=90, calls_left=1000)
    assert progress.seconds_left == 500
    limited = CrawlProgress(pages_per_second=2.0, calls=90, calls_left=1000, max_calls=100)
    assert limited.seconds_left == 5
    spent = CrawlProgress(pages_per_second=2.0, calls=101, calls_left=1000, max_calls=100)
    assert spent.seconds_left == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (245.0, "4 min 5 s"),
        (3599.7, "1 h 0 min"),
        (8000.0, "2 h 13 min"),
        (90000.0, "25 h 0 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate(30)
    assert rate.update(100.0, 0) is None
    assert rate.update(100.5, 9) is None
    assert (rate.update(110.0, 50), rate.seconds_unchanged) == (5, 0)
    assert (rate.update(140.0, 50), rate.seconds_unchanged) == (0, 30)
    assert (rate.update(141.0, 81), rate.seconds_unchanged) == (1, 0)


def test_the_rate_of_rare_samples_is_that_between_them() -> None:
    rate = Rate(30)
    for minute in range(5):
        last = rate.update(60.0 * minute, 120 * minute * minute)
    assert last == (120 * 16 - 120 * 9) / 60


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(0, 100)), min_size=2))
def test_a_rate_lies_between_the_slowest_and_the_fastest(steps: list[tuple[float, int]]) -> None:
    rate, now, number = Rate(30), 0.0, 0
    rate.update(now, number)
    for seconds, more in steps:
        now, number = now + seconds, number + more
        last = rate.update(now, number)
    rates = [more / seconds for seconds, more in steps]
    assert last is None or min(rates) * 0.999 <= last <= max(rates) * 1.001
