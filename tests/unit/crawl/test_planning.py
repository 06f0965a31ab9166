from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from xhs.api.endpoints import PageRef
from xhs.crawl.arguments import Arguments, WrongArguments, parse
from xhs.crawl.checkpoint import Checkpoint, Wanted
from xhs.crawl.paginator import Watermark
from xhs.crawl.planning import NotePlan, Skip, plan_note
from xhs.crawl.storage import NoteRecord
from xhs.reasons import StopReason
from xhs.store.mongo.notes import (
    checkpoint_document,
    read_checkpoint,
    read_note,
    wanted_document,
    watermark_document,
)

NOTE = "65bf5360000000002c03f684"
RESUME, UPDATE = Arguments(mode="resume"), Arguments(mode="update")
NOW, BEFORE = datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
WATERMARK = Watermark(frozenset({"a", "b"}), BEFORE)
LEFT = Checkpoint(PageRef(NOTE, "c4"), "v4", "full", BEFORE, WATERMARK, kept=30, calls=4)


def restarted(sort: str = "latest", mode: str = "full", version: str = "v4") -> Checkpoint:
    return Checkpoint(PageRef(NOTE, sort=sort), version, mode, NOW)


def stored(left: Checkpoint | None = LEFT, **changes: Any) -> dict[str, Any]:
    return {
        "_id": NOTE,
        "state": "unfinished",
        "checkpoint": checkpoint_document(left) if left else None,
        "pages": 3,
        "comment_count_l1": 77,
        **changes,
    }


def record(document: dict[str, Any] | None) -> NoteRecord | None:
    return None if document is None else read_note({"_id": NOTE, **document}, NOW)


def planned(document: dict[str, Any] | None, arguments: Arguments, version: str = "v4") -> NotePlan:
    plan = plan_note(NOTE, record(document), arguments, version, NOW)
    assert isinstance(plan, NotePlan)
    return plan


@pytest.mark.parametrize("sort", ["latest", "normal", "like_count"])
@pytest.mark.parametrize(
    "document", [None, stored(), stored(state="ended", stop_reason="complete")]
)
def test_a_full_pass_begins_at_the_first_page(sort: str, document: dict[str, Any] | None) -> None:
    plan = planned(document, Arguments(sort=sort))
    assert (plan.checkpoint, plan.pages, plan.watermark) == (restarted(sort), 0, None)


@pytest.mark.parametrize("state", ["queued", "running", "unfinished"])
@pytest.mark.parametrize("mode", ["full", "update"])
def test_resume_continues_from_the_checkpoint(state: str, mode: str) -> None:
    left = replace(LEFT, mode=mode)
    plan = planned(stored(left, state=state, watermark=watermark_document(WATERMARK)), RESUME)
    assert (plan.checkpoint, plan.pages, plan.reported) == (left, 3, 77)
    assert (plan.resumed, plan.then_again) == (True, False)
    assert plan.watermark == (WATERMARK if mode == "update" else None)


def test_resume_starts_an_unknown_note() -> None:
    assert planned(None, RESUME).checkpoint == restarted()


@pytest.mark.parametrize("reason", [reason for reason in StopReason if reason.ended])
def test_resume_skips_a_note_that_has_ended(reason: StopReason) -> None:
    document = stored(None, state="ended", stop_reason=reason.value)
    assert plan_note(NOTE, record(document), RESUME, "v4", NOW) == Skip(reason)


@pytest.mark.parametrize(
    ("left", "version"),
    [
        (LEFT, "v3"),
        (replace(LEFT, next_page=PageRef(NOTE, "c4", "normal")), "v4"),
        (replace(LEFT, next_page=PageRef(NOTE)), "v4"),
        (None, "v4"),
    ],
)
@pytest.mark.parametrize("arguments", [RESUME, UPDATE])
def test_a_note_whose_checkpoint_does_not_fit_restarts(
    left: Checkpoint | None, version: str, arguments: Arguments
) -> None:
    plan = planned(stored(left), arguments, version)
    mode = "update" if arguments is UPDATE else "full"
    wanted = NotePlan(restarted(mode=mode, version=version), arguments, reported=77)
    assert plan == replace(wanted, has_state=left is not None)


