"""Retries that wait, longer each time, without holding a place that another call could use."""

from __future__ import annotations

import random

from scrapy import Request, Spider
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import DownloadTimeoutError
from scrapy.http import Response
from scrapy.utils.response import response_status_message

WAIT = "retry_wait"
"""The key of ``Request.meta`` that tells the scheduler how many seconds a request is to wait."""
REASON = "retry_reason"
"""The key that says what a request failed with last."""
_TIMEOUTS = "retry_timeouts"
"""The key that counts how many of a request's failures were time-outs."""

_FIRST_WAIT, _GROWTH, _LONGEST_WAIT = 1.0, 1.4, 60.0
_TIMEOUT_CAUTION = 2
_TIMEOUT_SHARE = 3


class BackoffRetryMiddleware(RetryMiddleware):
    """Scrapy's retries, with exponential backoff and jitter. ``RETRY_*`` keep their meaning.

    A call that timed out may be paid twice if it is sent again. So it waits twice as long, and a
    third of ``RETRY_TIMES`` (rounded up) is all that time-outs may use.
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
        most: int = request.meta.get("max_retry_times", self.max_retry_times)
        if timed_out and timeouts > -(-most // _TIMEOUT_SHARE):
            request.meta["max_retry_times"] = 0
        result = super().process_exception(request, exception)
        if isinstance(result, Request):
            result.meta[_TIMEOUTS] = timeouts
            _postpone(result, str(exception), _TIMEOUT_CAUTION if timed_out else 1)
        return result


def _postpone(retry: Request, reason: str, factor: int) -> None:
    retry.meta[REASON] = reason
    retry.meta[WAIT] = factor * wait(retry.meta["retry_times"])


def wait(times: int) -> float:
    """Seconds to wait before the retry number ``times`` (from 1): about 1, 1.4, 2, 2.7, … 60."""
    # The power is bounded, since a large RETRY_TIMES would make it more than a float can hold.
    longest: float = min(_LONGEST_WAIT, _FIRST_WAIT * _GROWTH ** min(times - 1, 100))
    return longest * random.uniform(0.75, 1.25)  # noqa: S311 (jitter)
