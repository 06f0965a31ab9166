"""The fields that the API usually sends: a page on which no object has one is a sign that the form
of its answers has changed. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from xhs.api.fields import Parsed

_OF_ANY_COMMENT = ("user_id", "content", "created_at", "like_count")
_USUAL = {
    "comment": (*_OF_ANY_COMMENT, "sub_comment_count"),
    "reply": _OF_ANY_COMMENT,
    "picture": ("pictures.url", "pictures.origin_url"),
    "user": ("nickname", "avatar_url"),
}
"""Those that every answer seen has, documented or not: ``ip_location``, for one, may be absent."""
_ENOUGH = 3
"""Objects on a page that chance does not leave without a field: a comment may have no user."""


class UsualFields:
    """Those fields that a crawl has come across, and those that a whole page lacked."""

    def __init__(self) -> None:
        self._met: set[tuple[str, str]] = set()
        self._missed: set[str] = set()

    def missing(self, objects: Iterable[Parsed]) -> list[str]:
        """The fields that are null on every object of a page, each named once a crawl.

        A page with fewer than three such objects says so only of a field that was never met.
        """
        groups: dict[str, list[dict[str, Any]]] = {}
        for kind, fields in _by_kind(objects):
            groups.setdefault(kind, []).append(fields)
        found: dict[str, None] = {}
        for kind, group in groups.items():
            for name in _USUAL[kind]:
                if any(fields.get(name) is not None for fields in group):
                    self._met.add((kind, name))
                elif len(group) >= _ENOUGH or (kind, name) not in self._met:
                    found[name] = None
        new = [name for name in found if name not in self._missed]
        self._missed.update(new)
        return new


def _by_kind(objects: Iterable[Parsed]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item_type, fields, raw in objects:
        if not isinstance(raw, dict):  # rejected, with that reason
            continue
        if item_type != "comment":
            yield item_type, fields
            continue
        yield "comment" if fields["parent_comment_id"] is None else "reply", fields
        pictures = fields["pictures"]
        for picture in pictures if isinstance(pictures, list) else ():
            if isinstance(picture, dict):
                yield "picture", {f"pictures.{name}": value for name, value in picture.items()}
