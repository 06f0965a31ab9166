"""The second line of defence: no log line shows a secret, whoever writes it."""

from __future__ import annotations

import logging
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4


class Redaction(logging.Filter):
    """Masks secrets in what a handler is about to write, tracebacks included."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def add(self, secret: str) -> None:
        """Mask this from now on, also as it stands in an address."""
        if len(secret) >= _SHORTEST:
            self._secrets |= {secret, quote(secret, safe=""), quote_plus(secret)}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        message = record.getMessage()
        if any(secret in f"{message}{record.exc_text}" for secret in self._secrets):
            record.msg, record.args = self._mask(message), ()
            record.exc_text = self._mask(record.exc_text) if record.exc_text else None
        return True

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


_redaction = Redaction()


def keep_out_of_logs(secret: str) -> None:
    """Mask ``secret`` in all that the handlers of the root logger write.

    Scrapy installs its handler anew as a crawl starts, so call this from within the crawl.
    """
    _redaction.add(secret)
    for handler in logging.getLogger().handlers:
        if _redaction not in handler.filters:
            handler.addFilter(_redaction)
