"""The second line of defence: no log line shows a secret, whoever writes it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4


def spellings(secret: str) -> set[str]:
    """A secret as it is, and as it stands in an address."""
    return {secret, quote(secret, safe=""), quote_plus(secret)}


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without these secrets."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


class Redaction(logging.Filter):
    """Masks secrets in what a handler is about to write, tracebacks included."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def add(self, secret: str) -> None:
        """Mask this from now on, also as it stands in an address."""
        if len(secret) >= _SHORTEST:
            self._secrets |= spellings(secret)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        message = record.getMessage()
        if any(secret in f"{message}{record.exc_text}" for secret in self._secrets):
            record.msg, record.args = masked(message, self._secrets), ()
            record.exc_text = masked(record.exc_text, self._secrets) if record.exc_text else None
        return True


_redaction = Redaction()


def keep_out_of_logs(secret: str) -> None:
    """Mask ``secret`` in all that the handlers of the root logger write.

    Scrapy installs its handler anew as a crawl starts, so call this from within the crawl.
    """
    _redaction.add(secret)
    for handler in logging.getLogger().handlers:
        if _redaction not in handler.filters:
            handler.addFilter(_redaction)
