"""The names that a page shows beside its comments."""

from __future__ import annotations

from typing import Any

import pytest

from xhs.api.fields import People, parse_page, people, target_user
from xhs.api.page import read_page

NOTE = "65bf5360000000002c03f684"


def user(number: int) -> dict[str, Any]:
    return {"userid": f"u{number}", "nickname": f"nickname {number}"}


def shown(comments: list[dict[str, Any]], parent_id: str | None = None) -> list[People | None]:
    page = read_page({"comments": comments, "has_more": False}, replies=parent_id is not None)
    objects = list(
        parse_page(
            page,
            note_id=NOTE,
            replies=True,
            scraped_at="2024-02-09T00:00:00Z",
            parent_id=parent_id,
        )
    )
    found = list(people(objects))
    is_comment = [parsed.item_type == "comment" for parsed in objects]
    assert [one is not None for one in found] == is_comment
    return [one for one in found if one is not None]


def test_a_reply_answers_whom_it_names_or_its_comment() -> None:
    replies = [
        {"id": "r1", "user": user(2)},
        {"id": "r2", "user": user(3), "target_comment": {"id": "r1", "user": user(2)}},
    ]
    assert shown([{"id": "c1", "user": user(1), "sub_comments": replies}]) == [
        People("nickname 1"),
        People("nickname 2", "u1", "nickname 1"),
        People("nickname 3", "u2", "nickname 2"),
    ]


def test_a_reply_that_names_a_comment_without_its_author_answers_that_comment() -> None:
    replies = [
        {"id": "r1", "user": user(2)},
        {"id": "r2", "user": user(3), "target_comment": {"id": "r1"}},
        {"id": "r3", "user": user(3), "target_comment": {"id": "r0"}},
    ]
    *_, named, unknown = shown([{"id": "c1", "user": user(1), "sub_comments": replies}])
    assert named == People("nickname 3", "u2", "nickname 2")
    assert unknown == People("nickname 3")


def test_on_a_page_of_replies_the_comment_may_be_missing() -> None:
    named = {"id": "r2", "user": user(3), "target_comment": {"id": "r1", "user": user(2)}}
    assert shown([{"id": "r1", "user": user(2)}, named], parent_id="c1") == [
        People("nickname 2"),
        People("nickname 3", "u2", "nickname 2"),
    ]


@pytest.mark.parametrize("nickname", [None, 5, ["a"], {"a": 1}])
def test_what_is_no_name_is_none(nickname: object) -> None:
    comment = {"id": "c1", "user": {"userid": "u1", "nickname": nickname}}
    assert shown([comment]) == [People()]


@pytest.mark.parametrize("comment", [{"id": "c1"}, {"id": "c1", "user": "u"}, {}, {"id": []}])
def test_any_object_has_people(comment: dict[str, Any]) -> None:
    assert shown([comment]) == [People()]


@pytest.mark.parametrize("extra", [None, [], {}, {"target_comment": "r1"}, {"target_comment": {}}])
def test_an_answered_user_that_was_not_sent_is_none(extra: object) -> None:
    assert target_user(extra) is None
