"""Result of a crawl: its exit status, its JSON object and the last lines of its log."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from xhs.crawl.price import Price
from xhs.crawl.progress_text import duration
from xhs.reasons import ADVICE, STOPPED, CloseReason, ExitStatus, StopReason
from xhs.stats import Stat

CrawlResult = dict[str, Any]

_LABEL_WIDTH = 11
_MOST_FEEDS = 5
"""Feeds that the summary names."""
_MOST_FEEDS_LISTED = 100


def exit_status(stats: Mapping[str, object]) -> int:
    """Return the exit status of a crawl with these final stats."""
    begun = stats.get(Stat.NOTES_BEGUN)
    reason = stats.get("finish_reason")
    if reason == CloseReason.WRONG_INPUT:
        return ExitStatus.WRONG_INPUT
    unopened = reason == CloseReason.STORE_FAILED and not begun
    if reason is None or unopened:
        return ExitStatus.FAILED
    left = stats.get(Stat.NOTES_LEFT)
    if left or (left is None and reason == STOPPED and not begun):
        return ExitStatus.UNFINISHED
    if not begun and reason not in ("finished", STOPPED):
        return ExitStatus.FAILED
    flawed = any(
        stats.get(Stat.of_notes(stop)) or stats.get(Stat.of_skipped(stop))
        for stop in StopReason
        if stop.ended and not stop.satisfied
    )
    if flawed:
        return ExitStatus.FLAWED
    return ExitStatus.FAILED if _lost_some(stats) else ExitStatus.DONE


def _lost_some(stats: Mapping[str, object]) -> bool:
    """True if items are lost, or missing from where they should be."""
    failed = any(stat.startswith(Stat.FEEDS_FAILED) for stat in stats)
    return failed or any(map(stats.get, (Stat.LOST, Stat.FEEDS_MISSED, Stat.PIPELINES_UNCLOSED)))


def refused_result(errors: Sequence[str]) -> CrawlResult:
    """Return the result of a crawl that was refused for wrong input."""
    return {
        "exit_status": ExitStatus.WRONG_INPUT,
        "close_reason": CloseReason.WRONG_INPUT.value,
        "errors": list(errors),
    }


def crawl_result(
    stats: Mapping[str, Any],
    exitcode: int,
    command: str,
    stopped: str = "",
    price: Price | None = None,
    *,
    feeds: Sequence[str] = (),
    stored_in: str | None = None,
) -> CrawlResult:
    """Return the result of a crawl as one JSON object.

    Args:
        stats: the final stats.
        exitcode: the exit status.
        command: the command that continues the crawl.
        stopped: why the crawl was stopped, and what to do.
        price: price of a billed call.
        feeds: addresses of the feeds that were stored.
        stored_in: the database and its server.
    """
    billed, unknown = stats.get(Stat.CALLS_BILLED, 0), stats.get(Stat.CALLS_UNKNOWN, 0)
    reasons = {
        reason.value: count for reason in StopReason if (count := stats.get(Stat.of_notes(reason)))
    }
    # None if the crawl was stopped before its notes were counted.
    left = stats.get(Stat.NOTES_LEFT, None if exitcode == ExitStatus.UNFINISHED else 0)
    ended = sum(count for reason, count in reasons.items() if StopReason(reason).ended)
    return {
        "exit_status": exitcode,
        "close_reason": stats.get("finish_reason"),
        "stopped": stopped or None,
        "started_at": _time(stats.get("start_time")),
        "finished_at": _time(stats.get("finish_time")),
        "seconds": stats.get("elapsed_time_seconds"),
        "notes": {
            "asked": None if left is None else ended + left,
            "ended": ended,
            "left": left,
            "stop_reasons": reasons,
            "ended_before": _by_name(stats, Stat.NOTES_SKIPPED),
        },
        "items": _by_name(stats, Stat.ITEMS),
        "comments": {
            "new": stats.get(Stat.COMMENTS_NEW, 0),
            "known": stats.get(Stat.COMMENTS_KNOWN, 0),
            "vanished": stats.get(Stat.COMMENTS_VANISHED, 0),
            "missing": stats.get(Stat.COMMENTS_MISSING, 0),
        },
        "replies": {
            "delivered": stats.get(Stat.REPLIES_DELIVERED, 0),
            "reported": stats.get(Stat.REPLIES_REPORTED, 0),
            "missing": stats.get(Stat.REPLIES_MISSING, 0),
        },
        "rejected": stats.get(Stat.REJECTED, 0),
        "rejected_by_field": _by_name(stats, Stat.REJECTED_FIELDS),
        "calls": {
            "billed": billed,
            "unknown": unknown,
            "refused": _by_name(stats, Stat.CALLS_REFUSED),
            "cost": price.of(billed) if price else None,
            "unknown_cost": price.of(unknown) if price else None,
        },
        "feeds": {
            "stored": sum(_by_name(stats, Stat.FEEDS_STORED).values()),
            "failed": sum(_by_name(stats, Stat.FEEDS_FAILED).values()),
            "items_missed": stats.get(Stat.FEEDS_MISSED, 0),
            "written": list(feeds[:_MOST_FEEDS_LISTED]),
        },
        "stored_in": stored_in,
        "pipelines": {
            "failed": stats.get(Stat.PIPELINES_FAILED, 0),
            "unclosed": stats.get(Stat.PIPELINES_UNCLOSED, 0),
        },
        "spilled": stats.get(Stat.SPILLED, 0),
        "unstorable": stats.get(Stat.UNSTORABLE, 0),
        "lost": stats.get(Stat.LOST, 0),
        "resume": command if exitcode == ExitStatus.UNFINISHED else None,
    }


def log_result(logger: logging.Logger, result: CrawlResult, *, is_read_by_person: bool) -> None:
    """Log a result as one JSON object. In a JSON log it is the field ``run`` of the line.

    ``is_read_by_person``: the log is text on a terminal, so the line is logged at DEBUG.
    """
    level = logging.DEBUG if is_read_by_person else logging.INFO
    logger.log(level, "%s", json.dumps(result), extra={"run": result})


def closing_lines(result: CrawlResult) -> Iterator[tuple[int, str]]:
    """Yield the last lines of a crawl's log with their levels, from :func:`crawl_result`."""
    for label, text in _summary(result):
        yield logging.INFO, f"{label:<{_LABEL_WIDTH}}{text}"
    yield from _loss_lines(result)
    yield from _left_lines(result)


