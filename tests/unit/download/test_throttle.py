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
    limit: float,
    until: float,
    *,
    limited: tuple[float, float] = (0, 1e9),
    share: float = 0.0,
    places: int = 16,
    refusal: float = 0.01,
    least: float = 0.0,
    seed: int = 7,
) -> Run:
    """Call as the downloader does, 0.2 s a page, against ``limit`` calls a second between two
    moments, and with a share of refusals at random.
    """
    pace, dice = Pace(least, 60), random.Random(seed)  # noqa: S311
    now, last, refused = 0.0, -1.0, 0
    flying: list[tuple[float, float, bool]] = []
    accepted: list[float] = []
    window: deque[float] = deque()
    while now < until:
        departure = max(now, last + pace.delay) if len(flying) < places else 1e18
        if flying and flying[0][0] <= departure:
            now, sent, was_refused = heappop(flying)
            pace.answered(now, sent=sent, too_fast=was_refused, in_flight=len(flying))
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
        heappush(flying, (now + (refusal if no else 0.2), now, no))
    return Run(accepted, refused, pace.delay)


@pytest.mark.parametrize("limit", [5, 10, 20, 50])
def test_a_limit_is_used_and_respected(limit: int) -> None:
    done = run(limit, 60)
    assert len(done.accepted) >= 0.8 * 60 * limit
    assert done.refused <= 0.2 * (len(done.accepted) + done.refused)


@pytest.mark.parametrize("refusal", [0.01, 0.2])
@pytest.mark.parametrize(("places", "limit"), [(32, 20), (32, 100), (64, 5), (64, 20), (64, 100)])
def test_a_limit_is_used_whatever_the_concurrency(places: int, limit: int, refusal: float) -> None:
    done = run(limit, 60, places=places, refusal=refusal)
    assert len(done.accepted) >= 0.8 * 60 * limit
    assert done.refused <= 0.35 * (len(done.accepted) + done.refused)


@pytest.mark.parametrize(("least", "limit"), [(0.1, 5), (0.3, 1), (0.8, 1)])
def test_a_users_delay_is_the_least_and_no_more(least: float, limit: int) -> None:
    assert run(1e9, 60, least=least).delay == least
    unthrottled = 60 / least - 60 * limit
    assert run(limit, 60, least=least).refused <= 0.5 * unthrottled + 20


@pytest.mark.parametrize("share", [0.05, 0.08])
def test_refusals_at_random_are_no_limit(share: float) -> None:
    assert run(1e9, 60, share=share).delay == 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [0.12, 0.15, 0.2, 0.35])
def test_slowing_down_is_left_where_it_does_not_help(share: float, seed: int) -> None:
    """A limit would let more through; chance does not."""
    done = run(1e9, 120, share=share, seed=seed)
    assert len(done.accepted) >= 0.4 * 80 * 120 * (1 - share)


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
