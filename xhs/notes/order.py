"""Which call goes first, so that the last note ends as early as it can. Pure.

How long a note is shows on its first page. So notes that nobody has seen go first, in the order in
which they were given; the others follow, the longest first. A note that takes as long as all that
is left for all places together never waits: its end decides when the crawl ends.
"""

from __future__ import annotations

UNSEEN = 0
"""The priority of a note's first call."""
_URGENT = 1_000
_AFTER_UNSEEN = -1_000_000_000


class Order:
    """The pages that are left of each open note. ``places``: calls that are made at once."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._left: dict[str, int] = {}
        self._pages_left = 0

    def seen(self, note_id: str, pages_left: int) -> None:
        """A page of a note came, and so many follow."""
        self._pages_left += pages_left - self._left.get(note_id, 0)
        self._left[note_id] = pages_left

    def forget(self, note_id: str) -> None:
        """A note is no longer open."""
        self._pages_left -= self._left.pop(note_id, 0)

    def priority(self, pages_left: int, notes_unseen: int) -> int:
        """The priority of the next page of a note with so many left.

        Of notes unseen one page is certain. To take more for granted made long notes wait.
        """
        if pages_left * self._places >= self._pages_left + notes_unseen:
            return _URGENT + min(pages_left, _URGENT)
        return _AFTER_UNSEEN + pages_left
