"""The plan of a crawl: for each note, the first request or the reason for none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from xhs.api.endpoints import PageRef
from xhs.crawl.arguments import NOTE_ARGUMENTS, Arguments, WrongArguments
from xhs.crawl.checkpoint import Checkpoint, Wanted, pass_arguments
from xhs.crawl.note_list import NoteList
from xhs.crawl.paginator import CommentPaginator, Limits, Watermark
from xhs.crawl.storage import NOTES_PER_QUERY, NoteRecord, Storage
from xhs.reasons import StopReason

_BATCH = 1000
CACHED_UPDATE = "an update with HTTPCACHE_ENABLED: a cached first page would hide what is new"


@dataclass(frozen=True, slots=True)
class NotePlan:
    """The start of a pass, or its continuation: from ``checkpoint``, after ``pages`` of its pages.

    ``arguments``: the crawl's, completed by those of the pass, then by those that the ledger keeps
    with the note. ``author_id``, ``comment_count``, ``reported`` (first-level comments) and
    ``known_watermark`` are those of the ledger. ``is_new``: the ledger does not have the note.
    ``has_state``: its state in the ledger came from a page, so only a page may replace it.
    ``resumed``: an earlier run began this pass. ``then_again``: another pass follows, since an
    update was requested and this pass finishes an earlier one.
    """

    checkpoint: Checkpoint
    arguments: Arguments
    pages: int = 0
    author_id: str | None = None
    comment_count: int | None = None
    reported: int | None = None
    known_watermark: Watermark | None = None
    is_new: bool = False
    has_state: bool = False
    resumed: bool = False
    then_again: bool = False

    @property
    def note_id(self) -> str:
        """The note's ID."""
        return self.checkpoint.next_page.note_id

    @property
    def watermark(self) -> Watermark | None:
        """The watermark at which the pass ends; None if it is not an update."""
        return self.known_watermark if self.checkpoint.mode == "update" else None

    @property
    def first_page(self) -> PageRef | None:
        """The first of the note's own pages to request; None if only replies are left."""
        return self.checkpoint.next_page if self.checkpoint.stop_reason is None else None

    def paginator(self) -> CommentPaginator:
        """Return the paginator of the note's own pages."""
        paginator = CommentPaginator(
            self.checkpoint.next_page,
            pages=self.pages,
            kept=self.checkpoint.kept,
            reported=self.reported,
            limits=Limits(self.arguments.max_comments, self.arguments.since),
            watermark=self.watermark,
            new_watermark=self.checkpoint.watermark,
        )
        paginator.author_id, paginator.comment_count = self.author_id, self.comment_count
        paginator.stop = self.checkpoint.stop_reason
        return paginator


class Skip(NamedTuple):
    """A note that is skipped, since it has ended with ``reason``."""

    reason: StopReason


class PlannedNote(NamedTuple):
    """A note of a crawl and its plan; the plan is None if a ``problem`` prevents the crawl."""

    note_id: str
    plan: NotePlan | Skip | None
    problem: str = ""


def plan_note(
    note_id: str, stored: NoteRecord | None, crawl: Arguments, version: str, now: datetime
) -> NotePlan | Skip:
    """Return the first request for a note, or its skip. ``stored``: the note in the ledger.

    ``mode=full`` requests every page from the first. ``mode=resume`` skips a note that has ended,
    unless the ledger has a wanted pass for it, and continues from a checkpoint; if that has another
    sort or version, the note restarts. ``mode=update`` continues from a checkpoint too, and then
    reads from the first page down to the watermark.

    Raises:
        WrongArguments: if the crawl's arguments and the note's cannot be combined.
    """
    is_new, stored = stored is None, stored or NoteRecord(note_id)
    kept = stored.arguments
    arguments = crawl.for_note(kept)

    def restart(mode: str, arguments: Arguments) -> NotePlan:
        page = PageRef(note_id, sort=arguments.sort)
        kept_by_pass = pass_arguments(arguments.given)
        checkpoint = Checkpoint(page, version, mode, now, arguments=kept_by_pass)
        return replace(_plan(checkpoint, arguments, stored), is_new=is_new)

    if arguments.mode == "full":
        return restart("full", arguments)
    wanted, left = stored.wanted, stored.checkpoint
    if arguments.mode == "resume" and stored.state == "ended" and stored.stop_reason and not wanted:
        return Skip(stored.stop_reason)
    with_pass = arguments
    of_pass = left.arguments if left else wanted.arguments if wanted else {}
    if arguments.mode == "resume" or left is not None:
        with suppress(WrongArguments):  # another program must have written them
            with_pass = crawl.for_note({**kept, **of_pass})
    if left is not None and _can_continue(left, arguments.sort, version):
        plan = _plan(left, with_pass, stored, resumed=True)
        return replace(plan, then_again=arguments.mode == "update")
    if arguments.mode == "update":
        return restart("update", arguments)
    mode = left.mode if left else wanted.mode if wanted else kept.get("mode", "full")
    return restart(mode, with_pass)


