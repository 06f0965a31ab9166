"""Scrapy's log lines without the items in them: every comment is somebody's personal data."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, cast

from itemadapter import ItemAdapter
from scrapy import Spider
from scrapy.http import Response
from scrapy.logformatter import LogFormatter, LogFormatterResult
from twisted.python.failure import Failure

from xhs.items import item_type
from xhs.redaction import masked, spellings


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
            "args": {"type": _type(item), "exception": _without(item, str(exception))},
        }

    def item_error(
        self,
        item: Any,
        exception: BaseException,
        response: Response | Failure | None,
        spider: Spider,
    ) -> LogFormatterResult:
        _mask(exception, item)
        return {
            "level": logging.ERROR,
            "msg": "An item pipeline failed on a %(type)s",
            "args": {"type": _type(item)},
        }


def _mask(exception: BaseException | None, item: Any) -> None:
    """Keep an item out of what an exception says: Scrapy logs it with its traceback."""
    while exception is not None:
        exception.args = tuple(
            one if isinstance(one, int) else _without(item, str(one)) for one in exception.args
        )
        exception = exception.__cause__ or exception.__context__


def _without(item: Any, text: str) -> str:
    """A text without what an item holds. Whoever wrote it may have put a whole item at its end."""
    return masked(text.partition("{")[0], _texts(item)).strip()


def _texts(value: Any) -> Iterator[str]:
    """Every text in an item, but for its type."""
    if isinstance(value, str):
        if len(value) > 1:
            yield from spellings(value)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif ItemAdapter.is_item(value):
        for name, one in ItemAdapter(value).items():
            if name != "item_type":
                yield from _texts(one)


def _type(item: Any) -> str:
    return item_type(item) or type(item).__name__
