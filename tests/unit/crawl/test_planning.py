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


def anew(sort: str = "latest", mode: str = "full", version: str = "v4") -> Checkpoint:
    return Checkpoint(PageRef(NOTE, sort=sort), version, mode, NOW)


def known(left: Checkpoint | None = LEFT, **changes: Any) -> dict[str, Any]:
    return {
        "_id": NOTE,
        "state": "unfinished",
        "checkpoint": checkpoint_document(left) if left else None,
        "pages": 3,
        "comment_count_l1": 77,
        **changes,
    }


def record(there: dict[str, Any] | None) -> NoteRecord | None:
    return None if there is None else read_note({"_id": NOTE, **there}, NOW)


def begun(there: dict[str, Any] | None, arguments: Arguments, version: str = "v4") -> NotePlan:
    first = plan_note(NOTE, record(there), arguments, version, NOW)
    assert isinstance(first, NotePlan)
    return first


@pytest.mark.parametrize("sort", ["latest", "normal", "like_count"])
@pytest.mark.parametrize("there", [None, known(), known(state="ended", stop_reason="complete")])
def test_a_full_pass_begins_at_the_first_page(sort: str, there: dict[str, Any] | None) -> None:
    first = begun(there, Arguments(sort=sort))
    assert (first.checkpoint, first.pages, first.watermark) == (anew(sort), 0, None)


@pytest.mark.parametrize("state", ["queued", "running", "unfinished"])
@pytest.mark.parametrize("mode", ["full", "update"])
def test_resume_goes_on_at_the_checkpoint(state: str, mode: str) -> None:
    left = replace(LEFT, mode=mode)
    first = begun(known(left, state=state, watermark=watermark_document(WATERMARK)), RESUME)
    assert (first.checkpoint, first.pages, first.reported) == (left, 3, 77)
    assert (first.resumed, first.then_again) == (True, False)
    assert first.watermark == (WATERMARK if mode == "update" else None)


def test_resume_starts_what_is_unknown() -> None:
    assert begun(None, RESUME).checkpoint == anew()


@pytest.mark.parametrize("reason", [reason for reason in StopReason if reason.ended])
def test_resume_leaves_alone_what_has_ended(reason: StopReason) -> None:
    there = known(None, state="ended", stop_reason=reason.value)
    assert plan_note(NOTE, record(there), RESUME, "v4", NOW) == Skip(reason)


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
def test_a_checkpoint_that_does_not_fit_begins_anew(
    left: Checkpoint | None, version: str, arguments: Arguments
) -> None:
    first = begun(known(left), arguments, version)
    mode = "update" if arguments is UPDATE else "full"
    wanted = NotePlan(anew(mode=mode, version=version), arguments, reported=77)
    assert first == replace(wanted, has_state=left is not None)


def test_an_update_that_was_left_and_does_not_fit_stays_an_update() -> None:
    there = known(replace(LEFT, mode="update"), watermark=watermark_document(WATERMARK))
    first = begun(there, RESUME, "v3")
    assert (first.checkpoint, first.watermark) == (anew(mode="update", version="v3"), WATERMARK)


def test_where_only_replies_are_left_no_page_is_asked_for() -> None:
    first = begun(known(replace(LEFT, stop_reason=StopReason.COMPLETE)), RESUME)
    assert first.first_page is None
    assert first.checkpoint.stop_reason is StopReason.COMPLETE


@pytest.mark.parametrize("complete", [True, False])
def test_an_update_reads_down_to_the_watermark(complete: bool) -> None:
    watermark = WATERMARK._replace(complete=complete)
    there = known(
        None, state="ended", stop_reason="complete", watermark=watermark_document(watermark)
    )
    first = begun(there, UPDATE)
    assert (first.checkpoint, first.watermark) == (anew(mode="update"), watermark)
    assert (first.has_state, first.then_again) == (True, False)


def test_an_update_finishes_first_what_was_left() -> None:
    first = begun(known(), UPDATE)
    assert (first.checkpoint, first.then_again, first.watermark) == (LEFT, True, None)


def test_an_update_of_an_unknown_note_has_no_watermark() -> None:
    assert begun(None, UPDATE) == NotePlan(anew(mode="update"), UPDATE, is_new=True)


@pytest.mark.parametrize("mode", ["full", "update"])
@pytest.mark.parametrize("state", ["ended", "queued", "unfinished"])
def test_resume_takes_up_what_is_wanted_as_it_is_wanted(mode: str, state: str) -> None:
    wanted = Wanted(mode, {"sort": "normal", "replies": "all", "max_comments": "50"})
    there = known(None, state=state, stop_reason="complete", wanted=wanted_document(wanted))
    first = begun(there, RESUME)
    assert (first.checkpoint.mode, first.first_page) == (mode, PageRef(NOTE, sort="normal"))
    assert (first.arguments.replies, first.arguments.max_comments) == ("all", 50)
    assert first.checkpoint.arguments == {"replies": "all", "max_comments": "50"}
    named = begun(there, parse({"mode": "resume", "sort": "latest", "replies": "none"}))
    assert (named.first_page, named.arguments.replies) == (PageRef(NOTE), "none")


