"""The call budget: it lets calls out, counts the billed ones, and stops the crawl.

Only :meth:`CallBudget.from_crawler` knows Scrapy.
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
    """The crawl was stopped: this call was not sent, and costs nothing."""


class CallBudget(Component):
    """Lets calls out until the crawl is stopped or the budget is spent, and counts what they cost.

    Every call is reserved when it is sent. An answer with code 0 and a call whose billing is
    unknown spend the reservation; a refusal releases it.

    Args:
        increment: adds one to a stat.
        on_stop: called once, with the close reason and a message.
        limit: the maximum of billed calls; 0 for no limit.
    """

    def __init__(
        self,
        increment: Callable[[str], Any],
        on_stop: Callable[[CloseReason, str], None],
        limit: int = 0,
    ) -> None:
        self._increment = increment
        self._on_stop = on_stop
        self.limit = limit
        self.billed = 0
        """Calls that are billed, or may be."""
        self._reserved = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._billed_by_note: Counter[str] = Counter()
        self.reason: CloseReason | None = None
        self.message = ""
        """The reason for the stop in words, and what to do."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        closing: set[asyncio.Task[None]] = set()  # asyncio keeps weak references only

        def close(reason: CloseReason, message: str) -> None:
            level = logging.WARNING if reason is CloseReason.BUDGET_SPENT else logging.ERROR
            logger.log(level, "Stopping (%s): %s", reason, message)
            flush_slots(crawler)
            task = asyncio.create_task(crawler.engine.close_spider_async(reason=reason.value))
            closing.add(task)

        limit = crawler.settings.getint("XHS_MAX_CALLS")
        return cls(crawler.stats.inc_value, close, limit)

    async def reserve(self) -> None:
        """Reserve a call; wait while the calls in flight may spend the rest of the budget.

        Raises:
            CallsStopped: if no further call may be sent.
        """
        while self.reason is None and self.limit and self.billed + self._reserved >= self.limit:
            if self.billed >= self.limit:
                self.stop(
                    CloseReason.BUDGET_SPENT,
                    f"the {self.limit} billed calls that XHS_MAX_CALLS allows are spent",
                )
                break
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        if self.reason is not None:
            raise CallsStopped(f"the crawl is stopping ({self.reason})")
        self._reserved += 1

    def answered(self, note_id: str, answer: Envelope) -> None:
        """Count the cost of a call by its envelope, and stop the crawl if its code is fatal."""
        if answer.code == codes.SUCCESS:
            self._spend(Stat.CALLS_BILLED, note_id)
            return
        self.refused(str(answer.code))
        if reason := codes.close_reason(answer.code):
            remedy = codes.remedy(answer.code, datetime.now(UTC))
            self.stop(reason, f"code {answer.code}: {remedy}")

    def refused(self, code: str) -> None:
        """Count a call that was refused, with a business code or otherwise: it costs nothing."""
        self._increment(Stat.CALLS_REFUSED + code)
        self._release()

    def unknown(self, note_id: str) -> None:
        """Count a call that was sent and got no complete answer: it counts as billed."""
        self._spend(Stat.CALLS_UNKNOWN, note_id)

    def not_sent(self) -> None:
        """Release a call that never reached the server: it costs nothing."""
        self._release()

    def stop(self, reason: CloseReason, message: str) -> None:
        """Let no further call out. A second stop changes nothing: the first reason stands."""
        if self.reason is None:
            self.reason, self.message = reason, message
            self._wake()
            self._on_stop(reason, message)

    @property
    def in_flight(self) -> int:
        """Number of calls that were sent and are not answered yet."""
        return self._reserved

    def take_billed(self, note_id: str) -> int:
        """Return the number of a note's billed calls since the last time, and reset it."""
        return self._billed_by_note.pop(note_id, 0)

    def _spend(self, stat: str, note_id: str) -> None:
        self._increment(stat)
        self._billed_by_note[note_id] += 1
        self.billed += 1
        self._release()

    def _release(self) -> None:
        self._reserved -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
