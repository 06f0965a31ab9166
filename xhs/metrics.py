"""Metrics of a crawl as a text file for Prometheus' node-exporter (``XHS_METRICS_FILE``).

The file is written each minute and when the crawl has ended. docs/how-to/node-exporter.md lists the
metrics.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import time
from typing import Any, NamedTuple, Self

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.utils.asyncio import create_looping_call

from xhs.component import Component
from xhs.download.page_request import page_of
from xhs.extensions import CrawlState
from xhs.items import ITEM_TYPES
from xhs.reasons import CloseReason, ExitStatus, StopReason
from xhs.result import exit_status
from xhs.stats import Stat

logger = logging.getLogger(__name__)

Samples = dict[str, dict[str, float]]
"""Values by metric, and by the value of its label (``""`` if it has none)."""


class Metric(NamedTuple):
    """A metric: its meaning, and its label besides the crawl's name."""

    help: str
    label: str = ""


METRICS = {
    "xhs_running": Metric("1 while the crawl runs, 0 when it has ended"),
    "xhs_start_timestamp_seconds": Metric("When the crawl started"),
    "xhs_duration_seconds": Metric("How long the crawl has run"),
    "xhs_notes_ended": Metric("Notes that ended, by stop reason", "stop_reason"),
    "xhs_notes_left": Metric("Notes that have not ended, or were not started"),
    "xhs_comments_missing": Metric("First-level comments of these notes that are not held"),
    "xhs_replies_missing": Metric("Replies to the held comments of these notes that are not held"),
    "xhs_calls_billed": Metric("Billed calls"),
    "xhs_calls_unknown": Metric("Calls that may have been billed"),
    "xhs_calls_refused": Metric("Refused calls, at no cost, by code", "code"),
    "xhs_pages": Metric("Answers with code 0, by endpoint", "endpoint"),
    "xhs_items": Metric("Items delivered, by type", "item_type"),
    "xhs_rejected": Metric("Objects that were no valid items"),
    "xhs_spilled": Metric("Writes that wait in the spill, at the end"),
    "xhs_lost": Metric("Items that were paid for and could not be stored"),
    "xhs_last_page_timestamp_seconds": Metric("When the last answer with code 0 came"),
    "xhs_last_success_timestamp_seconds": Metric("When a crawl last ended with exit status 0"),
    "xhs_last_exit_status": Metric("Exit status of the last crawl that ended"),
    "xhs_last_close_reason": Metric("1 for the close reason of that crawl", "reason"),
}
"""The metrics by name, all of them gauges. A new crawl keeps those of the last one until it has its
own.
"""

_OF_LAST = "xhs_last_"
_COUNTS = {
    "xhs_comments_missing": Stat.COMMENTS_MISSING,
    "xhs_replies_missing": Stat.REPLIES_MISSING,
    "xhs_calls_billed": Stat.CALLS_BILLED,
    "xhs_calls_unknown": Stat.CALLS_UNKNOWN,
    "xhs_rejected": Stat.REJECTED,
    "xhs_spilled": Stat.SPILLED,
    "xhs_lost": Stat.LOST,
}
_SAMPLE = re.compile(r'(xhs_\w+)\{crawl="[^"\n]*"(?:,\w+="([^"\\\n]*)")?\} (-?[\d.]+)')
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_MODE = 0o644
"""The mode of the file: node-exporter is another user. The file holds numbers only."""


def samples_of(stats: Mapping[str, Any], *, left: int | None = None) -> Samples:
    """Return the samples that are stats of a crawl. ``left``: its notes that have not ended."""
    found: Samples = {name: {"": stats.get(stat, 0)} for name, stat in _COUNTS.items()}
    found["xhs_notes_ended"] = {each: stats.get(Stat.of_notes(each), 0) for each in StopReason}
    found["xhs_items"] = {each: stats.get(f"{Stat.ITEMS}{each}", 0) for each in ITEM_TYPES}
    found["xhs_calls_refused"] = {
        stat.removeprefix(Stat.CALLS_REFUSED): count
        for stat, count in stats.items()
        if stat.startswith(Stat.CALLS_REFUSED)
    }
    if left is not None:
        found["xhs_notes_left"] = {"": left}
    return found


def end_samples(status: int, reason: str, now: float) -> Samples:
    """Return the samples of a crawl that has ended with an exit status and a close reason."""
    found: Samples = {
        "xhs_running": {"": 0},
        "xhs_last_exit_status": {"": status},
        "xhs_last_close_reason": {reason: 1},
    }
    if status == ExitStatus.DONE:
        found["xhs_last_success_timestamp_seconds"] = {"": now}
    return found


def metrics_text(crawl: str, samples: Samples) -> str:
    """Return the text of the file. ``crawl``: the value of the label that all samples have."""
    return "".join(f"{line}\n" for line in _lines(crawl, samples))


