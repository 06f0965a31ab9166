"""What a crawl of a note must find, for tests to compare with, ID by ID."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from xhs.simulator.dataset import PAGE_SIZE, Changes, totals
from xhs.simulator.note_layout import NoteLayout, note_layout


@dataclass(frozen=True)
class ExpectedNote:
    """A note's comments as they are, whatever the API says of them."""

    note: NoteLayout
    changes: Changes

    @property
    def exists(self) -> bool:
        """True if the note exists."""
        return self.note.profile.exists

    @property
    def author_id(self) -> str:
        """The note's author; empty if it does not exist."""
        return self.note.profile.author_id

    @property
    def comment_count_l1(self) -> int:
        """How many first-level comments there are."""
        return totals(self.note, self.changes)[0]

    @property
    def comment_count(self) -> int:
        """How many comments and replies there are."""
        return totals(self.note, self.changes)[1]

    @property
    def pages(self) -> int:
        """How many pages of first-level comments there are; one even if they are empty."""
        return max(1, -(-len(self.first_level) // PAGE_SIZE))

    @cached_property
    def first_level(self) -> list[str]:
        """The IDs of the first-level comments as ``latest`` shows them."""
        return self.sorted_by("latest")

    def sorted_by(self, sort: str) -> list[str]:
        """The IDs of the first-level comments in the order ``sort``."""
        ids = (self.note.comment_id(number) for number in self.note.order(sort))
        return [comment_id for comment_id in ids if comment_id not in self.changes.vanished]

    @cached_property
    def threads(self) -> dict[str, list[str]]:
        """The IDs of the replies, oldest first, of every first-level comment that has some."""
        found = {}
        for comment_id in self.first_level:
            number = self.note.number_of(comment_id)
            if number is not None and (thread := self._present(self.note.thread(number))):
                found[comment_id] = thread
        return found

    @cached_property
    def inline(self) -> dict[str, list[str]]:
        """The IDs of the replies that come with their first-level comment."""
        found = {}
        for comment_id in self.threads:
            number = self.note.number_of(comment_id)
            if number is None:
                continue
            count = self.note.inline_count(number)
            thread = [self.note.reply_id(number, place) for place in range(count)]
            if present := self._present(thread):
                found[comment_id] = present
        return found

    @property
    def replies(self) -> set[str]:
        """The IDs of all replies."""
        return {reply for thread in self.threads.values() for reply in thread}

    @property
    def inline_replies(self) -> set[str]:
        """The IDs of all replies that come with their first-level comments."""
        return {reply for thread in self.inline.values() for reply in thread}

    @property
    def pinned(self) -> list[str]:
        """The IDs of the comments pinned to the top."""
        return self._present([self.note.comment_id(one) for one in self.note.profile.pinned])

    @property
    def reply_pages(self) -> int:
        """How many calls of the replies endpoint fetch all that did not come inline.

        Each thread is continued from the cursor that came with its comment, or from its start
        where no reply came with it.
        """
        rest = (
            len(thread) - len(self.inline.get(root, ())) for root, thread in self.threads.items()
        )
        return sum(-(-left // PAGE_SIZE) for left in rest)

    def _present(self, ids: list[str]) -> list[str]:
        return [one for one in ids if one not in self.changes.vanished]


def expected_note(
    note_id: str, grown: int = 0, vanished: frozenset[str] = frozenset()
) -> ExpectedNote:
    """What there is to find in a note that has grown, or lost some comments."""
    return ExpectedNote(note_layout(note_id, grown), Changes(grown, vanished))
