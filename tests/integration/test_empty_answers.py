"""Answers with code 0 that hold nothing or nothing readable; each is billed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.expected import expected_note
from support.passes import assert_stored, pages_of

from xhs.simulator.notes import sized_note, threaded_note

if TYPE_CHECKING:
    from support.crawl import Document, Outcome, Project
    from support.simulator import Simulator

NOTE = sized_note(45, 6000, replies=False)
PAGES = 5
NOTHING: list[Any] = [{}, None, []]
ALL_INVALID: dict[str, Any] = {
    "patch": [{"path": ["comments", "*", "like_count"], "value": "many"}],
}


def crawl(project: Project, **arguments: Any) -> Outcome:
    """Crawl with short waits between calls."""
    return project.crawl(notes=[NOTE], **arguments)


def end_of(done: Outcome) -> tuple[str, int, bool]:
    (item,) = done.items("note")
    return item["stop_reason"], item["pages"], item["complete"]


def kept_pages(project: Project) -> list[Document]:
    return list(project.documents("rejected", kind="page").values())


@pytest.mark.parametrize("data", NOTHING)
def test_an_answer_with_nothing_in_it_is_asked_for_again(
    api: Simulator, project: Project, data: Any
) -> None:
    api.script({"rules": [{"page": 2, "page_call": "1-2", "data": data}]})
    done = crawl(project)
    assert done.status == 0, done
    assert end_of(done) == ("complete", PAGES, True)
    assert pages_of(api, NOTE) == [1, 2, 2, 2, 3, 4, 5]
    assert done.stats["xhs/calls/billed"] == api.call_log()["billed"] == PAGES + 2
    assert project.note(NOTE)["billed_calls"] == PAGES + 2
    assert_stored(project, NOTE)
    (page,) = kept_pages(project)
    assert (json.loads(page["raw"]), page["note_id"], page["page"]) == (data, NOTE, 2)


@pytest.mark.parametrize("data", NOTHING)
def test_it_is_asked_for_again_twice_at_most_and_then_left(
    api: Simulator, project: Project, data: Any
) -> None:
    api.script({"rules": [{"page": 3, "data": data}]})
    done = crawl(project)
    assert done.status == 3, done
    assert end_of(done) == ("empty_answer", 2, False)
    assert pages_of(api, NOTE) == [1, 2, 3, 3, 3]
    assert done.stats["xhs/notes/empty_answer"] == done.stats["xhs/notes/left"] == 1
    note = project.note(NOTE)
    assert (note["state"], note["stop_reason"]) == ("unfinished", "empty_answer")
    assert json.loads(note["checkpoint"]["cursor"])["index"] == 3
    assert note["billed_calls"] == api.call_log()["billed"] == 5
    assert [line for line in done.lines("WARNING") if "without data" in line], done

    api.script({})
    api.reset_call_log()
    resumed = project.crawl(mode="resume")
    assert resumed.status == 0, resumed
    assert pages_of(api, NOTE) == [3, 4, 5]
    assert end_of(resumed) == ("complete", PAGES, True)


def test_each_of_them_counts_in_the_budget(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"page": 1, "data": {}}]})
    done = project.crawl(notes=[NOTE], env={"XHS_MAX_CALLS": "2"})
    assert (done.status, done.reason) == (3, "budget_spent"), done
    assert api.call_log()["billed"] == 2
    assert project.note(NOTE)["billed_calls"] == 2


def test_an_update_that_meets_one_does_not_spoil_what_was_complete(
    api: Simulator, project: Project
) -> None:
    assert crawl(project).status == 0
    before = project.note(NOTE)
    api.script({"rules": [{"data": {}}]})
    assert crawl(project, mode="update").status == 3
    after = project.note(NOTE)
    assert after["billed_calls"] == before["billed_calls"] + 3
    unchanged = ("state", "stop_reason", "complete", "watermark", "checkpoint", "missing")
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}

    api.script({})
    api.reset_call_log()
    done = project.crawl(mode="resume")
    assert done.status == 0, done
    assert end_of(done) == ("up_to_date", 1, True)
    assert pages_of(api, NOTE) == [1]
    assert project.note(NOTE)["wanted"] is None


def test_an_update_that_fails_on_its_way_leaves_completeness_to_the_watermark(
    api: Simulator, project: Project
) -> None:
    assert crawl(project).status == 0
    api.change(NOTE, grow=25)
    api.script({"rules": [{"page": 2, "data": []}]})
    assert crawl(project, mode="update").status == 3
    assert project.note(NOTE)["complete"] is False
    api.script({})
    done = crawl(project, mode="update")
    assert done.status == 0, done
    assert (project.note(NOTE)["stop_reason"], project.note(NOTE)["complete"]) == (
        "up_to_date",
        True,
    )
    assert_stored(project, NOTE, 25)


def test_a_thread_whose_answers_have_nothing_in_them_is_left(
    api: Simulator, project: Project
) -> None:
    note = threaded_note(15, 17)
    roots = [
        root
        for root in expected_note(note).first_level
        if len(expected_note(note).threads.get(root, ())) > 3
    ]
    api.script({"rules": [{"endpoint": "replies", "comment": roots[0], "data": None}]})
    done = project.crawl(notes=[note], replies="all")
    assert done.status == 3, done
    calls = [call for call in api.call_log()["log"] if call["comment"] == roots[0]]
    assert len(calls) == 3
    assert end_of(done)[0] == "empty_answer"
    assert project.note(note)["billed_calls"] == api.call_log()["billed"]
    api.script({})
    assert project.crawl(mode="resume").status == 0
    assert project.comment_ids(note) == (
        set(expected_note(note).first_level),
        expected_note(note).replies,
    )


def test_none_of_them_stays_in_the_cache(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"page": 1, "page_call": 1, "data": {}}]})
    cache = ("-s", "HTTPCACHE_ENABLED=1", "-s", f"HTTPCACHE_DIR={project.folder / 'cache'}")
    assert project.crawl(*cache, notes=[NOTE]).status == 0
    assert pages_of(api, NOTE) == [1, 1, 2, 3, 4, 5]
    api.reset_call_log()
    again = project.crawl(*cache, notes=[NOTE])
    assert end_of(again) == ("complete", PAGES, True)
    assert api.call_log()["calls"] == 0


@pytest.mark.parametrize(
    "data",
    [
        {"comment_list": [{"id": "a", "content": "b"}], "has_more": False},
        {"code": 0, "message": "", "data": {"comments": [], "has_more": False}},
        [{"id": "a", "content": "b"}],
        "later",
    ],
)
def test_what_cannot_be_read_is_kept_and_reported_and_not_bought_again(
    api: Simulator, project: Project, data: Any
) -> None:
    api.script({"rules": [{"data": data}]})
    done = crawl(project)
    assert done.status == 4, done
    assert end_of(done) == ("unreadable_answer", 1, False)
    assert pages_of(api, NOTE) == [1]
    (page,) = kept_pages(project)
    assert json.loads(page["raw"]) == data
    warnings = [line for line in done.lines("WARNING") if "unreadable_answer" in line]
    assert [line for line in warnings if "rejected" in line], done
    assert project.crawl(mode="resume").status == 4 - 4
    assert project.crawl(notes=[NOTE], mode="resume").status == 4
    assert pages_of(api, NOTE) == [1]
    api.script({})
    assert crawl(project).status == 0


def test_a_note_of_which_every_comment_is_rejected_is_no_success(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [ALL_INVALID]})
    done = crawl(project)
    assert done.status == 4, done
    assert end_of(done) == ("all_rejected", PAGES, False)
    assert len(project.documents("rejected", kind="comment")) == 45
    assert [line for line in done.lines("WARNING") if "all_rejected" in line], done
    assert not [line for line in done.errors.splitlines() if "other sort" in line]
    note = project.note(NOTE)
    assert (note["state"], note.get("watermark"), note["missing"]) == ("ended", None, 45)
    assert project.crawl(notes=[NOTE], mode="resume").status == 4
    assert api.call_log()["calls"] == PAGES

    api.script({})
    assert project.crawl(mode="update").status == 0
    assert_stored(project, NOTE)


def test_an_update_of_which_every_comment_is_rejected_keeps_the_watermark(
    api: Simulator, project: Project
) -> None:
    assert crawl(project).status == 0
    watermark = project.note(NOTE)["watermark"]
    api.change(NOTE, grow=5)
    api.script({"rules": [ALL_INVALID]})
    done = crawl(project, mode="update")
    assert (done.status, end_of(done)) == (4, ("all_rejected", 1, False)), done
    assert project.note(NOTE)["watermark"] == watermark
    api.script({})
    assert crawl(project, mode="update").status == 0
    assert_stored(project, NOTE, 5)


def test_without_a_store_it_is_no_success_either(api: Simulator, without_store: Project) -> None:
    api.script({"rules": [ALL_INVALID]})
    done = crawl(without_store)
    assert (done.status, end_of(done)) == (4, ("all_rejected", PAGES, False)), done


def test_one_valid_comment_is_enough(api: Simulator, project: Project) -> None:
    for_nine = [{"path": ["comments", n, "like_count"], "value": "many"} for n in range(9)]
    api.script({"rules": [{"page": 1, "patch": for_nine}, {"after": 1, **ALL_INVALID}]})
    done = crawl(project)
    assert (done.status, end_of(done)) == (0, ("complete", PAGES, True)), done


def test_a_pass_that_stored_some_before_it_was_stopped_has_not_met_rejected_ones_alone(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [{"page": 3, "code": 999}]})
    assert crawl(project).status == 3
    api.script({"rules": [ALL_INVALID]})
    done = project.crawl(mode="resume")
    assert (done.status, end_of(done)) == (0, ("complete", PAGES, True)), done


def test_comments_that_a_pipeline_of_the_users_drops_are_not_rejected(
    api: Simulator, project: Project
) -> None:
    project.add_module(
        "from scrapy.exceptions import DropItem\n\n\n"
        "class Drop:\n    def process_item(self, item):\n        raise DropItem('not wanted')\n"
    )
    pipelines = json.dumps({"users_own.Drop": 200, "xhs.pipelines.StorePipeline": 300})
    done = project.crawl("-s", f"ITEM_PIPELINES={pipelines}", notes=[NOTE], feed=False)
    assert done.status == 0, done


def test_threads_of_which_every_reply_is_rejected_are_no_success(
    api: Simulator, project: Project
) -> None:
    note = threaded_note(3, 6)
    api.script({"rules": [{"endpoint": "replies", **ALL_INVALID}]})
    done = project.crawl(notes=[note], replies="all")
    assert (done.status, end_of(done)[0]) == (4, "all_rejected"), done
    assert [line for line in done.lines("WARNING") if "(replies to " in line], done
    api.script({})
    again = project.crawl(notes=[note], replies="all")
    assert (again.status, end_of(again)) == (0, ("complete", 1, True)), again
    assert project.comment_ids(note)[1] == expected_note(note).replies


def test_what_was_rejected_is_not_looked_for_in_another_order(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [{"page": 2, **ALL_INVALID}]})
    done = crawl(project)
    (line,) = (text for text in done.lines("INFO") if "are not held" in text and NOTE in text)
    assert "10 received comments were rejected" in line
    assert "sort" not in line


def test_comments_without_ids_are_all_rejected(api: Simulator, project: Project) -> None:
    patch = [{"path": ["comments", "*", "id"], "remove": True}]
    api.script({"rules": [{"patch": patch}]})
    done = crawl(project)
    assert (done.status, end_of(done)[0]) == (4, "all_rejected"), done


@pytest.mark.parametrize("data", [{}, {"of_tomorrow": 1}])
def test_parse_says_that_what_came_is_no_page(api: Simulator, project: Project, data: Any) -> None:
    api.script({"rules": [{"data": data}]})
    url = f"{api.url}/api/xiaohongshu/get-note-comment/v4?noteId={NOTE}"
    done = project.command("parse", "--spider=comments", "-c", "parse_page", url)
    assert done.status == 1, done
    assert "No page came" in done.lines("ERROR")[-1]


@pytest.mark.parametrize("fault", [{"data": {"comment_list": [1]}}, {"code": 400}])
@pytest.mark.parametrize("pages", [0, 2])
def test_a_resumed_note_that_ends_without_a_page_is_not_bought_again(
    api: Simulator, project: Project, pages: int, fault: dict[str, Any]
) -> None:
    """Whether an earlier crawl has stored pages of the pass, or got only empty answers."""
    if pages:
        stopped = project.crawl(notes=[NOTE], env={"XHS_MAX_CALLS": str(pages)})
    else:
        api.script({"rules": [{"data": {}}]})
        stopped = crawl(project)
    assert (stopped.status, project.note(NOTE)["state"]) == (3, "unfinished"), stopped
    api.script({"rules": [{"page": 1, **fault}, {"page": pages + 1, **fault}]})
    done = crawl(project, mode="resume")
    reason = "unreadable_answer" if "data" in fault else "refused"
    assert (done.status, end_of(done)[0]) == (4, reason), done
    ledger = project.note(NOTE)
    assert (ledger["state"], ledger["stop_reason"], ledger["complete"]) == ("ended", reason, False)
    calls = api.call_log()["calls"]
    assert crawl(project, mode="resume").status == 4
    assert project.crawl(mode="resume").status == 0
    assert api.call_log()["calls"] == calls
    assert_stored(project, NOTE, first=10 * pages)


def test_replies_that_came_along_do_not_hide_that_every_comment_was_rejected(
    api: Simulator, project: Project
) -> None:
    note = sized_note(30, 27)
    api.script({"rules": [ALL_INVALID]})
    done = project.crawl(notes=[note])
    assert (done.status, end_of(done)[0]) == (4, "all_rejected"), done
    first_level, replies = project.comment_ids(note)
    assert first_level == set()
    assert replies == expected_note(note).inline_replies != set()


def test_status_sends_nobody_to_another_order_for_what_was_rejected(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [{"page": 2, **ALL_INVALID}]})
    assert crawl(project).status == 0
    done = project.command("status", "--note", NOTE, "--json")
    advice = json.loads(done.output)["advice"]
    assert advice == "10 of 45 not held, 10 in `rejected`: see there, and `scrapy recover`"
