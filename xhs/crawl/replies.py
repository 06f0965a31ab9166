"""Threads: the replies that did not come with their comment, and the page to begin at. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from xhs.api.endpoints import PageRef
from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.paginator import CommentPaginator, calls_for
from xhs.reasons import StopReason


class Thread(NamedTuple):
    """The replies to a comment that are to be requested.

    ``reported``: the replies that the comment reports. ``rest``: those still to come, at most.
    ``cursor``: the cursor to begin at. ``is_old``: True if an earlier run received it.
    """

    comment_id: str
    reported: int
    rest: int
    cursor: str | None = None
    is_old: bool = False

    @property
    def calls(self) -> int:
        """The calls that the thread takes, at most."""
        return max(1, calls_for(self.rest))

    def paginator(self, note_id: str) -> CommentPaginator:
        """Return the paginator of the thread's pages."""
        page = PageRef(note_id, self.cursor, comment_id=self.comment_id)
        return CommentPaginator(page, reported=self.rest, first_cursor_is_old=self.is_old)


@dataclass(frozen=True, slots=True)
class AnsweredComment:
    """A stored first-level comment that may have replies.

    ``reported``: the number of replies as reported. ``inline``: the replies that came with it and
    were kept. ``cursor``: the cursor that came with them. The other fields are about its thread.
    ``began``: the start of the last pass that read pages of it. ``followed``: the number reported
    when the thread was followed to its end. ``stop_reason``: why it ended. ``thread_cursor``: the
    cursor at which it was left.
    """

    comment_id: str
    reported: Any
    inline: int = 0
    cursor: Any = None
    began: datetime | None = None
    followed: Any = None
    stop_reason: StopReason | None = None
    thread_cursor: Any = None


def thread_of(
    comment: AnsweredComment, reading: Checkpoint, resumed: bool
) -> Thread | StopReason | None:
    """Return the thread of a comment that a pass requests, or the reason why it has ended.

    None if all replies came with the comment. A thread that has ended is skipped while its count is
    unchanged. A full pass restarts each thread of which it has read no page, and retries threads
    that ended abnormally. ``resumed``: an earlier run began the pass, and may have received the
    comment.
    """
    count, inline = comment.reported, comment.inline
    if not isinstance(count, int) or count <= inline:
        return None
    restarts = reading.mode == "full" and comment.began != reading.began
    if comment.followed == count:
        stop = comment.stop_reason or StopReason.COMPLETE
        if stop.satisfied or not restarts:
            return stop
    comment_id, cursor = comment.comment_id, comment.thread_cursor
    if isinstance(cursor, str) and not restarts:
        return Thread(comment_id, count, count - inline, cursor, is_old=True)
    cursor = comment.cursor if inline else None
    if isinstance(cursor, str) and cursor:
        return Thread(comment_id, count, count - inline, cursor, is_old=resumed)
    return Thread(comment_id, count, count)
