"""How a note begins: its first request, or why there is none. Pure."""

from __future__ import annotations

from xhs.api.endpoints import Call
from xhs.arguments import Arguments


def plan(note_id: str, arguments: Arguments) -> Call:
    """The first call for a note. ``mode=full`` asks for every page from the first."""
    return Call(note_id, sort=arguments.sort)
