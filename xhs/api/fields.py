"""The fields of comments and users: a table with the JSON Schema of each, and how it is read.

Pure; raises nothing, whatever comes. What no field was read from is kept unchanged in ``extra``. A
value that is not understood is passed on as it came, and validation rejects the item for it.

Sources of the API's names: the documented example of Note Comments V4, and answers of the same
family (``target_comment``, counts as text), the web's among them (``user_info``, ``create_time``,
``url_pre`` and ``url_default`` of pictures). If a field came under two names, the documented one
counts if it has a value; the other stays in ``extra``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from xhs.api import schema
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
from xhs.api.schema import Schema, nullable
from xhs.api.values import parse_boolean, parse_count, parse_time

Fields = dict[str, Any]


class Parsed(NamedTuple):
    """The fields of an item, and the object of the API that they were read from."""

    item_type: str
    fields: Fields
    raw: Raw


_ID, _AVATAR = ("userid", "user_id"), ("images", "image")
_PREVIEW, _LARGE = ("url", "url_pre"), ("origin_url", "url_default")
"""The names of fields that come under two: the documented one, and the web's."""
_PICTURE_FIELDS = frozenset({"width", "height"})


class People(NamedTuple):
    """The names that a page shows beside a comment: its author's, and the answered author's."""

    nickname: str | None = None
    answered_user_id: str | None = None
    answered_nickname: str | None = None


class Context(NamedTuple):
    """Facts about a comment from outside its object, or derived from it."""

    note_id: str = ""
    parent_id: str | None = None
    author_id: str | None = None
    user_id: Any = None
    tags: set[str] | None = None


_Read = Callable[[Fields, Context], Any]


class Field(NamedTuple):
    """A field of an item that is read from an object of the API.

    ``names``: the API's fields whose content it holds, so that ``extra`` does not repeat them.
    """

    schema: Schema
    read: _Read
    names: tuple[str, ...] = ()


def _sent(name: str, form: Schema) -> Field:
    return Field(form, lambda raw, _: raw.get(name), (name,))


def _converted(name: str, convert: Callable[[Any], Any], form: Schema) -> Field:
    return Field(form, lambda raw, _: convert(raw.get(name)), (name,))


def _target_comment_id(raw: Fields, context: Context) -> Any:
    target = raw.get("target_comment")
    if not isinstance(target, dict) or context.parent_id is None:
        return None
    target_id = target.get("id")
    return None if target_id in (context.parent_id, "") else target_id


def _is_author(_: Fields, context: Context) -> bool | None:
    if context.tags and "is_author" in context.tags:
        return True
    if context.author_id and isinstance(context.user_id, str):
        return context.user_id == context.author_id
    return None


def _is_liked_by_author(_: Fields, context: Context) -> bool | None:
    return None if context.tags is None else "author_liked" in context.tags


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
        "width": parse_count(raw.get("width")),
        "height": parse_count(raw.get("height")),
    }


_PICTURE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url", "origin_url", "width", "height"],
    "properties": {
        "url": nullable(schema.text("Address of the preview; signed, so it expires.")),
        "origin_url": nullable(schema.text("Address of the large picture; signed, so it expires.")),
        "width": nullable(schema.count("Width in pixels.")),
        "height": nullable(schema.count("Height in pixels.")),
    },
}

