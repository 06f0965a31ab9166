"""How a note begins: its first request, or why there is none. Pure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from xhs.api.endpoints import PageRef
from xhs.crawl.arguments import OF_A_NOTE, Arguments, WrongArguments
from xhs.crawl.checkpoint import (
    Checkpoint,
    of_a_pass,
    read_checkpoint,
    read_wanted,
    read_watermark,
)
from xhs.crawl.paginator import CommentPaginator, Watermark
from xhs.reasons import StopReason, read_reason
from xhs.store.mongo.collections import Document


@dataclass(frozen=True, slots=True)
class NotePlan:
    """How a pass begins or goes on: from ``checkpoint``, where ``pages`` of it came before, and by
    ``arguments``: the crawl's and, where it names none itself, those that the pass was given, and
    those that the ledger keeps with the note.

    ``author_id``, ``comment_count`` and ``reported`` (first-level comments): as the ledger has
    them; ``watermark``: where an update ends. ``known_watermark``: what the ledger has.
    ``is_new``: the ledger has no such note. ``has_state``: what the ledger says of the note came
    from an answer, so only an answer may replace it. ``resumed``: an earlier run began this pass.
    ``then_again``: another pass follows, since an update was asked for and this finishes what was
    left.
    """

    checkpoint: Checkpoint
    arguments: Arguments
    pages: int = 0
    author_id: str | None = None
    comment_count: int | None = None
    reported: int | None = None
    watermark: Watermark | None = None
    known_watermark: Watermark | None = None
    is_new: bool = False
    has_state: bool = False
    resumed: bool = False
    then_again: bool = False

    @property
    def call(self) -> PageRef | None:
        """The first call for the note's pages; None where only replies are left."""
        return self.checkpoint.call if self.checkpoint.stop_reason is None else None

    def chain(self) -> CommentPaginator:
        """The chain of the note's pages."""
        chain = CommentPaginator(
            self.checkpoint.call,
            pages=self.pages,
            kept=self.checkpoint.kept,
            reported=self.reported,
            limits=self.arguments.limits,
            watermark=self.watermark,
            new_watermark=self.checkpoint.watermark,
        )
        chain.author_id, chain.comment_count = self.author_id, self.comment_count
        chain.stop = self.checkpoint.stop_reason
        return chain


class Skip(NamedTuple):
    """A note that is left alone, since it has ended so."""

    reason: StopReason


def plan(
    note_id: str, known: Document | None, crawl: Arguments, version: str, now: datetime
) -> NotePlan | Skip:
    """What to ask for first. ``known`` is what the ledger has of the note.

    ``mode=full`` asks for every page from the first. ``mode=resume`` leaves alone what has ended,
    unless the ledger says that it is wanted, and continues from a checkpoint; one of another sort
    or version restarts. ``mode=update`` continues from a checkpoint too, and then reads from the
    first page down to the watermark.

    Raises:
        WrongArguments: where what the ledger keeps with the note does not go with the crawl's.
    """
    is_new, known = known is None, known or {}
    kept = _kept_arguments(known.get("arguments"))
    arguments = crawl.for_note(kept)

    def anew(mode: str, its: Arguments) -> NotePlan:
        call = PageRef(note_id, sort=its.sort)
        checkpoint = Checkpoint(call, version, mode, now, arguments=of_a_pass(its.given))
        return replace(_first(checkpoint, its, known), is_new=is_new)

    if arguments.mode == "full":
        return anew("full", arguments)
    wanted = read_wanted(known.get("wanted"))
    stop = read_reason(known.get("stop_reason")) if known.get("state") == "ended" else None
    if arguments.mode == "resume" and stop and wanted is None:
        return Skip(stop)
    left = read_checkpoint(note_id, known.get("checkpoint"), now)
    its = arguments
    of_the_pass = left.arguments if left else wanted.arguments if wanted else {}
    if arguments.mode == "resume" or left is not None:
        with suppress(WrongArguments):  # such as only another hand can have put there
            its = crawl.for_note({**kept, **of_the_pass})
    if left is not None and _leads_on(left, arguments.sort, version):
        first = _first(left, its, known, resumed=True)
        return replace(first, then_again=arguments.mode == "update")
    if arguments.mode == "update":
        return anew("update", arguments)
    mode = left.mode if left else wanted.mode if wanted else kept.get("mode", "full")
    return anew(mode, its)


def _kept_arguments(kept: Any) -> dict[str, str]:
    """The arguments that the ledger keeps with a note."""
    if not isinstance(kept, dict):
        return {}
    return {name: str(value) for name, value in kept.items() if name in OF_A_NOTE}


def _leads_on(left: Checkpoint, sort: str, version: str) -> bool:
    if left.call.cursor is None and left.stop_reason is None:
        return False
    return (left.call.sort, left.version) == (sort, version)


def _first(
    checkpoint: Checkpoint, arguments: Arguments, known: Document, *, resumed: bool = False
) -> NotePlan:
    pages, author_id = known.get("pages"), known.get("user_id")
    count, reported = known.get("comment_count"), known.get("comment_count_l1")
    watermark = read_watermark(known.get("watermark"))
    return NotePlan(
        checkpoint,
        arguments,
        pages if resumed and isinstance(pages, int) else 0,
        author_id if isinstance(author_id, str) else None,
        count if isinstance(count, int) else None,
        reported if isinstance(reported, int) else None,
        watermark if checkpoint.mode == "update" else None,
        watermark,
        has_state=known.get("state") == "ended" or known.get("checkpoint") is not None,
        resumed=resumed,
    )
