"""``scrapy crawl``: Scrapy's own, with a check of all input first and the result at the end."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from scrapy import signals
from scrapy.commands.crawl import Command as CrawlCommand
from scrapy.crawler import AsyncCrawlerProcess, Crawler, CrawlerProcess
from scrapy.settings import BaseSettings, Settings

from xhs.checks import CheckedInput, WrongInput, check_input
from xhs.command import read_arguments, unknown_words
from xhs.crawl.arguments import NAME_NEEDED
from xhs.crawl.note_ids import find_notes, is_word
from xhs.crawl.price import Price
from xhs.download.budget import CallBudget
from xhs.extensions import CrawlState, CrawlStore
from xhs.feeds.isolation import FeedExporter, warn_if_no_exporter
from xhs.feeds.presets import continuation_options, preset_settings
from xhs.logs import json_lines as structured_log
from xhs.metrics import MetricsFile, record_refusal
from xhs.reasons import STOPPED, ExitStatus
from xhs.result import (
    CrawlResult,
    closing_lines,
    crawl_result,
    exit_status,
    log_result,
    refused_result,
)
from xhs.shutdown import shutdown
from xhs.spiders.comments import CommentsSpider
from xhs.stats import Stat
from xhs.terminal import is_terminal

logger = logging.getLogger(__name__)

_USAGE = "scrapy crawl comments -a notes=…"


class Command(CrawlCommand):
    """Runs a crawl, as a Scrapyd job too.

    docs/reference/reasons-and-exit-statuses.md describes its exit statuses.
    """

    # Set by Scrapy before it uses the command.
    settings: Settings
    crawler_process: CrawlerProcess | AsyncCrawlerProcess

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Read the options, and set up the JSON log before the first line is logged."""
        given, self._repeated = read_arguments(opts.spargs)
        self._is_dry_run = given.get("dry_run") == "1"
        opts.spargs = [f"{name}={value}" for name, value in given.items()]
        super().process_options(args, opts)
        if self.settings["XHS_LOG_FORMAT"] == "json":
            structured_log.install(self.settings)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Check arguments, settings, token and notes, then crawl and set the exit status."""
        if problem := unknown_words(args, ("spider",), _USAGE):
            self._refuse([problem])
            return
        shutdown.install()
        try:
            with shutdown.interrupting():
                checked = self._check(args[0], opts)
        except KeyboardInterrupt:
            self._conclude_interrupted(opts)
        else:
            if checked is not None:
                self._crawl(*checked, opts)
        shutdown.finish(self.exitcode)

    def _check(self, spider: str, opts: argparse.Namespace) -> tuple[Crawler, CheckedInput] | None:
        """Return the crawler and its checked input.

        None if the input is refused, or the spider is not the project's, which Scrapy then runs.
        """
        try:
            crawler = self.crawler_process.create_crawler(spider)
        except KeyError:
            problem = f"no such spider: {spider}" if is_word(spider) else "no spider is named"
            self._refuse([f"{problem}; write {_USAGE}"])
            return None
        if not issubclass(crawler.spidercls, CommentsSpider):
            if "" in opts.spargs:
                self._refuse([NAME_NEEDED])
                return None
            shutdown.uninstall()
            super().run([spider], opts)
            return None
        errors = self._repeated
        try:
            checked = check_input(opts.spargs, crawler.settings, os.environ)
        except WrongInput as error:
            errors = errors + error.errors
        if errors:
            self._refuse(errors)
            return None
        return crawler, checked

    def _crawl(self, crawler: Crawler, checked: CheckedInput, opts: argparse.Namespace) -> None:
        crawler.signals.connect(_freeze, signals.spider_opened)
        crawler.signals.connect(warn_if_no_exporter, signals.engine_started)
        shutdown.deliver(partial(self._stop, crawler), partial(self._force, crawler))
        self.crawler_process.crawl(crawler, checked=checked)
        self.crawler_process.start(install_signal_handlers=False)
        shutdown.pause()
        self._conclude(crawler, opts, checked.price)

    @staticmethod
    def _stop(crawler: Crawler, number: int) -> None:
        """Stop the crawl gracefully, as Scrapy does, once its store is there."""

        def stop() -> None:
            name = signal.Signals(number).name
            logger.info("Received %s, shutting down gracefully. Send again to force", name)
            with suppress(RuntimeError):  # a store made later sees the signal by itself
                CrawlStore.of(crawler).stop()

        _in_reactor(stop)

    def _force(self, crawler: Crawler, number: int) -> None:
        """Stop the reactor, whatever the crawl is doing."""

        def force() -> None:
            name = signal.Signals(number).name
            logger.info("Received %s as a second signal, forcing unclean shutdown", name)
            self.crawler_process.crawlers.discard(crawler)  # the reactor would wait for it
            with suppress(RuntimeError):  # the reactor has stopped already
                _reactor().stop()

        _in_reactor(force)

    def _refuse(self, errors: list[str]) -> None:
        shown = self.settings.getbool("LOG_ENABLED") and not self.settings["LOG_FILE"]
        shown = shown and self.settings["LOG_LEVEL"] != "CRITICAL"
        for error in errors:
            logger.error("%s", error)
            if not shown:
                sys.stderr.write(f"error: {error}\n")
        self._log_result(refused_result(errors))
        if not self._is_dry_run:
            record_refusal(self.settings["XHS_METRICS_FILE"])
        self.exitcode = ExitStatus.WRONG_INPUT

    def _conclude_interrupted(self, opts: argparse.Namespace) -> None:
        """Log the result after a signal during the checks: the number of notes is unknown."""
        self.exitcode = ExitStatus.UNFINISHED
        name = signal.Signals(shutdown.received[0]).name
        logger.info("Received %s before the crawl began", name)
        command = _command(opts, self.settings)
        self._log_end(crawl_result({"finish_reason": STOPPED}, self.exitcode, command))

    def _conclude(self, crawler: Crawler, opts: argparse.Namespace, price: Price | None) -> None:
        stats: dict[str, Any] = {}
        state = budget = place = exporter = metrics = None
        with suppress(RuntimeError):  # the crawl failed before it had stats, or extensions
            stats = crawler.stats.get_stats()
            exporter = crawler.get_extension(FeedExporter)
            metrics = crawler.get_extension(MetricsFile)
            state, budget = CrawlState.of(crawler), CallBudget.of(crawler)
            place = CrawlStore.of(crawler).place
        has_begun = stats.get(Stat.NOTES_BEGUN) or shutdown.received
        if state and "finish_reason" not in stats and has_begun:
            state.forced_to_stop()
        self.exitcode = exit_status(stats)
        if self.crawler_process.bootstrap_failed:
            self.exitcode = ExitStatus.FAILED
        if metrics:
            metrics.end(self.exitcode)
        spider = crawler.spider
        if isinstance(spider, CommentsSpider):
            if spider.estimate:
                sys.stdout.write("".join(f"{line}\n" for line in spider.estimate.lines()))
                return
            if spider.input_errors:
                self._log_result(refused_result(spider.input_errors))
                return
        command = _command(opts, crawler.settings)
        stopped = budget.message if budget else ""
        result = crawl_result(
            stats,
            self.exitcode,
            command,
            stopped,
            price,
            feeds=exporter.stored if exporter else (),
            stored_in=place,
        )
        self._log_end(result)

    def _log_end(self, result: CrawlResult) -> None:
        self._log_result(result)
        for level, line in closing_lines(result):
            logger.log(level, "%s", line)

    def _log_result(self, result: CrawlResult) -> None:
        """Log the result for programs; they do not read text on a terminal."""
        is_json = self.settings["XHS_LOG_FORMAT"] == "json"
        on_terminal = is_terminal(sys.stderr) and not self.settings["LOG_FILE"]
        log_result(logger, result, is_read_by_person=on_terminal and not is_json)


def _command(opts: argparse.Namespace, settings: BaseSettings) -> str:
    """Return the command that continues a crawl with these arguments and feeds."""
    outputs = [*(opts.output or ()), *(opts.overwrite_output or ())]
    has_store = bool(settings["MONGODB_URI"])
    arguments = {name: value for name, value in opts.spargs.items() if not name.startswith("_")}
    if "notes" in arguments:  # IDs only: a share text contains a user's name, a link a key
        arguments["notes"] = ",".join(dict.fromkeys(find_notes(arguments["notes"]).notes))
    if has_store:
        arguments["mode"] = "resume"
    words = [f"-a {shlex.quote(f'{name}={value}')}" for name, value in arguments.items()]
    words += continuation_options(settings, outputs, append=has_store)
    options = dict(setting.split("=", 1) for setting in opts.set if "=" in setting)
    options |= preset_settings(settings)
    words += [f"-s {shlex.quote(f'{name}={value}')}" for name, value in options.items()]
    return f"scrapy crawl comments {' '.join(words)}"


def _in_reactor(function: Callable[[], None]) -> None:
    """Call a function in the reactor's next turn: the signal may have interrupted a log call."""
    _reactor().callFromThread(function)


def _reactor() -> Any:
    from twisted.internet import reactor  # importing it earlier would install the default one

    return reactor


def _freeze() -> None:
    """Exempt all loaded objects from garbage collection.

    They live until the end, and each scan of them would block the crawl for 0.05 seconds.
    """
    gc.collect()
    gc.freeze()
