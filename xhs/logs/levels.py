"""Levels of Scrapy's own log lines: at INFO, the log is for a person."""

from __future__ import annotations

import logging
from types import MappingProxyType

_FOR_DEBUGGING = MappingProxyType(
    {
        "scrapy.utils.log": ("Scrapy ", "Versions:"),
        "scrapy.addons": ("Enabled ",),
        "scrapy.middleware": ("Enabled ",),
        "scrapy.crawler": ("Overridden settings:",),
        "scrapy.core.engine": ("Spider opened", "Closing spider", "Spider closed"),
        "scrapy.spidermiddlewares.httperror": ("Ignoring response",),  # the note's end is logged
        "scrapy.extensions.feedexport": ("Stored ",),  # the summary names the feeds
        "scrapy.statscollectors": ("Dumping Scrapy stats",),
    }
)
"""Beginnings of the lines that say how Scrapy works, not what the crawl does, by their loggers."""


class _ToDebug(logging.Filter):
    """Changes the level of a logger's lines with these beginnings from INFO to DEBUG."""

    def __init__(self, beginnings: tuple[str, ...]) -> None:
        super().__init__()
        self._beginnings = beginnings

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == logging.INFO and str(record.msg).startswith(self._beginnings):
            record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        return True


_FILTERS = {name: _ToDebug(beginnings) for name, beginnings in _FOR_DEBUGGING.items()}


def lower_levels() -> None:
    """Log at DEBUG what Scrapy logs at INFO about itself. No setting of Scrapy changes a level."""
    for name, to_debug in _FILTERS.items():
        logging.getLogger(name).addFilter(to_debug)


def restore_levels() -> None:
    """Undo :func:`lower_levels`, for a log that programs read."""
    for name, to_debug in _FILTERS.items():
        logging.getLogger(name).removeFilter(to_debug)
