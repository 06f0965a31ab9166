"""The replies that did not come with their comment: which are asked for, and from where. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from xhs.api.endpoints import PageRef
from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.paginator import CommentPaginator, calls_for
from xhs.reasons import StopReason


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

    def paginator(self, note_id: str) -> CommentPaginator:
        """Return the paginator of their pages."""
        call = PageRef(note_id, self.cursor, comment_id=self.comment_id)
        return CommentPaginator(call, reported=self.rest, first_cursor_is_old=self.is_old)


@dataclass(frozen=True, slots=True)
class AnsweredComment:
    """A first-level comment that may have replies, as it is stored.

    ``reported``: its replies as reported; ``inline``: those that came with it and were kept;
    ``cursor``: the one that came with them. The rest is about its thread: the pass that touched it
    last ``began`` then; ``followed`` is what was reported when it was followed to its end, and
    ``stop_reason`` how that went; ``thread_cursor`` is where it was left.
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
    """Return what a pass asks for of the replies to a comment; or how they ended.

    None if all came with it. A thread that has ended is left alone while its count stays. A full
    pass restarts each thread that it has not touched, and tries those again that ended abnormally.
    ``resumed``: an earlier run began the pass, and may have received the comment.
    """
    count, inline = comment.reported, comment.inline
    if not isinstance(count, int) or count <= inline:
        return None
    again = reading.mode == "full" and comment.began != reading.began
    if comment.followed == count:
        ended = comment.stop_reason or StopReason.COMPLETE
        if ended.satisfied or not again:
            return ended
    comment_id, cursor = comment.comment_id, comment.thread_cursor
    if isinstance(cursor, str) and not again:
        return Thread(comment_id, count, count - inline, cursor, is_old=True)
    cursor = comment.cursor if inline else None
    if isinstance(cursor, str) and cursor:
        return Thread(comment_id, count, count - inline, cursor, is_old=resumed)
    return Thread(comment_id, count, count)
