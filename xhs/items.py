"""The three items, made from their schemas."""

from __future__ import annotations

from typing import Any

from itemadapter import ItemAdapter
from scrapy_jsonschema import JsonSchemaItem

from xhs import schemas


class CommentItem(JsonSchemaItem):
    """A comment, or a reply where ``parent_comment_id`` is set."""

    jsonschema = schemas.COMMENT


class UserItem(JsonSchemaItem):
    """The author of a comment. One per distinct user and page."""

    jsonschema = schemas.USER


class NoteItem(JsonSchemaItem):
    """How a note ended. One a note, when its chain of pages ends."""

    jsonschema = schemas.NOTE


def item_type(item: Any) -> str | None:
    """What an item says of its type; None where it is no item, or none of these."""
    return ItemAdapter(item).get("item_type") if ItemAdapter.is_item(item) else None
