"""Costs and results of passes over notes, and rules for incomplete pages."""

from __future__ import annotations

import json
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from support.expected import expected_note

from xhs.simulator.notes import profile, usual_note

if TYPE_CHECKING:
    from support.crawl import Document, Project
    from support.simulator import Simulator


_LINK = "https://www.xiaohongshu.com/explore/"


def pinned_notes(number: int, start: int = 0) -> list[str]:
    """Return notes of a few pages with pinned comments."""
    every = (usual_note(serial) for serial in count(start))
    found = (note for note in every if profile(note).pinned)
    return list(islice((note for note in found if 25 <= profile(note).first_level <= 80), number))


def pages_of(api: Simulator, note: str) -> list[int]:
    """Return the page of each call for a note, in order, since the call log was emptied."""
    return [call["page"] for call in api.call_log()["log"] if call["note"] == note]


def billed(api: Simulator) -> dict[str, int]:
    """Return what each note has cost since the call log was emptied."""
    return {note: book["billed"] for note, book in api.call_log()["notes"].items()}


def assert_stored(
    project: Project, note: str, grown: int = 0, first: int | None = None, known: int = 0
) -> None:
    """Check that a grown note's ``first`` comments and their inline replies are stored.

    The first ``known`` comments of the note before it grew are stored too.
    """
    now = expected_note(note, grown)
    wanted = [*now.first_level[:first], *expected_note(note).first_level[:known]]
    replies = {reply for root in wanted for reply in now.inline.get(root, ())}
    assert project.comment_ids(note) == (set(wanted), replies), note


def leave_at_page_three(api: Simulator, project: Project, *notes: str, **arguments: Any) -> None:
    """Crawl these notes up to their third page, which is not billed; empty the call log."""
    api.script({"rules": [{"note": notes, "page": 3, "code": 999}]})
    assert project.crawl(notes=notes, feed=False, **arguments).status == 3
    for note in notes:
        assert json.loads(project.note(note)["checkpoint"]["cursor"])["index"] == 3
    api.script({})
    api.reset_call_log()


def history(project: Project, note: str) -> list[Document]:
    """Return the passes over a note, oldest first."""
    documents = project.documents("note_history", note_id=note).values()
    return sorted(documents, key=lambda document: (document["began_at"], document["ended_at"]))


def vanished(project: Project, note: str) -> set[str]:
    """Return the IDs of a note's comments, replies included, that are marked as vanished."""
    comments = project.documents("comments", note_id=note)
    return {key for key, comment in comments.items() if comment["vanished_at"] is not None}


def cut_short(note: str, page: int = 1, keep: int = 10) -> dict[str, Any]:
    """Return a rule: a page has ``keep`` comments and claims to be the last."""
    end: list[dict[str, Any]] = [
        {"path": ["has_more"], "value": False},
        {"path": ["cursor"], "value": ""},
    ]
    removed = [{"path": ["comments", place], "remove": True} for place in range(9, keep - 1, -1)]
    return {"note": note, "page": page, "patch": [*removed, *end]}


def hidden(note: str, page: int, *places: int) -> dict[str, Any]:
    """Return a rule: a page lacks the comments at these places."""
    removed = ({"path": ["comments", place], "remove": True} for place in sorted(places)[::-1])
    return {"note": note, "page": page, "patch": list(removed)}


def status_sections(project: Project, *words: str) -> dict[str, dict[str, str]]:
    """Return the sections of ``scrapy status`` by note: the title, and the section's other lines.

    The note's own line ends the section.
    """
    done = project.command("status", *words)
    assert (done.status, done.errors) == (0, ""), done
    found: dict[str, dict[str, str]] = {}
    for section in done.output.split("\n\n")[1:]:
        title, *lines = section.splitlines()
        head = "\n".join(line for line in lines if _LINK not in line)
        for line in lines:
            before, is_note, note = line.partition(_LINK)
            if is_note and not before.strip():
                sections = found.setdefault(note.split()[0], {})
                sections[title.partition(":")[0]] = f"{head}\n{line}"
    return found
