"""Scrapy's log lines without the items in them: every comment is somebody's personal data."""

from __future__ import annotations

import logging
from typing import Any, cast

from scrapy import Spider
from scrapy.http import Response
from scrapy.logformatter import LogFormatter, LogFormatterResult
from twisted.python.failure import Failure

from xhs.items import item_type


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
            "args": {"type": _type(item), "exception": exception},
        }

    def item_error(
        self,
        item: Any,
        exception: BaseException,
        response: Response | Failure | None,
        spider: Spider,
    ) -> LogFormatterResult:
        return {
            "level": logging.ERROR,
            "msg": "An item pipeline failed on a %(type)s",
            "args": {"type": _type(item)},
        }


def _type(item: Any) -> str:
    return item_type(item) or type(item).__name__
