"""Documents of the collections, and the updates that merge items into them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xhs.crawl.storage import Listing
from xhs.items import ITEM_TYPES

Document = dict[str, Any]

COMMENTS, USERS, NOTES, HISTORY, REJECTED = (
    "comments",
    "users",
    "notes",
    "note_history",
    "rejected",
)
COLLECTIONS = frozenset({COMMENTS, USERS, NOTES, HISTORY, REJECTED})

LARGEST_DOCUMENT = 16 * 1024 * 1024
"""Bytes of the largest document that MongoDB can hold."""

_NOT_STORED = frozenset({"item_type", "is_new"})
_DATES = frozenset(
    name
    for item_type in ITEM_TYPES.values()
    for name, schema in item_type.item_class.jsonschema["properties"].items()
    if schema.get("format") == "date-time"
)


@dataclass(frozen=True, slots=True)
class Write:
    """An idempotent update of one document.

    ``as_of``: if the stored document's ``scraped_at`` is later, only the document's ``$min`` and
    ``$max`` fields are updated. ``once``: a unique name for an update that is not idempotent by
    itself; the document keeps the last name in ``last_write``.
    """

    collection: str
    key: str
    update: Document
    as_of: datetime | None = None
    once: str | None = None

    @property
    def filter(self) -> Document:
        """The query that the stored document must match for the update to apply."""
        query: Document = {"_id": self.key}
        if self.as_of is not None:
            query["scraped_at"] = {"$not": {"$gt": self.as_of}}
        if self.once is not None:
            query["last_write"] = {"$ne": self.once}
        return query

    @property
    def document(self) -> Document:
        """The document that the update creates if there is none."""
        document: Document = {"_id": self.key}
        for fields in self.update.values():
            document |= fields
        return document


def last_listed_field(sort: str) -> str:
    """Return the field for the start of the last pass in this order that listed a comment."""
    return f"last_listed_{sort}"


def item_write(item: Mapping[str, Any], listing: Listing | None = None) -> Write:
    """Return the write that stores a comment or a user.

    A null never overwrites a value, but a new document has every field. Storing a comment clears
    its ``vanished_at``.
    """
    item_type = ITEM_TYPES[item["item_type"]]
    collection, key = item_type.plural, item_type.key
    fields = document_fields(item)
    scraped_at = fields["scraped_at"]
    present = {name: value for name, value in fields.items() if value is not None}
    absent = {name: None for name, value in fields.items() if value is None}
    update: Document = {
        "$set": present,
        "$min": {"first_seen_at": scraped_at},
        "$max": {"last_seen_at": scraped_at},
    }
    if absent:
        update["$setOnInsert"] = absent
    if collection == COMMENTS:
        present["vanished_at"] = None
    if listing is not None:
        update["$max"][last_listed_field(listing.sort)] = listing.began
        present["inline_replies"] = listing.inline_replies
    return Write(collection, item[key], update, scraped_at)


def document_fields(item: Mapping[str, Any]) -> Document:
    """Return an item's fields as a document stores them: with dates as ``datetime``."""
    return {
        name: as_date(value) if name in _DATES else value
        for name, value in item.items()
        if name not in _NOT_STORED
    }


def as_date(value: Any) -> Any:
    """Return an item's time as a date; null stays null."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