def _summary(result: CrawlResult) -> Iterator[tuple[str, str]]:
    """Yield what a person wants to know of a crawl, each with its label."""
    notes, items, comments = result["notes"], result["items"], result["comments"]
    if notes["left"] is not None:
        skipped = sum(notes["ended_before"].values())
        before = f"; {skipped:,} more had ended before" if skipped else ""
        asked, ended, left = notes["asked"], notes["ended"], notes["left"]
        yield "Notes", f"{asked:,} asked for: {ended:,} ended, {left:,} left{before}"
    replies = result["replies"]
    of_replies = f", {replies['delivered']:,} of them replies" if replies["delivered"] else ""
    new, known = comments["new"], comments["known"]
    by_age = f" ({new:,} new, {known:,} known)" if new or known else ""
    yield "Comments", f"{items.get('comment', 0):,}{of_replies}{by_age}"
    if users := items.get("user"):
        yield "Users", f"{users:,}, each counted once a page"
    if missing := list(_missing(result)):
        see = ": see `scrapy status --incomplete`" if result["stored_in"] else ""
        yield "Missing", f"{' and '.join(missing)}{see}"
    if rejected := result["rejected"]:
        yield "Rejected", f"{rejected:,} objects that are no valid items"
    yield "Calls", ", ".join(_calls(result["calls"]))
    feeds = result["feeds"]
    if feeds["failed"]:
        yield "Feeds", f"{feeds['stored']:,} stored, {feeds['failed']:,} not stored"
    elif written := feeds["written"]:
        more = feeds["stored"] - _MOST_FEEDS
        further = f" and {more:,} more" if more > 0 else ""
        yield "Feeds", ", ".join(written[:_MOST_FEEDS]) + further
    if place := result["stored_in"]:
        yield "Stored in", place
    if (seconds := result["seconds"]) is not None:
        yield "Time", duration(seconds)


