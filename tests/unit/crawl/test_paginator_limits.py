"""What limits and a watermark make of a chain, against a list of comments that is served whole."""

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
    """A comment that was written at a minute; pinned ones stand on top, out of their order."""

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


def shown(*minutes: int, pinned: tuple[int, ...] = ()) -> list[Comment]:
    """The comments of these minutes as the order by time shows them."""
    plain = [Comment(minute) for minute in sorted(minutes, reverse=True) if minute not in pinned]
    return [*(Comment(minute, is_pinned=True) for minute in pinned), *plain]


def page(comments: list[Comment], number: int, strategy: str | None = "latest_v2") -> Page:
    start = number * PAGE_SIZE
    return read_page(
        {
            "comments": [one.raw for one in comments[start : start + PAGE_SIZE]],
            "has_more": start + PAGE_SIZE < len(comments),
            "cursor": str(number + 1),
            "user_id": "u",
            "current_sort_strategy": strategy,
        }
    )


class Read(NamedTuple):
    """What came of a chain."""

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
        step = chain.take(page(comments, number, strategy))
        kept += step.page.ids
        if step.stop:
            return Read(kept, chain)
    raise AssertionError("the chain did not end")


def ids(comments: list[Comment]) -> list[str]:
    return [one.comment_id for one in comments]


def watermark_of(comments: list[Comment]) -> Watermark:
    found = read(comments).chain.new_watermark
    assert found is not None
    return found


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
    comments = shown(*range(size))
    found = read(comments, Limits(max_comments=most))
    assert found.kept == ids(comments)[:most]
    assert (found.calls, found.stop) == (calls, stop)


def test_max_comments_goes_on_counting_where_another_run_stopped() -> None:
    comments = shown(*range(40))
    chain = CommentPaginator(PageRef(NOTE, "1"), pages=1, kept=10, limits=Limits(max_comments=15))
    step = chain.take(page(comments, 1))
    assert step.page.ids == ids(comments)[10:15]
    assert step.stop is StopReason.MAX_COMMENTS


def test_what_is_kept_is_counted_without_limits_too() -> None:
    assert read(shown(*range(25), pinned=(3,))).chain.kept == 25


