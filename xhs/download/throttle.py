"""Scrapy's AutoThrottle, steered by refusals: the API says itself when it is called too fast."""

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

_WINDOW, _FEWEST_ANSWERS = 4.0, 20
_TOO_MANY = 0.1
_DEVIATIONS = 1.64
_NO_DELAY = 0.005
_AT_LEAST_LONGER = 1.2
_LONGER, _SHORTER = 1.05, 0.994
_LONGER_IN_A_ROW, _LONGEST_ROW = 0.3, 9
_PAUSE_BETWEEN = 0.5
"""Of the delay: refusals that come closer together were on their way, and tell the same once."""
_CALM_ANSWERS = 30
_CALM_SECONDS, _FEWEST_CALM_ANSWERS = 8.0, 6
_SHORTER_WHEN_CALM = 0.97
_SHORTER_A_SECOND_WHEN_CALM = 0.78
_FEWEST_TO_COMPARE = 20
_SHARE_OF_A_LIMIT = 0.5
_SAME = 0.8
_FIRST_REST, _LONGEST_REST = 5.0, 60.0


@dataclass(slots=True)
class _Stretch:
    """The answers while the delay doubled. ``share_before`` was refused in the stretch before."""

    delay: float
    share_before: float
    answers: int = 0
    refused: int = 0


class Pace:
    """The delay between calls, from the share of calls refused as too fast. Pure.

    One refusal says nothing: some come at random. While nothing is held back, the share in the
    last seconds must be above a tenth beyond doubt; then calls are spread out as they came. From
    there each refusal makes the delay longer (more so, the more come in a row) and each other
    answer a little shorter: in balance one call in nine is refused, and the limit is used. Where
    none is refused for a while, the limit may be gone, and the delay shortens faster. Answers to
    calls that were sent before the first delay say nothing of it.

    A limit shows itself: at twice the delay far fewer calls are refused. Where as many are, slowing
    down is of no use; it is left for a while, and for longer each time.
    """

    def __init__(self, least: float, most: float) -> None:
        self.delay = least
        self._least = least
        self._most = most
        self._recent: deque[tuple[float, bool]] = deque()
        self._recently_refused = 0
        self._stretch = _Stretch(least, 1.0)
        self._calm = 0
        self._in_a_row = 0
        self._answered_at = self._refused_at = self._longer_at = 0.0
        self._held_since = 0.0
        self._rest = _FIRST_REST
        self._resting_until = 0.0

    def answered(self, now: float, *, sent: float, too_fast: bool, in_flight: int) -> float:
        """Take an answer that came at ``now`` (seconds) to a call that was ``sent`` before, while
        ``in_flight`` calls had none yet, and give the delay from now on.
        """
        if self.delay > self._least:
            if sent >= self._held_since:
                self._steer(now, too_fast)
        elif now >= self._resting_until:
            self._watch(now, too_fast, in_flight)
        return self.delay

    def _watch(self, now: float, too_fast: bool, in_flight: int) -> None:
        recent = self._recent
        recent.append((now, too_fast))
        self._recently_refused += too_fast
        while recent[0][0] <= now - _WINDOW and len(recent) > _FEWEST_ANSWERS:
            self._recently_refused -= recent.popleft()[1]
        # A refusal comes sooner than a page: without the calls in flight it would weigh too much.
        calls = len(recent) + in_flight
        certain = self._recently_refused - _DEVIATIONS * math.sqrt(self._recently_refused)
        if certain > _TOO_MANY * calls:
            spacing = max(now - recent[0][0], 1.0) / calls
            self._set(max(spacing, _AT_LEAST_LONGER * self._least))
            self._held_since = now
            self._stretch = _Stretch(self.delay, share_before=1.0)
            self._calm = self._in_a_row = 0
            self._answered_at = self._refused_at = now
            recent.clear()
            self._recently_refused = 0

    def _steer(self, now: float, too_fast: bool) -> None:
        self._stretch.answers += 1
        self._stretch.refused += too_fast
        if too_fast:
            self._calm = 0
            self._refused_at = now
            if now - self._longer_at >= _PAUSE_BETWEEN * self.delay:
                self._longer_at = now
                self._in_a_row = min(self._in_a_row + 1, _LONGEST_ROW)
                self._set(self.delay * _LONGER ** (1 + _LONGER_IN_A_ROW * (self._in_a_row - 1)))
        else:
            self._calm += 1
            self._in_a_row = 0
            self._set(self.delay * self._easing(now))
            if self.delay <= self._least:
                self._rest = _FIRST_REST
        self._answered_at = now
        stretch = self._stretch
        if self.delay >= 2 * stretch.delay and stretch.answers >= _FEWEST_TO_COMPARE:
            self._compare(now, stretch.share_before, stretch.refused / stretch.answers)

    def _easing(self, now: float) -> float:
        calm_for = now - self._refused_at
        if self._calm >= _CALM_ANSWERS or (
            self._calm >= _FEWEST_CALM_ANSWERS and calm_for >= _CALM_SECONDS
        ):
            since_last: float = _SHORTER_A_SECOND_WHEN_CALM ** (now - self._answered_at)
            return min(_SHORTER_WHEN_CALM, since_last)
        return _SHORTER

    def _compare(self, now: float, before: float, share: float) -> None:
        """The delay has doubled: did it help? Above a half, a limit may be too low to show it."""
        if before < _SHARE_OF_A_LIMIT and share >= _SAME * before:
            self.delay = self._least
            self._resting_until = now + self._rest
            self._rest = min(2 * self._rest, _LONGEST_REST)
        else:
            self._stretch = _Stretch(self.delay, share_before=share)

    def _set(self, delay: float) -> None:
        delay = min(delay, self._most)
        self.delay = self._least if delay <= max(_NO_DELAY, self._least) else delay


class RefusalThrottle(AutoThrottle):
    """AutoThrottle that slows down for refusals alone."""

    _pace: Pace | None = None

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
