"""The threads of notes: as the stand-in has them, and as a crawl has stored them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from support.expected import expected_note
from support.simulator import REPLIES

from xhs.simulator.comments import CommentBuilder
from xhs.simulator.note_layout import NoteLayout, note_layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.crawl import Document, Project
    from support.simulator import Simulator

Comments = dict[str, tuple[str | None, str | None]]
"""Comments by ID, each with its parent and the reply that it answers."""


def number_in(layout: NoteLayout, comment_id: str) -> int:
    """Return the number of a first-level comment in its note."""
    number = layout.number_of(comment_id)
    assert number is not None
    return number


def moment(note: str, comment_id: str) -> datetime:
    """Return when a first-level comment was written."""
    layout = note_layout(note)
    return datetime.fromtimestamp(layout.time(number_in(layout, comment_id)), UTC)


def with_replies(note: str, roots: Iterable[str] | None = None, grown: int = 0) -> Comments:
    """Return these first-level comments, by default all, with all of their replies."""
    layout = note_layout(note, grown)
    builder = CommentBuilder(layout, 0, frozenset())
    found: Comments = {}
    for root in expected_note(note, grown).first_level if roots is None else roots:
        found[root] = None, None
        number = number_in(layout, root)
        for place in range(layout.reply_counts[number]):
            reply = builder.reply(number, place)
            target = reply.get("target_comment", {}).get("id")
            found[reply["id"]] = root, None if target == root else target
    return found


def with_inline(note: str, roots: Iterable[str]) -> Comments:
    """Return these first-level comments with their inline replies."""
    roots = list(roots)
    inline = expected_note(note).inline
    shown = {*roots, *(reply for root in roots for reply in inline.get(root, ()))}
    return {key: value for key, value in with_replies(note, roots).items() if key in shown}


def authors(note: str, comments: Comments) -> set[str]:
    """Return the users who wrote these comments."""
    layout = note_layout(note)
    builder = CommentBuilder(layout, 0, frozenset())
    found = set()
    for comment_id, (root, _) in comments.items():
        number = number_in(layout, root or comment_id)
        raw = builder.comment(number)
        if root is not None:
            raw = builder.reply(number, layout.thread(number).index(comment_id))
        user: dict[str, str] = raw.get("user") or raw["user_info"]
        found.add(user.get("userid") or user["user_id"])
    return found


def pages_left(note: str, roots: Iterable[str] | None = None) -> dict[str, int]:
    """Return how many pages of each thread did not come inline, without those that did entirely."""
    expected = expected_note(note)
    left = {
        root: len(thread) - len(expected.inline.get(root, ()))
        for root, thread in expected.threads.items()
        if roots is None or root in set(roots)
    }
    return {root: -(-count // 10) for root, count in left.items() if count}


def cost(notes: Iterable[str]) -> int:
    """Return the calls that a crawl of these notes with all replies takes."""
    return sum(expected_note(note).pages + expected_note(note).reply_pages for note in notes)


def stored_threads(project: Project) -> dict[str, Comments]:
    """Return the stored comments of each note."""
    found: dict[str, Comments] = {}
    for comment_id, comment in project.documents("comments").items():
        parent_and_target = comment["parent_comment_id"], comment["target_comment_id"]
        found.setdefault(comment["note_id"], {})[comment_id] = parent_and_target
    return found


def delivered(comments: Iterable[Document]) -> Comments:
    """Return the comments of a feed."""
    return {
        comment["comment_id"]: (comment["parent_comment_id"], comment["target_comment_id"])
        for comment in comments
    }


def thread_calls(api: Simulator) -> list[dict[str, Any]]:
    """Return the calls of the replies endpoint, in order."""
    return [call for call in api.call_log()["log"] if call["path"] == REPLIES]


def assert_no_thread_is_ahead(project: Project) -> None:
    """Check that all replies before each thread's cursor, or of a followed thread, are stored."""
    comments = project.documents("comments")
    for root, comment in comments.items():
        thread = comment.get("thread") or {}
        replies = expected_note(comment["note_id"]).threads.get(root, [])
        if thread.get("followed") is not None:
            assert comments.keys() >= set(replies), comment
        elif cursor := thread.get("cursor"):
            last = replies.index(json.loads(cursor)["cursor"])
            assert comments.keys() >= set(replies[: last + 1]), comment


def paid_twice(log: list[dict[str, Any]], ends: list[int]) -> Counter[int]:
    """Return, for each run, how many of its paid pages a later run has paid for again.

    ``ends``: the number of the last call of each run.
    """
    payments: dict[tuple[str | None, ...], list[int]] = {}
    for call in log:
        if call["billed"]:
            run = next(place for place, end in enumerate(ends) if call["number"] <= end)
            page = call["note"], call["comment"], call["sort"], call["cursor"]
            payments.setdefault(page, []).append(run)
    again = [pair for runs in payments.values() for pair in pairwise(runs)]
    assert all(earlier < later for earlier, later in again)
    return Counter(earlier for earlier, _ in again)