@pytest.mark.parametrize(
    ("minute", "calls", "stop"),
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
def test_since(minute: int, calls: int, stop: str) -> None:
    comments = shown(*range(25))
    found = read(comments, Limits(since=at(minute)))
    assert found.kept == [f"c{one}" for one in range(24, -1, -1) if one >= minute]
    assert (found.calls, found.stop) == (calls, stop)


def test_a_pinned_comment_that_is_too_old_is_not_kept_and_ends_nothing() -> None:
    found = read(shown(*range(25), pinned=(2, 20)), Limits(since=at(5)))
    assert found.kept == ["c20", *(f"c{one}" for one in range(24, 4, -1) if one != 20)]
    assert (found.calls, found.stop) == (3, "since")


def test_a_comment_without_a_time_is_kept_and_ends_nothing() -> None:
    timeless = Page([{"id": "a"}, {"id": "b", "time": "soon"}, "odd"], has_more=False)
    step = CommentPaginator(PageRef(NOTE), limits=Limits(since=at(0))).take(timeless)
    assert (step.page.comments, step.stop) == (timeless.comments, StopReason.COMPLETE)


def test_an_order_that_is_not_by_time_is_filtered_and_read_to_its_end() -> None:
    comments = shown(*range(25))
    found = read(comments, Limits(since=at(20)), strategy="default")
    assert set(found.kept) == {f"c{one}" for one in range(20, 25)}
    assert (found.calls, found.stop, found.chain.out_of_order) == (3, "since", True)
    found = read(comments, watermark=watermark_of(comments), strategy="default")
    assert (found.calls, found.stop, found.chain.out_of_order) == (3, "complete", True)


@pytest.mark.parametrize("new", [0, 1, 9, 10, 11, 19, 20, 35])
@pytest.mark.parametrize("pinned", [(), (3,), (3, 7)])
def test_an_update_ends_at_up_to_date(new: int, pinned: tuple[int, ...]) -> None:
    before = shown(*range(40), pinned=pinned)
    comments = shown(*range(40 + new), pinned=pinned)
    found = read(comments, watermark=watermark_of(before))
    assert {f"c{one}" for one in range(40, 40 + new)} <= set(found.kept)
    assert max(1, calls_for(new)) <= found.calls <= calls_for(new) + 1
    assert found.stop == "up_to_date"
    if not new:
        assert found.calls == 1


def test_ground_that_is_gone_is_known_by_its_time() -> None:
    watermark = watermark_of(shown(*range(40)))
    left = [one for one in range(60) if one not in range(25, 40)]
    found = read(shown(*left), watermark=watermark)
    assert (found.stop, found.calls) == ("up_to_date", 3)


def test_what_was_pinned_is_no_up_to_date() -> None:
    before = shown(*range(40), pinned=(39,))
    comments = shown(*range(60))
    found = read(comments, watermark=watermark_of(before))
    assert {f"c{one}" for one in range(40, 60)} <= set(found.kept)
    assert "c39" not in watermark_of(before).comment_ids


def test_no_ground_is_known_where_there_was_no_comment() -> None:
    found = read(shown(*range(25)), watermark=watermark_of([]))
    assert (found.stop, found.calls) == ("complete", 3)


def test_the_last_page_is_complete_also_where_ground_is_known() -> None:
    comments = shown(*range(9))
    assert read(comments, watermark=watermark_of(comments)).stop == "complete"


def test_up_to_date_before_the_limit_counts() -> None:
    before = shown(*range(40))
    comments = shown(*range(43))
    assert read(comments, Limits(max_comments=5), watermark_of(before)).stop == "up_to_date"
    assert read(comments, Limits(max_comments=3), watermark_of(before)).stop == "up_to_date"
    assert read(comments, Limits(max_comments=2), watermark_of(before)).stop == "max_comments"
    assert read(comments, Limits(since=at(39)), watermark_of(before)).stop == "up_to_date"
    assert read(comments, Limits(since=at(41)), watermark_of(before)).stop == "since"


def test_the_watermark_is_that_of_the_first_page() -> None:
    comments = shown(*range(40), pinned=(2,))
    watermark = watermark_of(comments)
    assert watermark == Watermark(frozenset(f"c{one}" for one in range(31, 40)), at(39))


MINUTES = st.sets(st.integers(0, 200), max_size=60)


@st.composite
def notes(draw: st.DrawFn) -> list[Comment]:
    minutes = draw(MINUTES)
    pinned = (
        draw(st.lists(st.sampled_from(sorted(minutes)), max_size=2, unique=True)) if minutes else []
    )
    return shown(*minutes, pinned=tuple(pinned))


@given(notes(), st.integers(1, 70), st.integers(-5, 205))
def test_limits_are_exact_for_any_note(comments: list[Comment], most: int, minute: int) -> None:
    found = read(comments, Limits(most, at(minute)))
    wanted = [one.comment_id for one in comments if one.minute >= minute][:most]
    assert found.kept == wanted
    last = max((place for place, one in enumerate(ids(comments)) if one in wanted), default=0)
    assert found.calls <= last // PAGE_SIZE + 2
    whole = len(wanted) == len(comments)
    assert (found.stop in {"complete", "not_found"}) == whole


@given(notes(), st.sets(st.integers(201, 400), max_size=60), st.data())
def test_an_update_leaves_no_gap_in_any_note(
    before: list[Comment], new: set[int], data: st.DataObject
) -> None:
    gone = set(data.draw(st.lists(st.sampled_from(ids(before)), unique=True))) if before else set()
    pinned = (
        data.draw(st.lists(st.sampled_from(sorted(new)), max_size=2, unique=True)) if new else []
    )
    minutes = {one.minute for one in before if one.comment_id not in gone} | new
    comments = shown(*minutes, pinned=tuple(pinned))
    found = read(comments, watermark=watermark_of(before))
    assert {f"c{one}" for one in new} <= set(found.kept)
    assert found.calls <= calls_for(len(new) + len(pinned)) + 1


def test_comments_that_since_cannot_judge_are_kept_and_counted() -> None:
    def step(limits: Limits) -> tuple[list[str], int, StopReason | None]:
        raw = [one.raw for one in shown(*range(4))]
        for one in raw[1:3]:
            del one["time"]
        chain = CommentPaginator(PageRef(NOTE), limits=limits)
        taken = chain.take(read_page({"comments": raw, "has_more": True, "cursor": "1"}))
        return taken.page.ids, taken.undated, taken.stop

    assert step(Limits(since=at(1))) == (["c3", "c2", "c1"], 2, StopReason.SINCE)
    assert step(Limits(since=at(0), max_comments=2)) == (["c3", "c2"], 1, StopReason.MAX_COMMENTS)
    assert step(NO_LIMITS) == (["c3", "c2", "c1", "c0"], 0, None)
