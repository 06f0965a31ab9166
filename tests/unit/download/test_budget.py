"""The call budget: reservations, costs and stops."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from xhs.api.envelope import Envelope
from xhs.download.budget import CallBudget, CallsStopped

pytestmark = pytest.mark.anyio

PAID = Envelope(0, "", None, None)
BUSY = Envelope(301, "", None, None)


class Recorder:
    """Records stats and stops."""

    def __init__(self) -> None:
        self.stats: Counter[str] = Counter()
        self.stops: list[str] = []

    def budget(self, limit: int = 0) -> CallBudget:
        def increment(stat: str) -> None:
            self.stats[stat] += 1

        return CallBudget(increment, lambda reason, _: self.stops.append(reason), limit)


async def spin() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_call_waits_while_the_budget_is_reserved_and_is_sent_after_a_refusal() -> None:
    recorder = Recorder()
    budget = recorder.budget(1)
    await budget.reserve()
    second = asyncio.ensure_future(budget.reserve())
    await spin()
    assert not second.done()
    budget.answered("n", BUSY)
    await second
    assert recorder.stats == {"xhs/calls/refused/301": 1}
    assert recorder.stops == []


async def test_the_last_permitted_call_does_not_stop_the_crawl_but_the_next_does() -> None:
    recorder = Recorder()
    budget = recorder.budget(1)
    await budget.reserve()
    budget.answered("n", PAID)
    assert recorder.stops == []
    with pytest.raises(CallsStopped):
        await budget.reserve()
    assert recorder.stops == ["budget_spent"]


async def test_unknown_billing_counts_as_billed_and_an_unsent_call_as_nothing() -> None:
    recorder = Recorder()
    budget = recorder.budget(2)
    await budget.reserve()
    budget.not_sent()
    await budget.reserve()
    budget.unknown("n")
    await budget.reserve()
    budget.answered("n", PAID)
    assert recorder.stats == {"xhs/calls/unknown": 1, "xhs/calls/billed": 1}
    assert budget.take_billed("n") == 2
    assert budget.take_billed("n") == 0


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (100, "token_rejected"),
        (303, "quota_exhausted"),
        (600, "permission_denied"),
        (601, "balance_exhausted"),
        (602, "balance_exhausted"),
    ],
)
async def test_a_fatal_code_stops_the_crawl_and_the_waiting_calls(code: int, reason: str) -> None:
    recorder = Recorder()
    budget = recorder.budget(2)
    await budget.reserve()
    await budget.reserve()
    waiting = asyncio.ensure_future(budget.reserve())
    await spin()
    budget.answered("n", Envelope(code, "", None, None))
    with pytest.raises(CallsStopped):
        await waiting
    budget.answered("n", Envelope(100, "", None, None))
    assert recorder.stops == [reason]


@pytest.mark.parametrize("code", [400, 301, 302, 500, 999])
async def test_no_other_code_stops_the_crawl(code: int) -> None:
    recorder = Recorder()
    budget = recorder.budget()
    await budget.reserve()
    budget.answered("n", Envelope(code, "", None, None))
    await budget.reserve()
    assert recorder.stops == []
