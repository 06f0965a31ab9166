from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from xhs.api.endpoints import PageRef
from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.replies import AnsweredComment, Thread, thread_of
from xhs.crawl.storage import Listing, NullStorage, Provenance
from xhs.reasons import StopReason
from xhs.store.mongo.replies import read_answered, thread_write

T = TypeVar("T")
NOTE = "65bf5360000000002c03f684"
NOW, BEFORE = datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)


def requested(
    document: dict[str, Any], mode: str, began: datetime, *, resumed: bool = False
) -> Thread | StopReason | None:
    return thread_of(read_answered(document), Checkpoint(PageRef(NOTE), "v4", mode, began), resumed)


def comment(count: Any, inline: int | None, cursor: Any = "", **thread: Any) -> dict[str, Any]:
    document = {
        "_id": "c1",
        "sub_comment_count": count,
        "inline_replies": inline,
        "extra": {"sub_comment_cursor": cursor},
    }
    return {**document, "thread": thread} if thread else document


async def collect(values: AsyncIterator[T]) -> list[T]:
    return [value async for value in values]


def thread_fields(thread: Thread, began: datetime, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = thread_write(thread, began, **changes).update["$set"]
    return fields


@pytest.mark.parametrize(
    ("count", "inline"), [(0, 0), (1, 1), (3, 3), (2, 5), (None, 0), ("17", 1)]
)
def test_no_thread_if_all_replies_came_with_the_comment(count: Any, inline: int) -> None:
    assert requested(comment(count, inline), "full", NOW) is None


@pytest.mark.parametrize(
    ("document", "thread", "calls"),
    [
        (comment(11, 1, "c"), Thread("c1", 11, 10, "c"), 1),
        (comment(12, 1, "c"), Thread("c1", 12, 11, "c"), 2),
        (comment(11, 1), Thread("c1", 11, 11), 2),
        (comment(11, 0, "c"), Thread("c1", 11, 11), 2),
        (comment(3, None, {"a": 1}), Thread("c1", 3, 3), 1),
    ],
)
def test_a_thread_begins_at_the_cursor_that_came_with_the_comment(
    document: dict[str, Any], thread: Thread, calls: int
) -> None:
    assert requested(document, "full", NOW) == thread
    assert thread.calls == calls
    paginator = thread.paginator(NOTE)
    assert paginator.next_page == PageRef(NOTE, thread.cursor, comment_id="c1")
    assert (paginator.chain_id, paginator.pages_left) == ("c1", calls)


@pytest.mark.parametrize("mode", ["full", "update"])
@pytest.mark.parametrize("began", [NOW, BEFORE])
def test_a_followed_thread_is_requested_again_if_its_count_differs(
    mode: str, began: datetime
) -> None:
    followed = {"followed": 5, "stop_reason": "complete", "began": began}
    assert requested(comment(5, 1, **followed), mode, NOW) is StopReason.COMPLETE
    for count in (4, 6):
        assert isinstance(requested(comment(count, 1, **followed), mode, NOW), Thread)


def test_a_thread_that_ended_abnormally_is_retried_by_another_full_pass() -> None:
    abnormal = comment(5, 1, followed=5, stop_reason="no_progress", began=BEFORE)
    assert requested(abnormal, "update", NOW) is StopReason.NO_PROGRESS
    assert requested(abnormal, "full", BEFORE) is StopReason.NO_PROGRESS
    assert requested(abnormal, "full", NOW) == Thread("c1", 5, 5)


def test_a_thread_continues_where_another_run_of_the_pass_left_it() -> None:
    left = comment(50, 1, "inline") | thread_fields(Thread("c1", 50, 49), BEFORE, cursor="left")
    continued = Thread("c1", 50, 49, "left", is_old=True)
    assert requested(left, "full", BEFORE) == continued
    assert requested(left, "update", NOW) == continued
    assert requested(left, "full", NOW) == Thread("c1", 50, 49, "inline")


def test_a_cursor_that_came_with_a_comment_is_old_in_a_resumed_pass() -> None:
    for resumed in (True, False):
        thread = requested(comment(12, 1, "c"), "full", NOW, resumed=resumed)
        assert thread == Thread("c1", 12, 11, "c", is_old=resumed)


@pytest.mark.anyio
async def test_without_a_store_an_item_replaces_the_stored_comment() -> None:
    fields = {
        "note_id": NOTE,
        "comment_id": "c1",
        "sub_comment_count": 3,
        "extra": {"sub_comment_cursor": "c", "score": 0},
    }
    storage = NullStorage()
    storage.delivered(fields, Provenance(NOTE, 1, {}, listing=Listing("latest", NOW, 1)))
    reading = Checkpoint(PageRef(NOTE), "v4", "full", NOW)
    (comments,) = await collect(storage.answered_comments(reading))
    assert comments == [AnsweredComment("c1", 3, 1, "c")]
    assert thread_of(comments[0], reading, False) == Thread("c1", 3, 2, "c")


def test_a_thread_is_followed_once_it_has_ended() -> None:
    thread = Thread("c1", 7, 7)
    continuing = thread_fields(thread, NOW, cursor="c")["thread"]
    assert continuing == {"began": NOW, "followed": None, "cursor": "c", "stop_reason": None}
    ended = thread_fields(thread, NOW, stop_reason=StopReason.COMPLETE)["thread"]
    assert ended == {"began": NOW, "followed": 7, "cursor": None, "stop_reason": "complete"}
