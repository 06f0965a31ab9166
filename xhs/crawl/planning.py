"""The plan of a crawl: each of its notes, and its first request, or why there is none."""

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
from xhs.crawl.storage import LOOKUP, NoteRecord, Storage
from xhs.reasons import StopReason

_BATCH = 1000
STALE = "an update with HTTPCACHE_ENABLED: a cached first page would hide what is new"


@dataclass(frozen=True, slots=True)
class NotePlan:
    """How a pass begins or goes on: from ``checkpoint``, where ``pages`` of it came before, and by
    ``arguments``: the crawl's and, where it names none itself, those that the pass was given, and
    those that the ledger keeps with the note.

    ``author_id``, ``comment_count`` and ``reported`` (first-level comments): as the ledger has
    them, as is the ``known_watermark``. ``is_new``: the ledger has no such note. ``has_state``:
    what the ledger says of the note came from an answer, so only an answer may replace it.
    ``resumed``: an earlier run began this pass. ``then_again``: another pass follows, since an
    update was asked for and this finishes what was left.
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
        """Where the pass may end, if it is an update."""
        return self.known_watermark if self.checkpoint.mode == "update" else None

    @property
    def first_page(self) -> PageRef | None:
        """The first call for the note's pages; None if only replies are left."""
        return self.checkpoint.next_page if self.checkpoint.stop_reason is None else None

    def paginator(self) -> CommentPaginator:
        """Return the paginator of the note's pages."""
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
    """A note that is left alone, since it has ended so."""

    reason: StopReason


class PlannedNote(NamedTuple):
    """What a crawl does about a note; None with the ``problem`` if it can do nothing."""

    note_id: str
    plan: NotePlan | Skip | None
    problem: str = ""


def plan_note(
    note_id: str, known: NoteRecord | None, crawl: Arguments, version: str, now: datetime
) -> NotePlan | Skip:
    """Return what to ask for first. ``known`` is what the ledger has of the note.

    ``mode=full`` asks for every page from the first. ``mode=resume`` leaves alone what has ended,
    unless the ledger says that it is wanted, and continues from a checkpoint; one of another sort
    or version restarts. ``mode=update`` continues from a checkpoint too, and then reads from the
    first page down to the watermark.

    Raises:
        WrongArguments: if what the ledger keeps with the note does not go with the crawl's.
    """
    is_new, known = known is None, known or NoteRecord(note_id)
    kept = known.arguments
    arguments = crawl.for_note(kept)

    def restart(mode: str, its: Arguments) -> NotePlan:
        call = PageRef(note_id, sort=its.sort)
        checkpoint = Checkpoint(call, version, mode, now, arguments=pass_arguments(its.given))
        return replace(_plan(checkpoint, its, known), is_new=is_new)

    if arguments.mode == "full":
        return restart("full", arguments)
    wanted, left = known.wanted, known.checkpoint
    if arguments.mode == "resume" and known.state == "ended" and known.stop_reason and not wanted:
        return Skip(known.stop_reason)
    its = arguments
    of_the_pass = left.arguments if left else wanted.arguments if wanted else {}
    if arguments.mode == "resume" or left is not None:
        with suppress(WrongArguments):  # such as only another hand can have put there
            its = crawl.for_note({**kept, **of_the_pass})
    if left is not None and _can_continue(left, arguments.sort, version):
        plan = _plan(left, its, known, resumed=True)
        return replace(plan, then_again=arguments.mode == "update")
    if arguments.mode == "update":
        return restart("update", arguments)
    mode = left.mode if left else wanted.mode if wanted else kept.get("mode", "full")
    return restart(mode, its)


def _can_continue(left: Checkpoint, sort: str, version: str) -> bool:
    if left.next_page.cursor is None and left.stop_reason is None:
        return False
    return (left.next_page.sort, left.version) == (sort, version)


def _plan(
    checkpoint: Checkpoint, arguments: Arguments, known: NoteRecord, *, resumed: bool = False
) -> NotePlan:
    return NotePlan(
        checkpoint,
        arguments,
        known.pages if resumed else 0,
        known.author_id,
        known.comment_count,
        known.comment_count_l1,
        known.watermark,
        has_state=known.stop_reason is not None or known.checkpoint is not None,
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
    """Yield what is done about each note. ``is_cached``: answers may come from Scrapy's cache.

    Raises:
        StoreFailed: if the database does not answer.
    """
    async for note_id, known in _notes_to_crawl(notes, arguments.mode, storage):
        try:
            plan = plan_note(note_id, known, arguments, version, now())
        except WrongArguments as error:
            problem = (
                f"what the ledger keeps with it does not go with this crawl: {error}; `scrapy "
                "enqueue` with other arguments changes that"
            )
            yield PlannedNote(note_id, None, problem)
            continue
        if is_cached and isinstance(plan, NotePlan) and plan.checkpoint.mode == "update":
            yield PlannedNote(note_id, None, STALE)
        else:
            yield PlannedNote(note_id, plan)


async def _notes_to_crawl(
    notes: NoteList | None, mode: str, storage: Storage
) -> AsyncIterator[tuple[str, NoteRecord | None]]:
    """Yield the notes of a crawl, each with what the ledger has of it.

    Without a list, these are all notes of the ledger; in ``resume`` those that are to be resumed.
    """
    if notes is None:
        async for note in storage.notes(to_resume=mode == "resume"):
            yield note.note_id, note
        return
    remaining = iter(notes)
    while batch := list(islice(remaining, LOOKUP)):
        known = await storage.known_notes(batch)
        for note_id in batch:
            yield note_id, known.get(note_id)


async def count_notes(notes: NoteList | None, mode: str, storage: Storage) -> int:
    """Return how many notes :func:`plan_notes` yields, the skipped ones included.

    Raises:
        StoreFailed: if the database does not answer.
    """
    if notes is not None:
        return len(notes)
    return await storage.count_notes(to_resume=mode == "resume")


async def mark_wanted(notes: NoteList | None, arguments: Arguments, storage: Storage) -> None:
    """Say in the ledger how its notes are to be read, so that ``mode=resume`` reads those that the
    crawl does not come to.

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
    """Return how a crawl reads notes of which the ledger knows nothing else."""
    mode = "full" if arguments.mode == "resume" else arguments.mode
    given = arguments.given
    kept = {name: given[name] for name in NOTE_ARGUMENTS if name in given and name != "mode"}
    return Wanted(mode, kept)


def now() -> datetime:
    """Return the time in milliseconds, which is what a database keeps."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
