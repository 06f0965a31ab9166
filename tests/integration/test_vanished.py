"""vanished_at is set and unset only by a complete pass in the same order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import database
from support.expected import expected_note
from support.passes import cut_short, hidden, vanished

from xhs.simulator.notes import sized_note, threaded_note

if TYPE_CHECKING:
    from support.crawl import Document, Outcome, Project
    from support.simulator import Simulator

NOTE = sized_note(45, 2000)
IDS = expected_note(NOTE).first_level
GONE = {IDS[3], IDS[17], IDS[44]}


def crawl(project: Project, status: int = 0, **arguments: Any) -> Outcome:
    """Crawl the note once."""
    done = project.crawl(notes=[NOTE], **arguments)
    assert done.status == status, done
    assert "Traceback" not in done.errors, done
    return done


def counts(done: Outcome) -> tuple[Any, ...]:
    """Return the counts of a note's item: reported, collected, missing."""
    (end,) = done.items("note")
    return end["comment_count_l1"], end["comments_collected"], end["missing"]


def test_what_a_later_pass_no_longer_meets_is_marked_until_it_returns(
    api: Simulator, project: Project
) -> None:
    crawl(project)
    assert vanished(project, NOTE) == set()
    began = datetime.now(UTC)
    api.change(NOTE, vanish=GONE)
    assert counts(crawl(project)) == (42, 42, 0)
    assert vanished(project, NOTE) == GONE
    marked = project.documents("comments")
    assert all(began < marked[comment]["vanished_at"] < datetime.now(UTC) for comment in GONE)
    document = project.note(NOTE)
    assert (document["comments_collected"], document["missing"]) == (42, 0)

    assert counts(crawl(project)) == (42, 42, 0)
    after = project.documents("comments")
    assert all(after[comment]["vanished_at"] == marked[comment]["vanished_at"] for comment in GONE)

    api.reset()
    assert counts(crawl(project)) == (45, 45, 0)
    assert vanished(project, NOTE) == set()

    api.change(NOTE, vanish=[IDS[3]], grow=2)
    assert counts(crawl(project)) == (46, 46, 0)
    assert vanished(project, NOTE) == {IDS[3]}


def test_an_update_marks_nothing(api: Simulator, project: Project) -> None:
    crawl(project)
    api.change(NOTE, vanish=IDS[:4])
    assert crawl(project, mode="update").items("note")[0]["stop_reason"] == "up_to_date"
    api.script({"rules": [{"patch": [{"path": ["current_sort_strategy"], "value": "default"}]}]})
    assert crawl(project, mode="update").items("note")[0]["stop_reason"] == "complete"
    assert vanished(project, NOTE) == set()
    api.script({})
    crawl(project)
    assert vanished(project, NOTE) == set(IDS[:4])


def test_what_an_update_meets_again_has_not_vanished(api: Simulator, project: Project) -> None:
    crawl(project)
    api.change(NOTE, vanish=[IDS[0], IDS[1], IDS[30]])
    crawl(project)
    api.reset()
    assert counts(crawl(project, mode="update")) == (45, 44, 1)
    assert vanished(project, NOTE) == {IDS[30]}


def test_a_pass_in_another_order_marks_nothing(api: Simulator, project: Project) -> None:
    crawl(project)
    api.change(NOTE, vanish=GONE)
    assert counts(crawl(project, sort="normal")) == (42, 45, 0)
    crawl(project, sort="normal")
    assert vanished(project, NOTE) == set()
    crawl(project)
    assert vanished(project, NOTE) == GONE


def test_each_order_has_its_own_passes(api: Simulator, project: Project) -> None:
    crawl(project, sort="like_count")
    crawl(project)
    api.change(NOTE, vanish=GONE)
    crawl(project, sort="like_count")
    assert vanished(project, NOTE) == GONE


def test_a_chain_that_breaks_off_marks_nothing(api: Simulator, project: Project) -> None:
    crawl(project)
    for rule in (cut_short(NOTE, 2), cut_short(NOTE, 1, 0)):
        api.script({"rules": [rule]})
        done = crawl(project)
        assert (done.items("note")[0]["stop_reason"], counts(done)) == ("complete", (45, 45, 0))
        assert vanished(project, NOTE) == set()


def test_a_pass_that_misses_no_more_than_the_one_before_marks_what_that_met(
    api: Simulator, project: Project
) -> None:
    crawl(project)
    api.script({"rules": [cut_short(NOTE, 2)]})
    crawl(project)
    api.change(NOTE, vanish=[IDS[4], IDS[40]])
    assert counts(crawl(project)) == (43, 44, 0)
    assert vanished(project, NOTE) == {IDS[4]}


def test_a_comment_that_is_still_counted_has_not_vanished(api: Simulator, project: Project) -> None:
    crawl(project)
    api.script({"rules": [hidden(NOTE, 1, 2)]})
    crawl(project)
    assert vanished(project, NOTE) == set()


