"""A note's threads as the stand-in shows them, and what a crawl has kept of them."""

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
"""Comments by their IDs: the parent of each, and the reply that it answers."""


def number_in(layout: NoteLayout, comment_id: str) -> int:
    """Which of a note's first-level comments this is."""
    number = layout.number_of(comment_id)
    assert number is not None
    return number


def moment(note: str, comment_id: str) -> datetime:
    """When a first-level comment was written."""
    layout = note_layout(note)
    return datetime.fromtimestamp(layout.time(number_in(layout, comment_id)), UTC)


def with_replies(note: str, roots: Iterable[str] | None = None, grown: int = 0) -> Comments:
    """These first-level comments, or all, with all of their replies."""
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
    """These first-level comments with the replies that come with them."""
    roots = list(roots)
    inline = expected_note(note).inline
    shown = {*roots, *(reply for root in roots for reply in inline.get(root, ()))}
    return {one: what for one, what in with_replies(note, roots).items() if one in shown}


def authors(note: str, comments: Comments) -> set[str]:
    """The users who wrote these comments."""
    layout = note_layout(note)
    builder = CommentBuilder(layout, 0, frozenset())
    found = set()
    for one, (root, _) in comments.items():
        number = number_in(layout, root or one)
        raw = builder.comment(number)
        if root is not None:
            raw = builder.reply(number, layout.thread(number).index(one))
        user: dict[str, str] = raw.get("user") or raw["user_info"]
        found.add(user.get("userid") or user["user_id"])
    return found


def rest(note: str, roots: Iterable[str] | None = None) -> dict[str, int]:
    """By its comment, how many pages of each thread did not come inline; none where all did."""
    there = expected_note(note)
    left = {
        root: len(thread) - len(there.inline.get(root, ()))
        for root, thread in there.threads.items()
        if roots is None or root in set(roots)
    }
    return {root: -(-count // 10) for root, count in left.items() if count}


def cost(notes: Iterable[str]) -> int:
    """What it costs to crawl these notes once, with all replies."""
    return sum(expected_note(note).pages + expected_note(note).reply_pages for note in notes)


def kept(project: Project) -> dict[str, Comments]:
    """What is stored of each note."""
    found: dict[str, Comments] = {}
    for key, one in project.documents("comments").items():
        parent_and_target = one["parent_comment_id"], one["target_comment_id"]
        found.setdefault(one["note_id"], {})[key] = parent_and_target
    return found


def delivered(comments: Iterable[Document]) -> Comments:
    """What a feed holds of comments."""
    return {
        one["comment_id"]: (one["parent_comment_id"], one["target_comment_id"]) for one in comments
    }


def thread_calls(api: Simulator) -> list[dict[str, Any]]:
    """The calls of the replies endpoint, in turn."""
    return [call for call in api.books()["log"] if call["path"] == REPLIES]


def assert_no_thread_is_ahead(project: Project) -> None:
    """What lies before each thread's checkpoint is stored, and all of one that was followed."""
    comments = project.documents("comments")
    for root, one in comments.items():
        thread = one.get("thread") or {}
        replies = expected_note(one["note_id"]).threads.get(root, [])
        if thread.get("followed") is not None:
            assert comments.keys() >= set(replies), one
        elif cursor := thread.get("cursor"):
            last = replies.index(json.loads(cursor)["cursor"])
            assert comments.keys() >= set(replies[: last + 1]), one


def paid_twice(log: list[dict[str, Any]], ends: list[int]) -> Counter[int]:
    """For each run, how many pages that it had paid for were paid for again by a later one.

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
