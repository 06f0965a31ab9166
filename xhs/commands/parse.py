"""``scrapy parse``: Scrapy's own, with the reason if no page came."""

from __future__ import annotations

import argparse
import logging
from contextlib import suppress
from typing import Any, ClassVar

from scrapy import Request, Spider, signals
from scrapy.commands.parse import Command as ParseCommand
from twisted.python.failure import Failure

from xhs.download.budget import CallBudget
from xhs.download.retry import REASON, WAIT
from xhs.reasons import ExitStatus
from xhs.spiders.comments import CommentsSpider, reason_to_give_up

logger = logging.getLogger(__name__)


class Command(ParseCommand):
    """Parses one page. The exit status is 1 if there was no answer, or it is not a page."""

    # No progress: there is one call, and what it waits for is logged.
    default_settings: ClassVar[dict[str, Any]] = {"LOGSTATS_INTERVAL": 0}
    _failure: BaseException | None = None

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Request the page, and print its items and requests."""
        super().run(args, opts)
        if self.spidercls is None:
            self.exitcode = ExitStatus.WRONG_INPUT

    def start_parsing(self, url: str, opts: argparse.Namespace) -> None:
        """Request the page. If none came, log why."""
        super().start_parsing(url, opts)
        spider = self.pcrawler.spider
        is_no_page = isinstance(spider, CommentsSpider) and not spider.pages_read
        if self.first_response is None or self._failure is not None or is_no_page:
            self.exitcode = ExitStatus.FAILED
            logger.error("No page came: %s", self._why())

    def print_results(self, opts: argparse.Namespace) -> None:
        """Print the items and requests of the page, if one came."""
        if self.exitcode == ExitStatus.DONE:
            super().print_results(opts)

    def prepare_request(
        self, spider: Spider, request: Request, opts: argparse.Namespace
    ) -> Request:
        """Keep the request's failure, and log its retries."""
        request = super().prepare_request(spider, request, opts)
        request.errback = self._call_failed
        spider.crawler.signals.connect(self._log_retry, signals.request_scheduled)
        return request

    def handle_exception(self, _failure: Failure) -> None:
        """Keep the exception of the callback."""
        super().handle_exception(_failure)
        self._failure = _failure.value

    @staticmethod
    def _log_retry(request: Request) -> None:
        if WAIT in request.meta:
            times, seconds = request.meta["retry_times"], request.meta[WAIT]
            why = request.meta[REASON]
            logger.info("No page yet (%s): retry %d in %.0f seconds", why, times, seconds)

    def _call_failed(self, failure: Failure) -> None:
        self._failure = failure.value

    def _why(self) -> str:
        with suppress(RuntimeError):  # the crawl failed before it had extensions
            if stopped := CallBudget.of(self.pcrawler).message:
                return stopped
        if self._failure is None and self.first_response is not None:
            return "the answer is not a page of comments; it was billed. See the lines above"
        if self._failure is None:
            return "the crawl ended before the call; the errors above say why"
        return reason_to_give_up(self._failure)[1] or str(self._failure)
