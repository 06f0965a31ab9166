"""Figures of a stream of comments. Pure.

Each comment is seen once and not kept: a figure holds its count, and the IDs of the most liked
comments behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from heapq import heappush, heapreplace, nlargest
from math import log, sqrt
from statistics import median
from typing import Any, Literal, NamedTuple

from xhs.feeds.readable import BEIJING
from xhs.report.text import Words, comparable, emoji_in, is_question

FIELDS = (
    "note_id",
    "user_id",
    "parent_comment_id",
    "content",
    "created_at",
    "like_count",
    "sub_comment_count",
    "ip_location",
    "is_author",
    "vanished_at",
)
"""The fields of a stored comment that figures need."""

SHOWN = 5
"""Comments shown behind a figure."""
MOST_LIKED = 20

MOST_BARS = 90
UNITS = ("hour", "day", "week", "month", "year")
Unit = Literal["hour", "day", "week", "month", "year"]

LEAST_IN_HOUR, NEIGHBOURS, LEAST_NEIGHBOURS, DEVIATIONS = 10, 12, 6, 5
"""Of the rule by which an hour stands out: see :func:`busy_hours`."""

LEAST_KEYNESS, LEAST_WITH_WORD = 6.63, 5
"""The log-likelihood above which a difference is one in a hundred by chance."""

_FIRST_TIME = datetime(2013, 1, 1, tzinfo=UTC)
_LAST_TIME = datetime(2100, 1, 1, tzinfo=UTC)
"""Times outside of these are no times of comments: the app is of 2013."""

_HOUR = 3600


class Comment(NamedTuple):
    """The fields of a stored comment that figures need."""

    comment_id: str
    note_id: str
    user_id: str | None
    parent_id: str | None
    text: str
    created_at: datetime | None
    likes: int
    replies: int
    place: str | None
    by_author: bool
    has_vanished: bool

    @property
    def root_id(self) -> str:
        """The first comment of the thread."""
        return self.parent_id or self.comment_id


def read_comment(document: Mapping[str, Any], author_id: str | None = None) -> Comment:
    """Read a stored comment; a value of the wrong type counts as missing.

    ``author_id``: the author of the note.
    """
    created, by_author = document.get("created_at"), document.get("is_author")
    user_id = _text(document.get("user_id"))
    if isinstance(created, datetime):
        created = created if created.tzinfo else created.replace(tzinfo=UTC)
        created = created if _FIRST_TIME <= created < _LAST_TIME else None
    else:
        created = None
    if not isinstance(by_author, bool):
        by_author = user_id is not None and user_id == author_id
    return Comment(
        str(document["_id"]),
        _text(document.get("note_id")) or "",
        user_id,
        _text(document.get("parent_comment_id")),
        _text(document.get("content")) or "",
        created,
        _count(document.get("like_count")),
        _count(document.get("sub_comment_count")),
        (_text(document.get("ip_location")) or "").strip() or None,
        by_author,
        document.get("vanished_at") is not None,
    )


class Examples:
    """The number of comments behind a figure, and the IDs of the most liked of them."""

    __slots__ = ("_heap", "_size", "count")

    def __init__(self, size: int = SHOWN) -> None:
        self.count = 0
        self._size = size
        self._heap: list[tuple[int, str]] = []

    def add(self, likes: int, comment_id: str) -> None:
        """Count a comment."""
        self.count += 1
        self._keep((likes, comment_id))

    def merge(self, other: Examples) -> None:
        """Count the comments of another figure."""
        self.count += other.count
        for entry in other._heap:
            self._keep(entry)

    @property
    def ids(self) -> list[str]:
        """The IDs that are kept, the most liked first."""
        return [comment_id for _, comment_id in sorted(self._heap, reverse=True)]

    def _keep(self, entry: tuple[int, str]) -> None:
        if len(self._heap) < self._size:
            heappush(self._heap, entry)
        elif entry > self._heap[0]:
            heapreplace(self._heap, entry)


Counts = dict[str, Examples]


class Thread:
    """A first-level comment's replies: how many are reported and held, and the author's last."""

    __slots__ = ("answered_at", "held", "reported")

    def __init__(self) -> None:
        self.reported = 0
        self.held = 0
        self.answered_at: datetime | None = None

    @property
    def missing(self) -> int:
        """Replies that are reported and not held."""
        return max(0, self.reported - self.held)


class NoteFigures:
    """Figures of one note: comments and replies held, those that vanished, and when they came."""

    __slots__ = ("author_seen", "comments", "first", "last", "replies", "threads", "vanished")

    def __init__(self) -> None:
        self.comments = Examples()
        self.replies = Examples()
        self.vanished = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.author_seen = False
        self.threads: dict[str, Thread] = {}

    @property
    def replies_missing(self) -> int:
        """Replies that the comments held report, and that are not held."""
        return sum(thread.missing for thread in self.threads.values())


class Question(NamedTuple):
    """A question, by its ID and what decides if it was answered."""

    note_id: str
    root_id: str
    comment_id: str
    created_at: datetime | None
    likes: int


class Copies:
    """Comments with the same text."""

    __slots__ = ("examples", "users")

    def __init__(self) -> None:
        self.users: set[str] = set()
        self.examples = Examples()

    def add(self, user_id: str, likes: int, comment_id: str) -> None:
        """Count a comment."""
        self.users.add(user_id)
        self.examples.add(likes, comment_id)


class Figures:
    """Figures of the comments that were added."""

    def __init__(self, words: Words, authors: Mapping[str, str | None] | None = None) -> None:
        self._words = words
        self._authors = authors or {}
        self.comments = 0
        self.replies = 0
        self.vanished = 0
        self.by_author = Examples()
        self.with_text = 0
        self.likes = 0
        self.users: set[str] = set()
        self.without_user = 0
        self.notes: dict[str, NoteFigures] = {}
        self.hours: dict[tuple[str, int], Examples] = {}
        self.undated = 0
        self.places: Counts = {}
        self.without_place = 0
        self.most_liked = Examples(MOST_LIKED)
        self.words: Counts = {}
        self.emoji: Counts = {}
        self._questions: list[Question] = []
        self._texts: dict[bytes, Copies | tuple[str, int, str]] = {}

    def add(self, comment: Comment) -> None:
        """Count a comment."""
        key = (comment.likes, comment.comment_id)
        self.comments += 1
        self.replies += comment.parent_id is not None
        self.vanished += comment.has_vanished
        self.likes += comment.likes
        if comment.likes:
            self.most_liked.add(*key)
        if comment.by_author:
            self.by_author.add(*key)
        if comment.user_id is None:
            self.without_user += 1
        else:
            self.users.add(comment.user_id)
        if comment.place is None:
            self.without_place += 1
        else:
            _add(self.places, comment.place, key)
        self._add_to_note(comment, key)
        self._add_time(comment, key)
        if comment.text:
            self._add_text(comment, key)

    def _add_to_note(self, comment: Comment, key: tuple[int, str]) -> None:
        note = self.notes.get(comment.note_id)
        if note is None:
            note = self.notes[comment.note_id] = NoteFigures()
        note.author_seen |= comment.by_author
        if comment.has_vanished:
            note.vanished += 1
            return
        if comment.parent_id is None:
            note.comments.add(*key)
            if comment.replies:
                note.threads.setdefault(comment.root_id, Thread()).reported = comment.replies
            return
        note.replies.add(*key)
        thread = note.threads.setdefault(comment.root_id, Thread())
        thread.held += 1
        if comment.by_author:
            at = comment.created_at or _LAST_TIME
            thread.answered_at = max(thread.answered_at or at, at)

    def _add_time(self, comment: Comment, key: tuple[int, str]) -> None:
        created = comment.created_at
        if created is None:
            self.undated += 1
            return
        note = self.notes[comment.note_id]
        note.first = min(note.first or created, created)
        note.last = max(note.last or created, created)
        _add(self.hours, (comment.note_id, int(created.timestamp()) // _HOUR), key)

    def _add_text(self, comment: Comment, key: tuple[int, str]) -> None:
        text = comment.text
        self.with_text += 1
        for word in self._words.of(text):
            _add(self.words, word, key)
        for emoji in emoji_in(text):
            _add(self.emoji, emoji, key)
        if not comment.by_author and is_question(text):
            self._questions.append(
                Question(
                    comment.note_id,
                    comment.root_id,
                    comment.comment_id,
                    comment.created_at,
                    comment.likes,
                )
            )
        if comment.user_id is not None and (plain := comparable(text)):
            self._add_copy(blake2b(plain.encode(), digest_size=8).digest(), comment)

    def _add_copy(self, digest: bytes, comment: Comment) -> None:
        entry = (comment.user_id or "", comment.likes, comment.comment_id)
        known = self._texts.get(digest)
        if known is None:
            self._texts[digest] = entry
            return
        if not isinstance(known, Copies):
            self._texts[digest] = copies = Copies()
            copies.add(*known)
            known = copies
        known.add(*entry)

    @property
    def period(self) -> tuple[datetime, datetime] | None:
        """The times of the first and the last comment; None if no comment has a time."""
        firsts = [note.first for note in self.notes.values() if note.first]
        lasts = [note.last for note in self.notes.values() if note.last]
        return (min(firsts), max(lasts)) if firsts else None

    def questions(self) -> Questions:
        """Sort the questions by whether the note's author answered them."""
        result = Questions()
        for question in self._questions:
            key = (question.likes, question.comment_id)
            result.all.add(*key)
            note = self.notes[question.note_id]
            thread = note.threads.get(question.root_id)
            if thread and _is_answered(question, thread):
                result.answered.add(*key)
            elif (thread and thread.missing) or not (
                note.author_seen or self._authors.get(question.note_id)
            ):
                result.unknown.add(*key)
            else:
                result.unanswered.add(*key)
        return result

    def copied(self, most: int) -> tuple[int, list[Copies]]:
        """Return how many texts are by several users, and those of the most users."""
        several = [
            copies
            for copies in self._texts.values()
            if isinstance(copies, Copies) and len(copies.users) > 1
        ]
        return len(several), nlargest(most, several, key=_copies_order)


