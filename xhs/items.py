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

from xhs.api import schema
from xhs.api.endpoints import SORTS
from xhs.api.fields import COMMENT_FIELDS, USER_FIELDS, Field, People
from xhs.api.schema import Schema, nullable
from xhs.reasons import StopReason

_SCRAPED_AT = schema.time(
    "When the API answered; for an answer from the HTTP cache, the original time."
)
_EXTRA = schema.mapping(
    "The rest of the API's object, unchanged: what no other field was read from."
)


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


def _parsed(title: str, item_type: str, fields: Mapping[str, Field]) -> Schema:
    """Return the schema of an item that is read from an object of the API."""
    properties = {name: field.schema for name, field in fields.items()}
    return _item(title, item_type, {**properties, "scraped_at": _SCRAPED_AT, "extra": _EXTRA})


COMMENT = _parsed("Comment", "comment", COMMENT_FIELDS)
USER = _parsed("User", "user", USER_FIELDS)
NOTE = _item(
    "Note",
    "note",
    {
        "note_id": schema.note_id("The note's ID."),
        "user_id": nullable(schema.text("The note's author.")),
        "comment_count": nullable(schema.count("Comments with replies, as reported.")),
        "comment_count_l1": nullable(schema.count("First-level comments, as reported.")),
        "comments_collected": schema.count(
            "First-level comments stored for the note, all crawls together; without a store, this "
            "crawl's."
        ),
        "replies_collected": schema.count(
            "Replies stored for the note, all crawls together; without a store, this crawl's."
        ),
        "missing": nullable(
            schema.count("First-level comments reported and not stored, never below 0.")
        ),
        "replies_reported": schema.count("Replies that the stored comments report."),
        "replies_missing": schema.count("Of these, the replies not stored, never below 0."),
        "sort": {
            "enum": list(SORTS),
            "type": "string",
            "description": "The requested order.",
        },
        "pages": schema.count("Pages of this pass."),
        "complete": schema.flag(
            "True if the pages that were asked for were followed until the API said there is no "
            "more. It says nothing of `missing` and `replies_missing`."
        ),
        "stop_reason": {
            "enum": [reason.value for reason in StopReason],
            "type": "string",
            "description": "Why the pages ended.",
        },
        "scraped_at": schema.time("When the last answer came."),
    },
)


class CommentItem(JsonSchemaItem):
    """A comment, or a reply where ``parent_comment_id`` is set.

    ``people`` is no field: it travels with the item to feeds for people, and is lost on a copy.
    """

    jsonschema = COMMENT
    _people = People()

    @property
    def people(self) -> People:
        """The names that came with the comment."""
        return self._people

    def came_with(self, people: People) -> None:
        """Set the names that came with the comment."""
        self._people = people


class UserItem(JsonSchemaItem):
    """The author of a comment. One per distinct user and page."""

    jsonschema = USER


class NoteItem(JsonSchemaItem):
    """The end of a note. One a note, when its chain of pages ends."""

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
    """Return the type that an item names; None if it is no item, or names none."""
    return ItemAdapter(item).get("item_type") if ItemAdapter.is_item(item) else None
