"""What a crawl would do and cost, going by what is stored. It makes no call and writes nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from xhs.chain import calls_for
from xhs.notes.plan import First, Skip
from xhs.notes.planned import Planned
from xhs.notes.threads import Thread, thread_of
from xhs.store.store import Store

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Cost(NamedTuple):
    """Calls: at least, where nothing has changed since; and likely."""

    least: int
    likely: float


@dataclass(slots=True)
class Forecast:
    """How many notes are read in which way, and what that costs."""

    ways: Counter[str] = field(default_factory=Counter)
    least: int = 0
    likely: float = 0.0
    unread: int = 0
    """Notes of which nothing is stored."""
    usual: float | None = None
    """What reading a note in full has cost on the average."""

    def lines(self) -> Iterator[str]:
        """The forecast for a person."""
        ways = [f"{count} {way}" for way, count in self.ways.most_common() if count]
        yield f"{self.ways.total()} notes: {', '.join(ways) or 'nothing to do'}"
        yield f"calls: {self.least} at least, {math.ceil(self.likely)} likely"
        if self.unread:
            usual = (
                "one call, since nothing stored says more"
                if self.usual is None
                else f"the {self.usual:.1f} calls that others took on the average"
            )
            yield f"never read before: {self.unread}, each taken to cost {usual}"


async def forecast(planned: AsyncIterator[Planned], store: Store | None) -> Forecast:
    """Go through the plan of a crawl.

    Raises:
        StoreFailed: where the database does not answer.
    """
    found = Forecast(usual=await store.history.usual_calls() if store else None)
    async for note_id, plan, _ in planned:
        if plan is None:
            found.ways["left"] += 1
            continue
        if isinstance(plan, Skip):
            found.ways["need nothing"] += 1
            continue
        found.ways[_way(plan)] += 1
        if plan.reported is None or store is None:
            found.unread += 1
            cost = Cost(1, found.usual or 1)
        else:
            cost = await _cost(store, note_id, plan, plan.reported)
        found.least += cost.least
        found.likely += cost.likely
    return found


def _way(first: First) -> str:
    if first.resumed:
        return "resume"
    return "full" if first.watermark is None else "update"


async def _cost(store: Store, note_id: str, first: First, reported: int) -> Cost:
    arguments = first.arguments
    if first.watermark is not None and not first.resumed:
        usual = await store.history.usual_calls(note_id)
        return Cost(1, max(1, usual or 1))
    least = pages = 0
    if first.call is not None:
        wanted = reported
        if arguments.since is not None:
            wanted = min(wanted, await store.ledger.count_since(note_id, arguments.since))
        if arguments.max_comments is not None:
            wanted = min(wanted, arguments.max_comments)
        pages = max(1, calls_for(wanted) - first.pages) if first.watermark is None else 1
        # The API may end before what it reports: then it is likely to do so again.
        before = await store.history.last_whole(note_id, first.call.sort) or {}
        least = min(pages, max(1, before.get("pages", pages) - first.pages))
    more = 1 if first.then_again else 0
    if arguments.replies == "all":
        more += await _thread_calls(store, first)
    return Cost(least + more, pages + more)


async def _thread_calls(store: Store, first: First) -> int:
    left = first.checkpoint
    calls = 0
    met = left if first.resumed else replace(left, began=_EVER)
    async for comments in store.threads.answered(met):
        found = (thread_of(comment, left, first.resumed) for comment in comments)
        calls += sum(one.calls for one in found if isinstance(one, Thread))
    return calls
