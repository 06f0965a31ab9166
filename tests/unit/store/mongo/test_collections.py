"""Writes of items and of rejected objects."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from xhs.crawl.storage import Problem, Provenance
from xhs.items import ITEM_TYPES
from xhs.store.mongo.collections import document_fields, item_write
from xhs.store.mongo.rejected import rejected_write

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COMMENT: dict[str, Any] = {
    "item_type": "comment",
    "comment_id": "c1",
    "content": "",
    "like_count": 0,
    "created_at": "2024-02-09T02:56:12Z",
    "ip_location": None,
    "is_new": None,
    "scraped_at": "2026-01-02T03:04:05Z",
}


def test_dates_are_datetimes_and_fields_for_feeds_are_left_out() -> None:
    fields = item_write(COMMENT).update["$set"]
    assert fields["scraped_at"] == NOW
    assert fields["created_at"] == datetime(2024, 2, 9, 2, 56, 12, tzinfo=UTC)
    assert not {"item_type", "is_new"} & set(fields)


def test_every_time_of_an_item_is_a_date() -> None:
    """A field that is added to an item becomes one by its schema alone."""
    for item_type in ITEM_TYPES.values():
        for name, schema in item_type.item_class.jsonschema["properties"].items():
            is_time = schema.get("format") == "date-time"
            stored = document_fields({"item_type": item_type.name, name: "2026-01-02T03:04:05Z"})
            if name not in {"item_type", "is_new"}:
                assert (stored[name] == NOW) is is_time, name


def test_null_never_overwrites_and_other_values_do() -> None:
    update = item_write(COMMENT).update
    assert "ip_location" not in update["$set"]
    assert update["$setOnInsert"] == {"ip_location": None}
    assert (update["$set"]["content"], update["$set"]["like_count"]) == ("", 0)


def test_an_older_answer_does_not_match_a_newer_document() -> None:
    write = item_write(COMMENT)
    assert write.filter == {"_id": "c1", "scraped_at": {"$not": {"$gt": NOW}}}
    assert write.update["$min"] == {"first_seen_at": NOW}
    assert write.update["$max"] == {"last_seen_at": NOW}


def test_the_same_rejected_object_is_the_same_document() -> None:
    def key(raw: Any, note: str = "n", kind: str = "comment") -> str:
        later = NOW + timedelta(days=1)
        return rejected_write(kind, Provenance(note, 1, raw), [Problem("a", "b")], later).key

    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})
    assert len({key(1), key(2), key(1, note="m"), key(1, kind="user")}) == 4


def test_a_rejected_object_is_stored_as_ascii() -> None:
    raw = {"content": "茶\ud83d", "big": 2**80}
    write = rejected_write("comment", Provenance("n", 3, raw), [Problem("big", "is odd")], NOW)
    fields = write.update["$set"]
    assert fields["raw"].isascii()
    assert json.loads(fields["raw"]) == raw
    assert fields["errors"] == [{"path": "big", "message": "is odd"}]
    assert fields["page"] == 3