COMMENT_FIELDS = {
    "comment_id": _sent("id", schema.identifier("The comment's ID.")),
    "note_id": Field(
        schema.note_id("The note that the comment belongs to."),
        lambda raw, context: raw.get("note_id") or context.note_id,
        ("note_id",),
    ),
    "user_id": Field(
        nullable(schema.identifier("The comment's author.")), lambda _, context: context.user_id
    ),
    "parent_comment_id": Field(
        nullable(
            schema.identifier(
                "The first-level comment that this reply belongs to; null at first level."
            )
        ),
        lambda _, context: context.parent_id,
    ),
    "target_comment_id": Field(
        nullable(schema.identifier("The reply that this reply answers, else null.")),
        _target_comment_id,
    ),
    "content": _sent(
        "content",
        nullable(schema.text("The text as written; emoji codes such as [doge] are the app's.")),
    ),
    "created_at": Field(
        nullable(schema.time("When the comment was written.")),
        lambda raw, _: parse_time(raw.get(name_in(raw, *TIME))),
    ),
    "like_count": _converted("like_count", parse_count, nullable(schema.count("Likes."))),
    "sub_comment_count": _converted(
        "sub_comment_count", parse_count, nullable(schema.count("Replies, as reported."))
    ),
    "ip_location": _sent(
        "ip_location",
        nullable(schema.text("Location of the author's IP address, as the app shows it.")),
    ),
    "pictures": _converted(
        "pictures",
        _pictures,
        nullable(schema.array("Pictures of the comment.", items=_PICTURE)),
    ),
    "at_users": _sent("at_users", nullable(schema.array("Users mentioned with @, as sent."))),
    "comment_type": _converted(
        "comment_type",
        parse_count,
        nullable(schema.integer("As sent: 0 is text, 2 goes with pictures.")),
    ),
    "status": _converted(
        "status", _status, nullable(schema.integer("As sent; -2, 0 and 3 have been seen."))
    ),
    "hidden": _converted("hidden", parse_boolean, nullable(schema.flag("As sent."))),
    "is_pinned": Field(
        nullable(schema.flag("True if the comment is pinned to the top, out of its order.")),
        lambda _, context: is_pinned(context.tags),
    ),
    "is_author": Field(nullable(schema.flag("True if the note's author wrote it.")), _is_author),
    "is_liked_by_author": Field(
        nullable(schema.flag("True if the note's author likes it.")), _is_liked_by_author
    ),
    "show_tags": _sent("show_tags", nullable(schema.array("Tags, as sent."))),
    "is_new": Field(
        nullable(schema.flag("True if the comment was new to the store; null without a store.")),
        lambda _, context: None,
    ),
}
"""The fields of a comment, in the order of the feeds' columns."""

USER_FIELDS = {
    "user_id": Field(
        schema.identifier("The user's ID; not always 24 hexadecimal characters."),
        lambda raw, _: _user_id(raw),
    ),
    "nickname": _sent("nickname", nullable(schema.text("The name shown."))),
    "avatar_url": Field(
        nullable(schema.text("Address of the avatar.")),
        lambda raw, _: raw.get(name_in(raw, *_AVATAR)),
    ),
    "red_id": _sent(
        "red_id", nullable(schema.text("The number or name by which the app finds the user."))
    ),
    "ai_agent": _converted("ai_agent", parse_boolean, nullable(schema.flag("As sent."))),
    "additional_tags": _sent("additional_tags", nullable(schema.mapping("As sent."))),
}
"""The fields of a user, in the order of the feeds' columns."""


def _readers(fields: Mapping[str, Field]) -> tuple[tuple[str, _Read], ...]:
    return tuple((name, field.read) for name, field in fields.items())


def _names(fields: Mapping[str, Field]) -> frozenset[str]:
    return frozenset(name for field in fields.values() for name in field.names)


_COMMENT_READERS, _USER_READERS = _readers(COMMENT_FIELDS), _readers(USER_FIELDS)
_COMMENT_NAMES, _USER_NAMES = _names(COMMENT_FIELDS), _names(USER_FIELDS)