def test_a_checkpoint_is_continued_whatever_is_wanted() -> None:
    there = known(wanted=wanted_document(Wanted("update", {"replies": "all"})))
    assert begun(there, RESUME).checkpoint == LEFT


@pytest.mark.parametrize("wanted", [None, {}, "full", {"mode": "resume"}, {"mode": ["full"]}])
def test_what_says_of_no_pass_that_it_is_wanted_wants_none(wanted: Any) -> None:
    there = known(None, state="ended", stop_reason="complete", wanted=wanted)
    assert plan_note(NOTE, record(there), RESUME, "v4", NOW) == Skip(StopReason.COMPLETE)


def test_what_is_wanted_says_nothing_to_a_crawl_that_names_its_own_mode() -> None:
    there = known(None, state="ended", wanted=wanted_document(Wanted("full", {"sort": "normal"})))
    assert begun(there, UPDATE).checkpoint == anew(mode="update")


def test_a_queued_note_keeps_the_kind_of_its_pass() -> None:
    there = {"_id": NOTE, "state": "queued", "arguments": {"mode": "update"}}
    assert begun(there, RESUME).checkpoint.mode == "update"


GIVEN = {"replies": "all", "max_comments": "50"}


@pytest.mark.parametrize("cursor", ["c4", None])
@pytest.mark.parametrize("mode", ["resume", "update"])
def test_a_pass_is_finished_by_the_arguments_that_it_was_given(
    cursor: str | None, mode: str
) -> None:
    left = replace(LEFT, next_page=PageRef(NOTE, cursor), arguments=GIVEN)
    first = begun(known(left), parse({"mode": mode}))
    assert first.checkpoint.arguments == (GIVEN if cursor or mode == "resume" else {})
    found = (first.arguments.replies, first.arguments.max_comments)
    assert found == (("all", 50) if first.checkpoint.arguments else ("inline", None))
    named = begun(known(left), parse({"mode": mode, "replies": "none"}))
    assert named.arguments.replies == "none"


def test_arguments_of_a_pass_that_do_not_go_with_the_crawl_are_left() -> None:
    left = replace(LEFT, arguments={"since": "some day", "mode": "full"})
    first = begun(known(left), RESUME)
    assert first.arguments == RESUME
    assert first.checkpoint.next_page == LEFT.next_page


@pytest.mark.parametrize("call", [PageRef(NOTE, "c4"), PageRef(NOTE, None, "like_count")])
@pytest.mark.parametrize(
    "watermark", [None, WATERMARK._replace(complete=True), Watermark(frozenset(), None)]
)
def test_a_checkpoint_comes_back_from_its_document(
    call: PageRef, watermark: Watermark | None
) -> None:
    checkpoint = replace(LEFT, next_page=call, watermark=watermark)
    assert read_checkpoint(NOTE, checkpoint_document(checkpoint), NOW) == checkpoint


@pytest.mark.parametrize(
    "changes",
    [{"sort": 1}, {"version": None}, {"cursor": ["c"]}],
)
def test_a_checkpoint_that_says_nothing_is_none(changes: dict[str, Any]) -> None:
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
def test_a_checkpoint_is_of_use_without_what_is_odd_in_it(changes: dict[str, Any]) -> None:
    found = read_checkpoint(NOTE, {**checkpoint_document(LEFT), **changes}, NOW)
    assert found is not None
    assert found.next_page == LEFT.next_page
    assert found.stop_reason is None


def test_cursor_sort_and_version_are_enough_to_go_on() -> None:
    left = {"cursor": "c4", "sort": "latest", "version": "v4", "watermark": None}
    first = begun({**known(None), "checkpoint": left}, RESUME)
    assert (first.first_page, first.checkpoint.began, first.pages) == (LEFT.next_page, NOW, 3)


def test_the_crawl_wins_over_the_pass_and_that_over_what_is_kept_with_the_note() -> None:
    left = replace(LEFT, arguments={"replies": "all", "max_comments": "20"})
    kept = {"replies": "none", "max_comments": "10", "since": "2024-01-01"}
    first = begun({**known(left), "arguments": kept}, parse({"mode": "resume"}))
    assert (first.arguments.replies, first.arguments.max_comments) == ("all", 20)
    assert first.arguments.since == datetime(2024, 1, 1, tzinfo=UTC)
    named = parse({"mode": "resume", "max_comments": "30"})
    assert begun({**known(left), "arguments": kept}, named).arguments.max_comments == 30


def test_what_is_kept_and_does_not_go_with_the_crawl_is_told() -> None:
    with pytest.raises(WrongArguments):
        plan_note(
            NOTE,
            record({"arguments": {"sort": "normal"}}),
            parse({"since": "2024-01-01"}),
            "v4",
            NOW,
        )


def test_what_the_ledger_knows_of_a_note_stands_until_a_page_says_more() -> None:
    chain = begun(known(user_id="u", comment_count=99), RESUME).paginator()
    assert (chain.author_id, chain.comment_count, chain.comment_count_l1) == ("u", 99, 77)


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
            begun(known(**odd), parse({"mode": mode}))
    else:
        begun(known(**odd), parse({"mode": mode})).paginator()
