"""The second line of defence: no log line shows a secret, whoever writes it."""

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

    The records do it, not the handlers: Scrapy installs its handler anew as a crawl starts, and a
    user may have others.
    """
    if len(secret) >= _SHORTEST:
        _secrets.update(spellings(secret))
        logging.setLogRecordFactory(_MaskedRecord)


def is_on_command_line(settings: BaseSettings, name: str) -> bool:
    """True if a setting was given with ``-s``, where it stands in process lists and job pages."""
    return settings.getpriority(name) == SETTINGS_PRIORITIES["cmdline"]


def spellings(secret: str) -> set[str]:
    """A secret as it is, as it stands in an address, in Python and in JSON."""
    written = {repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    return {secret, quote(secret, safe=""), quote_plus(secret), *written}


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without these secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


class _MaskedRecord(logging.LogRecord):
    """A log record whose texts come without the secrets."""

    _exc_text: str | None = None

    def getMessage(self) -> str:  # noqa: N802 (its name in logging)
        try:
            message = super().getMessage()
        except Exception:  # told as well as it can be: logging would print the arguments unmasked
            message = f"{self.msg!r} {self.args!r} (which do not fit)"
        return without_secrets(message)

    @property
    def exc_text(self) -> str | None:
        """The traceback, which the first handler writes down here."""
        return self._exc_text

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self._exc_text = without_secrets(text) if text else text


def without_secrets(text: str) -> str:
    """A text without any secret that is kept out of logs."""
    return masked(text, _secrets) if any(secret in text for secret in _secrets) else text