def test_misses_are_compared_with_those_of_the_pass_that_met_it(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [hidden(NOTE, 2, 3, 8)]})
    assert counts(crawl(project)) == (45, 43, 2)
    api.script({"rules": [hidden(NOTE, 1, 0, 5)]})
    assert counts(crawl(project)) == (45, 43, 2)
    assert vanished(project, NOTE) == {IDS[0], IDS[5]}


def test_a_comment_that_came_and_was_rejected_has_not_vanished(
    api: Simulator, project: Project
) -> None:
    """An object that somebody else has put into ``rejected`` is no obstacle."""
    foreign: list[Document] = [
        {"note_id": NOTE, "kind": "comment", "last_seen_at": datetime.now(UTC) + timedelta(days=1)},
        {"note_id": NOTE, "kind": "comment", "last_seen_at": datetime.now(UTC) + timedelta(days=1)},
    ]
    foreign[1]["raw"] = "{"
    with database(project.uri, project.name) as stored:
        stored["rejected"].insert_many(foreign)
    for place in (7, 2):
        content = {"path": ["comments", place, "content"], "value": {"an": "object"}}
        api.script({"rules": [{"page": 1, "patch": [content]}]})
        crawl(project)
    assert len(project.documents("rejected")) == 2 + len(foreign)
    assert IDS[2] not in vanished(project, NOTE)


NOTHING = {"comments": [], "has_more": False, "cursor": "", "user_id": "", "comment_count_l1": 0}
LIMITED: dict[str, tuple[dict[str, str], list[dict[str, Any]], int]] = {
    "max_comments": ({"max_comments": "20"}, [], 0),
    "since": ({"since": "2038-01-01"}, [], 0),
    "not_found": ({}, [{"data": NOTHING}], 0),
    "cursor_missing": ({}, [{"page": 3, "cursor": "missing"}], 4),
    "refused": ({}, [{"page": 3, "code": 400}], 4),
    "unknown_code": ({}, [{"page": 3, "code": 999}], 3),
}


@pytest.mark.parametrize("reason", LIMITED)
def test_a_pass_that_is_not_complete_marks_nothing(
    api: Simulator, project: Project, reason: str
) -> None:
    arguments, rules, status = LIMITED[reason]
    crawl(project)
    api.change(NOTE, vanish=GONE)
    api.script({"rules": rules})
    done = crawl(project, status, **arguments)
    assert done.items("note")[0]["stop_reason"] == reason
    assert vanished(project, NOTE) == set()


def interrupt(api: Simulator, project: Project, page: int) -> None:
    """Interrupt a full pass before this page."""
    api.script({"rules": [{"page": page, "code": 999}]})
    crawl(project, 3)
    api.script({})


def test_a_pass_of_several_runs_marks_what_none_of_them_met(
    api: Simulator, project: Project
) -> None:
    crawl(project)
    api.change(NOTE, vanish=GONE)
    interrupt(api, project, 2)
    assert vanished(project, NOTE) == set()
    interrupt_at = project.note(NOTE)["checkpoint"]["began"]
    api.script({"rules": [{"page": 4, "code": 999}]})
    crawl(project, 3, mode="resume")
    assert project.note(NOTE)["checkpoint"]["began"] == interrupt_at
    api.script({})
    assert counts(crawl(project, mode="resume")) == (42, 42, 0)
    assert vanished(project, NOTE) == GONE


def test_what_vanishes_after_its_page_was_read_is_not_marked_by_that_pass(
    api: Simulator, project: Project
) -> None:
    crawl(project)
    interrupt(api, project, 3)
    api.change(NOTE, vanish=GONE)
    crawl(project, mode="resume")
    assert vanished(project, NOTE) == {IDS[44]}
    crawl(project)
    assert vanished(project, NOTE) == GONE


def test_a_restarted_pass_marks_by_itself_alone(api: Simulator, project: Project) -> None:
    crawl(project)
    interrupt(api, project, 3)
    api.change(NOTE, vanish=GONE)
    crawl(project)
    assert vanished(project, NOTE) == GONE


def test_a_pass_whose_cursor_led_nowhere_marks_by_what_it_met(
    api: Simulator, project: Project
) -> None:
    crawl(project)
    interrupt(api, project, 3)
    api.change(NOTE, vanish=GONE)
    api.script({"rules": [{"note_call": 1, "code": 400}]})
    assert counts(crawl(project, mode="resume"))[2] == 0
    assert vanished(project, NOTE) <= GONE
    crawl(project)
    assert vanished(project, NOTE) == GONE


@pytest.mark.parametrize("replies", ["inline", "all"])
def test_replies_are_never_marked(api: Simulator, project: Project, replies: str) -> None:
    note = threaded_note(25, 4, 2010)
    expected = expected_note(note)

    def crawl_note() -> Document:
        done = project.crawl(notes=[note], replies=replies)
        assert done.status == 0, done
        return done.items("note")[0]

    held = crawl_note()["replies_collected"]
    root, other = expected.first_level[1], next(iter(expected.inline))
    api.change(note, vanish=[root, *expected.threads[other]])
    end = crawl_note()
    assert vanished(project, note) == {root}
    assert (end["comments_collected"], end["replies_collected"]) == (24, held)
