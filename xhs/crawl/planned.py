"""The plan of a crawl: each of its notes, and how it begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from xhs.crawl.arguments import OF_A_NOTE, Arguments, WrongArguments
from xhs.crawl.checkpoint import Wanted
from xhs.crawl.note_list import NoteList, wanted
from xhs.crawl.planning import NotePlan, Skip, plan
from xhs.store.mongo.notes import Ledger

_BATCH = 1000
STALE = "an update with HTTPCACHE_ENABLED: a cached first page would hide what is new"


class PlannedNote(NamedTuple):
    """What a crawl does about a note; where it can do nothing, why."""

    note_id: str
    plan: NotePlan | Skip | None
    problem: str = ""


async def mark_wanted(notes: NoteList | None, arguments: Arguments, ledger: Ledger) -> None:
    """Say in the ledger how its notes are to be read, so that ``mode=resume`` reads those that the
    crawl does not come to.

    Raises:
        StoreFailed: if the database does not answer.
    """
    if arguments.mode == "resume":
        return
    wanted = Wanted(arguments.mode, of_a_note(arguments))
    if notes is None:
        await ledger.want(None, wanted)
        return
    remaining = iter(notes)
    while batch := list(islice(remaining, _BATCH)):
        await ledger.want(batch, wanted)


def of_a_note(arguments: Arguments) -> dict[str, str]:
    """Return the arguments that were given and say how a note is read."""
    given = arguments.given
    return {name: given[name] for name in OF_A_NOTE if name in given and name != "mode"}


async def planned(
    notes: NoteList | None,
    arguments: Arguments,
    version: str,
    ledger: Ledger | None,
    *,
    is_cached: bool,
) -> AsyncIterator[PlannedNote]:
    """What is done about each note. ``is_cached``: whether answers come from Scrapy's cache.

    Raises:
        StoreFailed: where the database does not answer.
    """
    async for note_id, known in wanted(notes, arguments.mode, ledger):
        try:
            first = plan(note_id, known, arguments, version, now())
        except WrongArguments as error:
            problem = (
                f"what the ledger keeps with it does not go with this crawl: {error}; `scrapy "
                "enqueue` with other arguments changes that"
            )
            yield PlannedNote(note_id, None, problem)
            continue
        if is_cached and isinstance(first, NotePlan) and first.checkpoint.mode == "update":
            yield PlannedNote(note_id, None, STALE)
        else:
            yield PlannedNote(note_id, first)


def now() -> datetime:
    """The time in milliseconds, which is what a database keeps."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