def _can_continue(left: Checkpoint, sort: str, version: str) -> bool:
    if left.next_page.cursor is None and left.stop_reason is None:
        return False
    return (left.next_page.sort, left.version) == (sort, version)


def _plan(
    checkpoint: Checkpoint, arguments: Arguments, stored: NoteRecord, *, resumed: bool = False
) -> NotePlan:
    return NotePlan(
        checkpoint,
        arguments,
        stored.pages if resumed else 0,
        stored.author_id,
        stored.comment_count,
        stored.comment_count_l1,
        stored.watermark,
        has_state=stored.checkpoint is not None
        or (stored.stop_reason is not None and stored.stop_reason.ended),
        resumed=resumed,
    )


async def plan_notes(
    notes: NoteList | None,
    arguments: Arguments,
    version: str,
    storage: Storage,
    *,
    is_cached: bool,
) -> AsyncIterator[PlannedNote]:
    """Yield each note with its plan. ``is_cached``: answers may come from Scrapy's cache.

    Raises:
        StoreFailed: if the database does not answer.
    """
    async for note_id, stored in _notes_to_crawl(notes, arguments.mode, storage):
        try:
            plan = plan_note(note_id, stored, arguments, version, now())
        except WrongArguments as error:
            problem = (
                "its arguments in the ledger cannot be combined with those of this crawl: "
                f"{error}; change them with `scrapy enqueue`"
            )
            yield PlannedNote(note_id, None, problem)
            continue
        if is_cached and isinstance(plan, NotePlan) and plan.checkpoint.mode == "update":
            yield PlannedNote(note_id, None, CACHED_UPDATE)
        else:
            yield PlannedNote(note_id, plan)


async def _notes_to_crawl(
    notes: NoteList | None, mode: str, storage: Storage
) -> AsyncIterator[tuple[str, NoteRecord | None]]:
    """Yield the notes of a crawl, each with its record in the ledger.

    Without a list, these are all notes of the ledger; with ``mode=resume``, those to resume.
    """
    if notes is None:
        async for note in storage.notes(to_resume=mode == "resume"):
            yield note.note_id, note
        return
    remaining = iter(notes)
    while batch := list(islice(remaining, NOTES_PER_QUERY)):
        records = await storage.note_records(batch)
        for note_id in batch:
            yield note_id, records.get(note_id)


async def count_notes(notes: NoteList | None, mode: str, storage: Storage) -> int:
    """Return the number of notes that :func:`plan_notes` yields, including the skipped ones.

    Raises:
        StoreFailed: if the database does not answer.
    """
    if notes is not None:
        return len(notes)
    return await storage.count_notes(to_resume=mode == "resume")


async def mark_wanted(notes: NoteList | None, arguments: Arguments, storage: Storage) -> None:
    """Record in the ledger how its notes are to be read, so that ``mode=resume`` can read those
    that the crawl does not reach.

    Raises:
        StoreFailed: if the database does not answer.
    """
    if arguments.mode == "resume":
        return
    wanted, named = wanted_by(arguments), "mode" in arguments.given
    if notes is None:
        await storage.mark_wanted(None, wanted, is_default=not named)
        return
    remaining = iter(notes)
    while batch := list(islice(remaining, _BATCH)):
        await storage.mark_wanted(batch, wanted, is_default=not named)


def wanted_by(arguments: Arguments) -> Wanted:
    """Return the pass that a crawl wants of notes for which the ledger keeps no arguments."""
    mode = "full" if arguments.mode == "resume" else arguments.mode
    given = arguments.given
    kept = {name: given[name] for name in NOTE_ARGUMENTS if name in given and name != "mode"}
    return Wanted(mode, kept)


def now() -> datetime:
    """Return the current time to the millisecond, the precision of the database."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
