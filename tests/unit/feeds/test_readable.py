"""Columns for people: what is read first, times as a spreadsheet takes them, no technical ones."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from xhs.api.fields import People
from xhs.feeds.csv_escaping import GUARD
from xhs.feeds.exporters import CsvExporter
from xhs.feeds.readable import (
    COMMENT_COLUMNS,
    FEED_COLUMNS,
    HISTORY_COLUMNS,
    NOTE_COLUMNS,
    USER_COLUMNS,
)
from xhs.items import ITEM_TYPES, CommentItem, make_item

NOTE = "65bf5360000000002c03f684"


def comment(**fields: Any) -> CommentItem:
    names = dict.fromkeys(ITEM_TYPES["comment"].fields)
    del names["item_type"]
    item: CommentItem = make_item("comment", {**names, "note_id": NOTE, **fields})
    return item


def row(item: Any, item_type: str = "comment") -> dict[str, str]:
    file = io.BytesIO()
    columns = [column.name for column in FEED_COLUMNS[item_type]]
    exporter = CsvExporter(
        file, spreadsheet=True, readable=True, encoding="utf-8", fields_to_export=columns
    )
    exporter.start_exporting()
    exporter.export_item(item)
    exporter.finish_exporting()
    (read,) = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    return read


def test_what_is_read_first_stands_first() -> None:
    names = [column.name for column in FEED_COLUMNS["comment"]]
    assert names[:8] == [
        "nickname",
        "text",
        "time",
        "likes",
        "replies",
        "level",
        "place",
        "note_url",
    ]
    ids = [name for name in names if name.endswith("_id")]
    assert names[-len(ids) :] == ids


@pytest.mark.parametrize("columns", [COMMENT_COLUMNS, USER_COLUMNS, NOTE_COLUMNS, HISTORY_COLUMNS])
def test_column_names_are_unique(columns: tuple[Any, ...]) -> None:
    names = [column.name for column in columns]
    assert len(names) == len(set(names))


def test_a_reply_as_a_person_reads_it() -> None:
    item = comment(
        comment_id="650000000012345678901234",
        parent_comment_id="c1",
        user_id="u2",
        content="=说得好",
        created_at="2024-02-09T02:56:12.345Z",
        like_count=3,
        ip_location="上海",
        is_author=True,
        is_pinned=False,
        is_new=True,
        pictures=[
            {"url": "https://a/small", "origin_url": "https://a/large"},
            {"url": "https://b/small", "origin_url": None},
        ],
        extra={"hidden": "technical"},
    )
    item.came_with(People("10086", "u1", "水果店"))
    read = row(item)
    assert {name: cell for name, cell in read.items() if cell} == {
        "nickname": f"{GUARD}10086",
        "text": f"{GUARD}=说得好",
        "time": "2024-02-09 10:56:12",
        "likes": "3",
        "level": "reply",
        "place": "上海",
        "note_url": f"https://www.xiaohongshu.com/explore/{NOTE}",
        "answers": "水果店",
        "by_author": "yes",
        "pinned": "no",
        "pictures": "https://a/large\nhttps://b/small",
        "new": "yes",
        "comment_id": f"{GUARD}650000000012345678901234",
        "note_id": NOTE,
        "user_id": "u2",
        "parent_comment_id": "c1",
        "answered_comment_id": "c1",
        "answered_user_id": "u1",
    }


def test_what_is_unknown_is_an_empty_cell() -> None:
    read = row(comment(comment_id="c1"))
    assert {name for name, cell in read.items() if cell} == {
        "level",
        "note_url",
        "comment_id",
        "note_id",
    }
    assert read["level"] == "comment"


def test_a_copy_by_a_users_pipeline_has_no_nickname_and_everything_else() -> None:
    item = comment(comment_id="c1", content="好")
    item.came_with(People("水果店"))
    assert row(item)["nickname"] == "水果店"
    assert row(dict(item)) == {**row(item), "nickname": ""}


@pytest.mark.parametrize(
    ("user_id", "url"),
    [
        (
            "61e0f15300000000210253a5",
            "https://www.xiaohongshu.com/user/profile/61e0f15300000000210253a5",
        ),
        ("a53c5dfd23210947ff7cf8d054aac", ""),
    ],
)
def test_a_user_has_a_link_if_the_id_is_one_of_the_app(user_id: str, url: str) -> None:
    user = {"item_type": "user", "user_id": user_id, "nickname": "水果店"}
    assert row(user, "user")["profile_url"] == url


def test_a_note_says_how_complete_it_is() -> None:
    read = row({"item_type": "note", "note_id": NOTE, "missing": 0, "complete": True}, "note")
    assert (read["comments_missing"], read["complete"]) == ("0", "yes")


def test_times_at_the_ends_of_the_calendar_are_no_error() -> None:
    (time,) = [column for column in COMMENT_COLUMNS if column.name == "time"]
    last = datetime.max.replace(tzinfo=UTC)
    assert time.read({"created_at": last}) == last.replace(tzinfo=None, microsecond=0)
