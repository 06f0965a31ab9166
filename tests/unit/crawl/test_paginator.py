from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.api.endpoints import PageRef
from xhs.api.page import Page
from xhs.crawl.paginator import CommentPaginator, PageResult
from xhs.reasons import StopReason

NOTE = "65bf5360000000002c03f684"
LIMIT = 1000

Server = Callable[[str | None, int], Page]
"""Returns the page for a cursor, after a number of earlier requests."""


def page(*ids: str, cursor: str | None = None, more: bool | None = True, **fields: Any) -> Page:
    return Page([{"id": comment_id} for comment_id in ids], has_more=more, cursor=cursor, **fields)


def crawl(server: Server, first: PageRef | None = None) -> CommentPaginator:
    """Follow a chain to its end."""
    chain = CommentPaginator(first or PageRef(NOTE))
    for asked in range(LIMIT):
        result = chain.take(server(chain.next_page.cursor, asked))
        assert (result.next is None) != (result.stop is None)
        if result.stop:
            return chain
    raise AssertionError(f"the chain did not end in {LIMIT} calls")


def correct(pages: int) -> list[Page]:
    return [
        page(f"a{i}", f"b{i}", cursor=f"c{i + 1}" if i + 1 < pages else "", more=i + 1 < pages)
        for i in range(pages)
    ]


def faulty(first: int, fault: Callable[[int], Page], pages: int = 50) -> Server:
    """Return a correct server that answers ``fault(asked)`` from page ``first`` (from 0) on."""
    answers = correct(pages)
    return lambda _, asked: fault(asked) if asked >= first else answers[asked]


# Correct servers.


@pytest.mark.parametrize("pages", [1, 2, 7])
def test_a_chain_followed_to_its_last_page_is_complete(pages: int) -> None:
    answers = correct(pages)
    chain = crawl(lambda _, asked: answers[asked])
    assert chain.stop is StopReason.COMPLETE
    assert chain.pages == pages
    assert chain.comment_ids == {f"{x}{i}" for x in "ab" for i in range(pages)}


@pytest.mark.parametrize("sort", ["latest", "like_count"])
def test_each_page_is_requested_with_the_last_cursor_and_sort(sort: str) -> None:
    chain = CommentPaginator(PageRef(NOTE, None, sort))
    assert chain.next_page == PageRef(NOTE, None, sort)
    first = page("a", cursor="c1")
    assert chain.take(first) == PageResult(first, PageRef(NOTE, "c1", sort), None)
    assert chain.next_page == PageRef(NOTE, "c1", sort)


def test_the_last_pages_cursor_is_not_followed() -> None:
    assert crawl(lambda *_: page("a", cursor="c1", more=False)).stop is StopReason.COMPLETE


def test_the_last_reported_counts_are_kept() -> None:
    chain = CommentPaginator(PageRef(NOTE))
    chain.take(page("a", cursor="1", author_id="u", comment_count=9, comment_count_l1=5))
    chain.take(page("b", cursor="2", comment_count=10))
    assert (chain.author_id, chain.comment_count, chain.comment_count_l1) == ("u", 10, 5)


def test_replies_do_not_count_as_first_level_comments() -> None:
    chain = CommentPaginator(PageRef(NOTE))
    raw = {"id": "a", "sub_comments": [{"id": "r1"}, {"id": "r2"}, {"id": 3}, None, {"id": "r1"}]}
    chain.take(Page([raw, {"id": "b", "sub_comments": "none"}, None], has_more=False))
    assert chain.comment_ids == {"a", "b"}


# Notes without comments.


@pytest.mark.parametrize("count", [0, None])
def test_a_note_without_facts_is_not_found(count: int | None) -> None:
    empty = page(more=False, comment_count=count, comment_count_l1=count)
    assert crawl(lambda *_: empty).stop is StopReason.NOT_FOUND


@pytest.mark.parametrize(
    "known", [{"author_id": "u"}, {"comment_count": 3}, {"comment_count_l1": 3}]
)
def test_a_note_with_facts_is_complete_without_comments(known: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"comment_count": 0, "comment_count_l1": 0, **known}
    assert crawl(lambda *_: page(more=False, **fields)).stop is StopReason.COMPLETE


def test_an_empty_last_page_completes_a_note_that_had_comments() -> None:
    answers = [page("a", cursor="c1"), page(more=False)]
    assert crawl(lambda _, asked: answers[asked]).stop is StopReason.COMPLETE


# Faulty servers: the stop reason of each fault, and the most calls that it may cost.


@pytest.mark.parametrize("pages", [1, 4])
def test_an_ignored_cursor_costs_one_call(pages: int) -> None:
    answers = correct(pages + 1)
    chain = crawl(faulty(pages, lambda _: answers[0]))
    assert chain.stop is StopReason.CURSOR_IGNORED
    assert chain.pages == pages + 1


@pytest.mark.parametrize(
    "again",
    [
        page("a0", "b0", cursor="fresh"),
        page("a0", "b0", cursor="c1"),
        page("a0", "b0", cursor=None),
        page("a0", "b0", cursor=None, more=False),
    ],
    ids=["fresh cursor", "repeated cursor", "no cursor", "no more"],
)
def test_cursor_ignored_comes_before_other_reasons(again: Page) -> None:
    assert crawl(faulty(2, lambda _: again)).stop is StopReason.CURSOR_IGNORED


