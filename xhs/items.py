"""The three items: JSON Schemas (draft-07), each field described, and the classes made from them.

Fields stand in the order of the feeds' columns. Every field is there in every item; what the API
did not send is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itemadapter import ItemAdapter
from scrapy_jsonschema import JsonSchemaItem

from xhs.api.endpoints import SORTS
from xhs.reasons import StopReason

Schema = dict[str, Any]

_HEX24 = "^[0-9a-f]{24}$"
_IDENTIFIER = r"^[0-9A-Za-z_-]{1,64}$"
_LARGEST = 2**63 - 1


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _maybe(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _note_id(description: str) -> Schema:
    return _text(description, pattern=_HEX24)


def _comment_id(description: str) -> Schema:
    return _text(description, pattern=_IDENTIFIER)


def _user_id(description: str) -> Schema:
    return _text(description, pattern=_IDENTIFIER)


def _count(description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": _LARGEST, "description": description}


def _number(description: str) -> Schema:
    return {
        "type": "integer",
        "minimum": -_LARGEST,
        "maximum": _LARGEST,
        "description": description,
    }


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _time(description: str) -> Schema:
    return _text(f"{description} ISO 8601, UTC.", format="date-time", pattern="Z$")


def _list(description: str, **more: Any) -> Schema:
    return {"type": "array", "description": description, **more}


def _object(description: str) -> Schema:
    return {"type": "object", "description": description}


_SCRAPED_AT = _time("When the answer came, also where it comes from a cache.")
_EXTRA = _object("What the API's object has beside what these fields were read from, unchanged.")


def _item(title: str, item_type: str, properties: dict[str, Schema]) -> Schema:
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "required": ["item_type", *properties],
        "properties": {
            "item_type": {
                "const": item_type,
                "type": "string",
                "description": "Tells the item types of a mixed feed apart.",
            },
            **properties,
        },
    }


_PICTURE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url", "origin_url", "width", "height"],
    "properties": {
        "url": _maybe(_text("Address of the preview; signed, so it expires.")),
        "origin_url": _maybe(_text("Address of the large picture; signed, so it expires.")),
        "width": _maybe(_count("Width in pixels.")),
        "height": _maybe(_count("Height in pixels.")),
    },
}

COMMENT = _item(
    "Comment",
    "comment",
    {
        "comment_id": _comment_id("The comment's ID."),
        "note_id": _note_id("The note that it stands under."),
        "user_id": _maybe(_user_id("Who wrote it.")),
        "parent_comment_id": _maybe(
            _comment_id("The first-level comment that a reply stands under; null at first level.")
        ),
        "target_comment_id": _maybe(_comment_id("The reply that a reply answers, else null.")),
        "content": _maybe(_text("The text as written; emoji codes such as [doge] are the app's.")),
        "created_at": _maybe(_time("When it was written.")),
        "like_count": _maybe(_count("Likes.")),
        "sub_comment_count": _maybe(_count("Replies, as reported.")),
        "ip_location": _maybe(_text("Where the author's address was, as the app shows it.")),
        "pictures": _maybe(_list("Pictures of the comment.", items=_PICTURE)),
        "at_users": _maybe(_list("Users mentioned with @, as sent.")),
        "comment_type": _maybe(_number("As sent: 0 is text, 2 goes with pictures.")),
        "status": _maybe(_number("As sent; -2, 0 and 3 have been seen.")),
        "hidden": _maybe(_flag("As sent.")),
        "is_pinned": _maybe(_flag("Whether it is pinned to the top, out of its order.")),
        "is_author": _maybe(_flag("Whether the note's author wrote it.")),
        "is_liked_by_author": _maybe(_flag("Whether the note's author likes it.")),
        "show_tags": _maybe(_list("Tags, as sent.")),
        "is_new": _maybe(_flag("Whether the store had not met it; null without a store.")),
        "scraped_at": _SCRAPED_AT,
        "extra": _EXTRA,
    },
)

USER = _item(
    "User",
    "user",
    {
        "user_id": _user_id("The user's ID; not always 24 hexadecimal characters."),
        "nickname": _maybe(_text("The name shown.")),
        "avatar_url": _maybe(_text("Address of the avatar.")),
        "red_id": _maybe(_text("The number or name by which the app finds the user.")),
        "ai_agent": _maybe(_flag("As sent.")),
        "additional_tags": _maybe(_object("As sent.")),
        "scraped_at": _SCRAPED_AT,
        "extra": _EXTRA,
    },
)

NOTE = _item(
    "Note",
    "note",
    {
        "note_id": _note_id("The note's ID."),
        "user_id": _maybe(_text("The note's author.")),
        "comment_count": _maybe(_count("Comments with replies, as reported.")),
        "comment_count_l1": _maybe(_count("First-level comments, as reported.")),
        "comments_collected": _count(
            "First-level comments held for the note, all runs together; without a store, this "
            "run's."
        ),
        "replies_collected": _count(
            "Replies held for the note, all runs together; without a store, this run's."
        ),
        "missing": _maybe(_count("First-level comments reported and not held, never below 0.")),
        "replies_reported": _count("Replies that the comments held report."),
        "replies_missing": _count("Of these, the replies not held, never below 0."),
        "sort": {
            "enum": list(SORTS),
            "type": "string",
            "description": "The order asked for.",
        },
        "pages": _count("Pages of this pass."),
        "complete": _flag(
            "True if the pages that were asked for were followed until the API said there is no "
            "more. It says nothing of `missing` and `replies_missing`."
        ),
        "stop_reason": {
            "enum": [reason.value for reason in StopReason],
            "type": "string",
            "description": "Why the pages ended.",
        },
        "scraped_at": _time("When the last answer came."),
    },
)


class CommentItem(JsonSchemaItem):
    """A comment, or a reply where ``parent_comment_id`` is set."""

    jsonschema = COMMENT


class UserItem(JsonSchemaItem):
    """The author of a comment. One per distinct user and page."""

    jsonschema = USER


class NoteItem(JsonSchemaItem):
    """How a note ended. One a note, when its chain of pages ends."""

    jsonschema = NOTE


@dataclass(frozen=True, slots=True)
class ItemType:
    """An item type: its name, class, the key that is its ID, and the plural by which its collection
    and its feed are called.
    """

    name: str
    item_class: type[JsonSchemaItem]
    key: str
    plural: str

    @property
    def fields(self) -> list[str]:
        """Its fields, in the order of a feed's columns."""
        return list(self.item_class.jsonschema["properties"])


ITEM_TYPES = {
    one.name: one
    for one in (
        ItemType("comment", CommentItem, "comment_id", "comments"),
        ItemType("user", UserItem, "user_id", "users"),
        ItemType("note", NoteItem, "note_id", "notes"),
    )
}
"""Every item type, by its name."""

COLUMNS = list(dict.fromkeys(name for one in ITEM_TYPES.values() for name in one.fields))
"""The columns of a table that holds every item type, in order."""


def make_item(item_type: str, fields: Mapping[str, Any]) -> Any:
    """Return an item of a type with these fields."""
    return ITEM_TYPES[item_type].item_class(**{"item_type": item_type, **fields})


def is_note(item: Any) -> bool:
    """True if an item is a note's end, which no page waits for."""
    return item_type(item) == "note"


def item_type(item: Any) -> str | None:
    """What an item says of its type; None if it is no item, or none of these."""
    return ItemAdapter(item).get("item_type") if ItemAdapter.is_item(item) else None
