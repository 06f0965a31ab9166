"""Notes, as their IDs define them.

| the ID | the note |
|---|---|
| ``65bf5360000000002c03f684`` | the documented example: 801 first-level comments, 944 in all |
| ``f0…`` | does not exist |
| ``f1`` + 6 hex digits + … | that many first-level comments, none pinned; replies at random |
| ``f2`` + 6 hex digits + … | the same, without replies |
| ``f3`` + 3 + 3 hex digits + … | that many first-level comments, each with that many replies |
| any other | derived from the hash of the ID, see below |

Of the others, 4 % do not exist and 8 % have no comments. The median of the rest is 15 comments, a
few have thousands. Some have pinned comments, and a minority answers in the forms known from
related endpoints: `Variation`. A note has at most `LARGEST` first-level comments. Real IDs begin
with a time, so none begins with ``f`` in this century.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

from xhs.simulator.seeded_random import SeededRandom
from xhs.simulator.users import author_key, user

DOCUMENTED_NOTE = "65bf5360000000002c03f684"
LARGEST = 200_000

_FORM = re.compile(r"[0-9a-f]{24}")
_FIRST_NOTE = int(datetime(2014, 1, 1, tzinfo=UTC).timestamp())
_LAST_NOTE = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())
_SIZES = ((0, 1), (250, 5), (500, 15), (750, 45), (900, 150), (970, 600), (995, 2500), (1000, 6000))


class Variation(StrEnum):
    """Forms other than the documented one, each seen in related endpoints."""

    COUNTS_AS_TEXT = "counts_as_text"
    MILLISECONDS = "milliseconds"
    USER_INFO = "user_info"
    NO_PLACE = "no_place"


class Replies(StrEnum):
    """Source of the number of replies to the first-level comments of a note."""

    USUAL = "usual"
    NONE = "none"
    FIXED = "fixed"
    DOCUMENTED = "documented"


@dataclass(frozen=True, slots=True)
class Profile:
    """Note as its ID defines it."""

    note_id: str
    exists: bool
    first_level: int = 0
    replies: Replies = Replies.USUAL
    replies_each: int = 0
    pinned: tuple[int, ...] = ()
    variations: frozenset[Variation] = frozenset()
    author_id: str = ""
    created: int = 0


def is_id(text: str) -> bool:
    """Return True if ``text`` has the form of the ID of a note or comment."""
    return _FORM.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def profile(note_id: str) -> Profile:
    """Return the note that ``note_id`` defines."""
    rng = SeededRandom(f"note/{note_id}")
    author = user(author_key(note_id))["userid"]
    created = int(note_id[:8], 16)
    if not _FIRST_NOTE <= created < _LAST_NOTE:
        created = _LAST_NOTE - rng.below(3 * 365 * 86400)
    if note_id == DOCUMENTED_NOTE:
        return Profile(
            note_id,
            exists=True,
            first_level=801,
            replies=Replies.DOCUMENTED,
            author_id="61e0f15300000000210253a5",
            created=created,
        )
    size = min(int(note_id[2:8], 16), LARGEST)
    match note_id[:2]:
        case "f0":
            return Profile(note_id, exists=False)
        case "f1":
            return Profile(note_id, True, size, author_id=author, created=created)
        case "f2":
            return Profile(note_id, True, size, Replies.NONE, author_id=author, created=created)
        case "f3":
            return Profile(
                note_id,
                True,
                int(note_id[2:5], 16),
                Replies.FIXED,
                int(note_id[5:8], 16),
                author_id=author,
                created=created,
            )
    return _drawn(note_id, rng, author, created)


def _drawn(note_id: str, rng: SeededRandom, author: str, created: int) -> Profile:
    share = rng.below(100)
    if share < 4:
        return Profile(note_id, exists=False)
    if share < 12:
        return Profile(note_id, True, 0, author_id=author, created=created)
    size = rng.quantile(_SIZES)
    pinned: tuple[int, ...] = ()
    if size >= 3 and rng.chance(300):
        pinned = tuple({rng.below(size): None for _ in range(1 + rng.below(2))})
    variations = frozenset(kind for kind in Variation if rng.chance(80))
    return Profile(
        note_id,
        True,
        size,
        pinned=pinned,
        variations=variations,
        author_id=author,
        created=created,
    )


def sized_note(first_level: int, serial: int = 0, *, replies: bool = True) -> str:
    """Return the ID of a note with ``first_level`` comments; ``serial`` makes several of them."""
    if not 0 <= first_level <= LARGEST:
        raise ValueError(f"a note has 0 to {LARGEST} first-level comments, not {first_level}")
    return f"{'f1' if replies else 'f2'}{first_level:06x}{serial:016x}"


def threaded_note(first_level: int, replies_each: int, serial: int = 0) -> str:
    """Return the ID of a note whose first-level comments have ``replies_each`` replies each."""
    if not (0 <= first_level < 0x1000 and 0 <= replies_each < 0x1000):
        raise ValueError("a threaded note has 0 to 4095 comments with 0 to 4095 replies each")
    return f"f3{first_level:03x}{replies_each:03x}{serial:016x}"


def missing_note(serial: int = 0) -> str:
    """Return the ID of a note that does not exist."""
    return f"f0{serial:022x}"


def usual_note(serial: int = 0) -> str:
    """Return the ID of a note of random size and form."""
    rng = SeededRandom(f"usual/{serial}")
    return f"{0x60000000 + rng.below(0x0A000000):08x}00000000{rng.hexadecimal(8)}"
