"""Scrapy's AutoThrottle, controlled by refusals: the API itself says when calls come too fast."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass

from scrapy.core.downloader import Slot
from scrapy.extensions.throttle import AutoThrottle
from scrapy.http import Response

from xhs.api.codes import TOO_FAST
from xhs.download._scrapy import in_flight, is_closing

_WINDOW_SECONDS, _MIN_ANSWERS = 4.0, 20
_MAX_REFUSED_SHARE = 0.1
_STANDARD_DEVIATIONS = 1.64
_NEGLIGIBLE_DELAY = 0.005
_MIN_FIRST_INCREASE = 1.2
_LONGER, _SHORTER = 1.05, 0.994
_LONGER_IN_A_ROW, _MAX_IN_A_ROW = 0.3, 9
_MIN_REFUSAL_SPACING = 0.5
"""As a share of the delay. Refusals closer together belong to calls that were already in flight
when the delay changed, so they count as one.
"""
_CALM_ANSWERS = 30
_CALM_SECONDS, _MIN_CALM_ANSWERS = 8.0, 6
_SHORTER_WHEN_CALM = 0.97
_SHORTER_PER_SECOND_WHEN_CALM = 0.78
_MIN_ANSWERS_TO_COMPARE = 20
_COMPARABLE_SHARE = 0.5
_NO_IMPROVEMENT = 0.8
_FIRST_DROP_SECONDS, _LONGEST_DROP_SECONDS = 5.0, 60.0


@dataclass(slots=True)
class _Period:
    """The answers since the delay last doubled. ``share_before``: refused in the period before."""

    delay: float
    share_before: float
    answers: int = 0
    refused: int = 0


class Pace:
    """The delay between calls, from the share of calls refused as too fast. Pure.

    A single refusal proves nothing: some are random. Without a delay, the share of refusals in the
    last seconds must be significantly above a tenth; then the delay starts at the average interval
    of these calls. From there each refusal lengthens the delay (more so if several come in a row),
    and each other answer shortens it a little: in balance one call in nine is refused, and the
    limit is used in full. If no call is refused for a while, the limit may be gone, and the delay
    shortens faster. Answers to calls that were sent before the first delay do not count.

    If the refusals come from a limit, far fewer calls are refused at twice the delay. If as many
    are, slowing down is of no use: the delay is dropped for a while, and for longer each time.
    """

    def __init__(self, min_delay: float, max_delay: float) -> None:
        self.delay = min_delay
        self._min_delay = min_delay
        self._max_delay = max_delay
        self._recent: deque[tuple[float, bool]] = deque()
        self._recently_refused = 0
        self._period = _Period(min_delay, 1.0)
        self._calm = 0
        self._in_a_row = 0
        self._answered_at = self._refused_at = self._lengthened_at = 0.0
        self._delayed_since = 0.0
        self._drop_seconds = _FIRST_DROP_SECONDS
        self._dropped_until = 0.0

    def answered(self, now: float, *, sent: float, too_fast: bool, in_flight: int) -> float:
        """Process an answer, and return the delay from now on.

        Args:
            now: when the answer came, in seconds.
            sent: when its call was sent.
            too_fast: True if the call was refused as too fast.
            in_flight: number of calls that are not answered yet.
        """
        if self.delay > self._min_delay:
            if sent >= self._delayed_since:
                self._adjust(now, too_fast)
        elif now >= self._dropped_until:
            self._detect(now, too_fast, in_flight)
        return self.delay

    def _detect(self, now: float, too_fast: bool, in_flight: int) -> None:
        recent = self._recent
        recent.append((now, too_fast))
        self._recently_refused += too_fast
        while recent[0][0] <= now - _WINDOW_SECONDS and len(recent) > _MIN_ANSWERS:
            self._recently_refused -= recent.popleft()[1]
        # Refusals come sooner than pages: without the calls in flight their share is overestimated.
        calls = len(recent) + in_flight
        lower_bound = self._recently_refused - _STANDARD_DEVIATIONS * math.sqrt(
            self._recently_refused
        )
        if lower_bound > _MAX_REFUSED_SHARE * calls:
            spacing = max(now - recent[0][0], 1.0) / calls
            self._set_delay(max(spacing, _MIN_FIRST_INCREASE * self._min_delay))
            self._delayed_since = now
            self._period = _Period(self.delay, share_before=1.0)
            self._calm = self._in_a_row = 0
            self._answered_at = self._refused_at = now
            recent.clear()
            self._recently_refused = 0

    def _adjust(self, now: float, too_fast: bool) -> None:
        self._period.answers += 1
        self._period.refused += too_fast
        if too_fast:
            self._calm = 0
            self._refused_at = now
            if now - self._lengthened_at >= _MIN_REFUSAL_SPACING * self.delay:
                self._lengthened_at = now
                self._in_a_row = min(self._in_a_row + 1, _MAX_IN_A_ROW)
                self._set_delay(
                    self.delay * _LONGER ** (1 + _LONGER_IN_A_ROW * (self._in_a_row - 1))
                )
        else:
            self._calm += 1
            self._in_a_row = 0
            self._set_delay(self.delay * self._shrink_factor(now))
            if self.delay <= self._min_delay:
                self._drop_seconds = _FIRST_DROP_SECONDS
        self._answered_at = now
        period = self._period
        if self.delay >= 2 * period.delay and period.answers >= _MIN_ANSWERS_TO_COMPARE:
            self._compare(now, period.share_before, period.refused / period.answers)

    def _shrink_factor(self, now: float) -> float:
        calm_for = now - self._refused_at
        if self._calm >= _CALM_ANSWERS or (
            self._calm >= _MIN_CALM_ANSWERS and calm_for >= _CALM_SECONDS
        ):
            since_last: float = _SHORTER_PER_SECOND_WHEN_CALM ** (now - self._answered_at)
            return min(_SHORTER_WHEN_CALM, since_last)
        return _SHORTER

    def _compare(self, now: float, before: float, share: float) -> None:
        """Drop the delay if doubling it did not help.

        If more than half were refused before, this proves nothing: the limit may be far lower.
        """
        if before < _COMPARABLE_SHARE and share >= _NO_IMPROVEMENT * before:
            self.delay = self._min_delay
            self._dropped_until = now + self._drop_seconds
            self._drop_seconds = min(2 * self._drop_seconds, _LONGEST_DROP_SECONDS)
        else:
            self._period = _Period(self.delay, share_before=share)

    def _set_delay(self, delay: float) -> None:
        delay = min(delay, self._max_delay)
        self.delay = self._min_delay if delay <= max(_NEGLIGIBLE_DELAY, self._min_delay) else delay


class RefusalThrottle(AutoThrottle):
    """AutoThrottle that slows down for refusals only, not for latency."""

    _pace: Pace | None = None

    @property
    def delay(self) -> float:
        """Seconds between two calls, if refusals have slowed the crawl down; else 0."""
        pace = self._pace
        return pace.delay if pace and pace.delay > self.mindelay else 0.0

    def _adjust_delay(self, slot: Slot, latency: float, response: Response) -> None:
        if is_closing(self.crawler):
            return
        if self._pace is None:
            self._pace = Pace(self.mindelay, self.maxdelay)
        now = time.monotonic()
        slot.delay = self._pace.answered(
            now,
            sent=now - latency,
            too_fast=response.status == TOO_FAST,
            in_flight=in_flight(slot) - 1,
        )
