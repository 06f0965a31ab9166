"""Spidermon's monitors of a crawl. They run as it closes, if ``SPIDERMON_ENABLED`` is set.

To be notified, subclass :class:`CrawlMonitors` with Spidermon's actions, and name the subclass in
``SPIDERMON_SPIDER_CLOSE_MONITORS``.
"""

from __future__ import annotations

from typing import Any

from spidermon import MonitorSuite
from spidermon.contrib.scrapy.monitors.base import BaseScrapyMonitor

from xhs.stats import Stat


class _Monitor(BaseScrapyMonitor):
    def _stat(self, name: str) -> int:
        return int(self.data.stats.get(name, 0))

    def _sum(self, prefix: str) -> int:
        stats: dict[str, Any] = self.data.stats
        return sum(count for name, count in stats.items() if name.startswith(prefix))

    def _limit(self, setting: str) -> float:
        return float(self.data.crawler.settings.getfloat(setting))

    def _check_share(self, part: int, whole: int, sentence: str, setting: str) -> None:
        limit = self._limit(setting)
        share = part / whole if whole else 0.0
        if share > limit:
            self.fail(f"{part} of {whole} {sentence} ({share:.1%}); {setting} is {limit:.1%}")


class RejectedItems(_Monitor):
    """Fails if the share of rejected objects is above the threshold."""

    def test_rejected_share(self) -> None:
        rejected = self._stat(Stat.REJECTED)
        whole = rejected + self._sum(Stat.ITEMS)
        self._check_share(rejected, whole, "objects were rejected", "SPIDERMON_MAX_REJECTED_SHARE")


class NotesLeft(_Monitor):
    """Fails if more notes are left than the threshold."""

    def test_notes_left(self) -> None:
        left, limit = self._stat(Stat.NOTES_LEFT), self._limit("SPIDERMON_MAX_NOTES_LEFT")
        if left > limit:
            self.fail(f"{left} notes are left; SPIDERMON_MAX_NOTES_LEFT is {limit:g}")


class RefusedCalls(_Monitor):
    """Fails if the share of calls that the API or a gateway refused is above the threshold."""

    def test_refused_share(self) -> None:
        refused = self._sum(Stat.CALLS_REFUSED)
        whole = refused + self._stat(Stat.CALLS_BILLED) + self._stat(Stat.CALLS_UNKNOWN)
        self._check_share(refused, whole, "calls were refused", "SPIDERMON_MAX_REFUSED_SHARE")


class SomeComments(_Monitor):
    """Fails if notes were begun, but no comment was delivered."""

    def test_some_comments(self) -> None:
        begun = self._stat(Stat.NOTES_BEGUN)
        if begun and not self._stat(Stat.ITEMS + "comment"):
            self.fail(f"no comment from {begun} notes")


class CrawlMonitors(MonitorSuite):
    """The monitors that run as a crawl closes."""

    monitors = (RejectedItems, NotesLeft, RefusedCalls, SomeComments)
