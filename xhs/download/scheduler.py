"""Scrapy's scheduler, without its queue on disk, and with a place for requests that wait."""

from __future__ import annotations

import asyncio
from typing import Any

from scrapy import Request
from scrapy.core.scheduler import Scheduler
from scrapy.crawler import Crawler
from twisted.internet.defer import Deferred

from xhs.download._scrapy import in_downloader, unfinished
from xhs.download.call_order import CallOrder
from xhs.download.page_request import page_of
from xhs.download.retry import WAIT


class WaitingScheduler(Scheduler):
    """Requests wait in memory alone, also with ``JOBDIR``: how far a note is, the ledger knows.

    Requests that came back from disk would be asked, and paid for, beside those that the spider
    makes anew. A retry waits here for its time, so that it keeps no place in the downloader.
    """

    crawler: Crawler  # which :meth:`from_crawler` passes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "jobdir": None})
        self._waiting: set[asyncio.TimerHandle] = set()
        self._places = self.crawler.settings.getint("CONCURRENT_REQUESTS")
        self._most_unsettled = self._places + -(-self._places // 2)
        self._order = CallOrder.of(self.crawler)

    def __len__(self) -> int:
        return super().__len__() + len(self._waiting)

    def next_request(self) -> Request | None:
        """None while half as many pages again as there are places are asked for and not settled:
        the store sets the pace, and so many a kill may cost twice. None also while the places that
        are free are kept for notes that never wait.
        """
        if unfinished(self.crawler) >= self._most_unsettled:
            return None
        if in_downloader(self.crawler) + self._order.places_kept >= self._places:
            return None
        return super().next_request()

    def enqueue_request(self, request: Request) -> bool:
        if call := page_of(request):
            self._order.asked(call.chain_id)
        seconds = request.meta.pop(WAIT, None)
        if seconds is None:
            return super().enqueue_request(request)

        def put_back() -> None:
            self._waiting.discard(timer)
            self.crawler.engine.crawl(request)

        timer = asyncio.get_running_loop().call_later(seconds, put_back)
        self._waiting.add(timer)
        return True

    def close(self, reason: str) -> Deferred[None] | None:
        for timer in self._waiting:
            timer.cancel()
        return super().close(reason)
