"""vanished_at: an inference that only a complete pass in the same order may draw, and undo."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.passes import cut_short, hidden, vanished

from xhs.simulator.notes import sized_note, threaded_note
from xhs.simulator.truth import truth

if TYPE_CHECKING:
    from support.crawl import Document, Outcome, Project
    from support.simulator import Simulator

NOTE = sized_note(45, 2000)
IDS = truth(NOTE).first_level
GONE = {IDS[3], IDS[17], IDS[44]}


def crawl(site: Project, status: int = 0, **arguments: Any) -> Outcome:
    """Crawl the note once."""
    done = site.crawl(notes=[NOTE], **arguments)
    assert done.status == status, done
    assert "Traceback" not in done.errors, done
    return done


def counts(done: Outcome) -> tuple[Any, ...]:
    """What a note's item says of what is held."""
    (end,) = done.items("note")
    return end["comment_count_l1"], end["comments_collected"], end["missing"]


def test_what_a_later_pass_no_longer_meets_is_marked_until_it_returns(
    api: Simulator, site: Project
) -> None:
    crawl(site)
    assert vanished(site, NOTE) == set()
    began = datetime.now(UTC)
    api.change(NOTE, vanish=GONE)
    assert counts(crawl(site)) == (42, 42, 0)
    assert vanished(site, NOTE) == GONE
    marked = site.documents("comments")
    assert all(began < marked[one]["vanished_at"] < datetime.now(UTC) for one in GONE)
    document = site.note(NOTE)
    assert (document["comments_collected"], document["missing"]) == (42, 0)

    assert counts(crawl(site)) == (42, 42, 0)
    after = site.documents("comments")
    assert all(after[one]["vanished_at"] == marked[one]["vanished_at"] for one in GONE)

    api.reset()
    assert counts(crawl(site)) == (45, 45, 0)
    assert vanished(site, NOTE) == set()

    api.change(NOTE, vanish=[IDS[3]], grow=2)
    assert counts(crawl(site)) == (46, 46, 0)
    assert vanished(site, NOTE) == {IDS[3]}


def test_an_update_marks_nothing(api: Simulator, site: Project) -> None:
    crawl(site)
    api.change(NOTE, vanish=IDS[:4])
    assert crawl(site, mode="update").items("note")[0]["stop_reason"] == "up_to_date"
    api.script({"rules": [{"patch": [{"path": ["current_sort_strategy"], "value": "default"}]}]})
    assert crawl(site, mode="update").items("note")[0]["stop_reason"] == "complete"
    assert vanished(site, NOTE) == set()
    api.script({})
    crawl(site)
    assert vanished(site, NOTE) == set(IDS[:4])


def test_what_an_update_meets_again_has_not_vanished(api: Simulator, site: Project) -> None:
    crawl(site)
    api.change(NOTE, vanish=[IDS[0], IDS[1], IDS[30]])
    crawl(site)
    api.reset()
    assert counts(crawl(site, mode="update")) == (45, 44, 1)
    assert vanished(site, NOTE) == {IDS[30]}


def test_a_pass_in_another_order_marks_nothing(api: Simulator, site: Project) -> None:
    crawl(site)
    api.change(NOTE, vanish=GONE)
    assert counts(crawl(site, sort="normal")) == (42, 45, 0)
    crawl(site, sort="normal")
    assert vanished(site, NOTE) == set()
    crawl(site)
    assert vanished(site, NOTE) == GONE


def test_each_order_has_its_own_passes(api: Simulator, site: Project) -> None:
    crawl(site, sort="like_count")
    crawl(site)
    api.change(NOTE, vanish=GONE)
    crawl(site, sort="like_count")
    assert vanished(site, NOTE) == GONE


def test_a_chain_that_breaks_off_marks_nothing(api: Simulator, site: Project) -> None:
    crawl(site)
    for rule in (cut_short(NOTE, 2), cut_short(NOTE, 1, 0)):
        api.script({"rules": [rule]})
        done = crawl(site)
        assert (done.items("note")[0]["stop_reason"], counts(done)) == ("complete", (45, 45, 0))
        assert vanished(site, NOTE) == set()


def test_a_pass_that_misses_no_more_than_the_one_before_marks_what_that_met(
    api: Simulator, site: Project
) -> None:
    crawl(site)
    api.script({"rules": [cut_short(NOTE, 2)]})
    crawl(site)
    api.change(NOTE, vanish=[IDS[4], IDS[40]])
    assert counts(crawl(site)) == (43, 44, 0)
    assert vanished(site, NOTE) == {IDS[4]}


