from typing import Any

import pytest

from xhs.api.endpoints import Call
from xhs.endings import StopReason
from xhs.notes.threads import Thread, as_stored, thread, thread_document

NOTE = "65bf5360000000002c03f684"


def comment(count: Any, inline: int | None, cursor: Any = "", **known: Any) -> dict[str, Any]:
    found = {
        "_id": "c1",
        "sub_comment_count": count,
        "inline_replies": inline,
        "extra": {"sub_comment_cursor": cursor},
    }
    return {**found, "thread": known} if known else found


@pytest.mark.parametrize(
    ("count", "inline"), [(0, 0), (1, 1), (3, 3), (2, 5), (None, 0), ("17", 1)]
)
def test_no_thread_where_all_came_with_the_comment(count: Any, inline: int) -> None:
    assert thread(comment(count, inline), again=True) is None


@pytest.mark.parametrize(
    ("found", "wanted", "calls"),
    [
        (comment(11, 1, "c"), Thread("c1", 11, 10, "c"), 1),
        (comment(12, 1, "c"), Thread("c1", 12, 11, "c"), 2),
        (comment(11, 1), Thread("c1", 11, 11), 2),
        (comment(11, 0, "c"), Thread("c1", 11, 11), 2),
        (comment(3, None, {"a": 1}), Thread("c1", 3, 3), 1),
    ],
)
def test_it_goes_on_at_the_cursor_that_came_with_replies(
    found: dict[str, Any], wanted: Thread, calls: int
) -> None:
    assert thread(found, again=False) == wanted
    assert wanted.calls == calls
    chain = wanted.chain(NOTE)
    assert chain.call == Call(NOTE, wanted.cursor, comment_id="c1")
    assert (chain.chain_id, chain.pages_left) == ("c1", calls)


def test_a_thread_that_was_followed_is_asked_for_where_its_count_differs() -> None:
    followed = {"followed": 5, "stop_reason": "complete"}
    for again in (True, False):
        assert thread(comment(5, 1, **followed), again=again) is StopReason.COMPLETE
        for count in (4, 6):
            assert isinstance(thread(comment(count, 1, **followed), again=again), Thread)


def test_a_thread_that_ended_flawed_is_tried_again_where_that_is_asked_for() -> None:
    flawed = comment(5, 1, followed=5, stop_reason="no_progress")
    assert thread(flawed, again=False) is StopReason.NO_PROGRESS
    assert thread(flawed, again=True) == Thread("c1", 5, 5)


def test_a_thread_goes_on_where_another_run_left_it() -> None:
    left = comment(50, 1, "inline") | {
        "thread": thread_document(Thread("c1", 50, 49), cursor="left")
    }
    found = thread(left, again=False)
    assert found == Thread("c1", 50, 49, "left", is_old=True)
    assert thread(left, again=True) == Thread("c1", 50, 49, "inline")


def test_an_item_stands_for_what_is_stored() -> None:
    fields = {
        "comment_id": "c1",
        "sub_comment_count": 3,
        "extra": {"sub_comment_cursor": "c", "score": 0},
    }
    assert thread(as_stored(fields, 1), again=True) == Thread("c1", 3, 2, "c")


def test_a_thread_is_followed_once_it_has_ended() -> None:
    one = Thread("c1", 7, 7)
    going = thread_document(one, cursor="c")
    assert going == {"followed": None, "cursor": "c", "stop_reason": None}
    ended = thread_document(one, stop_reason=StopReason.COMPLETE)
    assert ended == {"followed": 7, "cursor": None, "stop_reason": "complete"}
