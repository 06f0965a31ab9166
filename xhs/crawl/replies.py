"""The replies that did not come with their comment: which are asked for, and from where. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from xhs.api.endpoints import PageRef
from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.paginator import CommentPaginator, calls_for
from xhs.reasons import StopReason, read_reason


class Thread(NamedTuple):
    """The replies to a comment that are to be asked for.

    ``reported`` is what the comment says, ``rest`` how many of them are still to come at most.
    ``cursor`` is where to go on, ``is_old`` whether an earlier run has got it.
    """

    comment_id: str
    reported: int
    rest: int
    cursor: str | None = None
    is_old: bool = False

    @property
    def calls(self) -> int:
        """How many calls they take at most."""
        return max(1, calls_for(self.rest))

    def chain(self, note_id: str) -> CommentPaginator:
        """The chain of their pages."""
        call = PageRef(note_id, self.cursor, comment_id=self.comment_id)
        return CommentPaginator(call, reported=self.rest, first_cursor_is_old=self.is_old)


def thread_of(
    comment: Mapping[str, Any], reading: Checkpoint, resumed: bool
) -> Thread | StopReason | None:
    """What a pass asks for of the replies to a first-level comment, as it is stored; or how they
    ended.

    None where all came with it. A thread that has ended is left alone while its count stays. A full
    pass begins each thread anew that it has not touched, and tries those again that ended flawed.
    ``resumed``: whether an earlier run began the pass, and may have got the comment.
    """
    count, inline = comment.get("sub_comment_count"), comment.get("inline_replies") or 0
    if not isinstance(count, int) or count <= inline:
        return None
    known = comment.get("thread")
    known = known if isinstance(known, Mapping) else {}
    again = reading.mode == "full" and known.get("began") != reading.began
    if known.get("followed") == count:
        ended = read_reason(known.get("stop_reason")) or StopReason.COMPLETE
        if ended.satisfied or not again:
            return ended
    cursor = known.get("cursor")
    if isinstance(cursor, str) and not again:
        return Thread(comment["_id"], count, count - inline, cursor, is_old=True)
    extra = comment.get("extra")
    cursor = extra.get("sub_comment_cursor") if inline and isinstance(extra, Mapping) else None
    if isinstance(cursor, str) and cursor:
        return Thread(comment["_id"], count, count - inline, cursor, is_old=resumed)
    return Thread(comment["_id"], count, count)


def as_stored(fields: Mapping[str, Any], inline: int) -> dict[str, Any]:
    """What :func:`thread_of` goes by, from an item's fields: for a crawl without a store.

    What a user's pipeline has left out is unknown, as where the API does not send it.
    """
    extra = fields.get("extra") or {}
    return {
        "_id": fields["comment_id"],
        "sub_comment_count": fields.get("sub_comment_count"),
        "inline_replies": inline,
        "extra": {"sub_comment_cursor": extra.get("sub_comment_cursor")},
    }


def thread_document(
    thread: Thread,
    began: datetime,
    *,
    cursor: str | None = None,
    stop_reason: StopReason | None = None,
) -> dict[str, Any]:
    """How far a thread is in the pass that ``began`` then, as its comment's document keeps it."""
    return {
        "began": began,
        "followed": thread.reported if stop_reason else None,
        "cursor": cursor,
        "stop_reason": stop_reason,
    }