def test_a_comment_that_is_still_counted_has_not_vanished(api: Simulator, site: Project) -> None:
    crawl(site)
    api.script({"rules": [hidden(NOTE, 1, 2)]})
    crawl(site)
    assert vanished(site, NOTE) == set()


def test_misses_are_compared_with_those_of_the_pass_that_met_it(
    api: Simulator, site: Project
) -> None:
    api.script({"rules": [hidden(NOTE, 2, 3, 8)]})
    assert counts(crawl(site)) == (45, 43, 2)
    api.script({"rules": [hidden(NOTE, 1, 0, 5)]})
    assert counts(crawl(site)) == (45, 43, 2)
    assert vanished(site, NOTE) == {IDS[0], IDS[5]}


def test_a_comment_that_came_and_was_rejected_has_not_vanished(
    api: Simulator, site: Project
) -> None:
    for place in (7, 2):
        content = {"path": ["comments", place, "content"], "value": {"an": "object"}}
        api.script({"rules": [{"page": 1, "patch": [content]}]})
        crawl(site)
    assert len(site.documents("rejected")) == 2
    assert IDS[2] not in vanished(site, NOTE)


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
    api: Simulator, site: Project, reason: str
) -> None:
    arguments, rules, status = LIMITED[reason]
    crawl(site)
    api.change(NOTE, vanish=GONE)
    api.script({"rules": rules})
    done = crawl(site, status, **arguments)
    assert done.items("note")[0]["stop_reason"] == reason
    assert vanished(site, NOTE) == set()


def interrupt(api: Simulator, site: Project, page: int) -> None:
    """Leave a full pass before this page."""
    api.script({"rules": [{"page": page, "code": 999}]})
    crawl(site, 3)
    api.script({})


def test_a_pass_of_several_runs_marks_what_none_of_them_met(api: Simulator, site: Project) -> None:
    crawl(site)
    api.change(NOTE, vanish=GONE)
    interrupt(api, site, 2)
    assert vanished(site, NOTE) == set()
    interrupt_at = site.note(NOTE)["checkpoint"]["began"]
    api.script({"rules": [{"page": 4, "code": 999}]})
    crawl(site, 3, mode="resume")
    assert site.note(NOTE)["checkpoint"]["began"] == interrupt_at
    api.script({})
    assert counts(crawl(site, mode="resume")) == (42, 42, 0)
    assert vanished(site, NOTE) == GONE


def test_what_vanishes_after_its_page_was_read_is_not_marked_by_that_pass(
    api: Simulator, site: Project
) -> None:
    crawl(site)
    interrupt(api, site, 3)
    api.change(NOTE, vanish=GONE)
    crawl(site, mode="resume")
    assert vanished(site, NOTE) == {IDS[44]}
    crawl(site)
    assert vanished(site, NOTE) == GONE


def test_a_pass_begun_anew_marks_by_itself_alone(api: Simulator, site: Project) -> None:
    crawl(site)
    interrupt(api, site, 3)
    api.change(NOTE, vanish=GONE)
    crawl(site)
    assert vanished(site, NOTE) == GONE


def test_a_pass_whose_cursor_led_nowhere_marks_by_what_it_met(
    api: Simulator, site: Project
) -> None:
    crawl(site)
    interrupt(api, site, 3)
    api.change(NOTE, vanish=GONE)
    api.script({"rules": [{"note_call": 1, "code": 400}]})
    assert counts(crawl(site, mode="resume"))[2] == 0
    assert vanished(site, NOTE) <= GONE
    crawl(site)
    assert vanished(site, NOTE) == GONE


@pytest.mark.parametrize("replies", ["inline", "all"])
def test_replies_are_never_marked(api: Simulator, site: Project, replies: str) -> None:
    note = threaded_note(25, 4, 2010)
    there = truth(note)

    def crawl_note() -> Document:
        done = site.crawl(notes=[note], replies=replies)
        assert done.status == 0, done
        return done.items("note")[0]

    held = crawl_note()["replies_collected"]
    root, other = there.first_level[1], next(iter(there.inline))
    api.change(note, vanish=[root, *there.threads[other]])
    end = crawl_note()
    assert vanished(site, note) == {root}
    assert (end["comments_collected"], end["replies_collected"]) == (24, held)
