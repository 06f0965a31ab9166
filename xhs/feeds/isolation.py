"""Scrapy's feed export with isolated feeds: a failure is logged, and loses no other data."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.extensions import feedexport
from scrapy.utils.defer import ensure_awaitable
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from xhs.download._scrapy import feed_file
from xhs.download.budget import CallBudget
from xhs.logs.formatter import safe_message, safe_traceback
from xhs.reasons import CloseReason
from xhs.stats import Stat

logger = logging.getLogger(__name__)


class _WithoutTraceback(logging.Filter):
    """Logs a failure of S3 or the disk on one line, without the traceback that Scrapy adds."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OSError) or type(error).__module__.startswith(("boto", "s3transfer")):
            record.msg, record.args = f"{record.getMessage()}: {error}", ()
            record.exc_info = None
        return True


logging.getLogger(feedexport.__name__).addFilter(_WithoutTraceback())


class FeedExporter(feedexport.FeedExporter):
    """Isolates feeds from one another: a failure is logged and counted, and the others continue.

    Without a store, the first feed that fails stops the crawl: it would lose items.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._broken: list[feedexport.FeedSlot] = []
        self._has_items = False
        self.stored: list[str] = []
        """Addresses of the feeds that are stored."""

    def open_spider(self, spider: Spider) -> None:
        try:
            super().open_spider(spider)
        except Exception as error:
            logger.error("The feeds cannot be opened: %s", _described(error))

    @property
    def is_open(self) -> bool:
        """True if every feed was opened."""
        return len(self.slots) == len(self.feeds)

    def item_scraped(self, item: Any, spider: Spider) -> None:
        self._has_items = True
        feeds, open_feeds = self.slots, []
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
            open_feeds += self.slots  # a full batch is replaced by the next
        self.slots = open_feeds

    def _break(self, feed: feedexport.FeedSlot, error: BaseException) -> None:
        """Stop writing to a feed: after half an item, the rest would be unreadable."""
        self._broken.append(feed)
        logger.error("The feed %s cannot be written: %s", feed.uri, safe_message(error))
        logger.debug("%s", safe_traceback(error))
        if not self.crawler.settings["MONGODB_URI"]:
            message = f"there is no store, and a feed failed: {safe_message(error)}"
            CallBudget.of(self.crawler).stop(CloseReason.STORE_FAILED, message)

    def _miss(self) -> None:
        self.crawler.stats.inc_value(Stat.FEEDS_MISSED)

    def _record_once_stored(self, slot: feedexport.FeedSlot) -> None:
        """Have the feed recorded by its storage: Scrapy's signal comes also if this has failed."""
        store = slot.storage.store

        async def store_and_record(file: IO[bytes]) -> None:
            await ensure_awaitable(store(file))
            self.stored.append(slot.uri)

        slot.storage.store = store_and_record  # type: ignore[assignment]

    async def _close_slot(self, slot: feedexport.FeedSlot, spider: Spider) -> None:
        if not self._has_items and _keeps_previous(slot, spider):
            return
        broken = slot in self._broken
        try:
            if broken:
                slot.finish_exporting()
                feed_file(self, slot).close()
            else:
                self._record_once_stored(slot)
                await super()._close_slot(slot, spider)
        except Exception as error:
            if not broken:
                logger.error("The feed %s cannot be finished: %s", slot.uri, _described(error))
            broken = True
        if broken:
            self.crawler.stats.inc_value(Stat.FEEDS_FAILED + type(slot.storage).__name__)


class FileFeedStorage(feedexport.FileFeedStorage):
    """Creates a file that only its owner may read, whatever the umask of a script."""

    def open(self, spider: Spider) -> IO[bytes]:
        path = Path(self.path)
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        return super().open(spider)


class S3FeedStorage(feedexport.S3FeedStorage):
    """Collects a feed in ``XHS_SPILL_DIR/feeds`` until S3 has it: it was paid for.

    The file stays there if the crawl is killed, or if S3 refuses it.
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
            logger.error("The feed was not stored in S3, and is kept in %s", path)
            return failure

        return super().store(file).addCallbacks(lambda _: path.unlink(), keep)


def _keeps_previous(slot: feedexport.FeedSlot, spider: Spider) -> bool:
    """True if the empty feed of a crawl without items must not replace an earlier feed.

    This is so if the crawl was refused before its first call, or if an earlier file has content.
    """
    if getattr(spider, "input_errors", ()):
        return True
    storage = slot.storage
    if not isinstance(storage, feedexport.FileFeedStorage) or storage.write_mode != "wb":
        return False
    path = Path(storage.path)
    if kept := path.is_file() and path.stat().st_size > 0:
        logger.warning("The feed %s was left unchanged: this crawl received nothing", slot.uri)
    return kept


def feeds_refused(crawler: Crawler) -> bool:
    """True if Scrapy has refused the feeds: it logs this, and would crawl without any."""
    feeds = crawler.settings.getdict("FEEDS")
    name = f"{__name__}.{FeedExporter.__name__}"
    if not feeds or crawler.settings.getwithbase("EXTENSIONS").get(name) is None:
        return False
    exporter = crawler.get_extension(FeedExporter)
    return exporter is None or not exporter.is_open


def warn_if_no_exporter(sender: Crawler) -> None:
    """Log a warning if there are feeds but ``EXTENSIONS`` has no feed exporter."""
    if sender.settings.getdict("FEEDS") and not sender.get_extension(feedexport.FeedExporter):
        logger.warning(
            "The FeedExporter extension is not enabled: no feeds are written (FEEDS, -o, -O)"
        )


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
