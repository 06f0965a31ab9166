"""What a run says last: what it got, what is left and why, and the command that does the rest."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from xhs.endings import ADVICE, ExitStatus, StopReason

_REFUSED = "xhs/calls/refused/"
_SKIPPED = "xhs/notes/skipped/"


def closing_lines(
    stats: Mapping[str, Any], exitcode: int, command: str, stopped: str = ""
) -> Iterator[tuple[int, str]]:
    """The last lines of a run's log, each with its level. ``command`` goes on, ``stopped`` says
    why it was stopped and what to do.
    """
    ends = {reason: stats.get(f"xhs/notes/{reason}", 0) for reason in StopReason}
    ended = sum(count for reason, count in ends.items() if reason.ended)
    left = stats.get("xhs/notes/left", 0)
    skipped = sum(count for stat, count in stats.items() if stat.startswith(_SKIPPED))
    before = f"; {skipped} more had ended before" if skipped else ""
    yield logging.INFO, f"{ended + left} notes asked for: {ended} ended, {left} left{before}"
    new, known = stats.get("xhs/comments/new", 0), stats.get("xhs/comments/known", 0)
    met = f" ({new} comments new, {known} known)" if new or known else ""
    yield (
        logging.INFO,
        f"{stats.get('item_scraped_count', 0)} items delivered{met}; "
        f"{stats.get('xhs/rejected', 0)} objects rejected",
    )
    refusals = {
        stat.removeprefix(_REFUSED): count
        for stat, count in sorted(stats.items())
        if stat.startswith(_REFUSED)
    }
    by_code = ", ".join(f"{_named(code)}: {count}" for code, count in refusals.items())
    yield (
        logging.INFO,
        f"{stats.get('xhs/calls/billed', 0)} calls billed, {stats.get('xhs/calls/unknown', 0)} of "
        f"unknown billing, {sum(refusals.values())} refused at no cost"
        + (f" ({by_code})" if by_code else ""),
    )
    if spilled := stats.get("xhs/spilled"):
        yield (
            logging.ERROR,
            f"{spilled} writes wait in XHS_SPILL_DIR: `scrapy recover` or the next run stores them",
        )
    if lost := stats.get("xhs/lost"):
        yield logging.ERROR, f"{lost} items were paid for and could not be stored"
    if exitcode == ExitStatus.DONE:
        return
    why = ", ".join(f"{count} {reason}" for reason, count in ends.items() if count)
    closed = stats.get("finish_reason", "never began") + (f": {stopped}" if stopped else "")
    if exitcode == ExitStatus.UNFINISHED:
        yield logging.WARNING, f"{left} notes are left; of those begun {why or 'none'} ({closed})"
    elif exitcode == ExitStatus.FLAWED:
        yield logging.WARNING, f"Not every note came whole: {why}; `scrapy status` names them"
    else:
        yield logging.ERROR, f"Nothing was crawled to its end: {closed}"
    for reason, advice in ADVICE.items():
        if ends[reason]:
            yield logging.WARNING, f"{ends[reason]} {reason}: {advice}"
    if exitcode == ExitStatus.UNFINISHED:
        yield logging.WARNING, f"To go on where it stopped: {command}"


def _named(code: str) -> str:
    status = code.removeprefix("http_")
    return f"code {code}" if status == code else f"HTTP {status}"