@pytest.mark.parametrize("used", ["c1", "c2", "c3"])
def test_a_repeated_cursor_costs_no_call(used: str) -> None:
    chain = crawl(faulty(3, lambda asked: page(f"new{asked}", cursor=used)))
    assert chain.stop is StopReason.CURSOR_REPEATED
    assert chain.pages == 4


def test_the_first_cursor_of_a_chain_counts_as_used() -> None:
    chain = crawl(lambda _, asked: page(f"new{asked}", cursor="begin"), PageRef(NOTE, "begin"))
    assert chain.stop is StopReason.CURSOR_REPEATED
    assert chain.pages == 1


@pytest.mark.parametrize("more", [True, None])
@pytest.mark.parametrize("at", [0, 3])
def test_more_without_a_cursor_costs_no_call(at: int, more: bool | None) -> None:
    chain = crawl(faulty(at, lambda asked: page(f"new{asked}", cursor=None, more=more)))
    assert chain.stop is StopReason.CURSOR_MISSING
    assert chain.pages == at + 1


@pytest.mark.parametrize(
    "ids", [[], ["b0"], ["b0", "a0"], ["a1", "b1"]], ids=["empty", "part", "turned", "page two"]
)
def test_pages_without_new_comments_cost_two_calls(ids: list[str]) -> None:
    chain = crawl(faulty(2, lambda asked: page(*ids, cursor=f"fresh{asked}")))
    assert chain.stop is StopReason.NO_PROGRESS
    assert chain.pages == 2 + 2


def test_a_chain_without_comments_ends_after_two_pages() -> None:
    chain = crawl(lambda _, asked: page(cursor=f"fresh{asked}"))
    assert chain.stop is StopReason.NO_PROGRESS
    assert chain.pages == 2


def test_one_page_without_new_comments_ends_nothing() -> None:
    answers = [
        page("a", cursor="1"),
        page(cursor="2"),
        page("b", cursor="3"),
        page("b", cursor="4"),
        page("c", more=False),
    ]
    chain = crawl(lambda _, asked: answers[asked])
    assert chain.stop is StopReason.COMPLETE
    assert chain.pages == 5


def test_elements_without_an_id_are_no_progress() -> None:
    def server(_: str | None, asked: int) -> Page:
        return Page([None, {"id": asked}, "x"], has_more=True, cursor=f"c{asked}")

    assert crawl(server).stop is StopReason.NO_PROGRESS


def test_the_last_page_may_follow_one_without_new_comments() -> None:
    answers = [page("a", "b", cursor="1"), page("a", cursor="2"), page("b", more=False)]
    assert crawl(lambda _, asked: answers[asked]).stop is StopReason.COMPLETE


# Any server.

few_pages = st.lists(
    st.builds(
        Page,
        comments=st.lists(
            st.none() | st.builds(lambda i: {"id": i}, st.integers(0, 12).map(str)), max_size=3
        ),
        has_more=st.sampled_from([True, True, True, True, None, False]),
        cursor=st.none() | st.integers().map(str),
    ),
    min_size=1,
    max_size=12,
)


@given(few_pages)
def test_any_chain_ends_within_its_bounds(pages: list[Page]) -> None:
    """The server repeats these pages for ever; every second page must be new."""
    chain = crawl(lambda _, asked: pages[asked % len(pages)])
    distinct = {comment_id for answer in pages for comment_id in answer.ids}
    assert chain.pages <= 2 * len(distinct) + 2
    assert chain.stop is not None
    assert chain.comment_ids <= distinct


@given(few_pages)
def test_complete_means_that_has_more_was_false(pages: list[Page]) -> None:
    chain = CommentPaginator(PageRef(NOTE))
    for answer in pages:
        result = chain.take(answer)
        if result.stop:
            done = result.stop in (StopReason.COMPLETE, StopReason.NOT_FOUND)
            assert not done or answer.has_more is False
            return
        assert answer.has_more is not False


@given(few_pages)
def test_no_cursor_is_requested_twice(pages: list[Page]) -> None:
    chain = CommentPaginator(PageRef(NOTE))
    requested = [chain.next_page]
    for answer in pages:
        result = chain.take(answer)
        if result.next is None:
            break
        requested.append(result.next)
    assert len(requested) == len(set(requested))


@given(st.integers(1, 40), st.sets(st.integers(0, 39)))
def test_a_correct_chain_with_repeated_comments_is_complete(pages: int, repeated: set[int]) -> None:
    """New comments move older ones to the next page while pages are read."""
    answers = correct(pages)
    for i in repeated:
        if 0 < i < pages:
            answers[i].comments.insert(0, answers[i - 1].comments[-1])
    chain = crawl(lambda _, asked: answers[asked])
    assert chain.stop is StopReason.COMPLETE
    assert chain.pages == pages


def test_a_chain_can_be_ended_from_outside() -> None:
    chain = CommentPaginator(PageRef(NOTE))
    chain.end(StopReason.RETRIES_EXHAUSTED)
    assert chain.stop is StopReason.RETRIES_EXHAUSTED


def test_the_first_page_with_a_new_comment_is_the_first_page_again() -> None:
    """Its cursor repeats, so the server has ignored ours."""
    first = page("a", "b", "c", cursor="c1")
    grown = page("new", "a", "b", "c", cursor="c1")
    assert crawl(lambda _, asked: grown if asked else first).stop is StopReason.CURSOR_IGNORED
