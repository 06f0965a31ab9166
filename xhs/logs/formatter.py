"""Scrapy's log lines without the items in them: every comment is somebody's personal data."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from traceback import format_tb
from typing import Any, cast

from itemadapter import ItemAdapter
from scrapy import Spider
from scrapy.http import Response
from scrapy.logformatter import LogFormatter, LogFormatterResult
from twisted.python.failure import Failure

from xhs.items import item_type
from xhs.logs.redaction import masked


def told(error: BaseException) -> str:
    """What may be told of an exception that a user's code has raised over an item: its text may
    hold any part of it.
    """
    name = type(error).__name__
    if type(error).__module__.startswith("xhs."):
        return f"{name}: {error}"
    return f"{name}: {error.strerror}" if isinstance(error, OSError) else name


def stack_of(error: BaseException) -> str:
    """A traceback, the cause first, with what may be told."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and not any(following is one for one in found):
        found.append(following)
        following = following.__cause__ or following.__context__
    return "\n".join(
        f"Traceback (most recent call last):\n{''.join(format_tb(one.__traceback__))}{told(one)}"
        for one in reversed(found)
    )


class PrivateLogFormatter(LogFormatter):
    """Says what happened to an item by its type, never by its content."""

    def scraped(
        self, item: Any, response: Response | Failure | None, spider: Spider
    ) -> LogFormatterResult:
        return cast("LogFormatterResult", None)  # Scrapy logs nothing then

    def dropped(
        self,
        item: Any,
        exception: BaseException,
        response: Response | Failure | None,
        spider: Spider,
    ) -> LogFormatterResult:
        result = super().dropped(item, exception, response, spider)
        return {
            **result,
            "msg": "Dropped a %(type)s: %(exception)s",
            "args": {"type": _type(item), "exception": _reason(item, exception)},
        }

    def item_error(
        self,
        item: Any,
        exception: BaseException,
        response: Response | Failure | None,
        spider: Spider,
    ) -> LogFormatterResult:
        _traceback.text = stack_of(exception)
        _LOGGER.addFilter(_traceback)  # once, however often
        return {
            "level": logging.ERROR,
            "msg": "An item pipeline failed on a %(type)s",
            "args": {"type": _type(item)},
        }


class _Traceback(logging.Filter):
    """Puts a traceback in the place of the one with which Scrapy logs what a formatter returns."""

    text: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if self.text is not None and record.exc_info:
            record.exc_info, record.exc_text = None, self.text
            self.text = None
        return True


_LOGGER = logging.getLogger("scrapy.core.scraper")
_traceback = _Traceback()


def _reason(item: Any, exception: BaseException) -> str:
    """Why an item was dropped, without what it holds: whoever drops it may tell it as a whole."""
    try:
        return masked(str(exception).partition("{")[0], _texts(item)).strip()
    except Exception:  # of a user's own; raised here it would hold the crawl up for ever
        return "(it cannot be told)"


def _texts(value: Any) -> Iterator[str]:
    """Every text in an item, but for its type, as it is and as Python shows it."""
    if isinstance(value, str):
        if len(value) > 1:
            yield from {value, repr(value)[1:-1]}
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif ItemAdapter.is_item(value):
        for name, one in ItemAdapter(value).items():
            if name != "item_type":
                yield from _texts(one)


def _type(item: Any) -> str:
    return item_type(item) or type(item).__name__
