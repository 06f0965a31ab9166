"""The throttle's pace, on an invented clock against a server with a limit."""

from __future__ import annotations

import random
from collections import deque
from heapq import heappop, heappush
from typing import NamedTuple

import pytest

from xhs.download.retry import wait
from xhs.download.throttle import Pace


class Run(NamedTuple):
    accepted: list[float]
    refused: int
    delay: float


def run(limit: float, until: float, *, limited_until: float = 1e9, share: float = 0.0) -> Run:
    """Call as the downloader does, 16 at once at 0.2 s, against ``limit`` calls a second."""
    pace, dice = Pace(0, 60), random.Random(7)  # noqa: S311
    now, last, refused = 0.0, -1.0, 0
    flying: list[tuple[float, bool]] = []
    accepted: list[float] = []
    window: deque[float] = deque()
    while now < until:
        departure = max(now, last + pace.delay) if len(flying) < 16 else 1e18
        if flying and flying[0][0] <= departure:
            now, was_refused = heappop(flying)
            pace.answered(now, too_fast=was_refused)
            continue
        now = last = departure
        while window and window[0] <= now - 1:
            window.popleft()
        no = (now < limited_until and len(window) >= limit) or dice.random() < share
        refused += no
        if not no:
            window.append(now)
            accepted.append(now)
        heappush(flying, (now + (0.01 if no else 0.2), no))
    return Run(accepted, refused, pace.delay)


@pytest.mark.parametrize("limit", [5, 20])
def test_a_limit_is_used_and_respected(limit: int) -> None:
    done = run(limit, 60)
    assert len(done.accepted) >= 0.8 * 60 * limit
    assert done.refused <= 0.2 * (len(done.accepted) + done.refused)


def test_refusals_at_random_are_no_limit() -> None:
    assert run(1e9, 60, share=0.05).delay == 0


def test_full_pace_again_when_the_limit_is_gone() -> None:
    done = run(5, 70, limited_until=40)
    assert done.delay == 0
    assert sum(69 <= time < 70 for time in done.accepted) >= 72


def test_a_retry_waits_about_a_second_and_longer_each_time() -> None:
    assert 0.75 <= wait(1) <= 1.25
    for times in range(1, 12):
        assert wait(times) <= 75
    assert min(wait(5) for _ in range(20)) > max(wait(2) for _ in range(20))