def test_an_update_whose_checkpoint_does_not_fit_stays_an_update() -> None:
    document = stored(replace(LEFT, mode="update"), watermark=watermark_document(WATERMARK))
    plan = planned(document, RESUME, "v3")
    assert (plan.checkpoint, plan.watermark) == (
        restarted(mode="update", version="v3"),
        WATERMARK,
    )


def test_no_page_is_requested_if_only_replies_are_left() -> None:
    plan = planned(stored(replace(LEFT, stop_reason=StopReason.COMPLETE)), RESUME)
    assert plan.first_page is None
    assert plan.checkpoint.stop_reason is StopReason.COMPLETE


@pytest.mark.parametrize("complete", [True, False])
def test_an_update_reads_down_to_the_watermark(complete: bool) -> None:
    watermark = WATERMARK._replace(complete=complete)
    document = stored(
        None, state="ended", stop_reason="complete", watermark=watermark_document(watermark)
    )
    plan = planned(document, UPDATE)
    assert (plan.checkpoint, plan.watermark) == (restarted(mode="update"), watermark)
    assert (plan.has_state, plan.then_again) == (True, False)


def test_an_update_finishes_an_earlier_pass_first() -> None:
    plan = planned(stored(), UPDATE)
    assert (plan.checkpoint, plan.then_again, plan.watermark) == (LEFT, True, None)


def test_an_update_of_an_unknown_note_has_no_watermark() -> None:
    assert planned(None, UPDATE) == NotePlan(restarted(mode="update"), UPDATE, is_new=True)


@pytest.mark.parametrize("mode", ["full", "update"])
@pytest.mark.parametrize("state", ["ended", "queued", "unfinished"])
def test_resume_begins_the_wanted_pass(mode: str, state: str) -> None:
    wanted = Wanted(mode, {"sort": "normal", "replies": "all", "max_comments": "50"})
    document = stored(None, state=state, stop_reason="complete", wanted=wanted_document(wanted))
    plan = planned(document, RESUME)
    assert (plan.checkpoint.mode, plan.first_page) == (mode, PageRef(NOTE, sort="normal"))
    assert (plan.arguments.replies, plan.arguments.max_comments) == ("all", 50)
    assert plan.checkpoint.arguments == {"replies": "all", "max_comments": "50"}
    named = planned(document, parse({"mode": "resume", "sort": "latest", "replies": "none"}))
    assert (named.first_page, named.arguments.replies) == (PageRef(NOTE), "none")


def test_a_checkpoint_is_continued_whatever_is_wanted() -> None:
    document = stored(wanted=wanted_document(Wanted("update", {"replies": "all"})))
    assert planned(document, RESUME).checkpoint == LEFT


@pytest.mark.parametrize("wanted", [None, {}, "full", {"mode": "resume"}, {"mode": ["full"]}])
def test_an_odd_wanted_pass_is_ignored(wanted: Any) -> None:
    document = stored(None, state="ended", stop_reason="complete", wanted=wanted)
    assert plan_note(NOTE, record(document), RESUME, "v4", NOW) == Skip(StopReason.COMPLETE)


def test_a_crawl_with_its_own_mode_ignores_the_wanted_pass() -> None:
    document = stored(
        None, state="ended", wanted=wanted_document(Wanted("full", {"sort": "normal"}))
    )
    assert planned(document, UPDATE).checkpoint == restarted(mode="update")


def test_a_queued_note_keeps_its_mode() -> None:
    document = {"_id": NOTE, "state": "queued", "arguments": {"mode": "update"}}
    assert planned(document, RESUME).checkpoint.mode == "update"


GIVEN = {"replies": "all", "max_comments": "50"}


@pytest.mark.parametrize("cursor", ["c4", None])
@pytest.mark.parametrize("mode", ["resume", "update"])
def test_a_pass_is_finished_with_its_own_arguments(cursor: str | None, mode: str) -> None:
    left = replace(LEFT, next_page=PageRef(NOTE, cursor), arguments=GIVEN)
    plan = planned(stored(left), parse({"mode": mode}))
    assert plan.checkpoint.arguments == (GIVEN if cursor or mode == "resume" else {})
    used = (plan.arguments.replies, plan.arguments.max_comments)
    assert used == (("all", 50) if plan.checkpoint.arguments else ("inline", None))
    named = planned(stored(left), parse({"mode": mode, "replies": "none"}))
    assert named.arguments.replies == "none"


