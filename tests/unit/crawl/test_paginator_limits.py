"""Limits and watermarks of a chain, compared with the whole list of comments."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.api.endpoints import PageRef
from xhs.api.page import Page, read_page
from xhs.crawl.paginator import NO_LIMITS, PAGE_SIZE, CommentPaginator, Limits, Watermark, calls_for
from xhs.reasons import StopReason

NOTE = "65bf5360000000002c03f684"
START = datetime(2026, 1, 1, tzinfo=UTC)


class Comment(NamedTuple):
    """A comment written at a minute; pinned ones are listed first, out of order."""

    minute: int
    is_pinned: bool = False

    @property
    def comment_id(self) -> str:
        return f"c{self.minute}"

    @property
    def raw(self) -> dict[str, Any]:
        tags = [{"type": "user_top"}] if self.is_pinned else []
        seconds = int(at(self.minute).timestamp())
        return {"id": self.comment_id, "time": seconds, "show_tags_v2": tags}


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def listed(*minutes: int, pinned: tuple[int, ...] = ()) -> list[Comment]:
    """Return the comments of these minutes, in the order by time."""
    plain = [Comment(minute) for minute in sorted(minutes, reverse=True) if minute not in pinned]
    return [*(Comment(minute, is_pinned=True) for minute in pinned), *plain]


def page(comments: list[Comment], number: int, strategy: str | None = "latest_v2") -> Page:
    start = number * PAGE_SIZE
    return read_page(
        {
            "comments": [comment.raw for comment in comments[start : start + PAGE_SIZE]],
            "has_more": start + PAGE_SIZE < len(comments),
            "cursor": str(number + 1),
            "user_id": "u",
            "current_sort_strategy": strategy,
        }
    )


class Read(NamedTuple):
    """The result of a chain."""

    kept: list[str]
    chain: CommentPaginator

    @property
    def stop(self) -> StopReason | None:
        return self.chain.stop

    @property
    def calls(self) -> int:
        return self.chain.pages


def read(
    comments: list[Comment],
    limits: Limits = NO_LIMITS,
    watermark: Watermark | None = None,
    strategy: str | None = "latest_v2",
) -> Read:
    chain = CommentPaginator(PageRef(NOTE), limits=limits, watermark=watermark)
    kept: list[str] = []
    for number in range(1000):
        result = chain.take(page(comments, number, strategy))
        kept += result.page.ids
        if result.stop:
            return Read(kept, chain)
    raise AssertionError("the chain did not end")


def ids(comments: list[Comment]) -> list[str]:
    return [comment.comment_id for comment in comments]


def watermark_of(comments: list[Comment]) -> Watermark:
    watermark = read(comments).chain.new_watermark
    assert watermark is not None
    return watermark


@pytest.mark.parametrize(
    ("size", "most", "calls", "stop"),
    [
        (25, 1, 1, "max_comments"),
        (25, 9, 1, "max_comments"),
        (25, 10, 1, "max_comments"),
        (25, 11, 2, "max_comments"),
        (25, 24, 3, "max_comments"),
        (25, 25, 3, "complete"),
        (25, 26, 3, "complete"),
        (20, 20, 2, "complete"),
        (0, 5, 1, "complete"),
    ],
)
def test_max_comments(size: int, most: int, calls: int, stop: str) -> None:
    comments = listed(*range(size))
    result = read(comments, Limits(max_comments=most))
    assert result.kept == ids(comments)[:most]
    assert (result.calls, result.stop) == (calls, stop)


def test_max_comments_counts_the_comments_of_earlier_runs() -> None:
    comments = listed(*range(40))
    chain = CommentPaginator(PageRef(NOTE, "1"), pages=1, kept=10, limits=Limits(max_comments=15))
    result = chain.take(page(comments, 1))
    assert result.page.ids == ids(comments)[10:15]
    assert result.stop is StopReason.MAX_COMMENTS


def test_kept_comments_are_counted_without_limits_too() -> None:
    assert read(listed(*range(25), pinned=(3,))).chain.kept == 25


@pytest.mark.parametrize(
    ("since", "calls", "stop"),
    [
        (24, 1, "since"),
        (16, 1, "since"),
        (15, 2, "since"),
        (14, 2, "since"),
        (1, 3, "since"),
        (0, 3, "complete"),
        (-5, 3, "complete"),
        (99, 1, "since"),
    ],
)
def test_since(since: int, calls: int, stop: str) -> None:
    comments = listed(*range(25))
    result = read(comments, Limits(since=at(since)))
    assert result.kept == [f"c{minute}" for minute in range(24, -1, -1) if minute >= since]
    assert (result.calls, result.stop) == (calls, stop)


def test_a_pinned_comment_that_is_too_old_is_not_kept_and_ends_nothing() -> None:
    result = read(listed(*range(25), pinned=(2, 20)), Limits(since=at(5)))
    assert result.kept == ["c20", *(f"c{minute}" for minute in range(24, 4, -1) if minute != 20)]
    assert (result.calls, result.stop) == (3, "since")


def test_a_comment_without_a_time_is_kept_and_ends_nothing() -> None:
    timeless = Page([{"id": "a"}, {"id": "b", "time": "soon"}, "odd"], has_more=False)
    result = CommentPaginator(PageRef(NOTE), limits=Limits(since=at(0))).take(timeless)
    assert (result.page.comments, result.stop) == (timeless.comments, StopReason.COMPLETE)


def test_an_order_that_is_not_by_time_is_filtered_and_read_to_its_end() -> None:
    comments = listed(*range(25))
    result = read(comments, Limits(since=at(20)), strategy="default")
    assert set(result.kept) == {f"c{minute}" for minute in range(20, 25)}
    assert (result.calls, result.stop, result.chain.out_of_order) == (3, "since", True)
    result = read(comments, watermark=watermark_of(comments), strategy="default")
    assert (result.calls, result.stop, result.chain.out_of_order) == (3, "complete", True)


@pytest.mark.parametrize("new", [0, 1, 9, 10, 11, 19, 20, 35])
@pytest.mark.parametrize("pinned", [(), (3,), (3, 7)])
def test_an_update_ends_at_up_to_date(new: int, pinned: tuple[int, ...]) -> None:
    before = listed(*range(40), pinned=pinned)
    comments = listed(*range(40 + new), pinned=pinned)
    result = read(comments, watermark=watermark_of(before))
    assert {f"c{minute}" for minute in range(40, 40 + new)} <= set(result.kept)
    assert max(1, calls_for(new)) <= result.calls <= calls_for(new) + 1
    assert result.stop == "up_to_date"
    if not new:
        assert result.calls == 1


def test_a_watermark_whose_comments_are_gone_is_reached_by_time() -> None:
    watermark = watermark_of(listed(*range(40)))
    left = [minute for minute in range(60) if minute not in range(25, 40)]
    result = read(listed(*left), watermark=watermark)
    assert (result.stop, result.calls) == ("up_to_date", 3)


def test_a_comment_that_was_pinned_is_not_in_the_watermark() -> None:
    before = listed(*range(40), pinned=(39,))
    comments = listed(*range(60))
    result = read(comments, watermark=watermark_of(before))
    assert {f"c{minute}" for minute in range(40, 60)} <= set(result.kept)
    assert "c39" not in watermark_of(before).comment_ids


def test_an_empty_watermark_is_never_reached() -> None:
    result = read(listed(*range(25)), watermark=watermark_of([]))
    assert (result.stop, result.calls) == ("complete", 3)


def test_the_last_page_is_complete_even_if_it_reaches_the_watermark() -> None:
    comments = listed(*range(9))
    assert read(comments, watermark=watermark_of(comments)).stop == "complete"


def test_the_first_of_watermark_and_limit_ends_the_chain() -> None:
    before = listed(*range(40))
    comments = listed(*range(43))
    assert read(comments, Limits(max_comments=5), watermark_of(before)).stop == "up_to_date"
    assert read(comments, Limits(max_comments=3), watermark_of(before)).stop == "up_to_date"
    assert read(comments, Limits(max_comments=2), watermark_of(before)).stop == "max_comments"
    assert read(comments, Limits(since=at(39)), watermark_of(before)).stop == "up_to_date"
    assert read(comments, Limits(since=at(41)), watermark_of(before)).stop == "since"


def test_the_watermark_is_that_of_the_first_page() -> None:
    comments = listed(*range(40), pinned=(2,))
    watermark = watermark_of(comments)
    assert watermark == Watermark(frozenset(f"c{minute}" for minute in range(31, 40)), at(39))


MINUTES = st.sets(st.integers(0, 200), max_size=60)


@st.composite
def notes(draw: st.DrawFn) -> list[Comment]:
    minutes = draw(MINUTES)
    pinned = (
        draw(st.lists(st.sampled_from(sorted(minutes)), max_size=2, unique=True)) if minutes else []
    )
    return listed(*minutes, pinned=tuple(pinned))


@given(notes(), st.integers(1, 70), st.integers(-5, 205))
def test_limits_are_exact_for_any_note(comments: list[Comment], most: int, minute: int) -> None:
    result = read(comments, Limits(most, at(minute)))
    wanted = [comment.comment_id for comment in comments if comment.minute >= minute][:most]
    assert result.kept == wanted
    places = (place for place, name in enumerate(ids(comments)) if name in wanted)
    last = max(places, default=0)
    assert result.calls <= last // PAGE_SIZE + 2
    whole = len(wanted) == len(comments)
    assert (result.stop in {"complete", "not_found"}) == whole


@given(notes(), st.sets(st.integers(201, 400), max_size=60), st.data())
def test_an_update_leaves_no_gap_in_any_note(
    before: list[Comment], new: set[int], data: st.DataObject
) -> None:
    gone = set(data.draw(st.lists(st.sampled_from(ids(before)), unique=True))) if before else set()
    pinned = (
        data.draw(st.lists(st.sampled_from(sorted(new)), max_size=2, unique=True)) if new else []
    )
    minutes = {comment.minute for comment in before if comment.comment_id not in gone} | new
    comments = listed(*minutes, pinned=tuple(pinned))
    result = read(comments, watermark=watermark_of(before))
    assert {f"c{minute}" for minute in new} <= set(result.kept)
    assert result.calls <= calls_for(len(new) + len(pinned)) + 1


def test_comments_that_since_cannot_judge_are_kept_and_counted() -> None:
    def take(limits: Limits) -> tuple[list[str], int, StopReason | None]:
        raw = [comment.raw for comment in listed(*range(4))]
        for comment in raw[1:3]:
            del comment["time"]
        chain = CommentPaginator(PageRef(NOTE), limits=limits)
        result = chain.take(read_page({"comments": raw, "has_more": True, "cursor": "1"}))
        return result.page.ids, result.undated, result.stop

    assert take(Limits(since=at(1))) == (["c3", "c2", "c1"], 2, StopReason.SINCE)
    assert take(Limits(since=at(0), max_comments=2)) == (["c3", "c2"], 1, StopReason.MAX_COMMENTS)
    assert take(NO_LIMITS) == (["c3", "c2", "c1", "c0"], 0, None)
