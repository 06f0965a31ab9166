"""Reading the forms in which the provider's numbers, times and truths are known to come.

Each function gives the value in its one proper form, or the value unchanged where it is not
understood: then validation rejects it with its reason, and nothing is guessed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_COUNT = re.compile(r"\s*(\d{1,18}(?:\.\d{1,6})?)\s*([千万亿kKwW]?)\+?\s*", re.ASCII)
_UNITS = {"": 1, "千": 10**3, "k": 10**3, "万": 10**4, "w": 10**4, "亿": 10**8}
_MILLISECONDS_FROM = 10**11
"""As seconds that is the year 5138; as milliseconds, 1973."""


def count(value: Any) -> Any:
    """A count: ``17``, ``"17"``, ``17.0``, ``"1.2万"`` (12000), ``"10+"`` (10); ``""`` is None."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    match = _COUNT.fullmatch(value)
    if not match:
        return value
    number = Decimal(match[1]) * _UNITS[match[2].lower()]
    return int(number) if number == int(number) else value


def moment(value: Any) -> Any:
    """A time in seconds or milliseconds since 1970, also as text, as ISO 8601 in UTC."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,17}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
        return iso(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return value


def instant(value: Any) -> datetime | None:
    """A time as :func:`moment` reads it; None if it is none."""
    read = moment(value)
    if not isinstance(read, str):
        return None
    try:
        time = datetime.fromisoformat(read)
    except ValueError:
        return None
    return time if time.tzinfo else None


def iso(time: datetime) -> str:
    """An aware time as items carry it: ISO 8601, UTC, ``Z``, milliseconds where there are any."""
    precision = "milliseconds" if time.microsecond else "seconds"
    return time.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def is_storable(text: str) -> bool:
    """True if a text can be written as UTF-8: JSON can hold lone surrogates, a database can not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def boolean(value: Any) -> Any:
    """A boolean, also as text."""
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return value