def parse_page(
    page: Page,
    *,
    note_id: str,
    replies: bool,
    scraped_at: str,
    author_id: str | None = None,
    parent_id: str | None = None,
) -> Iterator[Parsed]:
    """Yield every comment of a page, and each distinct user once.

    Args:
        note_id: the requested note, for comments that do not name theirs.
        replies: yield the replies that came with a comment, too.
        author_id: the note's author, if the page does not name one.
        parent_id: on a page of replies, the comment that they belong to.
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
    """Parse a comment or user again from its object of the API; return None for any other kind."""
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
    """Yield a comment and, if ``inline``, the replies that came with it, each with its parent."""
    comment_id = identifier(raw.get("id")) if isinstance(raw, dict) else None
    # A page of replies may hold the comment that they belong to, which is of the first level.
    top = comment_id == parent_id or parent_id is None
    yield raw, None if top else parent_id
    if inline and top:
        # A reply to a comment without an ID must not pass for a first-level comment.
        for reply in inline_replies(raw):
            yield reply, comment_id or ""


def _is_first(user: Fields, users: set[str]) -> bool:
    """True if no user with this ID was on the page before. Users without an ID are all first."""
    user_id = _user_id(user)
    if not isinstance(user_id, str):
        return True
    known = user_id in users
    users.add(user_id)
    return not known


def _dated(fields: Fields, scraped_at: str) -> Fields:
    fields |= {"scraped_at": scraped_at, "extra": fields.pop("extra")}
    return fields


def comment_fields(
    raw: Raw, *, note_id: str, author_id: str | None, parent_id: str | None
) -> Fields:
    """Return the fields of a comment; of a reply if ``parent_id`` names its first-level comment."""
    if not isinstance(raw, dict):
        raw = {}
    user = _user(raw)
    user_id = _user_id(user) if user else None
    context = Context(note_id, parent_id, author_id, user_id, tag_types(raw))
    fields = {name: read(raw, context) for name, read in _COMMENT_READERS}
    fields["extra"] = _comment_extra(raw, first_level=parent_id is None)
    return fields


def user_fields(raw: Fields) -> Fields:
    """Return the fields of a user."""
    context = Context()
    fields = {name: read(raw, context) for name, read in _USER_READERS}
    fields["extra"] = _rest(raw, _USER_NAMES | {name_in(raw, *_ID), name_in(raw, *_AVATAR)})
    return fields


def target_user(extra: Raw) -> Fields | None:
    """Return the fields of the author whom a reply answers; None if the API did not send them.

    ``extra``: the rest of the reply's object, or the object itself.
    """
    target = extra.get("target_comment") if isinstance(extra, dict) else None
    user = _user(target)
    return user_fields(user) if user else None


def people(objects: Iterable[Parsed]) -> Iterator[People | None]:
    """Yield the people of each object of a page, in order; None for objects that are no comments.

    A reply answers the comment that it names, or else its first-level comment. If the API does not
    send that comment's author, it may be on the same page.
    """
    authors: dict[Any, Fields | None] = {}
    for item_type, fields, raw in objects:
        if item_type != "comment":
            yield None
            continue
        author = _user(raw)
        if isinstance(comment_id := fields["comment_id"], str):
            authors[comment_id] = author
        parent_id, answered = fields["parent_comment_id"], None
        if parent_id is not None:
            answered_id = fields["target_comment_id"] or parent_id
            answered = target_user(raw) or user_fields(authors.get(answered_id) or {})
        yield People(
            _text(author and author.get("nickname")),
            _text(answered and answered["user_id"]),
            _text(answered and answered["nickname"]),
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _user_name(raw: Fields) -> str:
    return name_in(raw, "user", "user_info")


def _user(raw: Raw) -> Fields | None:
    user = raw.get(_user_name(raw)) if isinstance(raw, dict) else None
    return user if isinstance(user, dict) and user else None


def _user_id(user: Fields) -> Any:
    return user.get(name_in(user, *_ID)) or None


def _picture_rest(raw: Raw) -> Fields:
    if not isinstance(raw, dict):
        return {}
    return _rest(raw, _PICTURE_FIELDS | {name_in(raw, *_PREVIEW), name_in(raw, *_LARGE)})


def _comment_extra(raw: Fields, *, first_level: bool) -> Fields:
    extra = _rest(raw, _COMMENT_NAMES | {name_in(raw, *TIME)})
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
