"""From the provider's objects to the fields of items. Pure; raises nothing, whatever comes.

What no field of its own was read from is kept unchanged in ``extra``. Where a field's value is not
understood it is passed on as it came, and validation rejects the item with that reason.
Sources of the field names: the documented example of Note Comments V4, and answers of the same
family (``target_comment``, counts as text), the web's among them (``user_info``, ``create_time``,
``url_pre`` and ``url_default`` of pictures). Of a field that came under two names the documented
one counts, if it has a value; the other stays in ``extra``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from xhs.api.page import (
    TIME,
    Page,
    Raw,
    identifier,
    inline_replies,
    is_pinned,
    name_in,
    tag_types,
)
from xhs.api.values import boolean, count, moment

Fields = dict[str, Any]


class Parsed(NamedTuple):
    """An item's fields, and the provider's object that they were read from."""

    item_type: str
    fields: Fields
    raw: Raw


_COMMENT_FIELDS = frozenset(
    {"id", "note_id", "content", "like_count", "sub_comment_count", "ip_location"}
    | {"pictures", "at_users", "comment_type", "status", "hidden", "show_tags"}
)
_USER_FIELDS = frozenset({"nickname", "red_id", "ai_agent", "additional_tags"})
_PICTURE_FIELDS = frozenset({"width", "height"})
_ID, _AVATAR = ("userid", "user_id"), ("images", "image")
_PREVIEW, _LARGE = ("url", "url_pre"), ("origin_url", "url_default")
"""The names of fields that come under two: the documented one, and the web's."""


def parse_page(
    page: Page,
    *,
    note_id: str,
    replies: bool,
    scraped_at: str,
    author_id: str | None = None,
    parent_id: str | None = None,
) -> Iterator[Parsed]:
    """Every comment of a page, its inline replies where ``replies``, and each distinct user once.

    ``note_id`` is the note that was asked for, used where a comment does not name its note;
    ``author_id`` is its author, where the page does not tell. ``parent_id`` is the comment whose
    replies were asked for, on a page of these.
    """
    users: set[str] = set()
    author = page.author_id or author_id
    for raw in page.comments:
        for comment, parent in _thread(raw, parent_id, inline=replies):
            fields = comment_fields(comment, note_id=note_id, author_id=author, parent_id=parent)
            yield Parsed("comment", _dated(fields, scraped_at), comment)
            if (user := _user(comment)) and _is_first(user, users):
                yield Parsed("user", _dated(user_fields(user), scraped_at), user)


def parse_again(
    kind: str,
    raw: Raw,
    *,
    note_id: str,
    author_id: str | None,
    parent_comment_id: str | None,
    scraped_at: str,
) -> Parsed | None:
    """One comment or user that was kept as the provider's object; None for anything else."""
    if kind == "comment":
        fields = comment_fields(
            raw, note_id=note_id, author_id=author_id, parent_id=parent_comment_id
        )
    elif kind == "user" and isinstance(raw, dict):
        fields = user_fields(raw)
    else:
        return None
    return Parsed(kind, _dated(fields, scraped_at), raw)


def _thread(raw: Raw, parent_id: str | None, *, inline: bool) -> Iterator[tuple[Raw, str | None]]:
    """A comment and, where ``inline``, the replies that came with it; each with its parent."""
    comment_id = identifier(raw.get("id")) if isinstance(raw, dict) else None
    # Should a page of replies hold the comment that they answer: that is of the first level.
    top = comment_id == parent_id or parent_id is None
    yield raw, None if top else parent_id
    if inline and top:
        # A reply to a comment without an ID must not pass for a first-level comment.
        for reply in inline_replies(raw):
            yield reply, comment_id or ""


def _is_first(user: Fields, users: set[str]) -> bool:
    """True if a user was not on the page before, as far as that can be told."""
    user_id = _user_id(user)
    if not isinstance(user_id, str):
        return True
    known = user_id in users
    users.add(user_id)
    return not known


def _dated(fields: Fields, scraped_at: str) -> Fields:
    extra = fields.pop("extra")
    return {**fields, "scraped_at": scraped_at, "extra": extra}


