"""Fields that are missing from a whole page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.api.fields import Parsed, parse_page
from xhs.api.page import Page
from xhs.api.usual_fields import UsualFields
from xhs.simulator.documented import example

NOTE = "65bf5360000000002c03f684"


def parse(*comments: Any) -> list[Parsed]:
    page = Page(comments=list(comments))
    return list(parse_page(page, note_id=NOTE, replies=True, scraped_at="2026-08-21T00:00:00Z"))


def whole(comment_id: str, **changed: Any) -> dict[str, Any]:
    """Return a comment with all usual fields; those set to None are left out."""
    fields = {
        "id": comment_id,
        "time": 1707447372,
        "content": "",
        "like_count": 0,
        "sub_comment_count": 0,
        "user": {"userid": f"u{comment_id}", "nickname": "", "images": ""},
        **changed,
    }
    return {name: value for name, value in fields.items() if value is not None}


def test_the_documented_page_misses_nothing() -> None:
    assert UsualFields().missing(parse(*example()["comments"])) == []


def test_zero_and_empty_text_are_not_missing() -> None:
    assert UsualFields().missing(parse(whole("1"), whole("2"), whole("3"))) == []


def test_a_missing_field_is_returned_once() -> None:
    usual = UsualFields()
    page = parse(*(whole(str(n), time=None, content=None) for n in range(3)))
    assert usual.missing(page) == ["content", "created_at"]
    assert usual.missing(page) == []
    page = parse(*(whole(str(n), time=None, like_count=None) for n in range(3)))
    assert usual.missing(page) == ["like_count"]


def test_a_field_of_one_comment_is_not_missing() -> None:
    page = parse(whole("1"), *(whole(str(n), time=None, user=None) for n in range(2, 10)))
    assert UsualFields().missing(page) == []


@pytest.mark.parametrize("kind", ["comment", "reply"])
def test_replies_are_checked_separately(kind: str) -> None:
    replies = [whole(f"r{n}", sub_comment_count=None) for n in range(3)]
    if kind == "reply":
        replies = [{**reply, "time": None} for reply in replies]
    page = parse(whole("1", sub_comments=replies), whole("2"), whole("3"))
    assert UsualFields().missing(page) == ([] if kind == "comment" else ["created_at"])


def test_pictures_without_an_address() -> None:
    pictures = [{"address": "x"}, {"address": "y"}]
    page = parse(*(whole(str(n), pictures=pictures) for n in range(3)))
    assert UsualFields().missing(page) == ["pictures.url", "pictures.origin_url"]


def test_on_a_short_page_a_field_that_others_had_is_not_missing() -> None:
    without_user = parse(whole("9", user=None))
    usual = UsualFields()
    assert usual.missing(parse(whole("1"))) == []
    assert usual.missing(without_user) == []
    assert UsualFields().missing(without_user) == ["user_id"]


def test_values_that_are_not_objects_are_ignored() -> None:
    assert UsualFields().missing(parse("a", None, 5, [])) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["id", "time", "user", "pictures", "sub_comments", "content"])


@given(st.lists(st.lists(st.dictionaries(names, json_values) | json_values)))
def test_any_pages(pages: list[list[Any]]) -> None:
    usual = UsualFields()
    named = [name for page in pages for name in usual.missing(parse(*page))]
    assert len(named) == len(set(named))
