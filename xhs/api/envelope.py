"""The envelope that every answer comes in, and its business codes.

The provider answers errors with HTTP 200; the code decides. Scrapy's cache, retry and throttle
judge by the HTTP status, so :func:`translate` gives each code the status that means the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

from xhs.reasons import CloseReason

SUCCESS = 0

_STATUS = {0: 200, 100: 401, 301: 503, 302: 429, 303: 509, 400: 400, 500: 500}
_STATUS |= {600: 403, 601: 402, 602: 402}
_UNKNOWN_STATUS = 520
_LONGEST_TOLD = 300

FATAL: dict[int, CloseReason] = {
    100: CloseReason.TOKEN_REJECTED,
    600: CloseReason.PERMISSION_DENIED,
    601: CloseReason.BALANCE_EXHAUSTED,
    602: CloseReason.BALANCE_EXHAUSTED,
    303: CloseReason.QUOTA_EXHAUSTED,
}
"""Codes after which no call can succeed, and the crawl's close reason."""

_REMEDIES = {
    100: "the API rejects the token: check JUSTONEAPI_TOKEN, or have it activated",
    600: "the token may not use this endpoint: ask the provider for permission, or try another "
    "JUSTONEAPI_COMMENTS_VERSION",
    601: "the account's balance is used up: top it up (`scrapy balance` shows it)",
    602: "the token's own spending limit is reached: have it raised",
}
_SHANGHAI = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Envelope:
    """An answer as the provider sent it. ``code`` decides, ``data`` is the result of code 0."""

    code: int
    message: str
    data: Any
    request_id: str | None

    @property
    def told(self) -> str:
        """What the provider says of a refusal, on one line of bounded length."""
        message = self.message[:_LONGEST_TOLD]
        request_id = "".join(filter(str.isprintable, (self.request_id or "none")[:_LONGEST_TOLD]))
        return f"code {self.code}, {message!r}, requestId {request_id}"


def read(body: bytes) -> Envelope | None:
    """The envelope in a body, or None where there is none: HTML, a cut answer, other JSON."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = _with_endless_numbers(body)
    if not isinstance(answer, dict):
        return None
    code = answer.get("code")
    if isinstance(code, str) and re.fullmatch(r"[0-9]{1,9}", code):
        code = int(code)
    if not isinstance(code, int) or isinstance(code, bool):
        return None
    request_id = answer.get("requestId")
    return Envelope(
        code=code,
        message=str(answer.get("message") or ""),
        data=answer.get("data"),
        request_id=None if request_id is None else str(request_id),
    )


def _with_endless_numbers(body: bytes) -> Any:
    """JSON that Python refuses for the length of a number in it: that becomes text."""
    try:
        return json.loads(
            body, parse_int=lambda digits: int(digits) if len(digits) < 4000 else digits
        )
    except (ValueError, RecursionError):
        return None


def remedy(code: int, now: datetime) -> str:
    """What happened at a fatal code, and what to do about it."""
    if code in _REMEDIES:
        return _REMEDIES[code]
    tomorrow = now.astimezone(_SHANGHAI).date() + timedelta(days=1)
    end = datetime.combine(tomorrow, time(), _SHANGHAI).astimezone(UTC)
    return (
        "the day's quota is used up: go on when the day of Asia/Shanghai ends, at "
        f"{end:%Y-%m-%d %H:%M} UTC"
    )


def translate(code: int) -> int:
    """The HTTP status that means what a business code means."""
    return _STATUS.get(code, _UNKNOWN_STATUS)