def comment_fields(
    raw: Raw, *, note_id: str, author_id: str | None, parent_id: str | None
) -> Fields:
    """The fields of a comment, or of a reply where ``parent_id`` names its first-level comment."""
    if not isinstance(raw, dict):
        raw = {}
    user = _user(raw)
    user_id = _user_id(user) if user else None
    tags = tag_types(raw)
    own = user_id == author_id if isinstance(user_id, str) and author_id else None
    return {
        "comment_id": raw.get("id"),
        "note_id": raw.get("note_id") or note_id,
        "user_id": user_id,
        "parent_comment_id": parent_id,
        "target_comment_id": _target(raw, parent_id),
        "content": raw.get("content"),
        "created_at": moment(raw.get(name_in(raw, *TIME))),
        "like_count": count(raw.get("like_count")),
        "sub_comment_count": count(raw.get("sub_comment_count")),
        "ip_location": raw.get("ip_location"),
        "pictures": _pictures(raw.get("pictures")),
        "at_users": raw.get("at_users"),
        "comment_type": count(raw.get("comment_type")),
        "status": _status(raw.get("status")),
        "hidden": boolean(raw.get("hidden")),
        "is_pinned": is_pinned(tags),
        "is_author": True if tags and "is_author" in tags else own,
        "is_liked_by_author": None if tags is None else "author_liked" in tags,
        "show_tags": raw.get("show_tags"),
        "is_new": None,
        "extra": _comment_extra(raw, first_level=parent_id is None),
    }


def user_fields(raw: Fields) -> Fields:
    """The fields of a user."""
    id_name, avatar_name = name_in(raw, *_ID), name_in(raw, *_AVATAR)
    return {
        "user_id": raw.get(id_name) or None,
        "nickname": raw.get("nickname"),
        "avatar_url": raw.get(avatar_name),
        "red_id": raw.get("red_id"),
        "ai_agent": boolean(raw.get("ai_agent")),
        "additional_tags": raw.get("additional_tags"),
        "extra": _rest(raw, _USER_FIELDS | {id_name, avatar_name}),
    }


def _user_name(raw: Fields) -> str:
    return name_in(raw, "user", "user_info")


def _user(raw: Raw) -> Fields | None:
    user = raw.get(_user_name(raw)) if isinstance(raw, dict) else None
    return user if isinstance(user, dict) and user else None


def _user_id(user: Fields) -> Any:
    return user.get(name_in(user, *_ID)) or None


def _target(raw: Fields, parent_id: str | None) -> Any:
    target = raw.get("target_comment")
    if not isinstance(target, dict) or parent_id is None:
        return None
    target_id = target.get("id")
    return None if target_id in (parent_id, "") else target_id


def _status(value: Any) -> Any:
    number = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value)
    return int(value) if number else value


def _pictures(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [_picture(one) if isinstance(one, dict) else one for one in value]


def _picture(raw: Fields) -> Fields:
    return {
        "url": raw.get(name_in(raw, *_PREVIEW)),
        "origin_url": raw.get(name_in(raw, *_LARGE)),
        "width": count(raw.get("width")),
        "height": count(raw.get("height")),
    }


def _picture_rest(raw: Raw) -> Fields:
    if not isinstance(raw, dict):
        return {}
    return _rest(raw, _PICTURE_FIELDS | {name_in(raw, *_PREVIEW), name_in(raw, *_LARGE)})


def _comment_extra(raw: Fields, *, first_level: bool) -> Fields:
    extra = _rest(raw, _COMMENT_FIELDS | {name_in(raw, *TIME)})
    if _user(raw):
        del extra[_user_name(raw)]
    inline = raw.get("sub_comments")
    if isinstance(inline, list) and (first_level or not inline):
        del extra["sub_comments"]
    pictures = raw.get("pictures")
    if isinstance(pictures, list):
        rest = [_picture_rest(one) for one in pictures]
        if any(rest):
            extra["pictures"] = rest
    return extra


def _rest(raw: Fields, known: frozenset[str]) -> Fields:
    return {name: value for name, value in raw.items() if name not in known}
