"""The provider's business codes: one table with everything that the project knows of a code.

The provider answers errors with HTTP 200 and a business code. Scrapy's cache, retry and throttle
depend on the HTTP status, so each code maps to the status with the same meaning. Source of the
meanings: the provider's page for Note Comments V4; for 602, its MCP server.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from typing import NamedTuple

from xhs.reasons import CloseReason


class BusinessCode(NamedTuple):
    """The meaning of a code.

    Attributes:
        status: the HTTP status with the same meaning.
        is_retried: True if the call may succeed later.
        close_reason: the reason for which the crawl closes, if no call can succeed any more.
        remedy: what the user can do then.
    """

    code: int
    meaning: str
    status: int
    is_retried: bool = False
    close_reason: CloseReason | None = None
    remedy: str = ""


SUCCESS = 0
"""The only code that is billed."""

CODES = {
    entry.code: entry
    for entry in (
        BusinessCode(SUCCESS, "success", 200),
        BusinessCode(
            100,
            "token invalid or inactive",
            401,
            close_reason=CloseReason.TOKEN_REJECTED,
            remedy="the API rejects the token: check JUSTONEAPI_TOKEN, or have it activated",
        ),
        BusinessCode(301, "collection failed, please retry", 503, is_retried=True),
        BusinessCode(302, "rate limit exceeded", 429, is_retried=True),
        BusinessCode(303, "daily quota exceeded", 509, close_reason=CloseReason.QUOTA_EXHAUSTED),
        BusinessCode(400, "invalid parameters", 400),
        BusinessCode(500, "internal server error", 500, is_retried=True),
        BusinessCode(
            600,
            "permission denied",
            403,
            close_reason=CloseReason.PERMISSION_DENIED,
            remedy="the token may not use this endpoint: ask the provider for permission, or try "
            "another JUSTONEAPI_COMMENTS_VERSION",
        ),
        BusinessCode(
            601,
            "insufficient balance",
            402,
            close_reason=CloseReason.BALANCE_EXHAUSTED,
            remedy="the account's balance is used up: top it up (`scrapy balance` shows it)",
        ),
        BusinessCode(
            602,
            "spending limit of the token reached",
            402,
            close_reason=CloseReason.BALANCE_EXHAUSTED,
            remedy="the token's own spending limit is reached: have it raised",
        ),
    )
}
_UNKNOWN_STATUS = 520
INVALID_PARAMETERS = 400
TOO_FAST = CODES[302].status
"""The HTTP status of a call that was refused as too fast."""

_SHANGHAI = timezone(timedelta(hours=8))


def status_of(code: int) -> int:
    """Return the HTTP status with the meaning of a business code."""
    return CODES[code].status if code in CODES else _UNKNOWN_STATUS


def is_retried(code: int) -> bool:
    """True if a call with this code may succeed later."""
    return code in CODES and CODES[code].is_retried


def close_reason(code: int) -> CloseReason | None:
    """Return the reason for which a crawl closes at this code; None if it continues."""
    return CODES[code].close_reason if code in CODES else None


def remedy(code: int, now: datetime) -> str:
    """Return what a code that closes the crawl means, and what to do."""
    if code != 303:
        return CODES[code].remedy
    tomorrow = now.astimezone(_SHANGHAI).date() + timedelta(days=1)
    end = datetime.combine(tomorrow, time(), _SHANGHAI).astimezone(UTC)
    return (
        "the day's quota is used up: continue when the day ends in Asia/Shanghai, at "
        f"{end:%Y-%m-%d %H:%M} UTC"
    )
