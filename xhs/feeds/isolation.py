"""Scrapy's feed export, but a feed that cannot be written is neither passed over nor lost."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.extensions import feedexport
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from xhs.download._scrapy import feed_file
from xhs.download.budget import CallBudget
from xhs.logs.formatter import stack_of, told
from xhs.reasons import CloseReason
from xhs.stats import Stat

logger = logging.getLogger(__name__)


class _WithoutTraceback(logging.Filter):
    """What S3 or the disk says to a feed is one line of the log; Scrapy adds a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OSError) or type(error).__module__.startswith(("boto", "s3transfer")):
            record.msg, record.args = f"{record.getMessage()}: {error}", ()
            record.exc_info = None
        return True


logging.getLogger(feedexport.__name__).addFilter(_WithoutTraceback())


class FeedExporter(feedexport.FeedExporter):
    """Each feed stands for itself: what one cannot take is told and counted, the others have it. A
    crawl that has nothing but feeds to keep its items in stops there.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._broken: list[feedexport.FeedSlot] = []
        self._has_items = False

    def open_spider(self, spider: Spider) -> None:
        try:
            super().open_spider(spider)
        except Exception as error:
            logger.error("The feeds cannot be opened: %s", _said(error))

    @property
    def is_open(self) -> bool:
        """True if there is a place for each feed."""
        return len(self.slots) == len(self.feeds)

    def item_scraped(self, item: Any, spider: Spider) -> None:
        self._has_items = True
        feeds, after = self.slots, []
        for feed in feeds:
            self.slots = [feed]
            try:
                if feed not in self._broken:
                    super().item_scraped(item, spider)
                elif feed.filter.accepts(item):
                    self._miss()
            except (Exception, CancelledError) as error:
                if feed not in self._broken:
                    self._break(feed, error)
                self._miss()
            after += self.slots
        self.slots = after

    def _break(self, feed: feedexport.FeedSlot, error: BaseException) -> None:
        """Write no more to a feed: what follows half an item would not be read."""
        self._broken.append(feed)
        logger.error("The feed %s cannot be written: %s", feed.uri, told(error))
        logger.debug("%s", stack_of(error))
        if not self.crawler.settings["MONGODB_URI"]:
            why = f"there is no store, and a feed fails: {told(error)}"
            CallBudget.of(self.crawler).stop(CloseReason.STORE_FAILED, why)

    def _miss(self) -> None:
        self.crawler.stats.inc_value(Stat.FEEDS_MISSED)

    async def _close_slot(self, slot: feedexport.FeedSlot, spider: Spider) -> None:
        if not self._has_items and _keeps(slot, spider):
            return
        broken = slot in self._broken
        try:
            if broken:
                slot.finish_exporting()
                feed_file(self, slot).close()
            else:
                await super()._close_slot(slot, spider)
        except Exception as error:
            if not broken:
                logger.error("The feed %s cannot be finished: %s", slot.uri, _said(error))
            broken = True
        if broken:
            self.crawler.stats.inc_value(Stat.FEEDS_FAILED + type(slot.storage).__name__)


class FileFeedStorage(feedexport.FileFeedStorage):
    """Makes a file for its owner alone, from a script too, whose umask is its own."""

    def open(self, spider: Spider) -> IO[bytes]:
        path = Path(self.path)
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        return super().open(spider)


class S3FeedStorage(feedexport.S3FeedStorage):
    """Collects a feed in ``XHS_SPILL_DIR/feeds`` until S3 has it: it was paid for. There it stays
    where the crawl is killed, or S3 does not take it.
    """

    def open(self, spider: Spider) -> IO[bytes]:
        spill = Path(spider.settings["XHS_SPILL_DIR"])
        folder = spill / "feeds"
        spill.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        name = "-" + Path(self.keyname).name
        return NamedTemporaryFile(prefix="unsent-", suffix=name, dir=folder, delete=False)

    def store(self, file: IO[bytes]) -> Deferred[None]:
        path = Path(file.name).absolute()

        def keep(failure: Failure) -> Failure:
            logger.error("Not stored in S3, kept here instead: %s", path)
            return failure

        return super().store(file).addCallbacks(lambda _: path.unlink(), keep)


def _keeps(slot: feedexport.FeedSlot, spider: Spider) -> bool:
    """True if the empty feed of a crawl without items must not take the place of an earlier one: of
    one that was refused before its first call, or of one that received nothing.
    """
    if getattr(spider, "wrong", ()):
        return True
    storage = slot.storage
    if not isinstance(storage, feedexport.FileFeedStorage) or storage.write_mode != "wb":
        return False
    path = Path(storage.path)
    if kept := path.is_file() and path.stat().st_size > 0:
        logger.warning("The feed %s stays as it was: this crawl has received nothing", slot.uri)
    return kept


def refused(crawler: Crawler) -> bool:
    """True if Scrapy has refused the feeds, which it logs and then crawls without any."""
    wanted = crawler.settings.getdict("FEEDS")
    name = f"{__name__}.{FeedExporter.__name__}"
    if not wanted or crawler.settings.getwithbase("EXTENSIONS").get(name) is None:
        return False
    exporter = crawler.get_extension(FeedExporter)
    return exporter is None or not exporter.is_open


def warn_of_no_exporter(sender: Crawler) -> None:
    """Log a warning if there are feeds, but ``EXTENSIONS`` has nothing to write them."""
    if sender.settings.getdict("FEEDS") and not sender.get_extension(feedexport.FeedExporter):
        logger.warning(
            "The FeedExporter extension is not enabled: no item goes to the feeds (FEEDS, -o, -O)"
        )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
