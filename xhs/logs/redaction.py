"""The second line of defence: no log line shows a secret, whichever code logs it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from scrapy.settings import SETTINGS_PRIORITIES, BaseSettings

MASK = "***"
_SHORTEST = 4

_secrets: set[str] = set()


def keep_out_of_logs(secret: str) -> None:
    """Mask ``secret`` in every record that is logged from now on, tracebacks included.

    The records mask it, not the handlers: Scrapy replaces its handler when a crawl starts, and a
    user may add others.
    """
    if len(secret) >= _SHORTEST:
        _secrets.update(spellings(secret))
        logging.setLogRecordFactory(_MaskedRecord)


def is_on_command_line(settings: BaseSettings, name: str) -> bool:
    """True if a setting was given with ``-s``, which process lists and job pages show."""
    return settings.getpriority(name) == SETTINGS_PRIORITIES["cmdline"]


def spellings(secret: str) -> set[str]:
    """Return a secret as it is, and as addresses, Python and JSON write it."""
    escaped = {repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    return {secret, quote(secret, safe=""), quote_plus(secret), *escaped}


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return a text with these secrets masked."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


class _MaskedRecord(logging.LogRecord):
    """A log record that masks secrets in its message and traceback."""

    _exc_text: str | None = None

    def getMessage(self) -> str:  # noqa: N802 (logging's name)
        try:
            message = super().getMessage()
        except Exception:  # logging would print message and arguments unmasked
            message = f"{self.msg!r} {self.args!r} (the arguments do not fit the message)"
        return without_secrets(message)

    @property
    def exc_text(self) -> str | None:
        """The traceback, cached here by the first handler."""
        return self._exc_text

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self._exc_text = without_secrets(text) if text else text


def without_secrets(text: str) -> str:
    """Return a text with every secret masked that is kept out of logs."""
    return mask(text, _secrets) if any(secret in text for secret in _secrets) else text