def _lines(crawl: str, samples: Samples) -> Iterator[str]:
    for name, metric in METRICS.items():
        if not samples.get(name):
            continue
        yield f"# HELP {name} {metric.help}"
        yield f"# TYPE {name} gauge"
        for value, number in samples[name].items():
            labels = {"crawl": crawl} | ({metric.label: value} if metric.label else {})
            pairs = (f'{label}="{text.translate(_ESCAPED)}"' for label, text in labels.items())
            yield f"{name}{{{','.join(pairs)}}} {_shown(number)}"


def _shown(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.3f}"


def read_samples(text: str) -> Samples:
    """Return the samples of a file that a crawl has written. Other lines are ignored."""
    found: Samples = {}
    for line in text.split("\n"):
        match = _SAMPLE.fullmatch(line)
        if match and match[1] in METRICS:
            with suppress(ValueError):
                number = float(match[3]) if "." in match[3] else int(match[3])
                found.setdefault(match[1], {})[match[2] or ""] = number
    return found


def write_metrics(path: Path, samples: Samples) -> None:
    """Write the file. Readers see the file before or after, also if this process is killed.

    Raises:
        OSError: if it cannot be written.
    """
    text = metrics_text(path.stem, samples)
    with NamedTemporaryFile(
        "w",
        encoding="utf-8",
        errors="replace",
        newline="\n",
        dir=path.parent,
        prefix=f".{path.name}.",
        delete=False,
    ) as file:
        try:
            file.write(text)
            file.flush()
            Path(file.name).chmod(_MODE)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise


def read_metrics(path: Path) -> Samples:
    """Return the samples of the file; none if it cannot be read."""
    try:
        return read_samples(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def record_refusal(path: str) -> None:
    """Write that the last crawl was refused before it began, if ``XHS_METRICS_FILE`` is set.

    What the file says about other crawls stays: one of them may be running, or was killed. A path
    that cannot be written is ignored: it may be why the crawl was refused.
    """
    if path:
        end = end_samples(ExitStatus.WRONG_INPUT, CloseReason.WRONG_INPUT, time())
        del end["xhs_running"]
        with suppress(OSError):
            write_metrics(Path(path), read_metrics(Path(path)) | end)


class MetricsFile(Component):
    """Writes the metrics of a crawl each minute and when the crawl has ended."""

    interval = 60.0
    """Seconds between two writes."""

    def __init__(self, crawler: Crawler, path: Path) -> None:
        self._crawler = crawler
        self._path = path
        self._started = time()
        self._last = {
            name: samples
            for name, samples in read_metrics(path).items()
            if name.startswith(_OF_LAST)
        }
        self._pages = {"comments": 0, "replies": 0}
        self._has_failed = False
        self._loop = create_looping_call(self._write)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        path = crawler.settings["XHS_METRICS_FILE"]
        if not path:
            raise NotConfigured
        extension = cls(crawler, Path(path).absolute())
        crawler.signals.connect(extension._start, signals.spider_opened)
        crawler.signals.connect(extension._received, signals.response_received)
        crawler.signals.connect(extension._stop, signals.engine_stopped)
        return extension

    def _start(self) -> None:
        if self._path.suffix != ".prom":
            logger.warning(
                "XHS_METRICS_FILE=%s: node-exporter reads only files whose names end in .prom",
                self._path,
            )
        self._loop.start(self.interval)

    def _received(self, response: Response, request: Request) -> None:
        page = page_of(request)
        if page and response.status == 200 and "cached" not in response.flags:
            self._pages["comments" if page.comment_id is None else "replies"] += 1
            self._last["xhs_last_page_timestamp_seconds"] = {"": time()}

    def _stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
        self.end(exit_status(self._crawler.stats.get_stats()))

    def end(self, status: int) -> None:
        """Write the end of the crawl with its exit status.

        It is known when all components have closed. `scrapy crawl` calls this again, because it
        knows more: the crawl may have been forced to stop, or failed before it began.
        """
        reason = str(self._crawler.stats.get_value("finish_reason") or "none")
        self._last |= end_samples(status, reason, time())
        self._write()

    @property
    def _is_crawl(self) -> bool:
        """False if ``scrapy shell`` or ``scrapy parse`` opened the spider, and did not start it."""
        spider = self._crawler.spider
        return bool(getattr(spider, "checked", None) or getattr(spider, "input_errors", ()))

    def _write(self) -> None:
        if not self._is_crawl:
            return
        stats = self._crawler.stats.get_stats()
        state = self._crawler.get_extension(CrawlState)  # none if EXTENSIONS lacks it
        left = stats.get(Stat.NOTES_LEFT, state.notes_left if state else None)
        samples: Samples = {
            "xhs_running": {"": 1},
            "xhs_start_timestamp_seconds": {"": self._started},
            "xhs_duration_seconds": {"": time() - self._started},
            **samples_of(stats, left=left),
            "xhs_pages": dict(self._pages),
            **self._last,
        }
        try:
            write_metrics(self._path, samples)
        except OSError as error:
            if not self._has_failed:
                logger.warning("XHS_METRICS_FILE=%s: %s", self._path, error.strerror or error)
            self._has_failed = True
        else:
            self._has_failed = False
