"""Layout of a note: IDs, times, counts and orders of its comments, without their content.

A first-level comment is a number, 0 for the oldest. Its data are derived from the ID of the note
and that number, so a page of a huge note costs no more than a page of a small one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from xhs.simulator import documented
from xhs.simulator.notes import Profile, Replies, profile
from xhs.simulator.seeded_random import SeededRandom, interpolate, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

SORTS = ("latest", "normal", "like_count")

_LAST_TIME = 1_788_220_800
_DAY = 86_400
_BYTES = 8
_GROWN_GAP = 90
_REPLY_GAP = 40
_LIKES = tuple(
    interpolate(((0, 0), (2000, 1), (3000, 8), (3700, 60), (4000, 900), (4096, 30_000)), rank)
    for rank in range(4096)
)
_REPLIES = bytes(
    [0] * 205 + [1] * 26 + [2] * 11 + [3] * 6 + [4, 5, 5, 6] + [8, 9, 12] + [0],
)
_LONG_THREAD = 255
_TAILS = ("08", "10", "11", "0b")


class NoteLayout:
    """Comments of a note: those that its ID defines, and ``grown`` newer ones."""

    def __init__(self, note: Profile, grown: int) -> None:
        self.profile = note
        self.note_id = note.note_id
        self.base = note.first_level
        self.size = note.first_level + grown if note.exists else 0
        self._raw = stream(f"bones/{note.note_id}", self.size * _BYTES)
        life = max(2 * _DAY, min(_LAST_TIME - note.created, 30 * _DAY + self.base * 6 * 3600))
        self._gap = max(4, life // (2 * max(1, self.base)))
        self._life = life // 2
        self._shown: Sequence[dict[str, Any]] = ()
        if note.replies is Replies.DOCUMENTED:
            self._shown = documented.example_comments()
            oldest_shown = int(str(self._shown[0]["id"])[:8], 16)
            span = oldest_shown - note.created - 120
            self._gap = span // (2 * self.base)
            self._life = span // 2 - self._gap

    def documented(self, number: int) -> dict[str, Any] | None:
        """Return the comment if it is in the documented example."""
        place = number - self.base + len(self._shown)
        return self._shown[place] if 0 <= place < len(self._shown) else None

    def id_time(self, number: int) -> int:
        """Return the time in the ID of a comment. It rises with ``number`` by 2 seconds or more."""
        shown = self.documented(number)
        if shown is not None:
            return int(str(shown["id"])[:8], 16)
        at = number * _BYTES
        noise = self._raw[at + 3] << 8 | self._raw[at + 7]
        if number >= self.base:
            last = self.id_time(self.base - 1) if self.base else self.profile.created
            return last + 600 + (number - self.base) * _GROWN_GAP + noise % (_GROWN_GAP - 1)
        drift = self._life * number * number // (self.base * self.base)
        return self.profile.created + 60 + number * self._gap + drift + noise % (self._gap - 1)

    def time(self, number: int) -> int:
        """Return the time of a comment, which may be a second after the time in its ID."""
        shown = self.documented(number)
        if shown is not None:
            return int(str(shown["time"]))
        return self.id_time(number) + (self._raw[number * _BYTES + 7] % 4 == 0)

    def comment_id(self, number: int) -> str:
        """Return the ID of a comment. Its first 8 digits are a time, as on the real platform."""
        shown = self.documented(number)
        if shown is not None:
            return str(shown["id"])
        at = number * _BYTES + 4
        tail = self._raw[at : at + 3].hex()
        return f"{self.id_time(number):08x}00000000{_TAILS[self._raw[at] % 4]}{tail}"

    def number_of(self, comment_id: str) -> int | None:
        """Return the number of the first-level comment with this ID, None if there is none."""
        time = int(comment_id[:8], 16)
        number = bisect_left(range(self.size), time, key=self.id_time)
        if number < self.size and self.comment_id(number) == comment_id:
            return number
        return None

    def likes(self, number: int) -> int:
        """Return the number of likes of a comment."""
        shown = self.documented(number)
        if shown is not None:
            return int(str(shown["like_count"]))
        at = number * _BYTES
        return _LIKES[(self._raw[at + 1] << 8 | self._raw[at + 2]) >> 4]

    @cached_property
    def reply_counts(self) -> Sequence[int]:
        """Number of replies to each comment, oldest first."""
        note = self.profile
        if note.replies is Replies.NONE:
            return bytes(self.size)
        if note.replies is Replies.FIXED:
            return array("H", [note.replies_each]) * self.size
        usual = array("H", list(self._raw[::_BYTES].translate(_REPLIES)))
        for number in range(self.size):
            if self._raw[number * _BYTES] == _LONG_THREAD:
                usual[number] = 12 + self._raw[number * _BYTES + 6] // 2
        if note.replies is Replies.DOCUMENTED:
            usual[: self.base] = array("H", documented.reply_counts())
        return usual

    @cached_property
    def total_replies(self) -> int:
        """Number of all replies of the note."""
        return sum(self.reply_counts)

    def inline_count(self, number: int) -> int:
        """Return the number of inline replies of a comment: none, all, or the first few."""
        if self.profile.replies is Replies.DOCUMENTED:
            return 0
        allowed = (0, 1, 1, 1, 1, 1, 2, 3)[self._raw[number * _BYTES + 5] % 8]
        return min(allowed, self.reply_counts[number])

    def reply_time(self, number: int, place: int) -> int:
        """Return the time of a reply. It rises strictly within a thread."""
        noise = SeededRandom(f"when/{self.note_id}/{number}/{place}").below(_REPLY_GAP - 1)
        return self.id_time(number) + 5 + place * _REPLY_GAP + noise

    def reply_id(self, number: int, place: int) -> str:
        """Return the ID of reply ``place`` (0 for the oldest) to comment ``number``."""
        tail = stream(f"reply/{self.note_id}/{number}/{place}", 3).hex()
        return f"{self.reply_time(number, place):08x}00000000{_TAILS[place % 4]}{tail}"

    def thread(self, number: int) -> list[str]:
        """Return the IDs of all replies to a comment, oldest first."""
        return [self.reply_id(number, place) for place in range(self.reply_counts[number])]

    def order(self, sort: str) -> array[int]:
        """Return the numbers of the comments in the order ``sort``, pinned ones first."""
        return self._orders(sort)[0]

    def rank(self, sort: str, number: int) -> int:
        """Return the index of a comment in `order`."""
        return self._orders(sort)[1][number]

    def _orders(self, sort: str) -> tuple[array[int], array[int]]:
        cached = self._cached_orders.get(sort)
        if cached is None:
            order = array("I", self._sorted(sort))
            ranks = array("I", bytes(order.itemsize * len(order)))
            for place, number in enumerate(order):
                ranks[number] = place
            cached = self._cached_orders[sort] = (order, ranks)
        return cached

    @cached_property
    def _cached_orders(self) -> dict[str, tuple[array[int], array[int]]]:
        return {}

    def _sorted(self, sort: str) -> list[int]:
        newest_first = range(self.size - 1, -1, -1)
        numbers = list(newest_first)
        if sort == "like_count":
            numbers.sort(key=self.likes, reverse=True)
        elif sort == "normal":
            numbers.sort(key=self._weight, reverse=True)
        pinned = self.profile.pinned
        if pinned:
            numbers = [*pinned, *(number for number in numbers if number not in pinned)]
        return numbers

    def _weight(self, number: int) -> int:
        return self.likes(number).bit_length() * 64 + self._raw[number * _BYTES + 3]


@lru_cache(maxsize=512)
def note_layout(note_id: str, grown: int = 0) -> NoteLayout:
    """Return the layout of a note. The last 512 are cached."""
    return NoteLayout(profile(note_id), grown)