def _copies_order(copies: Copies) -> tuple[int, int, list[str]]:
    return len(copies.users), copies.examples.count, copies.examples.ids


class Questions:
    """Questions by whether the note's author answered them.

    ``unknown``: an answer may be among replies that are not held, or the author is not known.
    """

    def __init__(self) -> None:
        self.all = Examples(MOST_LIKED)
        self.answered = Examples(MOST_LIKED)
        self.unanswered = Examples(MOST_LIKED)
        self.unknown = Examples(MOST_LIKED)


def _is_answered(question: Question, thread: Thread) -> bool:
    """True if the author replied in the thread when the question stood there."""
    if thread.answered_at is None:
        return False
    return question.created_at is None or thread.answered_at >= question.created_at


def top(counts: Mapping[str, Examples], most: int) -> list[tuple[str, Examples]]:
    """Return the largest counts, equal ones in the order of their names."""
    return sorted(counts.items(), key=lambda item: (-item[1].count, item[0]))[:most]


class Bar(NamedTuple):
    """The comments from ``start`` on, for one unit of time; ``stands_out``: in an hour of it."""

    start: datetime
    examples: Examples
    stands_out: bool


def timeline(
    hours: Mapping[tuple[str, int], Examples], busy: Iterable[BusyHour] = ()
) -> tuple[Unit, list[Bar]]:
    """Return the comments over time, in the smallest unit that needs at most MOST_BARS bars.

    Bars without comments are among them. More years than that are not shown.
    """
    if not hours:
        return "hour", []
    first, last = min(hour for _, hour in hours), max(hour for _, hour in hours)
    unit: Unit = "year"
    for unit in UNITS:  # type: ignore[assignment]
        if len(list(_starts(first, last, unit, MOST_BARS + 1))) <= MOST_BARS:
            break
    bars = {start: Examples() for start in _starts(first, last, unit)}
    for (_, hour), examples in hours.items():
        bars[_start(hour, unit)].merge(examples)
    marked = {_start(one.hour, unit) for one in busy}
    return unit, [Bar(start, examples, start in marked) for start, examples in bars.items()]


