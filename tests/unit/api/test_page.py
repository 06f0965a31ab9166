import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import xhs.simulator
from xhs.api.page import Page, read_page

SAMPLE = Path(xhs.simulator.__file__).parent / "note-comments-v4.sample.json"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
page_fields = ["comments", "has_more", "cursor", "user_id", "comment_count", "comment_count_l1"]


def test_the_documented_page() -> None:
    data = json.loads(SAMPLE.read_bytes())["data"]
    page = read_page(data)
    assert page.comments == data["comments"]
    assert page.has_more is True
    assert page.cursor == data["cursor"]
    assert page.author_id == "61e0f15300000000210253a5"
    assert (page.comment_count, page.comment_count_l1) == (944, 801)
    assert page.defect is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("False", False),
        (1, True),
        (0, False),
        (None, None),
        ("maybe", None),
    ],
)
def test_has_more(value: object, expected: bool | None) -> None:
    assert read_page({"comments": [], "has_more": value}).has_more is expected


def test_absent_fields_are_none() -> None:
    page = read_page({"comments": []})
    assert page == Page()


@pytest.mark.parametrize(
    ("value", "expected"), [("c", "c"), ("0", "0"), (17, "17"), ("", None), (None, None)]
)
def test_cursors(value: object, expected: str | None) -> None:
    assert read_page({"comments": [], "cursor": value}).cursor == expected


@pytest.mark.parametrize("cursor", [{}, {"a": 1}, []])
def test_a_cursor_that_cannot_be_sent_back_is_a_flaw(cursor: object) -> None:
    page = read_page({"comments": [], "cursor": cursor, "has_more": True})
    assert page.cursor is None
    assert page.defect


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (944, 944),
        ("944", 944),
        ("1.2万", 12000),
        (0, 0),
        (None, None),
        ("", None),
        ("many", None),
        (-1, None),
        (True, None),
        (2**63, None),
    ],
)
def test_reported_counts(value: object, expected: int | None) -> None:
    page = read_page({"comments": [], "comment_count": value, "comment_count_l1": value})
    assert (page.comment_count, page.comment_count_l1) == (expected, expected)


@pytest.mark.parametrize("data", [5, True, "text", [1], [{"comments": []}]])
def test_data_that_is_not_an_object_is_unreadable(data: object) -> None:
    page = read_page(data)
    assert (page.comments, page.is_readable, page.is_empty) == ([], False, False)
    assert page.defect


@pytest.mark.parametrize("replies", [True, False])
@pytest.mark.parametrize("data", [None, {}, [], ""])
def test_empty_data_is_not_a_page(data: object, replies: bool) -> None:
    page = read_page(data, replies=replies)
    assert (page.comments, page.is_empty) == ([], True)
    assert page.defect


@pytest.mark.parametrize(
    "data",
    [
        {"comments": "none", "has_more": False},
        {"comments": {}, "has_more": False},
        {"has_more": True},
        {"has_more": False},
        {"comments": None, "comment_count": 5},
        {"comments": None, "comment_count": "many"},
        {"comments": None, "has_more": True},
        {"comment_list": [{"id": "a"}], "has_more": False, "comment_count": 0},
        {"code": 0, "data": {"comments": [{"id": "a"}], "has_more": False}},
    ],
)
@pytest.mark.parametrize("replies", [True, False])
def test_without_a_list_of_comments_an_answer_is_unreadable(data: object, replies: bool) -> None:
    page = read_page(data, replies=replies)
    assert (page.comments, page.is_readable, page.is_empty) == ([], False, False)
    assert page.defect


@pytest.mark.parametrize(
    "count", [{}, {"comment_count": 0}, {"comment_count": "0", "comment_count_l1": 0}]
)
@pytest.mark.parametrize("name", ["comments", "sub_comments"])
def test_a_note_without_comments_may_have_null_for_its_list(
    count: dict[str, object], name: str
) -> None:
    page = read_page({name: None, "has_more": False, **count}, replies=name != "comments")
    assert (page.comments, page.is_readable, page.defect) == ([], True, None)


@pytest.mark.parametrize(
    "more", [{}, {"has_more": None}, {"has_more": False, "comment_count_l1": 35}]
)
def test_null_for_the_list_must_agree_with_the_rest(more: dict[str, object]) -> None:
    assert not read_page({"comments": None, **more}).is_readable


def test_ids_are_those_of_the_elements_that_have_one() -> None:
    comments: list[object] = [{"id": "a"}, None, {}, {"id": 5}, "x", [], {"id": "b"}, {"id": "a"}]
    assert read_page({"comments": comments}).ids == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"time": 1707447372}, 1707447372),
        ({"create_time": 1707447372000}, 1707447372),
        ({"time": 1, "create_time": 1707447372000}, 1),
        ({"time": "", "create_time": "1707447372000"}, 1707447372),
        ({"create_time": "yesterday"}, None),
        ({}, None),
    ],
)
def test_the_time_of_a_comment_in_each_format(raw: dict[str, object], expected: int | None) -> None:
    [comment] = read_page({"comments": [{"id": "a", **raw}]}).listed
    assert (comment.created and comment.created.timestamp()) == expected


@given(json_values | st.dictionaries(st.sampled_from(page_fields), json_values))
def test_any_data_is_a_page(data: object) -> None:
    page = read_page(data)
    assert isinstance(page.ids, list)
    assert page.cursor is None or isinstance(page.cursor, str)
    assert page.author_id is None or isinstance(page.author_id, str)


@given(st.lists(json_values))
def test_every_element_is_kept(comments: list[object]) -> None:
    assert read_page({"comments": comments}).comments is comments
