"""Estimate of what a crawl would do and cost, from what is stored: it neither calls nor writes."""

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

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER_READ = "never read"
_UNCOUNTED = "whose answers name no count"


class Cost(NamedTuple):
    """Calls for a note: the ``least``, if nothing has changed since, and the ``likely`` number."""

    least: int
    likely: float


@dataclass(slots=True)
class Estimate:
    """Number of notes by the way they are read, and the cost.

    ``least`` and ``likely`` cover the ``known`` notes: those with enough stored for an estimate.
    """

    ways: Counter[str] = field(default_factory=Counter)
    known: int = 0
    least: int = 0
    likely: float = 0.0
    unknown: Counter[str] = field(default_factory=Counter)
    """Notes whose cost is unknown, by the reason. Each costs one call at least."""
    usual: float | None = None
    """Calls that reading a whole note has cost on average."""
    price: Price | None = None

    def lines(self) -> Iterator[str]:
        """Yield the lines of a report."""
        ways = [f"{count} {way}" for way, count in self.ways.most_common() if count]
        yield f"{self.ways.total()} notes: {', '.join(ways) or 'nothing to do'}"
        yield f"calls: {'; '.join(self._calls())}"
        if self.unknown and self.usual is not None:
            yield f"reading a whole note has cost {self.usual:.1f} calls on average"

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
    """Return the estimate for the plan of a crawl.

    Raises:
        StoreFailed: if the database does not answer.
    """
    result = Estimate(usual=await storage.usual_calls(), price=price)
    async for _, plan, _ in planned:
        if plan is None:
            result.ways["left"] += 1
            continue
        if isinstance(plan, Skip):
            result.ways["need nothing"] += 1
            continue
        result.ways[_way(plan)] += 1
        cost = await _cost(storage, plan)
        if isinstance(cost, str):
            result.unknown[cost] += 1
        else:
            result.known += 1
            result.least += cost.least
            result.likely += cost.likely
    return result


def _way(plan: NotePlan) -> str:
    if plan.resumed:
        return "resume"
    return "full" if plan.watermark is None else "update"


async def _cost(storage: Storage, plan: NotePlan) -> Cost | str:
    """Return the cost of a note, or the reason why it is unknown."""
    note_id, arguments = plan.note_id, plan.arguments
    if plan.watermark is not None and not plan.resumed:
        usual = await storage.usual_calls(note_id)
        return Cost(1, max(1, usual or 1))
    least = pages = 0
    if plan.first_page is not None:
        # If the API listed fewer comments than it reported, it is likely to do so again.
        pages_before = await storage.pages_of_last_pass(note_id, plan.first_page.sort)
        wanted = plan.reported
        if wanted is None and pages_before is not None:
            wanted = PAGE_SIZE * pages_before
        if wanted is None:
            is_new = plan.known_watermark is None and not plan.resumed
            return _NEVER_READ if is_new else _UNCOUNTED
        if arguments.since is not None:
            wanted = min(wanted, await storage.count_since(note_id, arguments.since))
        if arguments.max_comments is not None:
            wanted = min(wanted, arguments.max_comments)
        pages = max(1, calls_for(wanted) - plan.pages) if plan.watermark is None else 1
        least = min(pages, max(1, (pages if pages_before is None else pages_before) - plan.pages))
    more = int(plan.then_again)
    if arguments.replies != "all":
        return Cost(least + more, pages + more)
    checkpoint, resumed = plan.checkpoint, plan.resumed
    stored_pass = checkpoint if resumed else replace(checkpoint, began=_EPOCH)
    threads = await _thread_calls(storage, stored_pass, checkpoint, resumed)
    likely = await _likely_thread_calls(storage, plan, threads)
    return Cost(least + more + threads, pages + more + likely)


async def _likely_thread_calls(storage: Storage, plan: NotePlan, held_calls: int) -> float:
    """Return the calls for the threads of a note. Comments that are not held are assumed to be like
    the others.
    """
    reported = plan.reported
    if plan.resumed or reported is None:
        return held_calls
    page = plan.checkpoint.next_page
    counts = await storage.counts(page.note_id, page.sort, _EPOCH)
    most = plan.arguments.max_comments
    wanted = reported if most is None else min(most, reported)
    return held_calls * max(1.0, wanted / counts.comments) if counts.comments else held_calls


async def calls_for_replies(storage: Storage, note: NoteRecord, now: datetime) -> int | None:
    """Return the most calls of a full pass with all replies; None if it would request no thread.

    The pass also reads the note's own pages again: threads are found there.
    """
    page = PageRef(note.note_id)
    ever = Checkpoint(page, "", "full", _EPOCH)
    threads = await _thread_calls(storage, ever, replace(ever, began=now), resumed=False)
    counts = await storage.counts(note.note_id, page.sort, _EPOCH)
    first_level = max(counts.comments, note.comment_count_l1 or 0)
    elsewhere = 0  # under comments that are not held
    if first_level > counts.comments and note.comment_count is not None:
        elsewhere = max(0, note.comment_count - first_level - counts.replies_reported)
    if not threads and not elsewhere:
        return None  # the API has listed all that it lists
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
