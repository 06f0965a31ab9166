"""The plan of a crawl: each of its notes, and how it begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from xhs.api.endpoints import Call
from xhs.arguments import Arguments, WrongArguments
from xhs.notes.checkpoint import Checkpoint, of_a_pass
from xhs.notes.plan import First, Skip, plan
from xhs.notes.sources import NoteList, wanted
from xhs.store.ledger import Ledger

_BATCH = 1000
STALE = "an update with HTTPCACHE_ENABLED: a cached first page would hide what is new"


class Planned(NamedTuple):
    """What a crawl does about a note; where it can do nothing, why."""

    note_id: str
    plan: First | Skip | None
    problem: str = ""


async def queue(notes: NoteList | None, arguments: Arguments, version: str, ledger: Ledger) -> None:
    """Say in the ledger which notes are to be read anew, so that whatever stops the crawl before
    it begins them, ``mode=resume`` does.

    Raises:
        StoreFailed: where the database does not answer.
    """
    if arguments.mode == "resume":
        return
    begun = Checkpoint(
        Call("", sort=arguments.sort),
        version,
        arguments.mode,
        now(),
        arguments=of_a_pass(arguments.given),
    ).document()
    if notes is None:
        await ledger.queue_ended(None, begun)
        return
    remaining = iter(notes)
    while batch := list(islice(remaining, _BATCH)):
        await ledger.queue_ended(batch, begun)


async def planned(
    notes: NoteList | None,
    arguments: Arguments,
    version: str,
    ledger: Ledger | None,
    *,
    is_cached: bool,
) -> AsyncIterator[Planned]:
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
            yield Planned(note_id, None, problem)
            continue
        if is_cached and isinstance(first, First) and first.checkpoint.mode == "update":
            yield Planned(note_id, None, STALE)
        else:
            yield Planned(note_id, first)


def now() -> datetime:
    """The time in milliseconds, which is what a database keeps."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
