"""The order in which a person reads comments, and the query of a selection."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.store.mongo.joined import CommentKey, Selection, _projection, reading_order

START = datetime(2024, 2, 9, tzinfo=UTC)


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def test_threads_stand_newest_first_and_their_replies_oldest_first() -> None:
    keys = [
        CommentKey("old", None, at(0)),
        CommentKey("new", None, at(5)),
        CommentKey("late reply to old", "old", at(9)),
        CommentKey("early reply to old", "old", at(1)),
        CommentKey("reply to new", "new", at(6)),
    ]
    expected = ["new", "reply to new", "old", "early reply to old", "late reply to old"]
    assert reading_order(keys) == expected
    assert reading_order(reversed(keys)) == expected


def test_replies_keep_their_place_if_their_comment_is_not_selected() -> None:
    keys = [
        CommentKey("newest", None, at(8)),
        CommentKey("oldest", None, at(0)),
        CommentKey("reply", "filtered out", at(9)),
        CommentKey("orphan", "not stored", at(6)),
    ]
    assert reading_order(keys, {"filtered out": at(4)}) == ["newest", "orphan", "reply", "oldest"]


def test_comments_without_a_time_come_last() -> None:
    keys = [
        CommentKey("timeless", None, None),
        CommentKey("timeless reply", "old", None),
        CommentKey("old", None, at(0)),
        CommentKey("reply", "old", at(1)),
        CommentKey("orphan", "not stored", None),
    ]
    assert reading_order(keys, {"not stored": None}) == [
        "old",
        "reply",
        "timeless reply",
        "timeless",
        "orphan",
    ]


_IDS = st.integers(0, 9).map(str)
_KEYS = st.lists(
    st.builds(CommentKey, _IDS, st.none() | _IDS, st.none() | st.integers(0, 3).map(at)),
    unique_by=lambda key: key.comment_id,
)


@given(_KEYS, st.randoms())
def test_every_comment_has_one_place_that_does_not_depend_on_the_order_of_reading(
    keys: list[CommentKey], random: object
) -> None:
    order = reading_order(keys)
    assert sorted(order) == sorted(key.comment_id for key in keys)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert reading_order(keys) == order


def test_a_selection_without_conditions_selects_everything() -> None:
    assert Selection().query == {}


def test_a_selection_is_a_query() -> None:
    selection = Selection(
        note_ids=["n"], since=at(0), until=at(24), first_seen_since=at(2), min_likes=0
    )
    assert selection.query == {
        "created_at": {"$gte": at(0), "$lt": at(24)},
        "first_seen_at": {"$gte": at(2)},
        "like_count": {"$gte": 0},
    }


@given(st.text(min_size=1))
def test_the_text_searched_for_is_never_a_regular_expression(text: str) -> None:
    condition = Selection(contains=text).query["content"]
    assert re.search(condition["$regex"], f"before{text}after")
    assert condition["$options"] == "i"


def test_a_dot_matches_only_a_dot() -> None:
    condition = Selection(contains="3.5*").query["content"]
    assert not re.search(condition["$regex"], "3455")


@pytest.mark.parametrize("fields", [["content"], ["content", "extra"], ["user_id"]])
def test_a_projection_names_no_field_together_with_a_part_of_it(fields: list[str]) -> None:
    projection = _projection(fields)
    assert projection is not None
    assert projection.keys() >= {*fields, "note_id", "user_id", "parent_comment_id"}
    roots = [name.partition(".")[0] for name in projection]
    assert len(roots) == len(set(roots))
    assert "extra" in roots
