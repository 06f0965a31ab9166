"""Scrapy's log lines without item contents: every comment is somebody's personal data."""

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
from xhs.logs.redaction import mask


def safe_message(error: BaseException) -> str:
    """Return the part of an exception that may be logged.

    A user's code may have raised it while processing an item, so its text may quote the item.
    """
    name = type(error).__name__
    if type(error).__module__.startswith("xhs."):
        return f"{name}: {error}"
    return f"{name}: {error.strerror}" if isinstance(error, OSError) else name


def safe_traceback(error: BaseException) -> str:
    """Return a traceback, causes first, with the safe message of each exception."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and not any(cause is link for link in chain):
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return "\n".join(
        f"Traceback (most recent call last):\n{''.join(format_tb(link.__traceback__))}"
        f"{safe_message(link)}"
        for link in reversed(chain)
    )


class PrivateLogFormatter(LogFormatter):
    """Names an item by its type, never by its content."""

    def scraped(
        self, item: Any, response: Response | Failure | None, spider: Spider
    ) -> LogFormatterResult:
        return cast("LogFormatterResult", None)  # Scrapy then logs nothing

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
            "args": {"type": _type(item), "exception": _drop_reason(item, exception)},
        }

    def item_error(
        self,
        item: Any,
        exception: BaseException,
        response: Response | Failure | None,
        spider: Spider,
    ) -> LogFormatterResult:
        _traceback.text = safe_traceback(exception)
        _LOGGER.addFilter(_traceback)  # logging adds a filter only once
        return {
            "level": logging.ERROR,
            "msg": "An item pipeline failed on a %(type)s",
            "args": {"type": _type(item)},
        }


class _Traceback(logging.Filter):
    """Replaces the traceback that Scrapy adds to the log line of :meth:`item_error`."""

    text: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if self.text is not None and record.exc_info:
            record.exc_info, record.exc_text = None, self.text
            self.text = None
        return True


_LOGGER = logging.getLogger("scrapy.core.scraper")
_traceback = _Traceback()


def _drop_reason(item: Any, exception: BaseException) -> str:
    """Return why an item was dropped, without its content: the exception may quote all of it."""
    try:
        return mask(str(exception).partition("{")[0], _texts(item)).strip()
    except Exception:  # from a user's class; raised here, it would block the crawl for ever
        return "(the reason cannot be shown)"


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in an item except its type, as it is and as ``repr`` shows it."""
    if isinstance(value, str):
        if len(value) > 1:
            yield from {value, repr(value)[1:-1]}
    elif isinstance(value, list | tuple):
        for element in value:
            yield from _texts(element)
    elif ItemAdapter.is_item(value):
        for name, field in ItemAdapter(value).items():
            if name != "item_type":
                yield from _texts(field)


def _type(item: Any) -> str:
    return item_type(item) or type(item).__name__
