"""Which call goes first, so that the last note ends as early as it can.

How long a note is shows on its first page. So notes that nobody has seen go first, in the order in
which they were given; the others follow, the longest first. A note that takes as long as all that
is left for all places together never waits: its end decides when the crawl ends. While its page is
being read, the place that the page had is kept for its next call.
"""

from __future__ import annotations

from typing import Self

from scrapy import Request, signals
from scrapy.crawler import Crawler

from xhs.component import Component
from xhs.download.page_request import page_of

_URGENT = 1_000
_AFTER_UNSEEN = -1_000_000_000


class CallOrder(Component):
    """The pages that are left of each open chain. ``places``: calls that are made at once."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._left: dict[str, int] = {}
        self._pages_left = 0
        self._urgent: set[str] = set()
        self._places_kept: set[str] = set()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        order = cls(crawler.settings.getint("CONCURRENT_REQUESTS"))
        crawler.signals.connect(order._left_downloader, signals.request_left_downloader)
        return order

    def _left_downloader(self, request: Request) -> None:
        if page := page_of(request):
            self.answered(page.chain_id)

    def update(self, chain_id: str, pages_left: int) -> None:
        """A page of a note came, and so many follow."""
        self._pages_left += pages_left - self._left.get(chain_id, 0)
        self._left[chain_id] = pages_left

    def forget(self, chain_id: str) -> None:
        """A note is no longer open."""
        self._pages_left -= self._left.pop(chain_id, 0)
        self._urgent.discard(chain_id)
        self.asked(chain_id)

    @property
    def places_kept(self) -> int:
        """How many places are kept for notes that never wait."""
        return len(self._places_kept)

    def answered(self, chain_id: str) -> None:
        """A call of a note has left its place."""
        if chain_id in self._urgent:
            self._places_kept.add(chain_id)

    def asked(self, chain_id: str) -> None:
        """A note's next call stands in line, or none follows."""
        self._places_kept.discard(chain_id)

    def priority(self, chain_id: str, notes_unseen: int) -> int:
        """The priority of a note's next page.

        Of notes unseen one page is certain. To take more for granted made long notes wait.
        """
        pages_left = self._left[chain_id]
        if pages_left * self._places >= self._pages_left + notes_unseen:
            self._urgent.add(chain_id)
            return _URGENT + min(pages_left, _URGENT)
        self._urgent.discard(chain_id)
        return _AFTER_UNSEEN + pages_left
