"""What passes over notes cost and left, and pages that say less than there is."""

from __future__ import annotations

import json
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from support.expected import expected_note

from xhs.simulator.notes import profile, usual_note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.crawl import Document, Project
    from support.simulator import Simulator


def pinned_notes(number: int, start: int = 0) -> list[str]:
    """Notes of a few pages with pinned comments."""
    every = (usual_note(serial) for serial in count(start))
    found = (note for note in every if profile(note).pinned)
    return list(islice((note for note in found if 25 <= profile(note).first_level <= 80), number))


def pages_of(api: Simulator, note: str) -> list[int]:
    """The page of each call for a note, in turn, since the books were emptied."""
    return [call["page"] for call in api.books()["log"] if call["note"] == note]


def billed(api: Simulator) -> dict[str, int]:
    """What each note has cost since the books were emptied."""
    return {note: one["billed"] for note, one in api.books()["notes"].items()}


def assert_stored(
    project: Project, note: str, grown: int = 0, first: int | None = None, known: int = 0
) -> None:
    """Stored are a note's comments as it has grown, or the ``first`` of them, with the replies
    that come with them. Of the note as it was before it grew, the first ``known`` are there too.
    """
    now = expected_note(note, grown)
    wanted = [*now.first_level[:first], *expected_note(note).first_level[:known]]
    replies = {reply for root in wanted for reply in now.inline.get(root, ())}
    assert project.comment_ids(note) == (set(wanted), replies), note


def leave_at_page_three(api: Simulator, project: Project, *notes: str, **arguments: Any) -> None:
    """Crawl these notes up to their third page, which is not billed; empty the books."""
    api.script({"rules": [{"note": notes, "page": 3, "code": 999}]})
    assert project.crawl(notes=notes, feed=False, **arguments).status == 3
    for note in notes:
        assert json.loads(project.note(note)["checkpoint"]["cursor"])["index"] == 3
    api.script({})
    api.reset_books()


def history(project: Project, note: str) -> list[Document]:
    """The passes over a note, the first one first."""
    found = project.documents("note_history", note_id=note).values()
    return sorted(found, key=lambda one: (one["began_at"], one["ended_at"]))


def vanished(project: Project, note: str) -> set[str]:
    """The IDs of a note's comments that are marked as vanished, replies too."""
    found = project.documents("comments", note_id=note)
    return {key for key, one in found.items() if one["vanished_at"] is not None}


def cut_short(note: str, page: int = 1, keep: int = 10) -> dict[str, Any]:
    """A rule: after so many comments of a page there seems to be no more."""
    end: list[dict[str, Any]] = [
        {"path": ["has_more"], "value": False},
        {"path": ["cursor"], "value": ""},
    ]
    removed = [{"path": ["comments", place], "remove": True} for place in range(9, keep - 1, -1)]
    return {"note": note, "page": page, "patch": [*removed, *end]}


def hidden(note: str, page: int, *places: int) -> dict[str, Any]:
    """A rule: a page lacks these comments."""
    removed = ({"path": ["comments", one], "remove": True} for one in sorted(places)[::-1])
    return {"note": note, "page": page, "patch": list(removed)}


def ledger_rows(project: Project, *words: str) -> Iterator[tuple[str, str]]:
    """The rows of ``scrapy status``: the note, and what is said of it."""
    done = project.command("status", *words)
    assert (done.status, done.errors) == (0, ""), done
    for line in done.output.splitlines()[1:]:
        note, _, rest = line.partition(" ")
        yield note, rest
