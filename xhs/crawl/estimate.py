"""What a crawl would do and cost, going by what is stored. It makes no call and writes nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from xhs.api.endpoints import PageRef
from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.paginator import PAGE_SIZE, calls_for
from xhs.crawl.planning import NotePlan, PlannedNote, Skip
from xhs.crawl.price import Price, in_money
from xhs.crawl.replies import Thread, thread_of
from xhs.crawl.storage import NoteRecord, Storage

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER_READ = "never read"
_UNCOUNTED = "whose answers name no count"


class Cost(NamedTuple):
    """Calls: at least, where nothing has changed since; and likely."""

    least: int
    likely: float


@dataclass(slots=True)
class Estimate:
    """How many notes are read in which way, and what that costs.

    ``least`` and ``likely`` are about the ``known`` notes, those of which enough is stored to tell.
    """

    ways: Counter[str] = field(default_factory=Counter)
    known: int = 0
    least: int = 0
    likely: float = 0.0
    unknown: Counter[str] = field(default_factory=Counter)
    """Notes whose cost is unknown, by the reason. Each costs a call at least."""
    usual: float | None = None
    """What reading a note in full has cost on the average."""
    price: Price | None = None

    def lines(self) -> Iterator[str]:
        """The forecast for a person."""
        ways = [f"{count} {way}" for way, count in self.ways.most_common() if count]
        yield f"{self.ways.total()} notes: {', '.join(ways) or 'nothing to do'}"
        yield f"calls: {'; '.join(self._calls())}"
        if self.unknown and self.usual is not None:
            yield f"reading a note whole has cost {self.usual:.1f} calls on the average"

    def _calls(self) -> Iterator[str]:
        if self.known or not self.unknown:
            likely = math.ceil(self.likely)
            of_these = f" for {_notes(self.known)} read before" if self.unknown else ""
            yield (
                f"{self.least} at least{in_money(self.price, self.least)}, "
                f"{likely} likely{in_money(self.price, likely)}{of_these}"
            )
        for why, notes in sorted(self.unknown.items()):
            calls = f"{notes} call{'' if notes == 1 else 's'} at least"
            yield f"unknown for {_notes(notes)} {why}: {calls}{in_money(self.price, notes)}"


def _notes(number: int) -> str:
    return f"{number} note{'' if number == 1 else 's'}"


async def estimate(
    planned: AsyncIterator[PlannedNote], storage: Storage, price: Price | None = None
) -> Estimate:
    """Go through the plan of a crawl.

    Raises:
        StoreFailed: if the database does not answer.
    """
    found = Estimate(usual=await storage.usual_calls(), price=price)
    async for _, plan, _ in planned:
        if plan is None:
            found.ways["left"] += 1
            continue
        if isinstance(plan, Skip):
            found.ways["need nothing"] += 1
            continue
        found.ways[_way(plan)] += 1
        cost = await _cost(storage, plan)
        if isinstance(cost, str):
            found.unknown[cost] += 1
        else:
            found.known += 1
            found.least += cost.least
            found.likely += cost.likely
    return found


def _way(first: NotePlan) -> str:
    if first.resumed:
        return "resume"
    return "full" if first.watermark is None else "update"


async def _cost(storage: Storage, first: NotePlan) -> Cost | str:
    """What a note costs, or why that is unknown."""
    note_id, arguments = first.note_id, first.arguments
    if first.watermark is not None and not first.resumed:
        usual = await storage.usual_calls(note_id)
        return Cost(1, max(1, usual or 1))
    least = pages = 0
    if first.first_page is not None:
        # The API may end before what it reports: then it is likely to do so again.
        before = await storage.last_pass(note_id, first.first_page.sort)
        pages_before = before.pages if before else None
        wanted = first.reported
        if wanted is None and pages_before is not None:
            wanted = PAGE_SIZE * pages_before
        if wanted is None:
            is_new = first.known_watermark is None and not first.resumed
            return _NEVER_READ if is_new else _UNCOUNTED
        if arguments.since is not None:
            wanted = min(wanted, await storage.count_since(note_id, arguments.since))
        if arguments.max_comments is not None:
            wanted = min(wanted, arguments.max_comments)
        pages = max(1, calls_for(wanted) - first.pages) if first.watermark is None else 1
        least = min(pages, max(1, (pages if pages_before is None else pages_before) - first.pages))
    more = int(first.then_again)
    if arguments.replies != "all":
        return Cost(least + more, pages + more)
    checkpoint, resumed = first.checkpoint, first.resumed
    stored_pass = checkpoint if resumed else replace(checkpoint, began=_EVER)
    threads = await _thread_calls(storage, stored_pass, checkpoint, resumed)
    likely = await _likely_thread_calls(storage, first, threads)
    return Cost(least + more + threads, pages + more + likely)


async def _likely_thread_calls(storage: Storage, first: NotePlan, held_calls: int) -> float:
    """Return the calls for the threads of a note, those of comments not held included: these are
    taken to be like the others.
    """
    reported = first.reported
    if first.resumed or reported is None:
        return held_calls
    page = first.checkpoint.next_page
    counts = await storage.counts(page.note_id, page.sort, _EVER)
    most = first.arguments.max_comments
    wanted = reported if most is None else min(most, reported)
    return held_calls * max(1.0, wanted / counts.comments) if counts.comments else held_calls


async def calls_for_replies(storage: Storage, note: NoteRecord, now: datetime) -> int | None:
    """Return what a full pass with all replies costs at most; None if it would ask for no thread,
    since the API has shown all that it shows.

    Threads are found on the note's own pages, so these are read again.
    """
    page = PageRef(note.note_id)
    ever = Checkpoint(page, "", "full", _EVER)
    threads = await _thread_calls(storage, ever, replace(ever, began=now), resumed=False)
    counts = await storage.counts(note.note_id, page.sort, _EVER)
    first_level = max(counts.comments, note.comment_count_l1 or 0)
    elsewhere = 0  # under comments that are not held
    if first_level > counts.comments and note.comment_count is not None:
        elsewhere = max(0, note.comment_count - first_level - counts.replies_reported)
    if not threads and not elsewhere:
        return None
    return calls_for(first_level) + threads + elsewhere


async def _thread_calls(
    storage: Storage, stored_pass: Checkpoint, next_pass: Checkpoint, resumed: bool
) -> int:
    """Return the calls that ``next_pass`` makes for the threads found by ``stored_pass``."""
    calls = 0
    async for comments in storage.answered_comments(stored_pass):
        threads = (thread_of(comment, next_pass, resumed) for comment in comments)
        calls += sum(thread.calls for thread in threads if isinstance(thread, Thread))
    return calls
