"""Comments on the pages of notes: expected, stored, and before a checkpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.expected import expected_note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.crawl import Document, Project


def expected_comments(note: str, pages: int | None = None) -> dict[str, str | None]:
    """Return the comments on a note's first pages, by default on all, each with its parent."""
    expected = expected_note(note)
    first_level = expected.first_level[: None if pages is None else 10 * pages]
    shown: dict[str, str | None] = dict.fromkeys(first_level)
    return shown | {reply: root for root in first_level for reply in expected.inline.get(root, ())}


def page_count(notes: Iterable[str]) -> int:
    """Return how many pages of first-level comments these notes have."""
    return sum(expected_note(note).pages for note in notes)


def stored(project: Project) -> dict[str, dict[str, str | None]]:
    """Return the stored comments of each note, each with its parent."""
    found: dict[str, dict[str, str | None]] = {}
    for comment_id, comment in project.documents("comments").items():
        found.setdefault(comment["note_id"], {})[comment_id] = comment["parent_comment_id"]
    return found


def pages_before_checkpoint(document: Document) -> int:
    """Return how many pages lie before a note's checkpoint; 0 if it has none."""
    cursor = (document.get("checkpoint") or {}).get("cursor")
    return json.loads(cursor)["index"] - 1 if cursor else 0
