"""``XHS_LOG_FORMAT=json``: a log with one JSON object a line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from scrapy.settings import BaseSettings
from scrapy.utils.log import TopLevelFormatter

from xhs.logs.levels import restore_levels
from xhs.logs.redaction import without_secrets

FORMATS = ("text", "json")
"""The values of ``XHS_LOG_FORMAT``."""


class JsonFormatter(logging.Formatter):
    """Formats a record as an object with ``time`` (UTC), ``level``, ``logger`` and ``message``.

    If the record has them, the object also has ``spider``, ``exception`` (the traceback), ``stack``
    and ``run`` (the result of a crawl).
    """

    def format(self, record: logging.LogRecord) -> str:
        run = getattr(record, "run", None)
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": "The run has ended" if run else record.getMessage(),
        }
        if spider := getattr(record, "spider", None):
            line["spider"] = spider.name
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return without_secrets(json.dumps({**line, "run": run} if run else line))


def install(settings: BaseSettings) -> None:
    """Log in JSON from the first line on, to the destination of Scrapy's own handler.

    Scrapy creates its handler with its own formatter, and again when the crawl starts. With
    ``LOG_INSTALL_ROOT_HANDLER`` off, it leaves the handlers of the root logger alone.

    Scrapy's lines keep their levels: programs read this log.
    """
    restore_levels()
    handler: logging.Handler
    if path := settings["LOG_FILE"]:
        mode = "a" if settings.getbool("LOG_FILE_APPEND") else "w"
        handler = logging.FileHandler(path, mode, settings["LOG_ENCODING"])
    elif settings.getbool("LOG_ENABLED"):
        handler = logging.StreamHandler()
    else:
        return
    handler.setFormatter(JsonFormatter())
    handler.setLevel(settings["LOG_LEVEL"])
    if settings.getbool("LOG_SHORT_NAMES"):
        handler.addFilter(TopLevelFormatter(["scrapy"]))
    logging.root.setLevel(logging.NOTSET)
    logging.root.addHandler(handler)
    settings.set("LOG_INSTALL_ROOT_HANDLER", False, "cmdline")
