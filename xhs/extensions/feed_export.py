"""Scrapy's feed export, but a feed that cannot be written is neither passed over nor lost."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any

from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.extensions import feedexport

from xhs.extensions.run import Run
from xhs.store.patience import StoreFailed

logger = logging.getLogger(__name__)


class FeedExporter(feedexport.FeedExporter):
    """Each feed stands for itself: what one cannot take is told and counted, the others have it. A
    crawl that has nothing but feeds to keep its items in stops there.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._failed: list[feedexport.FeedSlot] = []

    def open_spider(self, spider: Spider) -> None:
        try:
            super().open_spider(spider)
        except Exception as error:
            logger.error("The feeds cannot be opened: %s", _said(error))

    @property
    def is_open(self) -> bool:
        """Whether there is a place for each feed."""
        return len(self.slots) == len(self.feeds)

    def item_scraped(self, item: Any, spider: Spider) -> None:
        feeds, self.slots = self.slots, []
        after = []
        for feed in feeds:
            self.slots = [feed]
            try:
                super().item_scraped(item, spider)
            except Exception as error:
                self._miss(feed, error)
            after += self.slots
        self.slots = after

    def _miss(self, feed: feedexport.FeedSlot, error: Exception) -> None:
        run = Run.of(self.crawler)
        if feed not in self._failed:
            self._failed.append(feed)
            logger.error("The feed %s cannot be written: %s", feed.uri, _said(error))
        run.count("xhs/feeds/missed")
        if run.store is None:
            run.fail_store(StoreFailed(f"there is no store, and a feed fails: {_said(error)}"))

    async def _close_slot(self, slot: feedexport.FeedSlot, spider: Spider) -> None:
        try:
            await super()._close_slot(slot, spider)
        except Exception as error:
            logger.error("The feed %s cannot be finished: %s", slot.uri, _said(error))
            kind = type(slot.storage).__name__
            self.crawler.stats.inc_value(f"feedexport/failed_count/{kind}")


class S3FeedStorage(feedexport.S3FeedStorage):
    """Keeps a feed that S3 does not take in ``XHS_SPILL_DIR/feeds``: it was paid for."""

    _keep_in = Path()

    def open(self, spider: Spider) -> IO[bytes]:
        self._keep_in = Path(spider.settings["XHS_SPILL_DIR"], "feeds")
        return super().open(spider)

    def _store_in_thread(self, file: IO[bytes]) -> None:
        file.flush()
        with os.fdopen(os.dup(file.fileno()), "rb") as spare:
            try:
                super()._store_in_thread(file)
            except Exception:
                spare.seek(0)
                logger.error("Not stored in S3, kept here instead: %s", self._keep(spare))
                raise

    def _keep(self, file: IO[bytes]) -> Path:
        self._keep_in.mkdir(parents=True, exist_ok=True)
        suffix = "-" + Path(self.keyname).name
        descriptor, path = mkstemp(suffix, "unsent-", self._keep_in)
        with os.fdopen(descriptor, "wb") as kept:
            shutil.copyfileobj(file, kept)
        return Path(path).absolute()


def refused(crawler: Crawler) -> bool:
    """Whether Scrapy has refused the feeds, which it logs and then crawls without any."""
    wanted = crawler.settings.getdict("FEEDS")
    name = f"{__name__}.{FeedExporter.__name__}"
    if not wanted or crawler.settings.getwithbase("EXTENSIONS").get(name) is None:
        return False
    exporter = crawler.get_extension(FeedExporter)
    return exporter is None or not exporter.is_open


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