def _missing(result: CrawlResult) -> Iterator[str]:
    if missing := result["comments"]["missing"]:
        yield f"{missing:,} comments"
    replies = result["replies"]
    if missing := replies["missing"]:
        yield f"{missing:,} of {replies['reported']:,} replies reported"


def _calls(calls: CrawlResult) -> Iterator[str]:
    yield f"{calls['billed']:,} billed{_money(calls['cost'])}"
    if unknown := calls["unknown"]:
        yield f"{unknown:,} of unknown billing{_money(calls['unknown_cost'])}"
    if refused := calls["refused"]:
        by_code = ", ".join(f"{_code_name(code)}: {count:,}" for code, count in refused.items())
        yield f"{sum(refused.values()):,} refused at no cost ({by_code})"


def _loss_lines(result: CrawlResult) -> Iterator[tuple[int, str]]:
    """Yield an error for everything that was paid for and is not where it should be."""
    feeds = result["feeds"]
    if failed := result["pipelines"]["failed"]:
        yield logging.ERROR, f"{failed} items are in no feed: a pipeline failed on them"
    if unclosed := result["pipelines"]["unclosed"]:
        yield logging.ERROR, f"{unclosed} pipelines could not be closed: what they held may be lost"
    if result["spilled"]:
        yield (
            logging.ERROR,
            f"{result['spilled']} writes wait in XHS_SPILL_DIR: `scrapy recover` or the next run "
            "stores them",
        )
    if result["unstorable"]:
        yield (
            logging.ERROR,
            f"{result['unstorable']} objects are too large for any database: they are in files of "
            "XHS_SPILL_DIR whose names end in .unstorable",
        )
    if result["lost"]:
        yield logging.ERROR, f"{result['lost']} items were paid for and could not be stored"
    if feeds["failed"] or feeds["items_missed"]:
        yield (
            logging.ERROR,
            f"{feeds['failed']} feeds were not stored, and {feeds['items_missed']} times an item "
            "could not be written to a feed: see the errors above",
        )


def _left_lines(result: CrawlResult) -> Iterator[tuple[int, str]]:
    """Yield what did not end as requested, and what to do."""
    status, reasons = result["exit_status"], _bad_reasons(result["notes"])
    if status == ExitStatus.DONE:
        return
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    stopped = f": {result['stopped']}" if result["stopped"] else ""
    closed = (result["close_reason"] or "never began") + stopped
    if status == ExitStatus.UNFINISHED:
        left = "All" if result["notes"]["left"] is None else result["notes"]["left"]
        by_reason = f"; stop reasons: {why}" if why else ""
        yield logging.WARNING, f"{left} notes are left ({closed}){by_reason}"
    elif status == ExitStatus.FLAWED:
        yield logging.WARNING, f"Not every note ended as requested: {why}; see `scrapy status`"
    elif result["close_reason"] != "finished" and not result["notes"]["ended"]:
        yield logging.ERROR, f"No note was crawled to its end: {closed}"
    for reason, advice in ADVICE.items():
        if reason in reasons:
            yield logging.WARNING, f"{reasons[reason]} {reason}: {advice.sentence}"
    if result["resume"]:
        if "notes_file=- " in f"{result['resume']} ":
            yield logging.WARNING, "Give the next command the same list on standard input"
        yield logging.WARNING, f"To continue: {result['resume']}"


def _bad_reasons(notes: CrawlResult) -> dict[str, int]:
    """Return how many notes did not end as requested, by reason, in this crawl or before."""
    counts: Counter[str] = Counter(notes["stop_reasons"]) + Counter(notes["ended_before"])
    return {reason: count for reason, count in counts.items() if not StopReason(reason).satisfied}


def _by_name(stats: Mapping[str, Any], prefix: str) -> dict[str, int]:
    return {
        stat.removeprefix(prefix): count
        for stat, count in sorted(stats.items())
        if stat.startswith(prefix)
    }


def _money(cost: str | None) -> str:
    return f" ({cost})" if cost else ""


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _code_name(code: str) -> str:
    status = code.removeprefix("http_")
    return f"code {code}" if status == code else f"HTTP {status}"
