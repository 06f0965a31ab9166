"""Retries with exponential backoff. A waiting retry takes no place in the downloader."""

from __future__ import annotations

import math
import random

from scrapy import Request, Spider
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import DownloadTimeoutError
from scrapy.http import Response
from scrapy.utils.response import response_status_message

from xhs.api.codes import TOO_FAST

WAIT = "retry_wait"
"""The key of ``Request.meta`` for the seconds that the scheduler holds a request back."""
REASON = "retry_reason"
"""The key for the last failure of a request."""
_TIMEOUTS = "retry_timeouts"
"""The key for the number of time-outs among a request's failures."""

_FIRST_WAIT, _GROWTH, _LONGEST_WAIT = 1.0, 1.4, 60.0
_TIMEOUT_FACTOR = 2
_TIMEOUT_DIVISOR = 3


class BackoffRetryMiddleware(RetryMiddleware):
    """Scrapy's retries, with exponential backoff and jitter. ``RETRY_*`` keep their meaning.

    A timed-out call may have been billed, so it is retried at most ``RETRY_TIMES`` ÷ 3 times
    (rounded up), with twice the delay.
    """

    def process_response(
        self, request: Request, response: Response, spider: Spider | None = None
    ) -> Request | Response:
        result = super().process_response(request, response)
        if isinstance(result, Request):
            _postpone(result, response_status_message(response.status), 1)
        return result

    def process_exception(
        self, request: Request, exception: Exception, spider: Spider | None = None
    ) -> Request | Response | None:
        timed_out = isinstance(exception, DownloadTimeoutError)
        timeouts = request.meta.get(_TIMEOUTS, 0) + timed_out
        max_retries: int = request.meta.get("max_retry_times", self.max_retry_times)
        if timed_out and timeouts > math.ceil(max_retries / _TIMEOUT_DIVISOR):
            request.meta["max_retry_times"] = 0
        result = super().process_exception(request, exception)
        if isinstance(result, Request):
            result.meta[_TIMEOUTS] = timeouts
            _postpone(result, str(exception), _TIMEOUT_FACTOR if timed_out else 1)
        return result


def _postpone(retry: Request, reason: str, factor: int) -> None:
    retry.meta[REASON] = reason
    retry.meta[WAIT] = factor * wait(retry.meta["retry_times"])


def is_too_fast(retry: Request) -> bool:
    """True if the last failure of a request is that it came too fast."""
    return str(retry.meta.get(REASON, "")).startswith(f"{TOO_FAST} ")


def wait(retry: int) -> float:
    """Return the delay before a retry, counted from 1: about 1, 1.4, 2, 2.7, … 60 seconds."""
    # The exponent is bounded: with a large RETRY_TIMES the power would overflow a float.
    seconds: float = min(_LONGEST_WAIT, _FIRST_WAIT * _GROWTH ** min(retry - 1, 100))
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 (jitter)
