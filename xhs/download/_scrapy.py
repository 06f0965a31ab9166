"""A crawl that closes: what waits for its turn to be sent is let through to be refused at once."""

from __future__ import annotations

from scrapy.crawler import Crawler


def is_closing(crawler: Crawler) -> bool:
    """Scrapy still sends what waits in the downloader when it closes; here that would cost."""
    engine = crawler.engine
    return not engine.running or engine._slot is None or engine._slot.closing is not None


def hurry(crawler: Crawler) -> None:
    """Calls that will not be sent need not wait for one another."""
    downloader = crawler.engine.downloader
    for slot in downloader.slots.values():
        if slot.delay:
            slot.delay = 0
            slot.close()  # the turn that it waits for
            downloader._process_queue(slot)