def hour_start(hour: int) -> datetime:
    """Return when an hour, counted from 1970, begins, in Beijing time."""
    return datetime.fromtimestamp(hour * _HOUR, BEIJING)


def _start(hour: int, unit: Unit) -> datetime:
    """Return the beginning of the unit that an hour is in, in Beijing time."""
    at = hour_start(hour)
    if unit == "hour":
        return at
    at = at.replace(hour=0)
    if unit == "week":
        return at - timedelta(days=at.weekday())
    if unit == "month":
        return at.replace(day=1)
    return at.replace(month=1, day=1) if unit == "year" else at


def _starts(first: int, last: int, unit: Unit, most: int = 10**6) -> Iterable[datetime]:
    at, end = _start(first, unit), hour_start(last)
    for _ in range(most):
        if at > end:
            return
        yield at
        if unit == "month":
            at = (at + timedelta(days=31)).replace(day=1)
        elif unit == "year":
            at = at.replace(year=at.year + 1)
        else:
            at += {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(7)}[unit]


class BusyHour(NamedTuple):
    """An hour that stands out: with more comments of a note than the hours around it."""

    note_id: str
    hour: int
    examples: Examples
    usual: float


def busy_hours(hours: Mapping[tuple[str, int], Examples]) -> list[BusyHour]:
    """Return the hours that stand out against their note's own course, the busiest first.

    Compared is the median of up to NEIGHBOURS hours before and after it, as far as they are between
    the note's first and last comment; hours without comments count as 0. An hour stands out if it
    has LEAST_IN_HOUR comments or more, LEAST_NEIGHBOURS hours on either side, and more comments
    than the median and DEVIATIONS times the deviation. The deviation is the largest of 1.48 times
    the median absolute deviation, the square root of the median, and 1.
    """
    by_note: dict[str, dict[int, int]] = {}
    for (note_id, hour), examples in hours.items():
        by_note.setdefault(note_id, {})[hour] = examples.count
    found = []
    for note_id, counts in by_note.items():
        first, last = min(counts), max(counts)
        for hour, count in counts.items():
            before = range(max(first, hour - NEIGHBOURS), hour)
            after = range(hour + 1, min(last, hour + NEIGHBOURS) + 1)
            if count < LEAST_IN_HOUR or min(len(before), len(after)) < LEAST_NEIGHBOURS:
                continue
            around = [counts.get(other, 0) for other in (*before, *after)]
            usual = median(around)
            spread = median(abs(other - usual) for other in around)
            if count > usual + DEVIATIONS * max(1.4826 * spread, sqrt(usual), 1):
                found.append(BusyHour(note_id, hour, hours[note_id, hour], usual))
    return sorted(found, key=lambda one: (one.usual - one.examples.count, one.hour, one.note_id))


