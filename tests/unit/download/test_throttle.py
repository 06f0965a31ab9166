"""The throttle's pace, on a simulated clock against a server with a limit."""

from __future__ import annotations

import random
from collections import deque
from heapq import heappop, heappush
from typing import NamedTuple

import pytest

from xhs.download.retry import wait
from xhs.download.throttle import Pace


class Outcome(NamedTuple):
    accepted: list[float]
    refused: int
    delay: float


def run(
    limit: float,
    until: float,
    *,
    limited: tuple[float, float] = (0, 1e9),
    share: float = 0.0,
    concurrency: int = 16,
    refusal_seconds: float = 0.01,
    min_delay: float = 0.0,
    seed: int = 7,
) -> Outcome:
    """Call as the downloader does, 0.2 s a page.

    The server allows ``limit`` calls a second during ``limited``, and refuses ``share`` of the
    calls at random.
    """
    pace, seeded_random = Pace(min_delay, 60), random.Random(seed)  # noqa: S311
    now, last, refused = 0.0, -1.0, 0
    in_flight: list[tuple[float, float, bool]] = []
    accepted: list[float] = []
    window: deque[float] = deque()
    while now < until:
        departure = max(now, last + pace.delay) if len(in_flight) < concurrency else 1e18
        if in_flight and in_flight[0][0] <= departure:
            now, sent, was_refused = heappop(in_flight)
            pace.answered(now, sent=sent, too_fast=was_refused, in_flight=len(in_flight))
            continue
        now = last = departure
        while window and window[0] <= now - 1:
            window.popleft()
        is_limited = limited[0] <= now < limited[1] and len(window) >= limit
        is_refused = is_limited or seeded_random.random() < share
        refused += is_refused
        if not is_refused:
            window.append(now)
            accepted.append(now)
        heappush(in_flight, (now + (refusal_seconds if is_refused else 0.2), now, is_refused))
    return Outcome(accepted, refused, pace.delay)


@pytest.mark.parametrize("limit", [5, 10, 20, 50])
def test_a_limit_is_used_and_respected(limit: int) -> None:
    outcome = run(limit, 60)
    assert len(outcome.accepted) >= 0.8 * 60 * limit
    assert outcome.refused <= 0.2 * (len(outcome.accepted) + outcome.refused)


@pytest.mark.parametrize("refusal_seconds", [0.01, 0.2])
@pytest.mark.parametrize(
    ("concurrency", "limit"), [(32, 20), (32, 100), (64, 5), (64, 20), (64, 100)]
)
def test_a_limit_is_used_at_any_concurrency(
    concurrency: int, limit: int, refusal_seconds: float
) -> None:
    outcome = run(limit, 60, concurrency=concurrency, refusal_seconds=refusal_seconds)
    assert len(outcome.accepted) >= 0.8 * 60 * limit
    assert outcome.refused <= 0.35 * (len(outcome.accepted) + outcome.refused)


@pytest.mark.parametrize(("min_delay", "limit"), [(0.1, 5), (0.3, 1), (0.8, 1)])
def test_a_users_delay_is_the_minimum(min_delay: float, limit: int) -> None:
    assert run(1e9, 60, min_delay=min_delay).delay == min_delay
    unthrottled = 60 / min_delay - 60 * limit
    assert run(limit, 60, min_delay=min_delay).refused <= 0.5 * unthrottled + 20


@pytest.mark.parametrize("share", [0.05, 0.08])
def test_random_refusals_are_no_limit(share: float) -> None:
    assert run(1e9, 60, share=share).delay == 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [0.12, 0.15, 0.2, 0.35])
def test_the_delay_is_dropped_if_it_does_not_help(share: float, seed: int) -> None:
    """With a limit, slower calls would be refused less often; at random they are not."""
    outcome = run(1e9, 120, share=share, seed=seed)
    assert len(outcome.accepted) >= 0.4 * 80 * 120 * (1 - share)


@pytest.mark.parametrize("limit", [1, 2, 5, 20])
def test_full_pace_again_when_the_limit_is_gone(limit: int) -> None:
    outcome = run(limit, 71, limited=(0, 40))
    assert sum(70 <= time < 71 for time in outcome.accepted) >= 72


@pytest.mark.parametrize("limit", [5, 20])
def test_slowed_within_seconds_when_a_limit_comes(limit: int) -> None:
    slowed, before = run(limit, 60, limited=(20, 1e9)), run(limit, 24, limited=(20, 1e9))
    refused = slowed.refused - before.refused
    accepted = sum(time >= 24 for time in slowed.accepted)
    assert refused <= 0.2 * (refused + accepted)


def test_a_retry_waits_about_a_second_and_longer_each_time() -> None:
    assert 0.75 <= wait(1) <= 1.25
    for times in (*range(1, 12), 10**6):
        assert wait(times) <= 75
    assert min(wait(5) for _ in range(20)) > max(wait(2) for _ in range(20))
