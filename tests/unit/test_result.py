"""The last lines of a crawl's log."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from xhs.crawl.price import read_price
from xhs.reasons import ExitStatus
from xhs.result import closing_lines, crawl_result, log_result

COMMAND = "scrapy crawl comments -a notes_file=notes.txt"


def lines(status: int, **stats: Any) -> list[tuple[int, str]]:
    """Return the lines for these stats, in whose names ``__`` stands for ``/``."""
    by_name = {name.replace("__", "/"): value for name, value in stats.items()}
    return list(closing_lines(crawl_result(by_name, status, COMMAND)))


def test_a_crawl_that_left_nothing_logs_no_warning() -> None:
    logged = lines(ExitStatus.DONE, finish_reason="finished", xhs__notes__complete=2)
    assert {level for level, _ in logged} == {logging.INFO}
    assert "2 asked for: 2 ended, 0 left" in logged[0][1]
    assert COMMAND not in "".join(line for _, line in logged)


def test_billed_and_refused_calls() -> None:
    text = "\n".join(
        line
        for _, line in lines(
            ExitStatus.DONE,
            xhs__calls__billed=12,
            xhs__calls__unknown=3,
            xhs__calls__refused__301=4,
            xhs__calls__refused__302=5,
        )
    )
    assert (
        "Calls      12 billed, 3 of unknown billing, 9 refused at no cost "
        "(code 301: 4, code 302: 5)"
    ) in text


def test_calls_are_given_in_money_too_if_they_have_a_price() -> None:
    stats = {"xhs/calls/billed": 4200, "xhs/calls/unknown": 3}
    run = crawl_result(stats, ExitStatus.DONE, COMMAND, price=read_price("0.05 CNY"))
    assert (run["calls"]["cost"], run["calls"]["unknown_cost"]) == ("210.00 CNY", "0.15 CNY")
    text = "\n".join(line for _, line in closing_lines(run))
    assert "4,200 billed (210.00 CNY), 3 of unknown billing (0.15 CNY)" in text


def test_calls_without_a_price_have_no_cost() -> None:
    run = crawl_result({"xhs/calls/billed": 4200}, ExitStatus.DONE, COMMAND)
    assert run["calls"]["cost"] is None
    assert list(closing_lines(run))[-1] == (logging.INFO, "Calls      4,200 billed")


def test_rejected_objects_are_counted() -> None:
    logged = lines(ExitStatus.DONE, xhs__rejected=7)
    assert (logging.INFO, "Rejected   7 objects that are no valid items") in logged


def test_objects_that_no_database_can_hold_are_an_error_with_their_place() -> None:
    logged = lines(ExitStatus.DONE, xhs__unstorable=2)
    [(level, line)] = [(level, line) for level, line in logged if level > logging.INFO]
    assert level == logging.ERROR
    assert line.startswith("2 objects are too large for any database")
    assert "XHS_SPILL_DIR" in line


def test_a_crawl_that_left_notes_ends_with_their_number_the_reason_and_the_command() -> None:
    logged = lines(
        ExitStatus.UNFINISHED,
        finish_reason="balance_exhausted",
        xhs__notes__left=41,
        xhs__notes__interrupted=3,
        xhs__notes__complete=8,
    )
    assert "49 asked for: 8 ended, 41 left" in logged[0][1]
    *_, (left_level, left), (command_level, command) = logged
    assert left_level == command_level == logging.WARNING
    assert "41 notes are left" in left
    assert "balance_exhausted" in left
    assert "3 interrupted" in left
    assert COMMAND in command


def test_notes_that_did_not_end_as_requested_are_counted_by_their_reason() -> None:
    *_, (level, line), (_, of_refused), (_, of_ignored) = lines(
        ExitStatus.FLAWED,
        xhs__notes__refused=1,
        xhs__notes__cursor_ignored=2,
        xhs__notes__complete=5,
    )
    assert level == logging.WARNING
    assert "1 refused: " in of_refused
    assert "mode=full" in of_refused
    assert "JUSTONEAPI_COMMENTS_VERSION" in of_ignored
    assert "1 refused" in line
    assert "2 cursor_ignored" in line


@pytest.mark.parametrize(
    ("stats", "why"), [({"finish_reason": "store_failed"}, "store_failed"), ({}, "never began")]
)
def test_a_crawl_that_did_not_begin_is_an_error(stats: dict[str, Any], why: str) -> None:
    level, line = lines(ExitStatus.FAILED, **stats)[-1]
    assert level == logging.ERROR
    assert why in line


def test_notes_that_ended_badly_before_are_counted_by_their_reason() -> None:
    logged = lines(
        ExitStatus.FLAWED,
        finish_reason="finished",
        xhs__notes__skipped__complete=4,
        xhs__notes__skipped__refused=2,
        xhs__notes__cursor_ignored=1,
        xhs__notes__complete=3,
    )
    (line,) = (text for _, text in logged if "as requested" in text)
    assert "1 cursor_ignored, 2 refused;" in line
    assert "complete" not in line


def test_notes_that_ended_badly_before_get_advice() -> None:
    stats = {"finish_reason": "finished", "xhs__notes__skipped__cursor_ignored": 1}
    logged = lines(ExitStatus.FLAWED, **stats)
    assert any("JUSTONEAPI_COMMENTS_VERSION" in text for _, text in logged)


def test_missing_replies_are_counted_with_advice() -> None:
    counts = {"xhs__replies__reported": 944 - 801, "xhs__replies__missing": 140}
    logged = lines(ExitStatus.DONE, finish_reason="finished", **counts)
    missing = "Missing    140 of 143 replies reported"
    assert (logging.INFO, missing) in logged, "without a store, `scrapy status` knows nothing"
    logged = lines(ExitStatus.DONE, finish_reason="finished", xhs__replies__reported=5)
    assert not [text for _, text in logged if "replies" in text]


def test_the_summary_says_what_there_is_where_it_is_and_how_long_it_took() -> None:
    stats = {
        "finish_reason": "finished",
        "elapsed_time_seconds": 133.4,
        "xhs/notes/complete": 3,
        "xhs/notes/skipped/complete": 2,
        "xhs/items/comment": 3410,
        "xhs/items/user": 1804,
        "xhs/items/note": 3,
        "xhs/comments/new": 3400,
        "xhs/comments/known": 10,
        "xhs/comments/missing": 12,
        "xhs/replies/delivered": 210,
        "xhs/replies/reported": 300,
        "xhs/replies/missing": 90,
        "xhs/calls/billed": 412,
        "feedexport/success_count/FileFeedStorage": 7,
    }
    feeds = [f"data/{number}.csv" for number in range(7)]
    run = crawl_result(stats, 0, COMMAND, feeds=feeds, stored_in="database xhs of the store")
    assert [line for level, line in closing_lines(run) if level == logging.INFO] == [
        "Notes      3 asked for: 3 ended, 0 left; 2 more had ended before",
        "Comments   3,410, 210 of them replies (3,400 new, 10 known)",
        "Users      1,804, each counted once a page",
        "Missing    12 comments and 90 of 300 replies reported: see `scrapy status --incomplete`",
        "Calls      412 billed",
        "Feeds      data/0.csv, data/1.csv, data/2.csv, data/3.csv, data/4.csv and 2 more",
        "Stored in  database xhs of the store",
        "Time       2 min 13 s",
    ]
    assert run["feeds"]["written"] == feeds


def test_feeds_that_were_not_stored_are_not_named_as_written() -> None:
    stats = {
        "feedexport/success_count/FileFeedStorage": 1,
        "feedexport/failed_count/S3FeedStorage": 1,
    }
    run = crawl_result(stats, 1, COMMAND, feeds=["data/a.csv", "s3://bucket/a.csv"])
    assert (logging.INFO, "Feeds      1 stored, 1 not stored") in list(closing_lines(run))


@pytest.mark.parametrize("is_read_by_person", [False, True])
def test_the_object_for_programs_is_not_shown_to_a_person(
    caplog: pytest.LogCaptureFixture, is_read_by_person: bool
) -> None:
    run = crawl_result({}, 0, COMMAND)
    with caplog.at_level(logging.DEBUG):
        log_result(logging.getLogger("xhs"), run, is_read_by_person=is_read_by_person)
    (record,) = caplog.records
    assert record.levelno == (logging.DEBUG if is_read_by_person else logging.INFO)
    assert json.loads(record.getMessage()) == run