def test_arguments_of_a_pass_that_cannot_be_combined_are_ignored() -> None:
    left = replace(LEFT, arguments={"since": "some day", "mode": "full"})
    plan = planned(stored(left), RESUME)
    assert plan.arguments == RESUME
    assert plan.checkpoint.next_page == LEFT.next_page


@pytest.mark.parametrize("page", [PageRef(NOTE, "c4"), PageRef(NOTE, None, "like_count")])
@pytest.mark.parametrize(
    "watermark", [None, WATERMARK._replace(complete=True), Watermark(frozenset(), None)]
)
def test_a_checkpoint_comes_back_from_its_document(
    page: PageRef, watermark: Watermark | None
) -> None:
    checkpoint = replace(LEFT, next_page=page, watermark=watermark)
    assert read_checkpoint(NOTE, checkpoint_document(checkpoint), NOW) == checkpoint


@pytest.mark.parametrize(
    "changes",
    [{"sort": 1}, {"version": None}, {"cursor": ["c"]}],
)
def test_a_checkpoint_without_a_cursor_sort_or_version_is_none(changes: dict[str, Any]) -> None:
    assert read_checkpoint(NOTE, {**checkpoint_document(LEFT), **changes}, NOW) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"watermark": {"comment_ids": 1}},
        {"kept": "x"},
        {"arguments": 7},
        {"calls": -1},
        {"stop_reason": 5},
        {"stop_reason": ["complete"]},
        {"stop_reason": "interrupted"},
        {"began": "today"},
        {"mode": 0},
    ],
)
def test_odd_fields_of_a_checkpoint_are_ignored(changes: dict[str, Any]) -> None:
    checkpoint = read_checkpoint(NOTE, {**checkpoint_document(LEFT), **changes}, NOW)
    assert checkpoint is not None
    assert checkpoint.next_page == LEFT.next_page
    assert checkpoint.stop_reason is None


def test_cursor_sort_and_version_are_enough_to_continue() -> None:
    left = {"cursor": "c4", "sort": "latest", "version": "v4", "watermark": None}
    plan = planned({**stored(None), "checkpoint": left}, RESUME)
    assert (plan.first_page, plan.checkpoint.began, plan.pages) == (LEFT.next_page, NOW, 3)


def test_the_crawl_overrides_the_pass_and_the_pass_overrides_the_note() -> None:
    left = replace(LEFT, arguments={"replies": "all", "max_comments": "20"})
    kept = {"replies": "none", "max_comments": "10", "since": "2024-01-01"}
    plan = planned({**stored(left), "arguments": kept}, parse({"mode": "resume"}))
    assert (plan.arguments.replies, plan.arguments.max_comments) == ("all", 20)
    assert plan.arguments.since == datetime(2024, 1, 1, tzinfo=UTC)
    named = parse({"mode": "resume", "max_comments": "30"})
    assert planned({**stored(left), "arguments": kept}, named).arguments.max_comments == 30


def test_arguments_kept_with_a_note_that_cannot_be_combined_are_an_error() -> None:
    with pytest.raises(WrongArguments):
        plan_note(
            NOTE,
            record({"arguments": {"sort": "normal"}}),
            parse({"since": "2024-01-01"}),
            "v4",
            NOW,
        )


def test_counts_of_the_ledger_hold_until_a_page_reports_others() -> None:
    paginator = planned(stored(user_id="u", comment_count=99), RESUME).paginator()
    assert (paginator.author_id, paginator.comment_count, paginator.comment_count_l1) == (
        "u",
        99,
        77,
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"state": "ended", "stop_reason": ["complete"]},
        {"watermark": [], "arguments": "all"},
        {"watermark": {"comment_ids": [1], "newest": "x"}, "complete": "yes"},
        {"user_id": 5, "comment_count": "9", "comment_count_l1": None, "pages": {}},
        {"arguments": {"replies": 1}},
        {"wanted": {"mode": "full", "arguments": [1]}},
        {"state": "ended", "wanted": {"mode": "full", "arguments": {"max_comments": "x"}}},
    ],
)
@pytest.mark.parametrize("mode", ["full", "resume", "update"])
def test_an_odd_document_stops_nothing(odd: dict[str, Any], mode: str) -> None:
    if isinstance(odd.get("arguments"), dict):
        with pytest.raises(WrongArguments):
            planned(stored(**odd), parse({"mode": mode}))
    else:
        planned(stored(**odd), parse({"mode": mode})).paginator()
