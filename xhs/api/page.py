"""A page of comments, as the chain needs to see it: read from ``data``, whatever came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from xhs.api.values import count

Raw = Any
"""A JSON value as the provider sent it."""


@dataclass(frozen=True, slots=True)
class Page:
    """The result of one call. Counts are as reported, None where nothing was."""

    comments: list[Raw] = field(default_factory=list)
    has_more: bool | None = None
    cursor: str | None = None
    author_id: str | None = None
    comment_count: int | None = None
    comment_count_l1: int | None = None
    flaw: str | None = None
    """What is wrong with the answer as a whole."""

    @property
    def ids(self) -> list[str]:
        """The IDs of the first-level comments, as far as they have one."""
        return [
            comment["id"]
            for comment in self.comments
            if isinstance(comment, dict) and isinstance(comment.get("id"), str)
        ]


def read_page(data: Raw) -> Page:
    """Read the ``data`` of an envelope with code 0. Never raises; ``flaw`` says what is odd."""
    if not isinstance(data, dict):
        return Page(flaw=f"data is {_kind(data)}, not an object")
    comments = data.get("comments")
    flaw = None
    if not isinstance(comments, list):
        if comments is not None or _truth(data.get("has_more")) or data.get("comment_count"):
            flaw = f"comments is {_kind(comments)}, not a list"
        comments = []
    cursor = data.get("cursor")
    if isinstance(cursor, dict | list):
        flaw = flaw or f"cursor is {_kind(cursor)}, not text"
        cursor = None
    return Page(
        comments=comments,
        has_more=_truth(data.get("has_more")),
        cursor=str(cursor) if cursor not in (None, "", False) else None,
        author_id=_identifier(data.get("user_id")),
        comment_count=_reported(data.get("comment_count")),
        comment_count_l1=_reported(data.get("comment_count_l1")),
        flaw=flaw,
    )


def _truth(value: Raw) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value != 0
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return None


def _identifier(value: Raw) -> str | None:
    """An ID that can be stored: a lone surrogate can not."""
    usable = isinstance(value, str) and value and value.isprintable()
    return value if usable else None


def _reported(value: Raw) -> int | None:
    number = count(value)
    plain = isinstance(number, int) and not isinstance(number, bool)
    return number if plain and 0 <= number < 2**63 else None


def _kind(value: Raw) -> str:
    return "missing" if value is None else type(value).__name__
