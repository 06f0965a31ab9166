"""Every private name of Scrapy that the project uses, one function each, with the reason.

Scrapy does not document them and may change them in any version, hence the upper bound in
``requirements.txt``. No other module uses one; ``tests/unit/download/test_scrapy_names.py`` checks
that, and that the installed Scrapy still has them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

from scrapy.crawler import Crawler

if TYPE_CHECKING:
    from scrapy.core.downloader import Slot
    from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
    from scrapy.core.scheduler import BaseScheduler
    from scrapy.extensions.feedexport import FeedExporter, FeedSlot
    from scrapy.pipelines import ItemPipelineManager

OVERRIDDEN = MappingProxyType(
    {
        "scrapy.extensions.throttle.AutoThrottle._adjust_delay": (
            "sets the delay after an answer; AutoThrottle's settings bound the delay, not its rule"
        ),
        "scrapy.extensions.feedexport.FeedExporter._close_slot": (
            "finishes and stores a feed, or one batch of it; no signal is sent before that"
        ),
    }
)
"""The private methods of Scrapy that our classes override: the purpose of each, and why the public
API does not do.
"""


def is_closing(crawler: Crawler) -> bool:
    """True if the crawl is closing.

    Scrapy still sends the requests that wait in the downloader, and they would be billed. The
    signal ``spider_closed`` comes only after that.
    """
    engine = crawler.engine
    return not engine.running or engine._slot is None or engine._slot.closing is not None


def unfinished(crawler: Crawler) -> int:
    """Return the number of requests that have left the scheduler and whose callback has not ended.

    No signal is sent when a callback ends.
    """
    slot = crawler.engine._slot
    return len(slot.inprogress) if slot is not None else 0


def scheduler(crawler: Crawler) -> BaseScheduler | None:
    """Return the scheduler of a crawl; None if its spider is not open. It has no public name."""
    engine = crawler.engine
    return engine._slot.scheduler if engine and engine._slot else None


def in_downloader(crawler: Crawler) -> int:
    """Return the number of requests in the downloader and its middlewares.

    Scrapy counts both against ``CONCURRENT_REQUESTS``; the signals leave out the middlewares.
    """
    return len(crawler.engine.downloader.active)


def in_flight(slot: Slot) -> int:
    """Return the number of requests of a slot that were sent and are not answered.

    No signal is sent when a request leaves.
    """
    return len(slot.transferring)


def flush_slots(crawler: Crawler) -> None:
    """Hand all waiting requests to the download handler without delay.

    The handler refuses them all, so they need not wait for one another. No setting changes the
    delay of a running crawl.
    """
    downloader = crawler.engine.downloader
    for slot in downloader.slots.values():
        if slot.delay:
            slot.delay = 0
            slot.close()  # cancels the timer, which would block _process_queue
            downloader._process_queue(slot)


def send_once(handler: HTTP11DownloadHandler) -> None:
    """Keep Twisted from resending a call if its persistent connection was lost.

    The call would be paid for twice. Twisted has a switch for it, but the handler creates its own
    pool.
    """
    handler._pool.retryAutomatically = False


def keep_address_out_of_log(handler: HTTP11DownloadHandler) -> None:
    """Suppress the handler's warning about truncated answers: it quotes the address with the token.

    No setting does this: without ``DOWNLOAD_FAIL_ON_DATALOSS`` truncated answers would be accepted.
    """
    handler._fail_on_dataloss_warned = True


async def close_pipelines(manager: ItemPipelineManager) -> list[BaseException]:
    """Close each item pipeline, and return the exceptions that they raised.

    ``ItemPipelineManager.close_spider_async`` returns as soon as one raises, while the others are
    still closing.
    """

    async def close(method: Callable[..., Any]) -> None:
        await manager.get_awaitable(method)

    methods = [method for method in manager.methods["close_spider"] if method is not None]
    results = await asyncio.gather(*map(close, methods), return_exceptions=True)
    return [error for error in results if error is not None]


def feed_file(exporter: FeedExporter, slot: FeedSlot) -> IO[bytes]:
    """Close the post-processing of a feed, and return its underlying file.

    Scrapy does this only when it stores the feed.
    """
    return exporter._get_file(slot)
