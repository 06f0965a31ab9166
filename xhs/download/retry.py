"""Retries that wait, longer each time, without holding a place that another call could use."""

from __future__ import annotations

import random

from scrapy import Request
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import DownloadTimeoutError

WAIT = "retry_wait"
"""The key of ``Request.meta`` that tells the scheduler how many seconds a request is to wait."""

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_TIMEOUT_WEIGHT = 3
"""A time-out may be paid twice, so it waits and counts as so many refusals."""


class BackoffRetryMiddleware(RetryMiddleware):
    """Scrapy's retries, with exponential backoff and jitter. ``RETRY_*`` keep their meaning."""

    def _retry(self, request: Request, reason: str | Exception | type[Exception]) -> Request | None:
        retry = super()._retry(request, reason)
        if retry is None:
            return None
        if isinstance(reason, DownloadTimeoutError):
            retry.meta["retry_times"] += _TIMEOUT_WEIGHT - 1
        retry.meta[WAIT] = wait(retry.meta["retry_times"])
        return retry


def wait(times: int) -> float:
    """Seconds to wait before the retry number ``times`` (from 1): about 1, 2, 4, … 60."""
    longest: float = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (times - 1))
    return longest * random.uniform(0.75, 1.25)  # noqa: S311 (jitter)
