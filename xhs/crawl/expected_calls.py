"""Log of the calls that a crawl will make in all, as soon as first pages report their counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from xhs.crawl.open_notes import OpenNote
from xhs.crawl.price import Price, in_money

logger = logging.getLogger(__name__)

_SAMPLE = 100
"""Notes that are enough to estimate the others of a longer list."""


class ExpectedCalls:
    """Logs the number once the first page of every note has been received.

    If there are more than 100 notes, it also logs an estimate at 100 first pages, and each time
    their number has doubled. It assumes that the notes without a first page are like the others.

    Only counters are kept: the remaining calls are summed over the open notes. ``waiting`` returns
    the number of notes that have not begun, ``is_stopped`` is True if the crawl stops.
    """

    def __init__(
        self,
        price: Price | None,
        open_notes: Iterable[OpenNote],
        waiting: Callable[[], int],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._price = price
        self._is_stopped = is_stopped
        self._open_notes = open_notes
        self._waiting = waiting
        self._begun = 0
        self._estimated = 0
        self._made = self._made_for_replies = 0
        self._next_log = _SAMPLE
        self._all_begun = False

    @property
    def left(self) -> int | None:
        """The number of calls still to be made, about; None before the first estimate of a note."""
        if not self._estimated:
            return None
        made = self._made + self._made_for_replies
        open_notes = [note.calls_left for note in self._open_notes if note.is_estimated]
        left = sum(calls.pages + calls.replies for calls in open_notes)
        return self._for_all(made + left, self._others) - made

    def begin(self) -> None:
        """Count a pass that begins."""
        self._begun += 1

    def end_list(self) -> None:
        """Take note that no other note will begin."""
        self._all_begun = True
        if self._estimated == self._begun:
            self._log(0)

    def page(self, note: OpenNote, *, of_replies: bool) -> None:
        """Count a page of a note, or of its replies."""
        if of_replies:
            self._made_for_replies += 1
            note.reply_calls = max(0, (note.reply_calls or 0) - 1)
        else:
            self._made += 1
        self.estimate(note)

    def estimate(self, note: OpenNote) -> None:
        """Count a note of which the remaining calls are known."""
        if note.is_estimated:
            return
        note.is_estimated = True
        self._estimated += 1
        others = self._others
        if self._all_begun and self._estimated == self._begun:
            self._log(0)
        elif self._estimated >= self._next_log and others:
            self._next_log = 2 * self._estimated
            self._log(others)

    def _log(self, others: int) -> None:
        """Log the number, unless all calls are made. ``others``: notes without an estimate."""
        left = [note.calls_left for note in self._open_notes if note.is_estimated]
        pages, replies = sum(calls.pages for calls in left), sum(calls.replies for calls in left)
        if self._is_stopped() or not (pages or replies or others):
            return
        pages = self._for_all(self._made + pages, others)
        replies = self._for_all(self._made_for_replies + replies, others)
        more = any(calls.may_be_more for calls in left)
        fewer = any(calls.may_be_fewer for calls in left)
        bound = "about"
        if more != fewer and not others:
            bound = "at least" if more else "at most"
        counts = []
        if pages:
            counts.append(f"{bound} {pages}{in_money(self._price, pages)}")
        if replies:
            threads_known = all(calls.threads_known for calls in left)
            bound = "at most" if threads_known and not others else "about"
            more_for = "more for" if pages else "for"
            counts.append(f"{bound} {replies} {more_for} replies{in_money(self._price, replies)}")
        assumption = (
            f"; this assumes that the {others} notes without a first page are like the "
            f"{self._estimated} others"
        )
        logger.info(
            "Calls expected in all: %s%s", ", and ".join(counts), assumption if others else ""
        )

    @property
    def _others(self) -> int:
        """The number of notes without an estimate."""
        return self._begun - self._estimated + self._waiting()

    def _for_all(self, calls: int, others: int) -> int:
        """Extrapolate the calls of the notes with an estimate to all notes, rounded up."""
        return -(-calls * (self._estimated + others) // max(1, self._estimated))
