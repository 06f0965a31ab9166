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
    """Tells once what no feed could take, counts it, and stops a crawl that has nothing else to
    keep its items in.
    """

    def item_scraped(self, item: Any, spider: Spider) -> None:
        try:
            super().item_scraped(item, spider)
        except OSError as error:
            run = Run.of(self.crawler)
            if not self.crawler.stats.get_value("xhs/feeds/missed"):
                logger.error("A feed cannot be written: %s", error)
            run.count("xhs/feeds/missed")
            if run.store is None:
                run.fail_store(StoreFailed(f"there is no store, and a feed fails: {error}"))


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
    exporter = crawler.settings.getwithbase("EXTENSIONS").get(f"{__name__}.{FeedExporter.__name__}")
    return bool(wanted) and exporter is not None and crawler.get_extension(FeedExporter) is None
