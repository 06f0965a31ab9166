"""The private names of Scrapy that the project uses, one function each, and why.

Scrapy does not document them and may change them with any version, hence the upper bound in
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
    from scrapy.extensions.feedexport import FeedExporter, FeedSlot
    from scrapy.pipelines import ItemPipelineManager

OVERRIDDEN = MappingProxyType(
    {
        "scrapy.extensions.throttle.AutoThrottle._adjust_delay": (
            "sets the delay after an answer; AutoThrottle's settings give it bounds, but no rule"
        ),
        "scrapy.extensions.feedexport.FeedExporter._close_slot": (
            "finishes and stores a feed, or one batch of it; no signal comes before that"
        ),
    }
)
"""The private methods of Scrapy that our classes override: what each does, and why there is no
public way.
"""


def is_closing(crawler: Crawler) -> bool:
    """True if the crawl is closing: Scrapy still sends what waits in the downloader, which would
    cost. The signal ``spider_closed`` comes only after that.
    """
    engine = crawler.engine
    return not engine.running or engine._slot is None or engine._slot.closing is not None


def unfinished(crawler: Crawler) -> int:
    """Return the number of requests that have left the scheduler and whose callback has not ended.

    No signal says when a callback has ended.
    """
    slot = crawler.engine._slot
    return len(slot.inprogress) if slot is not None else 0


def in_downloader(crawler: Crawler) -> int:
    """Return the number of requests in the downloader, those of which the middlewares take care
    included: Scrapy counts these against ``CONCURRENT_REQUESTS``, the signals do not.
    """
    return len(crawler.engine.downloader.active)


def in_flight(slot: Slot) -> int:
    """Return the number of requests of a slot that were sent and are not answered; no signal says
    when a request is sent.
    """
    return len(slot.transferring)


def flush_slots(crawler: Crawler) -> None:
    """Hand all waiting requests to the download handler now: it refuses them, so they need not wait
    for one another. No setting changes the delay of a running crawl.
    """
    downloader = crawler.engine.downloader
    for slot in downloader.slots.values():
        if slot.delay:
            slot.delay = 0
            slot.close()  # cancels the timer, so that the queue may be processed
            downloader._process_queue(slot)


def send_once(handler: HTTP11DownloadHandler) -> None:
    """Keep Twisted from sending a call again whose kept connection was lost: it would be paid
    twice. Twisted has the switch, but the handler makes its pool itself.
    """
    handler._pool.retryAutomatically = False


def keep_address_out_of_log(handler: HTTP11DownloadHandler) -> None:
    """Keep the handler from its one warning about cut answers, which quotes the address that was
    sent, token included. It has no setting: ``DOWNLOAD_FAIL_ON_DATALOSS`` would take what is cut.
    """
    handler._fail_on_dataloss_warned = True


async def close_pipelines(manager: ItemPipelineManager) -> list[BaseException]:
    """Close each item pipeline, and return what they raised.

    ``ItemPipelineManager.close_spider_async`` returns as the first one raises, while the others are
    still closing.
    """

    async def close(method: Callable[..., Any]) -> None:
        await manager.get_awaitable(method)

    methods = [method for method in manager.methods["close_spider"] if method is not None]
    closed = await asyncio.gather(*map(close, methods), return_exceptions=True)
    return [error for error in closed if error is not None]


def feed_file(exporter: FeedExporter, slot: FeedSlot) -> IO[bytes]:
    """Return a feed's own file, after what compresses it was closed: Scrapy does this only on the
    way to storing the feed.
    """
    return exporter._get_file(slot)
