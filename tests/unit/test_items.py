"""The schemas mean something, and the library checks them as draft-07."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

import xhs.simulator
from xhs.api.fields import parse_page
from xhs.api.page import read_page
from xhs.items import COLUMNS, CommentItem, NoteItem, UserItem
from xhs.store.mongo.collections import item_write
from xhs.validation import is_surely_valid, problems

ITEMS = [CommentItem, UserItem, NoteItem]
USER: dict[str, Any] = {
    "item_type": "user",
    "user_id": "a53c5dfd23210947ff7cf8d054aac",
    "nickname": None,
    "avatar_url": None,
    "red_id": None,
    "ai_agent": None,
    "additional_tags": None,
    "scraped_at": "2026-01-02T03:04:05.678Z",
    "extra": {},
}


VALID: dict[type[CommentItem], dict[str, Any]] = {
    UserItem: USER,
    NoteItem: {
        **dict.fromkeys(NoteItem.jsonschema["properties"]),
        "item_type": "note",
        "note_id": "6" * 24,
        "comments_collected": 1,
        "replies_collected": 0,
        "replies_reported": 0,
        "replies_missing": 0,
        "sort": "latest",
        "pages": 1,
        "complete": True,
        "stop_reason": "complete",
        "scraped_at": "2026-01-02T03:04:05.678Z",
    },
    CommentItem: {
        **dict.fromkeys(CommentItem.jsonschema["properties"]),
        "item_type": "comment",
        "comment_id": "a",
        "note_id": "6" * 24,
        "scraped_at": "2026-01-02T03:04:05.678Z",
        "extra": {},
    },
}


@pytest.mark.parametrize("item", ITEMS)
def test_they_are_draft_7_and_described(item: type[CommentItem]) -> None:
    assert type(item.validator) is Draft7Validator
    assert item.jsonschema["additionalProperties"] is False
    for name, schema in item.jsonschema["properties"].items():
        assert schema["description"], name


def test_a_proper_item_is_valid() -> None:
    assert problems(UserItem, USER) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scraped_at", "2026-13-45T00:00:00Z"),
        ("scraped_at", "yesterday Z"),
        ("scraped_at", "2026-01-02T03:04:05+08:00"),
        ("user_id", ""),
        ("user_id", None),
        ("nickname", 5),
        ("nickname", "\ud83d"),
        ("extra", []),
        ("undeclared", 1),
    ],
)
def test_what_is_wrong_is_named_by_its_path_and_not_quoted(field: str, value: Any) -> None:
    found = problems(UserItem, {**USER, field: value})
    assert {problem.path for problem in found} == {field}
    assert not any("yesterday" in problem.message for problem in found)


def test_a_missing_field_is_named() -> None:
    fields = {name: value for name, value in USER.items() if name != "red_id"}
    [problem] = problems(UserItem, fields)
    assert problem.path == "red_id"


def documented() -> list[tuple[type[CommentItem], dict[str, Any]]]:
    sample = Path(xhs.simulator.__file__).parent / "note-comments-v4.sample.json"
    page = read_page(json.loads(sample.read_bytes())["data"])
    kinds: dict[str, Any] = {"comment": CommentItem, "user": UserItem}
    return [
        (kinds[kind], {"item_type": kind, **fields})
        for kind, fields, _ in parse_page(
            page, note_id="65bf5360000000002c03f684", replies=True, scraped_at=USER["scraped_at"]
        )
    ]


def test_every_documented_object_is_a_valid_item() -> None:
    items = documented()
    assert len(items) > 10
    for kind, fields in items:
        assert problems(kind, fields) == []
        assert set(fields) == set(kind.jsonschema["properties"])


def test_nested_properties_are_described_and_closed() -> None:
    picture = CommentItem.jsonschema["properties"]["pictures"]["items"]
    assert picture["additionalProperties"] is False
    assert all(schema["description"] for schema in picture["properties"].values())


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"url": "u", "origin_url": None, "width": -1, "height": None}, "pictures.0.width"),
        ({"url": 5, "origin_url": None, "width": 1, "height": None}, "pictures.0.url"),
        ({"url": "u", "origin_url": None, "width": 1}, "pictures.0.height"),
        ("u", "pictures.0"),
    ],
)
def test_what_is_wrong_inside_a_list_is_named_by_its_whole_path(value: Any, path: str) -> None:
    fields = {**documented()[0][1], "pictures": [value]}
    assert [problem.path for problem in problems(CommentItem, fields)] == [path]


@pytest.mark.parametrize(
    "name",
    ["comment_id", "note_id", "parent_comment_id", "like_count", "created_at", "hidden", "content"],
)
def test_no_field_of_a_comment_takes_just_anything(name: str) -> None:
    fields = {**documented()[0][1], name: {"a": 1}}
    assert {problem.path for problem in problems(CommentItem, fields)} == {name}


def test_every_reason_comes_at_once() -> None:
    fields = {**documented()[0][1], "like_count": "many", "comment_id": "", "hidden": 2}
    found = {problem.path for problem in problems(CommentItem, fields)}
    assert found == {"like_count", "comment_id", "hidden"}


def test_a_value_that_reads_like_a_complaint_is_not_quoted() -> None:
    fields = {**USER, "user_id": "'Zhang San' is a required property"}
    found = problems(UserItem, fields)
    assert {problem.path for problem in found} == {"user_id"}
    assert not any("Zhang" in problem.message for problem in found)


@given(st.text("0123456789", max_size=9), st.integers(-5, 70))
def test_a_valid_time_is_a_time_for_the_store(fraction: str, number: int) -> None:
    for time in (f"2016-12-31T23:59:{number:02}Z", f"2016-{number:02}-30T00:00:00.{fraction}Z"):
        fields = {**USER, "scraped_at": time}
        if not problems(UserItem, fields):
            assert isinstance(item_write(fields).as_of, datetime)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.sampled_from(["2016-12-31T23:59:60Z", "2016-02-30T00:00:00Z", "a" * 24, "a" * 24 + "\n"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
TIMES = st.datetimes().map(lambda time: f"{time.isoformat()}Z") | st.from_regex(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z"
)


@pytest.mark.parametrize("kind", ITEMS)
@given(data=st.data())
def test_the_compiled_validator_is_never_the_more_lenient(
    kind: type[CommentItem], data: st.DataObject
) -> None:
    names = sorted(kind.jsonschema["properties"])
    some = data.draw(st.dictionaries(st.sampled_from(names), JSON | TIMES, max_size=3))
    fields = {**VALID[kind], **some}
    if is_surely_valid(kind, fields):
        assert list(kind.validator.iter_errors(fields)) == []


def test_it_knows_what_is_plainly_valid() -> None:
    for kind, fields in VALID.items():
        assert is_surely_valid(kind, fields)
        assert not is_surely_valid(kind, {**fields, "item_type": "other"})


def test_columns_are_the_union_of_the_fields_in_the_order_of_the_items() -> None:
    names = [
        name for item in (CommentItem, UserItem, NoteItem) for name in item.jsonschema["properties"]
    ]
    assert list(dict.fromkeys(names)) == COLUMNS
    assert COLUMNS[:4] == ["item_type", "comment_id", "note_id", "user_id"]
    assert COLUMNS[-2:] == ["complete", "stop_reason"]
