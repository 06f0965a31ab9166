"""The state of a crawl in words, for the progress display and its lines in the log. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from math import ceil

from xhs.crawl.price import Price, in_money

_MINUTE, _HOUR = 60, 3600
_QUIET_SECONDS = 2.0
"""Seconds without a page after which the crawl says that it waits for the API."""

_SHOWN_WHOLE = 10.0
"""The shortest delay that is shown without a decimal, in seconds."""


class Stage(Enum):
    """Stage of a crawl."""

    PREPARING = auto()
    """The store is being opened, or the notes are being counted."""
    CRAWLING = auto()
    CLOSING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlProgress:
    """Work of a crawl that is done, work that is left, and the reasons why it waits.

    ``notes`` is None until they are counted, ``calls_left`` until a first page has come.
    ``max_calls`` is 0 without a budget. ``delay``: seconds between two calls, because others were
    refused as too fast. ``retries``: calls that wait to be repeated, the first one for ``retry_in``
    seconds; ``too_fast`` if all of them were refused as too fast. ``store_silence``: seconds for
    which the store has not answered, and the seconds after which the crawl gives it up.
    """

    stage: Stage = Stage.CRAWLING
    notes: int | None = None
    notes_done: int = 0
    comments: int = 0
    pages: int = 0
    pages_per_second: float | None = None
    seconds_without_page: float = 0.0
    calls: int = 0
    calls_left: int | None = None
    calls_in_flight: int = 0
    max_calls: int = 0
    price: Price | None = None
    delay: float = 0.0
    retries: int = 0
    retry_in: float = 0.0
    too_fast: bool = False
    store_silence: tuple[float, float] | None = None
    store_is_behind: bool = False

    @property
    def fraction(self) -> float | None:
        """The share of the work that is done; None if it is unknown."""
        if self.calls_left is not None and self.pages + self.calls_left:
            return self.pages / (self.pages + self.calls_left)
        return self.notes_done / self.notes if self.notes else None

    @property
    def seconds_left(self) -> float | None:
        """The time that the crawl will still take; None if it is unknown."""
        if not self.calls_left or not self.pages_per_second:
            return None
        calls = self.calls_left
        if self.max_calls:
            calls = min(calls, max(0, self.max_calls - self.calls))
        return calls / self.pages_per_second

    def counts(self) -> Iterator[str]:
        """Yield what is done and what is left, in pieces that may stand on lines of their own."""
        of_notes = "" if self.notes is None else f" of {self.notes:,}"
        yield f"{self.notes_done:,}{of_notes} notes"
        yield f"{self.comments:,} comments"
        of_calls = f" of {self.max_calls:,}" if self.max_calls else ""
        yield f"{self.calls:,}{of_calls} calls billed{in_money(self.price, self.calls)}"
        if self.pages_per_second is not None:
            yield f"{self.pages_per_second:.1f} pages/s"
        if (left := self.seconds_left) is not None:
            yield f"about {duration(left)} left"

    def waits(self) -> Iterator[str]:
        """Yield what the crawl is waiting for."""
        if self.stage is Stage.PREPARING:
            yield "preparing the store and the list of notes"
        elif self.stage is Stage.CLOSING:
            yield "stopping: what was received is being stored"
        if self.store_silence:
            silent, limit = self.store_silence
            yield f"the store is away, {silent:.0f} s of {limit:.0f}"
        elif self.store_is_behind:
            yield "waiting for the store"
        if self.delay:
            seconds = f"{self.delay:.1f}" if self.delay < _SHOWN_WHOLE else f"{self.delay:.0f}"
            yield f"rate limited, {seconds} s between calls"
        if self.retries and self.too_fast and not self.delay:
            yield f"rate limited, {ceil(self.retry_in)} s"
        elif self.retries:
            calls = "call" if self.retries == 1 else "calls"
            yield f"retrying {self.retries} {calls}, next in {ceil(self.retry_in)} s"
        elif self.calls_in_flight and self.seconds_without_page >= _QUIET_SECONDS:
            answers = "answer" if self.calls_in_flight == 1 else "answers"
            yield f"waiting for {self.calls_in_flight} {answers} of the API"

    def line(self) -> str:
        """Return one line for the log."""
        counts, waits = ", ".join(self.counts()), "; ".join(self.waits())
        return f"{counts}; {waits}" if waits else counts


class Rate:
    """The rate of a growing number over the last ``seconds``, from samples at any interval."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._samples: deque[tuple[float, int]] = deque()
        self.seconds_unchanged = 0.0
        """Seconds since the number last grew, as far as the samples tell."""
        self._grew_at: float | None = None

    def update(self, now: float, number: int) -> float | None:
        """Add a sample, and return the rate per second; None in the first second."""
        samples = self._samples
        if self._grew_at is None or number > samples[-1][1]:
            self._grew_at = now
        self.seconds_unchanged = now - self._grew_at
        samples.append((now, number))
        while len(samples) > 1 and samples[1][0] <= now - self._seconds:
            samples.popleft()
        since, before = samples[0]
        return (number - before) / (now - since) if now - since >= 1 else None


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as ``4 min 5 s``."""
    whole = round(seconds)
    hours, minutes = whole // _HOUR, whole % _HOUR // _MINUTE
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {whole % _MINUTE} s"
    return f"{whole} s"
