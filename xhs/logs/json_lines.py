"""``XHS_LOG_FORMAT=json``: a log of one JSON object a line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from scrapy.settings import BaseSettings
from scrapy.utils.log import TopLevelFormatter

from xhs.logs.redaction import without_secrets

FORMATS = ("text", "json")
"""What ``XHS_LOG_FORMAT`` may be."""


class JsonFormatter(logging.Formatter):
    """A record as an object with ``time`` (UTC), ``level``, ``logger`` and ``message``; where there
    is one, with ``spider``, ``exception`` (the traceback), and ``run``, the end of a run.
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
    """Log in JSON from the first line on, to where Scrapy's own handler would.

    Scrapy makes its handler with a formatter of its own, once more as the crawl begins; without it
    (``LOG_INSTALL_ROOT_HANDLER``) whoever is there stays.
    """
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
