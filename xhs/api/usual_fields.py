"""The fields that the API usually sends. Pure.

If no object of a page has one of them, the format of the API's answers may have changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from xhs.api.fields import Parsed

_COMMENT_FIELDS = ("user_id", "content", "created_at", "like_count")
_USUAL = {
    "comment": (*_COMMENT_FIELDS, "sub_comment_count"),
    "reply": _COMMENT_FIELDS,
    "picture": ("pictures.url", "pictures.origin_url"),
    "user": ("nickname", "avatar_url"),
}
"""The fields that every known answer has, documented or not; ``ip_location`` may be absent."""
_MIN_OBJECTS = 3
"""From this number of objects, a missing field is not chance: a single comment may have no user."""


class UsualFields:
    """The fields that a crawl has received, and those that were missing from a whole page."""

    def __init__(self) -> None:
        self._received: set[tuple[str, str]] = set()
        self._reported: set[str] = set()

    def missing(self, objects: Iterable[Parsed]) -> list[str]:
        """Return the fields that are null on every object of a page, each once a crawl.

        On a page with fewer than three objects, only a field that was never received counts as
        missing.
        """
        groups: dict[str, list[dict[str, Any]]] = {}
        for kind, fields in _by_kind(objects):
            groups.setdefault(kind, []).append(fields)
        missing: dict[str, None] = {}
        for kind, group in groups.items():
            for name in _USUAL[kind]:
                if any(fields.get(name) is not None for fields in group):
                    self._received.add((kind, name))
                elif len(group) >= _MIN_OBJECTS or (kind, name) not in self._received:
                    missing[name] = None
        new = [name for name in missing if name not in self._reported]
        self._reported.update(new)
        return new


def _by_kind(objects: Iterable[Parsed]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item_type, fields, raw in objects:
        if not isinstance(raw, dict):  # it is rejected for that
            continue
        if item_type != "comment":
            yield item_type, fields
            continue
        yield "comment" if fields["parent_comment_id"] is None else "reply", fields
        pictures = fields["pictures"]
        for picture in pictures if isinstance(pictures, list) else ():
            if isinstance(picture, dict):
                yield "picture", {f"pictures.{name}": value for name, value in picture.items()}
