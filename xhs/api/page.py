"""A page of comments or replies, read from any ``data`` for the paginator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from xhs.api.values import parse_boolean, parse_count, parse_datetime

Raw = Any
"""A JSON value as the provider sent it."""

_PINNED = "user_top"
"""The tag of a comment that is pinned to the top. Source: other answers of the same family."""
_THREAD_NAMES = {
    "comments": "sub_comments",
    "has_more": "sub_comment_has_more",
    "cursor": "sub_comment_cursor",
}
TIME = ("time", "create_time")
"""The names of a comment's time: the documented one, and the one of the web, in milliseconds."""
_BY_TIME = "latest"
"""The prefix of an order by time: the documented answer has ``latest_v2``."""


class ListedComment(NamedTuple):
    """The fields of a comment that the paginator needs; None if they are missing or unusable."""

    comment_id: str | None
    created: datetime | None
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class Page:
    """The result of one call. Counts are as reported; None if not reported."""

    comments: list[Raw] = field(default_factory=list)
    has_more: bool | None = None
    cursor: str | None = None
    author_id: str | None = None
    comment_count: int | None = None
    comment_count_l1: int | None = None
    strategy: str | None = None
    """The order that the API says it used (``current_sort_strategy``)."""
    defect: str | None = None
    """A defect of the answer as a whole."""
    is_readable: bool = True
    """False if the answer has no list of comments under a known name."""
    is_empty: bool = False
    """True if the answer has no data: providers disguise a failed collection like this."""

    @property
    def ids(self) -> list[str]:
        """The IDs of the comments that have one."""
        return [comment.comment_id for comment in self.listed if comment.comment_id is not None]

    @property
    def listed(self) -> Iterator[ListedComment]:
        """The comments, as the paginator needs them."""
        return map(_listed, self.comments)

    def is_by_time(self, sort: str) -> bool:
        """True if the comments are listed newest first, when ``sort`` was requested."""
        return sort == _BY_TIME and (self.strategy or sort).startswith(_BY_TIME)


def read_page(data: Raw, *, replies: bool = False) -> Page:
    """Read the ``data`` of an envelope with code 0. Never raises; ``defect`` names a defect.

    ``replies`` is True for an answer of the replies endpoint. No example of one is published, so
    the names that a comment has for its thread are accepted too.
    """
    if is_empty(data):
        return Page(defect=f"data is {_kind(data)}, with nothing in it", is_empty=True)
    if not isinstance(data, dict):
        return Page(defect=f"data is {_kind(data)}, not an object", is_readable=False)
    if replies:
        for name, thread_name in _THREAD_NAMES.items():
            if data.get(name) is None and thread_name in data:
                data = {**data, name: data[thread_name]}
    comments, cursor = data.get("comments"), data.get("cursor")
    defect, is_readable = None, True
    if not isinstance(comments, list):
        is_readable = _reports_no_comments(data)
        if not is_readable:
            defect = f"comments is {_kind(comments)}, not a list"
        comments = []
    if isinstance(cursor, dict | list):
        defect = defect or f"cursor is {_kind(cursor)}, not text"
        cursor = None
    strategy = data.get("current_sort_strategy")
    return Page(
        comments=comments,
        has_more=_boolean(data.get("has_more")),
        cursor=str(cursor) if cursor not in (None, "", False) else None,
        author_id=identifier(data.get("user_id")),
        comment_count=_reported_count(data.get("comment_count")),
        comment_count_l1=_reported_count(data.get("comment_count_l1")),
        strategy=strategy if isinstance(strategy, str) and strategy else None,
        defect=defect,
        is_readable=is_readable,
    )


def is_empty(data: Raw) -> bool:
    """True if the ``data`` of an answer is null, ``{}``, ``[]`` or empty text."""
    return data in (None, {}, [], "")


def _reports_no_comments(data: dict[str, Any]) -> bool:
    """True if the comments are null, and ``has_more`` and the counts agree that there are none."""
    counts = (data.get("comment_count"), data.get("comment_count_l1"))
    return (
        data.get("comments", "absent") is None
        and _boolean(data.get("has_more")) is False
        and all(reported in (None, 0, "0") for reported in counts)
    )


def name_in(raw: dict[str, Any], *names: str) -> str:
    """Return the first of a field's names that has a value, else the first that is present."""
    if raw.get(names[0]):
        return names[0]
    present = [name for name in names if name in raw]
    return next((name for name in present if raw[name]), present[0] if present else names[0])


def tag_types(raw: dict[str, Any]) -> set[str] | None:
    """Return the types of a comment's tags; None if it has no list of tags."""
    types: set[str] | None = None
    for name in ("show_tags", "show_tags_v2"):
        tags = raw.get(name)
        if isinstance(tags, list):
            types = types or set()
            for tag in tags:
                kind = tag.get("type") if isinstance(tag, dict) else tag
                if isinstance(kind, str):
                    types.add(kind)
    return types


def is_pinned(tags: set[str] | None) -> bool | None:
    """True if a comment with these tags is pinned; None if its tags are unknown."""
    return None if tags is None else _PINNED in tags


def inline_replies(raw: Raw) -> list[Raw]:
    """Return the replies that came with a comment."""
    inline = raw.get("sub_comments") if isinstance(raw, dict) else None
    return inline if isinstance(inline, list) else []


def _listed(raw: Raw) -> ListedComment:
    if not isinstance(raw, dict):
        return ListedComment(None, None, is_pinned=False)
    return ListedComment(
        identifier(raw.get("id")),
        parse_datetime(raw.get(name_in(raw, *TIME))),
        is_pinned=is_pinned(tag_types(raw)) is True,
    )


def _boolean(value: Raw) -> bool | None:
    value = parse_boolean(value)
    return value != 0 if isinstance(value, int) else None


def identifier(value: Raw) -> str | None:
    """Return an ID; None if it cannot be stored, as text with a lone surrogate."""
    is_usable = isinstance(value, str) and value and value.isprintable()
    return value if is_usable else None


def _reported_count(value: Raw) -> int | None:
    number = parse_count(value)
    is_integer = isinstance(number, int) and not isinstance(number, bool)
    return number if is_integer and 0 <= number < 2**63 else None


def _kind(value: Raw) -> str:
    return "missing" if value is None else type(value).__name__
