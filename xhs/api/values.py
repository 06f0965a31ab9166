"""Parsers of numbers, times and booleans, in every format that the provider is known to use.

Each function returns the value in its standard format, or unchanged if it is not understood. So
nothing is guessed, and validation rejects the value with a reason.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_COUNT = re.compile(r"\s*(\d{1,18}(?:\.\d{1,6})?)\s*([千万亿kKwW]?)\+?\s*", re.ASCII)
_UNITS = {"": 1, "千": 10**3, "k": 10**3, "万": 10**4, "w": 10**4, "亿": 10**8}
_MILLISECONDS_FROM = 10**11
"""In seconds this is the year 5138; in milliseconds, 1973."""


def parse_count(value: Any) -> Any:
    """Parse a count: 17, ``"17"``, 17.0, ``"1.2万"`` (12000), ``"10+"`` (10), ``""`` (None)."""
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


def parse_time(value: Any) -> Any:
    """Convert seconds or milliseconds since 1970, as number or text, to ISO 8601 in UTC."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,17}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
        return format_time(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return value


def parse_datetime(value: Any) -> datetime | None:
    """Parse a time like :func:`parse_time`, to a ``datetime``; None if it is not understood."""
    text = parse_time(value)
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def format_time(time: datetime) -> str:
    """Format an aware time as in items: ISO 8601, UTC, ``Z``, milliseconds if there are any."""
    precision = "milliseconds" if time.microsecond else "seconds"
    return time.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def is_storable(text: str) -> bool:
    """True if a text is valid UTF-8. JSON can contain lone surrogates; a database cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_boolean(value: Any) -> Any:
    """Parse a boolean, also as text."""
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return value
