"""The schemas mean something, and the library checks them as draft-07."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft7Validator

from xhs.items import CommentItem, NoteItem, UserItem
from xhs.pipelines.validate import problems

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


@pytest.mark.parametrize("item", ITEMS)
def test_they_are_draft_7_and_described(item: type[CommentItem]) -> None:
    assert type(item.validator) is Draft7Validator
    assert item.jsonschema["additionalProperties"] is False
    for name, schema in item.jsonschema["properties"].items():
        assert schema["description"], name


def test_a_proper_item_is_valid() -> None:
    assert problems(UserItem.validator, USER) == []


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
    found = problems(UserItem.validator, {**USER, field: value})
    assert {problem.path for problem in found} == {"" if field == "undeclared" else field}
    assert not any("yesterday" in problem.message for problem in found)


def test_a_missing_field_is_named() -> None:
    fields = {name: value for name, value in USER.items() if name != "red_id"}
    [problem] = problems(UserItem.validator, fields)
    assert problem.path == "red_id"
