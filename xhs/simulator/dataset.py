"""Data behind the API: notes, their comments, and changes of both.

The ID of a note defines it; see the table in `xhs.simulator.notes`. `Dataset.change` adds or
removes comments or adds likes while the stand-in runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xhs.simulator import documented
from xhs.simulator.comments import Comment, CommentBuilder, cursor_text
from xhs.simulator.note_layout import NoteLayout, note_layout
from xhs.simulator.notes import DOCUMENTED_NOTE, is_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE_SIZE = 10

_STRATEGIES = {"latest": "latest_v2", "normal": "default", "like_count": "like_count"}

Data = dict[str, Any]


class InvalidCallError(ValueError):
    """The API refuses the parameters of a call with code 400."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of a note since the start."""

    grown: int = 0
    vanished: frozenset[str] = frozenset()
    likes: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Start of a page: after the comment ``last_id``. ``index`` is the number of the page."""

    last_id: str
    index: int


def parse_cursor(text: str, sort: str = "latest") -> Cursor:
    """Parse a cursor that `cursor_text` wrote for this order."""
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidCallError("lastCursor is not a cursor") from None
    match parts:
        case {"cursor": str(last_id), "index": int(index), "pageArea": "UNFOLDED"}:
            if is_id(last_id) and index > 0 and parts.get("sort", "latest") == sort:
                return Cursor(last_id, index)
    raise InvalidCallError("lastCursor is not a cursor of this list")


class Dataset:
    """All notes, as their IDs define them, with their changes."""

    def __init__(self) -> None:
        self._changes: dict[str, Changes] = {}

    def changes(self, note_id: str) -> Changes:
        """Return the changes of a note."""
        return self._changes.get(note_id, Changes())

    def reset(self) -> None:
        """Undo every change."""
        self._changes.clear()

    def change(
        self,
        note_id: str,
        *,
        grow: int = 0,
        vanish: int | Iterable[str] = (),
        likes: int = 0,
    ) -> Changes:
        """Add ``grow`` new comments on top, remove some, add ``likes`` to each comment.

        ``vanish`` is a number of first-level comments, removed evenly over the list, or the IDs
        of the comments and replies to remove.
        """
        before = self.changes(note_id)
        if isinstance(vanish, int):
            vanish = _spread(note_layout(note_id, before.grown), before, vanish)
        after = replace(
            before,
            grown=before.grown + grow,
            vanished=before.vanished | frozenset(vanish),
            likes=before.likes + likes,
        )
        self._changes[note_id] = after
        return after

    def comments(self, note_id: str, sort: str, cursor: Cursor | None) -> Data:
        """Return the ``data`` of a page of first-level comments."""
        changes = self.changes(note_id)
        note = note_layout(note_id, changes.grown)
        start = 0
        if cursor is not None:
            number = note.number_of(cursor.last_id)
            if number is None:
                raise InvalidCallError("lastCursor does not belong to this note")
            start = note.rank(sort, number) + 1
        page = _take(_present(note, sort, start, changes), PAGE_SIZE)
        index = cursor.index if cursor else 1
        return self._page(note, changes, sort, page, index)

    def numbered_page(self, note_id: str, sort: str, index: int) -> Data:
        """Return page ``index`` (1 is the first) by position, starting over after the last page."""
        changes = self.changes(note_id)
        note = note_layout(note_id, changes.grown)
        numbers = list(_present(note, sort, 0, changes))
        pages = max(1, -(-len(numbers) // PAGE_SIZE))
        start = (index - 1) % pages * PAGE_SIZE
        return self._page(note, changes, sort, numbers[start : start + PAGE_SIZE + 1], index)

    def _page(
        self, note: NoteLayout, changes: Changes, sort: str, numbers: list[int], index: int
    ) -> Data:
        builder = CommentBuilder(note, changes.likes, changes.vanished)
        comments = [builder.comment(number) for number in numbers[:PAGE_SIZE]]
        more = len(numbers) > PAGE_SIZE
        first_level, total = totals(note, changes)
        exists = note.profile.exists
        data: Data = {
            "comments": comments,
            "has_more": more,
            "cursor": cursor_text(comments[-1]["id"], index + 1, sort) if more else "",
            "all_sort_strategies": list(_STRATEGIES.values()) if exists else [],
            "current_sort_strategy": _STRATEGIES[sort],
            "user_id": note.profile.author_id,
            "comment_count": builder.count(total),
            "comment_count_l1": builder.count(first_level),
        }
        if note.note_id == DOCUMENTED_NOTE:
            data["all_sort_strategies"] = documented.example()["all_sort_strategies"]
        elif exists:
            data["page_context"] = ""
        return data

    def replies(self, note_id: str, comment_id: str, cursor: Cursor | None) -> Data:
        """Return the ``data`` of a page of the replies to a first-level comment."""
        changes = self.changes(note_id)
        note = note_layout(note_id, changes.grown)
        if not note.profile.exists:
            return {"comments": [], "has_more": False, "cursor": "", "user_id": ""}
        number = note.number_of(comment_id)
        if number is None or comment_id in changes.vanished:
            raise InvalidCallError("commentId does not belong to this note")
        thread = note.thread(number)
        start = 0
        if cursor is not None:
            if cursor.last_id not in thread:
                raise InvalidCallError("lastCursor does not belong to this comment")
            start = thread.index(cursor.last_id) + 1
        places = [
            place for place in range(start, len(thread)) if thread[place] not in changes.vanished
        ]
        builder = CommentBuilder(note, changes.likes, changes.vanished)
        comments: list[Comment] = [builder.reply(number, place) for place in places[:PAGE_SIZE]]
        more = len(places) > PAGE_SIZE
        index = cursor.index if cursor else 1
        return {
            "comments": comments,
            "has_more": more,
            "cursor": cursor_text(comments[-1]["id"], index + 1) if more else "",
            "user_id": note.profile.author_id,
        }


def totals(note: NoteLayout, changes: Changes) -> tuple[int, int]:
    """Return the number of first-level comments of a note, and of all its comments."""
    if not changes.vanished:
        return note.size, note.size + note.total_replies
    numbers = list(_present(note, "latest", 0, changes))
    replies = sum(
        1 for number in numbers for reply in note.thread(number) if reply not in changes.vanished
    )
    return len(numbers), len(numbers) + replies


def _present(note: NoteLayout, sort: str, start: int, changes: Changes) -> Iterator[int]:
    order = note.order(sort)
    gone = {note.number_of(comment_id) for comment_id in changes.vanished}
    for place in range(start, len(order)):
        if order[place] not in gone:
            yield order[place]


def _take(numbers: Iterator[int], page_size: int) -> list[int]:
    """Return the comments of a page, and one more if there is one."""
    return [number for number, _ in zip(numbers, range(page_size + 1), strict=False)]


def _spread(note: NoteLayout, changes: Changes, count: int) -> list[str]:
    numbers = list(_present(note, "latest", 0, changes))
    count = min(count, len(numbers))
    return [
        note.comment_id(numbers[(2 * step + 1) * len(numbers) // (2 * count)])
        for step in range(count)
    ]
