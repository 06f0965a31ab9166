"""What the stand-in shows on a note's pages, and how far the ledger says a note is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.expected import expected_note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.crawl import Document, Project


def of_pages(note: str, pages: int | None) -> dict[str, str | None]:
    """The comments of a note's first pages, or of all, and the parent of each."""
    there = expected_note(note)
    first_level = there.first_level if pages is None else there.first_level[: 10 * pages]
    shown: dict[str, str | None] = dict.fromkeys(first_level)
    return shown | {reply: root for root in first_level for reply in there.inline.get(root, ())}


def page_count(notes: Iterable[str]) -> int:
    """Return how many pages of first-level comments these notes have."""
    return sum(expected_note(note).pages for note in notes)


def stored(project: Project) -> dict[str, dict[str, str | None]]:
    """Return the stored comments of each note, each with its parent."""
    found: dict[str, dict[str, str | None]] = {}
    for comment_id, comment in project.documents("comments").items():
        found.setdefault(comment["note_id"], {})[comment_id] = comment["parent_comment_id"]
    return found


def pages_settled(document: Document) -> int:
    """How many pages lie before a note's checkpoint; 0 where it has none."""
    cursor = (document.get("checkpoint") or {}).get("cursor")
    return json.loads(cursor)["index"] - 1 if cursor else 0
