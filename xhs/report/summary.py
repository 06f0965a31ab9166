"""The content of a report, chosen from its figures. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from xhs.crawl.price import Price
from xhs.reasons import StopReason, read_reason
from xhs.report.figures import (
    Bar,
    BusyHour,
    Copies,
    Difference,
    Examples,
    Figures,
    NoteFigures,
    Questions,
    Unit,
    busy_hours,
    more_used,
    timeline,
    top,
)

NOTES_SHOWN = 200
BUSY_HOURS_SHOWN = 10
PLACES_SHOWN = 20
WORDS_SHOWN = 30
EMOJI_SHOWN = 30
COPIES_SHOWN = 20
GROWTH_SHOWN = 12
PLACES_COMPARED = 10
WORDS_COMPARED = 15


class Pass(NamedTuple):
    """A pass over a note: when it ended, and first-level comments reported, held and new then."""

    note_id: str
    ended_at: datetime
    reported: int | None
    held: int | None
    new: int | None


def read_pass(document: Mapping[str, Any]) -> Pass | None:
    """Read a document of ``note_history``; None if it does not say of what and when it is."""
    note_id, ended = document.get("note_id"), document.get("ended_at")
    if not isinstance(note_id, str) or not isinstance(ended, datetime):
        return None
    counts = (document.get(name) for name in ("comment_count_l1", "comments_collected"))
    reported, held = (value if isinstance(value, int) else None for value in counts)
    new = document.get("comments_new")
    return Pass(note_id, ended, reported, held, new if isinstance(new, int) else None)


class NoteRow(NamedTuple):
    """A note: what the ledger says of it, and its figures."""

    note_id: str
    state: str | None
    stop_reason: StopReason | None
    complete: bool
    reported: int | None
    calls: int
    first_seen_at: datetime | None
    last_crawled_at: datetime | None
    figures: NoteFigures

    @property
    def missing(self) -> int | None:
        """First-level comments that are reported and not held; None if none are reported."""
        return (
            None if self.reported is None else max(0, self.reported - self.figures.comments.count)
        )

    @property
    def lacks_nothing(self) -> bool:
        """True if the note was read to its end, and all that it reports is held."""
        return self.complete and not self.missing and not self.figures.replies_missing


def note_rows(ledger: Iterable[Mapping[str, Any]], figures: Figures) -> list[NoteRow]:
    """Return the notes of the ledger, and those that only have comments.

    Those that lack something come first, then those with the most comments.
    """
    rows = [_note_row(document, figures.notes) for document in ledger]
    in_ledger = {row.note_id for row in rows}
    rows += [
        _note_row({"_id": note_id}, figures.notes)
        for note_id in figures.notes
        if note_id not in in_ledger
    ]
    return sorted(
        rows,
        key=lambda row: (
            row.lacks_nothing,
            -row.figures.comments.count - row.figures.replies.count,
            row.note_id,
        ),
    )


def _note_row(document: Mapping[str, Any], notes: Mapping[str, NoteFigures]) -> NoteRow:
    note_id = str(document["_id"])
    state, calls = document.get("state"), document.get("billed_calls")
    reported = document.get("comment_count_l1")
    times = (document.get(name) for name in ("first_seen_at", "last_crawled_at"))
    first_seen, last_crawled = (at if isinstance(at, datetime) else None for at in times)
    return NoteRow(
        note_id,
        state if isinstance(state, str) else None,
        read_reason(document.get("stop_reason")),
        document.get("complete") is True,
        reported if isinstance(reported, int) else None,
        calls if isinstance(calls, int) else 0,
        first_seen,
        last_crawled,
        notes.get(note_id) or NoteFigures(),
    )


class Growth(NamedTuple):
    """The passes over one note, the oldest first."""

    note_id: str
    passes: Sequence[Pass]

    @property
    def gained(self) -> int:
        """Comments held after the last pass and not after the first."""
        held = [one.held for one in self.passes if one.held is not None]
        return held[-1] - held[0] if held else 0


class Growths:
    """The notes that were read at least twice: their number, and those that gained most.

    Only these are kept, so that memory does not grow with the passes. Those of a note must be added
    one after the other.
    """

    def __init__(self) -> None:
        self._last: list[Pass] = []
        self._kept: list[Growth] = []
        self._notes = 0

    def add(self, one: Pass) -> None:
        """Add a pass."""
        if self._last and self._last[0].note_id != one.note_id:
            self._close()
        self._last.append(one)

    def __len__(self) -> int:
        self._close()
        return self._notes

    def most_gained(self) -> list[Growth]:
        """Return the notes that gained most, the first first."""
        self._close()
        return self._kept

    def _close(self) -> None:
        passes, self._last = self._last, []
        if len(passes) < 2:
            return
        self._notes += 1
        growth = Growth(passes[0].note_id, sorted(passes, key=lambda one: one.ended_at))
        self._kept = sorted([*self._kept, growth], key=_gained_most)[:GROWTH_SHOWN]


def _gained_most(growth: Growth) -> tuple[int, str]:
    return -growth.gained, growth.note_id


class Group(NamedTuple):
    """One of two groups of notes, and what it has more of than the other."""

    notes: int
    figures: Figures
    questions: Questions
    words: Sequence[Difference]
    emoji: Sequence[Difference]


def compared(notes: tuple[int, int], figures: tuple[Figures, Figures]) -> tuple[Group, Group]:
    """Return two groups of notes, each compared with the other."""
    one, other = figures
    return (_group(notes[0], one, other), _group(notes[1], other, one))


def _group(notes: int, one: Figures, other: Figures) -> Group:
    sizes = (one.with_text, other.with_text)
    words = more_used(one.words, other.words, *sizes, WORDS_COMPARED)
    emoji = more_used(one.emoji, other.emoji, *sizes, WORDS_COMPARED)
    return Group(notes, one, one.questions(), words, emoji)


@dataclass(frozen=True, slots=True)
class Summary:
    """The content of a report. Lists are cut to what a page can hold; figures count everything."""

    figures: Figures
    notes: Sequence[NoteRow]
    growths: Growths
    groups: tuple[Group, Group] | None
    price: Price | None
    unit: Unit
    bars: Sequence[Bar]
    busy: Sequence[BusyHour]
    places: Sequence[tuple[str, Examples]]
    words: Sequence[tuple[str, Examples]]
    emoji: Sequence[tuple[str, Examples]]
    questions: Questions
    copied_texts: int
    copied: Sequence[Copies]

    @property
    def calls(self) -> int:
        """Billed calls for the notes, all crawls together."""
        return sum(note.calls for note in self.notes)

    def comment_ids(self) -> set[str]:
        """Return the IDs of the comments that the page shows."""
        return {comment_id for examples in self._examples() for comment_id in examples.ids}

    def _examples(self) -> Iterator[Examples]:
        for note in self.notes[:NOTES_SHOWN]:
            yield from (note.figures.comments, note.figures.replies)
        yield self.figures.most_liked
        yield self.figures.by_author
        yield from (bar.examples for bar in self.bars)
        yield from (one.examples for one in self.busy[:BUSY_HOURS_SHOWN])
        for counts in (self.places, self.words, self.emoji):
            yield from (examples for _, examples in counts)
        yield from (one.examples for one in self.copied)
        yield from _of_questions(self.questions)
        for group in self.groups or ():
            yield group.figures.by_author
            yield from _of_questions(group.questions)
            yield from (one.examples for one in (*group.words, *group.emoji))
            yield from (examples for _, examples in top(group.figures.places, PLACES_COMPARED))


def summarise(
    figures: Figures,
    notes: Sequence[NoteRow],
    growths: Growths | None = None,
    groups: tuple[Group, Group] | None = None,
    price: Price | None = None,
) -> Summary:
    """Choose what a report shows."""
    busy = busy_hours(figures.hours)
    unit, bars = timeline(figures.hours, busy)
    copied_texts, copied = figures.copied(COPIES_SHOWN)
    return Summary(
        figures,
        notes,
        growths or Growths(),
        groups,
        price,
        unit,
        bars,
        busy,
        top(figures.places, PLACES_SHOWN),
        top(figures.words, WORDS_SHOWN),
        top(figures.emoji, EMOJI_SHOWN),
        figures.questions(),
        copied_texts,
        copied,
    )


def _of_questions(questions: Questions) -> Iterator[Examples]:
    yield from (questions.all, questions.answered, questions.unanswered, questions.unknown)
