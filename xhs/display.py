"""The Scrapy extension that shows the progress of a crawl, on a terminal or in the log."""

from __future__ import annotations

import logging
import time
from functools import cached_property
from math import inf
from typing import Any, Self

from scrapy import Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.extensions.logstats import LogStats
from scrapy.settings import SETTINGS_PRIORITIES
from scrapy.utils.asyncio import AsyncioLoopingCall, create_looping_call
from scrapy.utils.reactor import is_reactor_installed
from twisted.internet.task import LoopingCall

from xhs import terminal
from xhs.crawl.price import Price
from xhs.crawl.progress_text import CrawlProgress, Rate, Stage
from xhs.download._scrapy import is_closing, scheduler
from xhs.download.budget import CallBudget
from xhs.download.scheduler import WaitingScheduler
from xhs.download.throttle import RefusalThrottle
from xhs.extensions import CrawlState
from xhs.reasons import StopReason
from xhs.spiders.comments import CommentsSpider
from xhs.stats import Stat
from xhs.store.mongo.retrying import longest_silence
from xhs.terminal import Display

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 0.5
_RATE_SECONDS = 30.0
_SHORTEST_SILENCE = 3.0
"""Seconds without an answer after which the store counts as away: a slow one takes less."""


class ProgressDisplay(LogStats):
    """Displays the progress of a crawl on a terminal; elsewhere, logs a line of it.

    The line comes every ``LOGSTATS_INTERVAL`` seconds, in place of Scrapy's. The display reads the
    state of the crawl from the components that have it; none of them knows of the display.
    """

    crawler: Crawler  # set by :meth:`from_crawler`

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Make the extension, also if the interval is 0: there is no line then.

        The commands ``parse`` and ``shell`` set it to 0 themselves. They have no display either.
        """
        settings = crawler.settings
        interval = settings.getfloat("LOGSTATS_INTERVAL")
        is_of_command = settings.getpriority("LOGSTATS_INTERVAL") == SETTINGS_PRIORITIES["command"]
        if not interval and is_of_command:
            raise NotConfigured
        extension = cls(crawler.stats, interval or inf)
        extension.crawler = crawler
        crawler.signals.connect(extension.spider_opened, signals.spider_opened)
        crawler.signals.connect(extension.spider_closed, signals.spider_closed)
        return extension

    def spider_opened(self, spider: Spider) -> None:
        self._display: Display | None = None
        self._refreshes: AsyncioLoopingCall | LoopingCall | None = None
        has_lines = self.interval < inf
        if not isinstance(spider, CommentsSpider):
            if has_lines:
                super().spider_opened(spider)
            return
        self._spider = spider
        self._rate = Rate(_RATE_SECONDS)
        self._rate.update(time.monotonic(), 0)
        if has_lines:
            self.task = create_looping_call(self.log, spider)
            self.task.start(self.interval, now=False)
        if self._is_displayed():
            self._show()

    def log(self, spider: Spider) -> None:
        if not isinstance(spider, CommentsSpider):
            super().log(spider)
        elif self._display is None or self.crawler.settings["LOG_FILE"]:
            logger.info("%s", self._progress().line(), extra={"spider": spider})

    def _is_displayed(self) -> bool:
        """True if the display may be shown.

        It is not if a feed goes to standard output: this may be the same terminal, or the program
        that reads the feed may write to it.
        """
        settings = self.crawler.settings
        if terminal.is_off(settings) or not terminal.can_display():
            return False
        if not settings.getbool("LOG_ENABLED") and terminal.is_automatic(settings):
            return False
        return not any(str(uri).startswith("stdout:") for uri in settings.getdict("FEEDS"))

    def _show(self) -> None:
        """Show the display until the engine has stopped, or the reactor is stopped by force."""
        self._display = Display()
        self.crawler.signals.connect(self._hide, signals.engine_stopped)
        if is_reactor_installed():
            from twisted.internet import reactor

            core: Any = reactor
            core.addSystemEventTrigger("before", "shutdown", self._hide)
        self._refreshes = create_looping_call(self._refresh)
        self._refreshes.start(_REFRESH_SECONDS)

    def _hide(self) -> None:
        if self._refreshes and self._refreshes.running:
            self._refreshes.stop()
        if self._display:
            self._display.close()

    def _refresh(self) -> None:
        if self._display:
            progress = self._progress()
            self._display.update(progress.fraction, progress.counts(), progress.waits())

    @cached_property
    def _budget(self) -> CallBudget:
        return CallBudget.of(self.crawler)

    @cached_property
    def _state(self) -> CrawlState:
        return CrawlState.of(self.crawler)

    @property
    def _price(self) -> Price | None:
        checked = self._spider.checked
        return checked.price if checked else None

    @property
    def _stage(self) -> Stage:
        if self._state.notes.waiting is None:
            return Stage.PREPARING
        return Stage.CLOSING if is_closing(self.crawler) else Stage.CRAWLING

    def _progress(self) -> CrawlProgress:
        budget, notes, stat = self._budget, self._state.notes, self.stats.get_value
        ended = (reason for reason in StopReason if reason is not StopReason.INTERRUPTED)
        done = sum(
            stat(Stat.of_notes(reason), 0) + stat(Stat.of_skipped(reason), 0) for reason in ended
        )
        pages = self._spider.pages_read
        pages_per_second = self._rate.update(time.monotonic(), pages)
        throttle = self.crawler.get_extension(RefusalThrottle)
        waiting = scheduler(self.crawler)
        retries = waiting.retries if isinstance(waiting, WaitingScheduler) else None
        silence = longest_silence()
        return CrawlProgress(
            stage=self._stage,
            notes=None if notes.waiting is None else done + len(notes) + notes.waiting,
            notes_done=done,
            comments=stat(f"{Stat.ITEMS}comment", 0),
            pages=pages,
            pages_per_second=pages_per_second,
            seconds_without_page=self._rate.seconds_unchanged,
            calls=budget.billed,
            calls_left=self._spider.calls_left,
            calls_in_flight=budget.in_flight,
            max_calls=budget.limit,
            price=self._price,
            delay=throttle.delay if throttle else 0.0,
            retries=retries.waiting if retries else 0,
            retry_in=retries.seconds if retries else 0.0,
            too_fast=retries is not None and retries.too_fast,
            store_silence=silence if silence and silence[0] >= _SHORTEST_SILENCE else None,
            store_is_behind=isinstance(waiting, WaitingScheduler) and waiting.waits_for_pages,
        )