class Difference(NamedTuple):
    """A word that one group of comments uses more than another."""

    name: str
    examples: Examples
    share: float
    other_share: float


def more_used(
    counts: Counts, other: Counts, size: int, other_size: int, most: int
) -> list[Difference]:
    """Return the words that the comments of one group contain more often than another's.

    ``size``: the comments of a group that have a text. The words are ordered by Dunning's
    log-likelihood, which must be LEAST_KEYNESS or more, and LEAST_WITH_WORD comments of both groups
    must contain a word.
    """
    if not size or not other_size:
        return []
    found = []
    for name, examples in counts.items():
        count, other_count = examples.count, other[name].count if name in other else 0
        share, other_share = count / size, other_count / other_size
        if count + other_count < LEAST_WITH_WORD or share <= other_share:
            continue
        keyness = log_likelihood(count, size, other_count, other_size)
        if keyness >= LEAST_KEYNESS:
            found.append((-keyness, name, Difference(name, examples, share, other_share)))
    return [difference for _, _, difference in sorted(found, key=lambda item: item[:2])[:most]]


def log_likelihood(count: int, size: int, other_count: int, other_size: int) -> float:
    """Return Dunning's log-likelihood that two shares, ``count`` of ``size``, are different."""
    expected = (count + other_count) / (size + other_size)
    terms = ((count, size * expected), (other_count, other_size * expected))
    return 2 * sum(observed * log(observed / usual) for observed, usual in terms if observed)


def _add(counts: dict[Any, Examples], name: Any, key: tuple[int, str]) -> None:
    examples = counts.get(name)
    if examples is None:
        examples = counts[name] = Examples()
    examples.add(*key)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
