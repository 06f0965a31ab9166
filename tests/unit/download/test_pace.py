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


def run(
    limit: float, until: float, *, limited: tuple[float, float] = (0, 1e9), share: float = 0.0
) -> Run:
    """Call as the downloader does, 16 at once at 0.2 s, against ``limit`` calls a second between
    two moments, and with a share of refusals at random.
    """
    pace, dice = Pace(0, 60), random.Random(7)  # noqa: S311
    now, last, refused = 0.0, -1.0, 0
    flying: list[tuple[float, bool]] = []
    accepted: list[float] = []
    window: deque[float] = deque()
    while now < until:
        departure = max(now, last + pace.delay) if len(flying) < 16 else 1e18
        if flying and flying[0][0] <= departure:
            now, was_refused = heappop(flying)
            pace.answered(now, too_fast=was_refused, in_flight=len(flying))
            continue
        now = last = departure
        while window and window[0] <= now - 1:
            window.popleft()
        there = limited[0] <= now < limited[1]
        no = (there and len(window) >= limit) or dice.random() < share
        refused += no
        if not no:
            window.append(now)
            accepted.append(now)
        heappush(flying, (now + (0.01 if no else 0.2), no))
    return Run(accepted, refused, pace.delay)


@pytest.mark.parametrize("limit", [5, 10, 20, 50])
def test_a_limit_is_used_and_respected(limit: int) -> None:
    done = run(limit, 60)
    assert len(done.accepted) >= 0.8 * 60 * limit
    assert done.refused <= 0.2 * (len(done.accepted) + done.refused)


@pytest.mark.parametrize("share", [0.05, 0.08])
def test_refusals_at_random_are_no_limit(share: float) -> None:
    assert run(1e9, 60, share=share).delay == 0


@pytest.mark.parametrize("share", [0.12, 0.2, 0.35, 0.5])
def test_slowing_down_is_left_where_it_does_not_help(share: float) -> None:
    """A limit would let more through; chance does not."""
    done = run(1e9, 120, share=share)
    assert len(done.accepted) >= 0.65 * 80 * 120 * (1 - share)


@pytest.mark.parametrize("limit", [1, 2, 5, 20])
def test_full_pace_again_when_the_limit_is_gone(limit: int) -> None:
    done = run(limit, 71, limited=(0, 40))
    assert sum(70 <= time < 71 for time in done.accepted) >= 72


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
