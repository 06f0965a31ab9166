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
    if known.get("state") == "ended":
        return Skip(StopReason(known["stop_reason"]))
    checkpoint = known.get("checkpoint") or {}
    here = (checkpoint.get("sort"), checkpoint.get("version")) == (arguments.sort, version)
    if not here or checkpoint.get("cursor") is None:
        return anew
    call = Call(note_id, checkpoint["cursor"], arguments.sort)
    return First(call, known.get("pages") or 0, known.get("comment_count_l1"))
