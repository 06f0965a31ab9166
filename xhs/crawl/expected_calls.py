"""How many calls a crawl will make in all, said as soon as first pages have told the counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from xhs.crawl.open_notes import OpenNote
from xhs.crawl.price import Price, in_money

logger = logging.getLogger(__name__)

_SAMPLE = 100
"""Notes that are enough to speak for the others of a longer list."""


class ExpectedCalls:
    """Logs the number when the first page of every note has come.

    Of a list of more than 100 notes it does so before: at 100, and whenever twice as many have
    come. The notes whose first page is still to come are then taken to be like the others.

    It keeps numbers alone: the calls left are summed over the notes that are open.
    ``waiting`` says how many notes have not begun, ``is_stopped`` whether the crawl stops.
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
        self._next = _SAMPLE
        self._all_begun = False

    def begin(self) -> None:
        """A pass over a note begins."""
        self._begun += 1

    def end_list(self) -> None:
        """No other note will begin."""
        self._all_begun = True
        if self._estimated == self._begun:
            self._log(0)

    def page(self, note: OpenNote, *, of_replies: bool) -> None:
        """A page of a note, or of replies, has come."""
        if of_replies:
            self._made_for_replies += 1
            note.reply_calls = max(0, (note.reply_calls or 0) - 1)
        else:
            self._made += 1
        self.estimate(note)

    def estimate(self, note: OpenNote) -> None:
        """It is known how many calls a note takes, or that it takes no more."""
        if note.is_estimated:
            return
        note.is_estimated = True
        self._estimated += 1
        others = self._begun - self._estimated + self._waiting()
        if self._all_begun and self._estimated == self._begun:
            self._log(0)
        elif self._estimated >= self._next and others:
            self._next = 2 * self._estimated
            self._log(others)

    def _log(self, others: int) -> None:
        """Log the number, unless all calls are made. ``others``: notes without an estimate."""
        left = [note.calls_left for note in self._open_notes if note.is_estimated]
        pages, replies = sum(one.pages for one in left), sum(one.replies for one in left)
        if self._is_stopped() or not (pages or replies or others):
            return
        calls = self._for_all(self._made + pages, others)
        replies = self._for_all(self._made_for_replies + replies, others)
        more, fewer = any(one.may_be_more for one in left), any(one.may_be_fewer for one in left)
        bound = "about"
        if more != fewer and not others:
            bound = "at least" if more else "at most"
        said = []
        if calls:
            said.append(f"{bound} {calls}{in_money(self._price, calls)}")
        if replies:
            which = "more for" if calls else "for"
            share = "at most" if all(one.threads_known for one in left) and not others else "about"
            said.append(f"{share} {replies} {which} replies{in_money(self._price, replies)}")
        guessed = (
            f"; this takes the {others} notes whose first page is still to come to be like the "
            f"{self._estimated} others"
        )
        logger.info("Calls expected in all: %s%s", ", and ".join(said), guessed if others else "")

    def _for_all(self, calls: int, others: int) -> int:
        return -(-calls * (self._estimated + others) // max(1, self._estimated))
