"""The gate: budget, books and stop."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from xhs.api.envelope import Envelope
from xhs.download.budget import CallBudget, CallsStopped

PAID = Envelope(0, "", None, None)
BUSY = Envelope(301, "", None, None)


class Books:
    def __init__(self) -> None:
        self.stats: Counter[str] = Counter()
        self.stops: list[str] = []

    def gate(self, limit: int = 0) -> CallBudget:
        def count(stat: str) -> None:
            self.stats[stat] += 1

        return CallBudget(count, lambda reason, _: self.stops.append(reason), limit)


async def spin() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_call_waits_while_the_budget_is_reserved_and_goes_when_one_was_refused() -> None:
    async def run() -> None:
        books = Books()
        gate = books.gate(1)
        await gate.reserve()
        second = asyncio.ensure_future(gate.reserve())
        await spin()
        assert not second.done()
        gate.answered("n", BUSY)
        await second
        assert books.stats == {"xhs/calls/refused/301": 1}
        assert books.stops == []

    asyncio.run(run())


def test_the_last_permitted_call_does_not_stop_the_crawl_but_the_next_does() -> None:
    async def run() -> None:
        books = Books()
        gate = books.gate(1)
        await gate.reserve()
        gate.answered("n", PAID)
        assert books.stops == []
        with pytest.raises(CallsStopped):
            await gate.reserve()
        assert books.stops == ["budget_spent"]

    asyncio.run(run())


def test_unknown_billing_counts_as_billed_and_an_unsent_call_as_nothing() -> None:
    async def run() -> None:
        books = Books()
        gate = books.gate(2)
        await gate.reserve()
        gate.not_sent()
        await gate.reserve()
        gate.unknown("n")
        await gate.reserve()
        gate.answered("n", PAID)
        assert books.stats == {"xhs/calls/unknown": 1, "xhs/calls/billed": 1}
        assert gate.take_billed("n") == 2
        assert gate.take_billed("n") == 0

    asyncio.run(run())


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
def test_a_fatal_code_stops_and_wakes_what_waits(code: int, reason: str) -> None:
    async def run() -> None:
        books = Books()
        gate = books.gate(2)
        await gate.reserve()
        await gate.reserve()
        waiting = asyncio.ensure_future(gate.reserve())
        await spin()
        gate.answered("n", Envelope(code, "", None, None))
        with pytest.raises(CallsStopped):
            await waiting
        gate.answered("n", Envelope(100, "", None, None))
        assert books.stops == [reason]

    asyncio.run(run())


@pytest.mark.parametrize("code", [400, 301, 302, 500, 999])
def test_no_other_code_stops(code: int) -> None:
    async def run() -> None:
        books = Books()
        gate = books.gate()
        await gate.reserve()
        gate.answered("n", Envelope(code, "", None, None))
        await gate.reserve()
        assert books.stops == []

    asyncio.run(run())
