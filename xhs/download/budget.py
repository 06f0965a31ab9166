"""The gate: what a call must pass before it is sent, and what its answer means for the others.

It knows whether the crawl was stopped and what the calls cost. It does not know Scrapy.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

from scrapy.crawler import Crawler

from xhs.api import codes
from xhs.api.envelope import Envelope
from xhs.component import Component
from xhs.download._scrapy import flush_slots
from xhs.reasons import CloseReason
from xhs.stats import Stat

logger = logging.getLogger(__name__)


class CallsStopped(Exception):
    """The gate is closed: this call was not sent, and costs nothing."""


class CallBudget(Component):
    """Lets calls out until the crawl is stopped or the budget is spent, and keeps the books.

    Every call is reserved as it is sent. An answer with code 0 and a call whose billing is unknown
    use the reservation up; a refusal gives it back. ``limit``: billed calls at most, 0 for any
    number. ``count`` adds one to a stat; ``on_stop`` is called once, with the close reason.
    """

    def __init__(
        self,
        count: Callable[[str], Any],
        on_stop: Callable[[CloseReason, str], None],
        limit: int = 0,
    ) -> None:
        self._count = count
        self._on_stop = on_stop
        self._limit = limit
        self._billed = 0
        self._reserved = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._unbooked: Counter[str] = Counter()
        self.reason: CloseReason | None = None
        self.message = ""
        """Why the crawl was stopped, and what to do."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        closing: set[asyncio.Task[None]] = set()

        def close(reason: CloseReason, message: str) -> None:
            level = logging.WARNING if reason is CloseReason.BUDGET_SPENT else logging.ERROR
            logger.log(level, "Stopping (%s): %s", reason, message)
            flush_slots(crawler)
            task = asyncio.create_task(crawler.engine.close_spider_async(reason=reason.value))
            closing.add(task)

        limit = crawler.settings.getint("XHS_MAX_CALLS")
        return cls(crawler.stats.inc_value, close, limit)

    async def reserve(self) -> None:
        """Ask to send a call; wait while calls that may use the budget up are on their way.

        Raises:
            CallsStopped: if no call may be sent any more.
        """
        while self.reason is None and self._limit and self._billed + self._reserved >= self._limit:
            if self._billed >= self._limit:
                self.stop(
                    CloseReason.BUDGET_SPENT,
                    f"the {self._limit} billed calls that XHS_MAX_CALLS allows are spent",
                )
                break
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        if self.reason is not None:
            raise CallsStopped(f"the crawl is stopping ({self.reason})")
        self._reserved += 1

    def answered(self, note_id: str, answer: Envelope) -> None:
        """A call's envelope came: count what it cost, and stop the crawl at a fatal code."""
        if answer.code == codes.SUCCESS:
            self._spend(Stat.CALLS_BILLED, note_id)
            return
        self.refused(str(answer.code))
        if reason := codes.close_reason(answer.code):
            remedy = codes.remedy(answer.code, datetime.now(UTC))
            self.stop(reason, f"code {answer.code}: {remedy}")

    def refused(self, code: str) -> None:
        """A call was refused, with a business code or otherwise: it costs nothing."""
        self._count(Stat.CALLS_REFUSED + code)
        self._settle()

    def unknown(self, note_id: str) -> None:
        """A call was sent and no whole answer came: it counts as billed."""
        self._spend(Stat.CALLS_UNKNOWN, note_id)

    def not_sent(self) -> None:
        """A call never reached the server: it costs nothing."""
        self._settle()

    def stop(self, reason: CloseReason, message: str) -> None:
        """Let no further call out. The first reason stands."""
        if self.reason is None:
            self.reason, self.message = reason, message
            self._wake()
            self._on_stop(reason, message)

    @property
    def in_flight(self) -> int:
        """Calls that were sent and not answered yet."""
        return self._reserved

    def take_billed(self, note_id: str) -> int:
        """The billed calls for a note since this was last asked."""
        return self._unbooked.pop(note_id, 0)

    def _spend(self, stat: str, note_id: str) -> None:
        self._count(stat)
        self._unbooked[note_id] += 1
        self._billed += 1
        self._settle()

    def _settle(self) -> None:
        self._reserved -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
