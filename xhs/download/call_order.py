"""The order of calls: the crawl ends when its longest note ends, so long notes go first.

The first page of a note shows how long the note is. So unseen notes go first, in the order in which
they were given; the others follow, the longest first. A note is urgent if its remaining pages, one
after another, take as long as all remaining pages at full concurrency: its end decides when the
crawl ends, so it never waits. While a page of an urgent note is parsed, the place of its call in
the downloader is kept for its next call.
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
    """Gives calls their priorities, from the number of pages left of each open chain."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._pages_left: dict[str, int] = {}
        self._all_pages_left = 0
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
        """Note how many pages are left of a chain."""
        self._all_pages_left += pages_left - self._pages_left.get(chain_id, 0)
        self._pages_left[chain_id] = pages_left

    def forget(self, chain_id: str) -> None:
        """Remove a chain that is no longer open."""
        self._all_pages_left -= self._pages_left.pop(chain_id, 0)
        self._urgent.discard(chain_id)
        self.asked(chain_id)

    @property
    def places_kept(self) -> int:
        """Number of places in the downloader that are kept free for urgent chains."""
        return len(self._places_kept)

    def answered(self, chain_id: str) -> None:
        """Keep the place of a call that has left the downloader, if its chain is urgent."""
        if chain_id in self._urgent:
            self._places_kept.add(chain_id)

    def asked(self, chain_id: str) -> None:
        """Release a chain's place: its next call is queued, or no call follows."""
        self._places_kept.discard(chain_id)

    def priority(self, chain_id: str, notes_unseen: int) -> int:
        """Return the priority of a chain's next page.

        An unseen note counts as one page. A higher estimate made long notes wait.
        """
        pages_left = self._pages_left[chain_id]
        if pages_left * self._concurrency >= self._all_pages_left + notes_unseen:
            self._urgent.add(chain_id)
            return _URGENT + min(pages_left, _URGENT)
        self._urgent.discard(chain_id)
        return _AFTER_UNSEEN + pages_left
