"""Retries that wait, longer each time, without holding a place that another call could use."""

from __future__ import annotations

import random

from scrapy import Request
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import DownloadTimeoutError

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

    def _retry(self, request: Request, reason: str | Exception | type[Exception]) -> Request | None:
        timed_out = isinstance(reason, DownloadTimeoutError)
        timeouts = request.meta.get(_TIMEOUTS, 0) + timed_out
        most: int = request.meta.get("max_retry_times", self.max_retry_times)
        if timed_out and timeouts > -(-most // _TIMEOUT_SHARE):
            request.meta["max_retry_times"] = 0
        retry = super()._retry(request, reason)
        if retry is not None:
            retry.meta[_TIMEOUTS] = timeouts
            retry.meta[REASON] = str(reason)
            caution = _TIMEOUT_CAUTION if timed_out else 1
            retry.meta[WAIT] = caution * wait(retry.meta["retry_times"])
        return retry


def wait(times: int) -> float:
    """Seconds to wait before the retry number ``times`` (from 1): about 1, 1.4, 2, 2.7, … 60."""
    # The power is bounded, since a large RETRY_TIMES would make it more than a float can hold.
    longest: float = min(_LONGEST_WAIT, _FIRST_WAIT * _GROWTH ** min(times - 1, 100))
    return longest * random.uniform(0.75, 1.25)  # noqa: S311 (jitter)
