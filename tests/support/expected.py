"""Expected comments of a note, for tests to compare with, ID by ID."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from xhs.simulator.dataset import PAGE_SIZE, Changes, totals
from xhs.simulator.note_layout import NoteLayout, note_layout


@dataclass(frozen=True)
class ExpectedNote:
    """Comments of a note as they are, whatever the API reports."""

    note: NoteLayout
    changes: Changes

    @property
    def exists(self) -> bool:
        """True if the note exists."""
        return self.note.profile.exists

    @property
    def author_id(self) -> str:
        """ID of the author; empty if the note does not exist."""
        return self.note.profile.author_id

    @property
    def comment_count_l1(self) -> int:
        """Number of first-level comments."""
        return totals(self.note, self.changes)[0]

    @property
    def comment_count(self) -> int:
        """Number of comments and replies."""
        return totals(self.note, self.changes)[1]

    @property
    def pages(self) -> int:
        """Number of pages of first-level comments; at least 1, which may be empty."""
        return max(1, -(-len(self.first_level) // PAGE_SIZE))

    @cached_property
    def first_level(self) -> list[str]:
        """IDs of the first-level comments in the order ``latest``."""
        return self.sorted_by("latest")

    def sorted_by(self, sort: str) -> list[str]:
        """Return the IDs of the first-level comments in the order ``sort``."""
        ids = (self.note.comment_id(number) for number in self.note.order(sort))
        return [comment_id for comment_id in ids if comment_id not in self.changes.vanished]

    @cached_property
    def threads(self) -> dict[str, list[str]]:
        """IDs of the replies, oldest first, by the ID of their first-level comment."""
        threads = {}
        for comment_id in self.first_level:
            number = self.note.number_of(comment_id)
            if number is not None and (thread := self._present(self.note.thread(number))):
                threads[comment_id] = thread
        return threads

    @cached_property
    def inline(self) -> dict[str, list[str]]:
        """IDs of the inline replies, by the ID of their first-level comment."""
        inline = {}
        for comment_id in self.threads:
            number = self.note.number_of(comment_id)
            if number is None:
                continue
            count = self.note.inline_count(number)
            thread = [self.note.reply_id(number, place) for place in range(count)]
            if present := self._present(thread):
                inline[comment_id] = present
        return inline

    @property
    def replies(self) -> set[str]:
        """IDs of all replies."""
        return {reply for thread in self.threads.values() for reply in thread}

    @property
    def inline_replies(self) -> set[str]:
        """IDs of all inline replies."""
        return {reply for thread in self.inline.values() for reply in thread}

    @property
    def pinned(self) -> list[str]:
        """IDs of the pinned comments."""
        return self._present([self.note.comment_id(number) for number in self.note.profile.pinned])

    @property
    def reply_pages(self) -> int:
        """Number of calls of the replies endpoint that fetch all replies which are not inline.

        Each thread continues from the cursor that came with its comment. If it has no inline
        reply, it starts from its beginning.
        """
        remaining = (
            len(thread) - len(self.inline.get(root, ())) for root, thread in self.threads.items()
        )
        return sum(-(-count // PAGE_SIZE) for count in remaining)

    def _present(self, ids: list[str]) -> list[str]:
        return [comment_id for comment_id in ids if comment_id not in self.changes.vanished]


def expected_note(
    note_id: str, grown: int = 0, vanished: frozenset[str] = frozenset()
) -> ExpectedNote:
    """Return the expected comments of a note that has grown or lost comments."""
    return ExpectedNote(note_layout(note_id, grown), Changes(grown, vanished))
