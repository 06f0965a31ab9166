"""Spider middleware that counts the items of a page on their way to the pipelines.

docs/architecture.md shows the way of an item from page to checkpoint.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from xhs.api.endpoints import read_page_ref
from xhs.crawl.page_tracker import PageTracker
from xhs.download.call_order import CallOrder
from xhs.extensions import CrawlState
from xhs.items import is_note


class PageMiddleware:
    """Tells the page tracker which items left the spider, and when no more of a page follow.

    It must be nearest to the engine. Otherwise a page would wait for items that another middleware
    filters, or that an exception cuts off.
    """

    def __init__(self, pages: PageTracker, order: CallOrder) -> None:
        self._pages = pages
        self._order = order

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(CrawlState.of(crawler).pages, CallOrder.of(crawler))

    async def process_spider_output(
        self, response: Response, result: AsyncIterator[Any]
    ) -> AsyncIterator[Any]:
        whole = False
        try:
            async for output in result:
                if not isinstance(output, Request) and not is_note(output):
                    self._pages.count_yielded(response)
                yield output
            whole = True
        finally:
            self._pages.all_yielded(response, whole=whole)
            if page := read_page_ref(response.url):
                self._order.asked(page.chain_id)
