"""Scrapy's scheduler without the disk queue, with back-pressure and delayed retries."""

from __future__ import annotations

import asyncio
import math
from typing import Any, NamedTuple

from scrapy import Request
from scrapy.core.scheduler import Scheduler
from scrapy.crawler import Crawler
from twisted.internet.defer import Deferred

from xhs.download._scrapy import in_downloader, unfinished
from xhs.download.call_order import CallOrder
from xhs.download.page_request import page_of
from xhs.download.retry import WAIT, is_too_fast


class Retries(NamedTuple):
    """Retries that are waiting, and the seconds until the first of them is due.

    ``too_fast``: True if all of them were refused as too fast.
    """

    waiting: int
    seconds: float
    too_fast: bool


class WaitingScheduler(Scheduler):
    """Keeps requests in memory only, also with ``JOBDIR``: the ledger knows the progress of a note.

    Requests from disk would be sent, and paid for, in addition to those that the spider creates
    again. A retry waits here until it is due, so that it takes no place in the downloader.
    """

    crawler: Crawler  # from_crawler passes it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "jobdir": None})
        self._retry_timers: dict[asyncio.TimerHandle, Request] = {}
        self._concurrency = self.crawler.settings.getint("CONCURRENT_REQUESTS")
        self._max_unfinished = math.ceil(1.5 * self._concurrency)
        self._order = CallOrder.of(self.crawler)

    def __len__(self) -> int:
        return super().__len__() + len(self._retry_timers)

    def next_request(self) -> Request | None:
        """Return the next request; None if there is none, or none may be sent now.

        None while 1.5 × ``CONCURRENT_REQUESTS`` (rounded up) pages are unfinished: this is the
        store's back-pressure, and bounds how many pages a kill may cost twice. None also while all
        free places are kept for urgent chains (:mod:`xhs.download.call_order`).
        """
        if self.waits_for_pages:
            return None
        if in_downloader(self.crawler) + self._order.places_kept >= self._concurrency:
            return None
        return super().next_request()

    @property
    def waits_for_pages(self) -> bool:
        """True while no request may be sent, because too many pages are unfinished."""
        return unfinished(self.crawler) >= self._max_unfinished

    @property
    def retries(self) -> Retries | None:
        """The waiting retries; None if there are none."""
        if not self._retry_timers:
            return None
        first = min(timer.when() for timer in self._retry_timers)
        return Retries(
            len(self._retry_timers),
            max(0.0, first - asyncio.get_running_loop().time()),
            all(map(is_too_fast, self._retry_timers.values())),
        )

    def enqueue_request(self, request: Request) -> bool:
        if page := page_of(request):
            self._order.asked(page.chain_id)
        seconds = request.meta.pop(WAIT, None)
        if seconds is None:
            return super().enqueue_request(request)

        def put_back() -> None:
            del self._retry_timers[timer]
            self.crawler.engine.crawl(request)

        timer = asyncio.get_running_loop().call_later(seconds, put_back)
        self._retry_timers[timer] = request
        return True

    def close(self, reason: str) -> Deferred[None] | None:
        for timer in self._retry_timers:
            timer.cancel()
        return super().close(reason)
