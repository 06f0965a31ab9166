"""Scrapy's AutoThrottle, steered by refusals: the API says itself when it is called too fast."""

from __future__ import annotations

import math
import time
from collections import deque

from scrapy.core.downloader import Slot
from scrapy.extensions.throttle import AutoThrottle
from scrapy.http import Response

_TOO_FAST = 429
_WINDOW = 4.0
_NO_DELAY = 0.005
_LONGER, _SHORTER = 1.05, 0.994
_CALM = 30
"""Answers without a refusal between them, after which the limit may be gone."""
_SHORTER_WHEN_CALM = 0.97


class Pace:
    """The delay between calls, from the share of calls refused as too fast. Pure.

    One refusal says nothing: some come at random. While nothing is held back, the share in the
    last seconds must be above a tenth beyond doubt; then calls are spread out as they came. From
    there each refusal makes the delay longer and each other answer a little shorter: in balance
    one call in nine is refused, and the limit is used. Once many answers in a row were none, it
    shortens faster.
    """

    def __init__(self, least: float, most: float) -> None:
        self.delay = least
        self._least = least
        self._most = most
        self._calls: deque[tuple[float, bool]] = deque()
        self._refused = 0
        self._calm = 0

    def answered(self, now: float, *, too_fast: bool) -> float:
        """Take an answer that came at ``now`` (seconds), and give the delay from now on."""
        self._calm = 0 if too_fast else self._calm + 1
        if self.delay > self._least:
            easing = _SHORTER if self._calm < _CALM else _SHORTER_WHEN_CALM
            self._set(self.delay * (_LONGER if too_fast else easing))
            return self.delay
        self._calls.append((now, too_fast))
        self._refused += too_fast
        while self._calls[0][0] <= now - _WINDOW:
            self._refused -= self._calls.popleft()[1]
        if self._refused - 1.64 * math.sqrt(self._refused) > 0.1 * len(self._calls):
            self._set(max(now - self._calls[0][0], 1.0) / len(self._calls))
            self._calls.clear()
            self._refused = 0
        return self.delay

    def _set(self, delay: float) -> None:
        delay = min(delay, self._most)
        self.delay = self._least if delay <= max(_NO_DELAY, self._least) else delay


class RefusalThrottle(AutoThrottle):
    """AutoThrottle that starts at ``DOWNLOAD_DELAY`` and slows down for refusals alone."""

    _pace: Pace | None = None

    def _start_delay(self) -> float:
        return self._min_delay()

    def _adjust_delay(self, slot: Slot, latency: float, response: Response) -> None:
        if self._pace is None:
            self._pace = Pace(self.mindelay, self.maxdelay)
        slot.delay = self._pace.answered(time.monotonic(), too_fast=response.status == _TOO_FAST)
