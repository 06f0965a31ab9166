"""``scrapy crawl``: Scrapy's own, which checks everything first and says how it ended."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import shlex
import sys
from contextlib import suppress
from typing import Any

from scrapy import signals
from scrapy.commands.crawl import Command as CrawlCommand
from scrapy.crawler import Crawler

from xhs import structured_log
from xhs.command import unknown_words
from xhs.endings import ExitStatus, exit_status
from xhs.extensions.run import Run
from xhs.notes.ids import find_notes
from xhs.preparation import WrongInput, prepare
from xhs.price import Price
from xhs.spiders.comments import CommentsSpider
from xhs.summary import closing_lines, describe_run, log_run, refused_run

logger = logging.getLogger(__name__)


class Command(CrawlCommand):
    """Crawls; under Scrapyd too. The README lists the exit statuses."""

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Take the options, and set up the log before its first line."""
        super().process_options(args, opts)
        assert self.settings is not None  # noqa: S101 (Scrapy sets it)
        if self.settings["XHS_LOG_FORMAT"] == "json":
            structured_log.install(self.settings)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Check arguments, settings, token and notes, crawl, and set the exit status."""
        if problem := unknown_words(args, ("spider",)):
            self._refuse([problem])
            return
        assert self.crawler_process is not None  # noqa: S101 (Scrapy sets it)
        try:
            crawler = self._create_crawler(args[0])
        except KeyError:
            self._refuse([f"no such spider: {args[0]}"])
            return
        if not issubclass(crawler.spidercls, CommentsSpider):
            super().run(args, opts)
            return
        try:
            prepared = prepare(opts.spargs, crawler.settings, os.environ)
        except WrongInput as wrong:
            self._refuse(wrong.errors)
            return
        crawler.signals.connect(_freeze, signals.spider_opened)
        self.crawler_process.crawl(crawler, prepared=prepared)
        self.crawler_process.start()
        self._conclude(crawler, opts.spargs, prepared.price)

    def _refuse(self, errors: list[str]) -> None:
        assert self.settings is not None  # noqa: S101 (Scrapy sets it)
        shown = self.settings.getbool("LOG_ENABLED") and not self.settings["LOG_FILE"]
        shown = shown and self.settings["LOG_LEVEL"] != "CRITICAL"
        for error in errors:
            logger.error("%s", error)
            if not shown:
                sys.stderr.write(f"error: {error}\n")
        log_run(logger, refused_run(errors))
        self.exitcode = ExitStatus.WRONG_INPUT

    def _conclude(self, crawler: Crawler, given: dict[str, str], price: Price | None) -> None:
        assert self.crawler_process is not None  # noqa: S101 (Scrapy sets it)
        run = None
        with suppress(RuntimeError):  # the crawl broke before it had any extension
            run = crawler.get_extension(Run)
        stats: dict[str, Any] = crawler._stats.get_stats() if crawler._stats else {}
        if run and "finish_reason" not in stats and stats.get("xhs/notes/begun"):
            run.was_forced_to_stop()
        self.exitcode = exit_status(stats)
        if self.crawler_process.bootstrap_failed:
            self.exitcode = ExitStatus.FAILED
        spider = crawler.spider
        if isinstance(spider, CommentsSpider):
            if spider.forecast:
                sys.stdout.write("".join(f"{line}\n" for line in spider.forecast.lines()))
                return
            if spider.wrong:
                log_run(logger, refused_run(spider.wrong))
                return
        command = _command(given, stored=bool(crawler.settings["MONGODB_URI"]))
        stopped = run.gate.message if run else ""
        described = describe_run(stats, self.exitcode, command, stopped, price)
        log_run(logger, described)
        for level, line in closing_lines(described):
            logger.log(level, "%s", line)


def _command(given: dict[str, str], *, stored: bool) -> str:
    """What goes on where a crawl with these arguments stopped."""
    named = {name: value for name, value in given.items() if not name.startswith("_")}
    if "notes" in named:  # a share text holds a name, and a link a key
        named["notes"] = ",".join(dict.fromkeys(find_notes(named["notes"]).notes))
    if stored:
        named["mode"] = "resume"
    words = " ".join(f"-a {shlex.quote(f'{name}={value}')}" for name, value in named.items())
    listed = " (with the same list on standard input)" if named.get("notes_file") == "-" else ""
    return f"scrapy crawl comments {words}{listed}"


def _freeze() -> None:
    """Keep the garbage collector from all that is loaded: it stays until the end, and looking
    through it again and again would hold the crawl up, a twentieth of a second each time.
    """
    gc.collect()
    gc.freeze()
