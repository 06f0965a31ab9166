"""Figures of comments: counts, hours that stand out, questions, copies, differences of groups."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rjieba", reason="pip install -r requirements-look.txt")

from xhs.feeds.readable import BEIJING
from xhs.report.figures import (
    DEVIATIONS,
    LEAST_IN_HOUR,
    MOST_BARS,
    SHOWN,
    Comment,
    Examples,
    Figures,
    busy_hours,
    hour_start,
    log_likelihood,
    more_used,
    read_comment,
    timeline,
    top,
)
from xhs.report.text import Words

WORDS = Words()
NOTE, AUTHOR = "65bf5360000000002c03f684", "author"
START = datetime(2026, 3, 1, 4, tzinfo=UTC)


def comment(serial: int, text: str = "", **fields: Any) -> Comment:
    plain = Comment(f"c{serial}", NOTE, f"u{serial}", None, text, START, 0, 0, None, False, False)
    return plain._replace(**fields)


def figures(*comments: Comment, author: str | None = AUTHOR) -> Figures:
    result = Figures(WORDS, {NOTE: author})
    for one in comments:
        result.add(one)
    return result


@given(
    st.lists(st.tuples(st.integers(0, 9), st.text("abc", min_size=1, max_size=3), st.booleans()))
)
def test_counts_are_those_of_the_comments(rows: list[tuple[int, str, bool]]) -> None:
    comments = [
        comment(number, likes=likes, place=place, parent_id="c0" if is_reply else None)
        for number, (likes, place, is_reply) in enumerate(rows)
    ]
    counted = figures(*comments)
    assert counted.comments == len(rows)
    assert counted.replies == sum(is_reply for _, _, is_reply in rows)
    assert counted.likes == sum(likes for likes, _, _ in rows)
    places = Counter(place for _, place, _ in rows)
    assert {place: found.count for place, found in counted.places.items()} == places
    assert [place for place, _ in top(counted.places, 3)] == sorted(
        places, key=lambda place: (-places[place], place)
    )[:3]


@given(st.lists(st.integers(0, 50), max_size=40))
def test_examples_are_the_most_liked(likes: list[int]) -> None:
    examples = Examples()
    for number, count in enumerate(likes):
        examples.add(count, f"c{number:03}")
    ranked = sorted(((count, f"c{number:03}") for number, count in enumerate(likes)), reverse=True)
    assert examples.count == len(likes)
    assert examples.ids == [comment_id for _, comment_id in ranked[:SHOWN]]


def test_a_comment_of_wrong_types_is_read_as_far_as_it_goes() -> None:
    document = {
        "_id": "c", "note_id": 5, "user_id": None, "parent_comment_id": [], "content": {"a": 1},
        "created_at": "yesterday", "like_count": "9", "sub_comment_count": -1, "ip_location": " ",
        "is_author": None, "vanished_at": None,
    }  # fmt: skip
    expected = Comment("c", "", None, None, "", None, 0, 0, None, False, False)
    assert read_comment(document, None) == expected
    assert read_comment({"_id": "c"}, AUTHOR) == expected


@pytest.mark.parametrize("year", [1970, 2012, 2100])
def test_a_time_that_cannot_be_is_no_time(year: int) -> None:
    document = {"_id": "c", "created_at": datetime(year, 1, 1, tzinfo=UTC)}
    assert read_comment(document).created_at is None


def test_the_author_is_known_by_the_flag_or_by_the_id() -> None:
    assert read_comment({"_id": "c", "is_author": True}).by_author
    assert read_comment({"_id": "c", "user_id": AUTHOR}, AUTHOR).by_author
    assert not read_comment({"_id": "c", "user_id": AUTHOR, "is_author": False}, AUTHOR).by_author


def test_vanished_comments_are_counted_but_not_held() -> None:
    counted = figures(comment(1), comment(2, has_vanished=True, replies=3))
    assert (counted.comments, counted.vanished) == (2, 1)
    assert counted.notes[NOTE].comments.ids == ["c1"]
    assert counted.notes[NOTE].replies_missing == 0


def test_replies_missing_are_those_of_threads_that_lack_some() -> None:
    counted = figures(
        comment(1, replies=3),
        comment(2, replies=0),
        *(comment(number, parent_id="c1") for number in (11, 12)),
        comment(21, parent_id="c2"),
    )
    assert counted.notes[NOTE].replies_missing == 1


@pytest.mark.parametrize(
    ("days", "unit"), [(1, "hour"), (5, "day"), (90, "week"), (800, "month"), (4000, "year")]
)
def test_a_timeline_has_the_smallest_unit_that_fits(days: int, unit: str) -> None:
    times = [START + timedelta(days=days * step / 3) for step in range(4)]
    counted = figures(*(comment(number, created_at=at) for number, at in enumerate(times)))
    found, bars = timeline(counted.hours)
    assert found == unit
    assert len(bars) <= MOST_BARS
    assert sum(bar.examples.count for bar in bars) == len(times)
    assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})
    assert all(bar.start.hour == 0 or unit == "hour" for bar in bars)


def test_days_are_those_of_beijing() -> None:
    late = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    _, bars = timeline(figures(comment(1, created_at=late)).hours)
    assert [bar.start for bar in bars] == [datetime(2026, 3, 2, 0, tzinfo=BEIJING)]


def course(counts: list[int]) -> Figures:
    """Return the figures of a note with so many comments in each hour."""
    return figures(
        *(
            comment(hour * 1000 + number, created_at=START + timedelta(hours=hour))
            for hour, count in enumerate(counts)
            for number in range(count)
        )
    )


def test_an_hour_that_stands_out() -> None:
    counts = [2, 1] * 12
    counts[12] = 30
    counted = course(counts)
    [busy] = busy_hours(counted.hours)
    assert hour_start(busy.hour) == START + timedelta(hours=12)
    assert (busy.note_id, busy.examples.count, busy.usual) == (NOTE, 30, 1)
    unit, bars = timeline(counted.hours, [busy])
    assert unit == "hour"
    assert [bar.start for bar in bars if bar.stands_out] == [hour_start(busy.hour)]


@pytest.mark.parametrize(
    "counts",
    [
        [100, 80, 60, 50, 40, 30, 25, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1, 1],  # as notes begin
        [0, 1] * 6 + [LEAST_IN_HOUR - 1] + [1, 0] * 6,  # few comments
        [40] * 6 + [40 + DEVIATIONS * 6] + [40] * 6,  # within what chance does
        [1] * 3 + [50] + [1] * 20,  # at the edge
    ],
)
def test_hours_that_do_not_stand_out(counts: list[int]) -> None:
    assert busy_hours(course(counts).hours) == []


def question(serial: int, text: str = "多少钱呀？", **fields: Any) -> Comment:
    return comment(serial, text, **fields)


def reply(serial: int, hours: int, **fields: Any) -> Comment:
    at = START + timedelta(hours=hours)
    return comment(serial, "九十九", parent_id="c1", created_at=at, **fields)


@pytest.mark.parametrize(
    ("comments", "expected"),
    [
        ([question(1)], "unanswered"),
        ([question(1), reply(2, 1)], "unanswered"),
        ([question(1, replies=1), reply(2, 1, by_author=True)], "answered"),
        ([question(1, created_at=None), reply(2, 1, by_author=True)], "answered"),
        ([question(1), reply(2, -1, by_author=True)], "unanswered"),
        ([question(1, replies=3), reply(2, 1)], "unknown"),
        ([question(1, replies=3), reply(2, 1, by_author=True)], "answered"),
    ],
)
def test_a_question_is_answered_by_a_later_reply_of_the_author(
    comments: list[Comment], expected: str
) -> None:
    for order in (comments, comments[::-1]):
        questions = figures(*order).questions()
        assert questions.all.ids == ["c1"]
        names = ("answered", "unanswered", "unknown")
        counts = {name: getattr(questions, name).count for name in names}
        assert counts == {**dict.fromkeys(names, 0), expected: 1}


def test_without_a_known_author_it_is_not_known_if_a_question_was_answered() -> None:
    assert figures(question(1), author=None).questions().unknown.ids == ["c1"]
    known = figures(question(1), comment(2, by_author=True), author=None).questions()
    assert known.unanswered.ids == ["c1"]


def test_the_authors_own_questions_do_not_count() -> None:
    assert figures(question(1, by_author=True)).questions().all.count == 0


def test_the_same_text_by_several_people() -> None:
    same, other = "这家店的面真的很好吃", "那家店的面真的很好吃"
    counted = figures(
        comment(1, same, likes=1),
        comment(2, f"{same}！[赞R]", likes=5),
        comment(3, same, user_id="u1"),
        comment(4, other),
        comment(5, other, user_id="u4"),
        comment(6, same, user_id=None),
        comment(7, "好吃"),
        comment(8, "好吃"),
    )
    total, [copies] = counted.copied(10)
    assert total == 1
    assert copies.users == {"u1", "u2"}
    assert copies.examples.count == 3
    assert copies.examples.ids == ["c2", "c1", "c3"]


def test_words_that_one_group_uses_more() -> None:
    one = figures(*(comment(number, "防晒 穿搭") for number in range(20)))
    other = figures(*(comment(number, "面馆 穿搭") for number in range(20)))
    assert [found.name for found in more_used(one.words, other.words, 20, 20, 5)] == ["防晒"]
    [found] = more_used(other.words, one.words, 20, 20, 5)
    assert (found.name, found.share, found.other_share) == ("面馆", 1, 0)
    assert more_used(one.words, other.words, 20, 0, 5) == []


def test_log_likelihood_of_a_known_example() -> None:
    assert log_likelihood(10, 100, 10, 100) == pytest.approx(0)
    # Rayson and Garside's calculator: 20 of 1,000 against 5 of 1,000.
    assert log_likelihood(20, 1000, 5, 1000) == pytest.approx(9.64, abs=0.01)
