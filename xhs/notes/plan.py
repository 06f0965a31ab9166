"""How a note begins: its first request, or why there is none. Pure."""

from __future__ import annotations

from typing import NamedTuple

from xhs.api.endpoints import Call
from xhs.arguments import Arguments
from xhs.endings import StopReason
from xhs.store.documents import Document


class First(NamedTuple):
    """The first call for a note. Where it goes on from a checkpoint, ``pages`` of this pass came
    before, and ``reported`` first-level comments were last reported.
    """

    call: Call
    pages: int = 0
    reported: int | None = None


class Skip(NamedTuple):
    """A note that is left alone, since it has ended so."""

    reason: StopReason


def plan(note_id: str, known: Document | None, arguments: Arguments, version: str) -> First | Skip:
    """What to ask for first. ``known`` is what the ledger has of the note.

    ``mode=full`` asks for every page from the first. ``mode=resume`` leaves alone what has ended,
    and goes on at a checkpoint; one of another sort or version begins anew.
    """
    anew = First(Call(note_id, sort=arguments.sort))
    if arguments.mode == "full" or known is None:
        return anew
    if known.get("state") == "ended" and known.get("stop_reason") in set(StopReason):
        return Skip(StopReason(known["stop_reason"]))
    checkpoint = known.get("checkpoint")
    if not isinstance(checkpoint, dict):
        return anew
    cursor = checkpoint.get("cursor")
    here = (checkpoint.get("sort"), checkpoint.get("version")) == (arguments.sort, version)
    if not here or not isinstance(cursor, str):
        return anew
    pages, reported = known.get("pages"), known.get("comment_count_l1")
    return First(
        Call(note_id, cursor, arguments.sort),
        pages if isinstance(pages, int) else 0,
        reported if isinstance(reported, int) else None,
    )
