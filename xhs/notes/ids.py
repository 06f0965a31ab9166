"""What a note is called: bare IDs, links and pasted share texts."""

from __future__ import annotations

import re
from typing import NamedTuple

_ID = re.compile(r"[0-9a-f]{24}", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s,，、]+")
_LINK = re.compile(
    r"""
    (?<![\w.@/-])                      # not the tail of another host or address
    (?:https?://)?(?:[\w-]+\.)*
    (?P<host>xiaohongshu\.com|rednote\.com|xhslink\.com)
    (?![\w.-])(?::\d+)?
    (?P<path>/[^\s?#,，、"'<>()（）【】]*)?
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_NOTE_PATH = re.compile(
    r"/(?:explore|discovery/item|search_result|user/profile/\w+)/(?P<id>[0-9a-f]{24})(?![0-9a-z])",
    re.IGNORECASE | re.ASCII,
)


class Found(NamedTuple):
    """The note IDs (lower case, in order, repeats kept) that a value names, and what is wrong."""

    notes: list[str]
    errors: list[str]


def find_notes(value: str) -> Found:
    """Read one value: an argument, a line of a file or a cell.

    Where it holds a link to a note, its links and bare IDs count and the rest is text; otherwise
    every piece between commas or white space must be an ID, and each that is not is an error.
    """
    notes: list[tuple[int, str]] = []
    errors: list[str] = []
    linked = False
    for link in _LINK.finditer(value):
        path = link["path"] or ""
        if link["host"].lower() == "xhslink.com":
            linked = True
            errors.append(
                f"{shown(link[0])} is a short link, which only the network can resolve: open it in "
                "a browser and give the address that it leads to"
            )
        elif note := _NOTE_PATH.match(path):
            linked = True
            notes.append((link.start(), note["id"].lower()))
    position = 0
    for piece in _SEPARATORS.split(value):
        position = value.find(piece, position)
        if _ID.fullmatch(piece):
            notes.append((position, piece.lower()))
        elif piece and not linked:
            errors.append(
                f"{shown(piece)} is neither a note ID (24 hexadecimal characters) "
                "nor a link to a note"
            )
        position += len(piece)
    return Found([note for _, note in sorted(notes)], errors)


def shown(text: str, width: int = 60) -> str:
    """``text`` for an error message: quoted, on one line, cut to ``width`` characters."""
    cut = text if len(text) <= width else text[: width - 1] + "…"
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return f"'{''.join(escaped)}'"
