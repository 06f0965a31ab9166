"""Passes over notes, interrupted by other runs, other arguments and odd answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import database
from support.expected import expected_note
from support.passes import history, vanished

from xhs.simulator.notes import sized_note, threaded_note

if TYPE_CHECKING:
    from support.crawl import Project
    from support.simulator import Simulator

NOTE = threaded_note(4, 25)
THERE = expected_note(NOTE)


def stop_before_threads(project: Project, **arguments: str) -> None:
    """Crawl the note's own pages to the end, and none of its threads."""
    given = {"replies": "all", **arguments}
    stopped = project.crawl(notes=[NOTE], feed=False, env={"XHS_MAX_CALLS": "1"}, **given)
    assert stopped.status == 3, stopped
    assert project.note(NOTE)["checkpoint"]["stop_reason"] == "complete"


def replies(project: Project) -> set[str]:
    return project.comment_ids(NOTE)[1]


def test_a_pass_is_finished_as_it_was_asked_for(api: Simulator, project: Project) -> None:
    stop_before_threads(project)
    done = project.crawl(mode="resume")
    assert done.status == 0, done
    assert replies(project) == THERE.replies
    assert (api.call_log()["billed"], api.call_log()["repeated"]) == (1 + THERE.reply_pages, 0)
    (item,) = done.items("note")
    told = {"user_id": THERE.author_id, "comment_count": 104, "comment_count_l1": 4}
    assert told.items() <= item.items()
    assert item["replies_collected"] == 100
    (document,) = history(project, NOTE)
    counts = {"comments_new": 4, "replies_new": 100, "comments_listed": 4, "comment_count": 104}
    assert counts.items() <= document.items()
    assert document["billed_calls"] == api.call_log()["billed"]


def test_what_a_crawl_names_itself_counts_for_a_pass_that_was_left(
    api: Simulator, project: Project
) -> None:
    stop_before_threads(project)
    done = project.crawl(mode="resume", replies="inline")
    assert done.status == 0, done
    assert replies(project) == THERE.inline_replies
    assert api.call_log()["billed"] == 1


def test_a_pass_wins_over_what_is_kept_with_its_note(api: Simulator, project: Project) -> None:
    listed = project.folder / "notes.txt"
    listed.write_text(NOTE)
    project.command("enqueue", str(listed), "-a", "replies=none", "-a", "max_comments=2")
    stop_before_threads(project, max_comments="9")
    assert project.crawl(mode="resume", feed=False).status == 0
    assert project.comment_ids(NOTE) == (set(THERE.first_level), THERE.replies)


def test_a_cursor_that_is_stale_by_now_restarts_its_thread(
    api: Simulator, project: Project
) -> None:
    stop_before_threads(project)
    empty = [{"path": ["comments"], "value": []}, {"path": ["has_more"], "value": False}]
    at_first = {"endpoint": "replies", "times": 1, "patch": empty}
    api.script({"rules": [{"comment": root, **at_first} for root in THERE.inline]})
    done = project.crawl(mode="resume", feed=False)
    assert done.status == 0, done
    assert replies(project) == THERE.replies


def test_a_limit_that_comes_later_counts_what_the_pass_has(
    api: Simulator, project: Project
) -> None:
    note = sized_note(95)
    stopped = project.crawl(notes=[note], feed=False, env={"XHS_MAX_CALLS": "4"})
    assert stopped.status == 3
    done = project.crawl(mode="resume", max_comments="55")
    assert done.status == 0, done
    assert project.comment_ids(note)[0] == set(expected_note(note).first_level[:55])
    assert api.call_log()["billed"] == 6
    assert done.items("note")[0]["stop_reason"] == "max_comments"


def test_a_comment_that_another_run_has_newer_is_met(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    with database(project.uri, project.name) as found:
        for comment in found["comments"].find():
            ahead = comment["scraped_at"] + timedelta(minutes=1)
            found["comments"].update_one({"_id": comment["_id"]}, {"$set": {"scraped_at": ahead}})
    assert project.crawl(notes=[NOTE], feed=False, replies="all").status == 0
    assert replies(project) == THERE.replies
    assert [document["comments_listed"] for document in history(project, NOTE)] == [4, 4]


def test_nothing_has_vanished_before_its_pass_has_ended(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    gone = THERE.first_level[1]
    api.change(NOTE, vanish=[gone])
    api.script({"rules": [{"comment": THERE.first_level[0], "code": 301}]})
    left = project.crawl("-s", "RETRY_TIMES=0", notes=[NOTE], feed=False, replies="all")
    assert left.status == 3, left
    assert vanished(project, NOTE) == set()
    api.script({})
    assert project.crawl(mode="resume", feed=False).status == 0
    assert vanished(project, NOTE) == {gone}


def test_a_flawed_thread_makes_no_update_read_more(api: Simulator, project: Project) -> None:
    note = threaded_note(25, 12)
    root = expected_note(note).first_level[20]
    api.script({"rules": [{"comment": root, "cursor": "missing"}]})
    assert project.crawl(notes=[note], feed=False, replies="all").status == 4
    api.reset_call_log()
    done = project.crawl(mode="update", replies="all")
    assert (done.status, api.call_log()["billed"]) == (0, 1), done
    assert done.items("note")[0]["stop_reason"] == "up_to_date"
    assert done.items("note")[0]["complete"] is False


def test_replies_that_were_not_kept_are_asked_for_from_the_start(
    api: Simulator, project: Project
) -> None:
    note = threaded_note(15, 12)
    assert project.crawl(notes=[note], feed=False).status == 0
    with database(project.uri, project.name) as found:
        found["comments"].delete_many({"parent_comment_id": {"$ne": None}})
    stopped = project.crawl(notes=[note], feed=False, replies="none", env={"XHS_MAX_CALLS": "1"})
    assert stopped.status == 3
    done = project.crawl(mode="resume", replies="all", feed=False)
    assert done.status == 0, done
    assert project.comment_ids(note)[1] == expected_note(note).replies


def test_an_update_that_is_kept_with_a_note_uses_no_cache(api: Simulator, project: Project) -> None:
    listed = project.folder / "notes.txt"
    listed.write_text(NOTE)
    project.command("enqueue", str(listed), "-a", "mode=update")
    done = project.crawl("-s", "HTTPCACHE_ENABLED=1", mode="resume", feed=False)
    assert done.status == 3, done
    assert "HTTPCACHE_ENABLED" in done.lines("ERROR")[0]
    assert api.call_log()["calls"] == 0


def test_a_note_that_cannot_be_read_so_stays_as_it_was(api: Simulator, project: Project) -> None:
    listed = project.folder / "notes.txt"
    listed.write_text(NOTE)
    project.command("enqueue", str(listed), "-a", "sort=normal")
    assert project.crawl(mode="resume", feed=False).status == 0
    before = project.note(NOTE)
    done = project.crawl(mode="update", since="2024-01-01", feed=False)
    assert done.status == 3, done
    assert project.note(NOTE) == before
    assert project.crawl(mode="resume", feed=False).status == 0


def test_a_dry_run_estimates_by_the_cost_of_earlier_passes(
    api: Simulator, project: Project
) -> None:
    notes = [sized_note(95, serial) for serial in range(3)]
    assert project.crawl(notes=notes, feed=False, mode="update").status == 0
    first = project.crawl(mode="update", dry_run="1").output.splitlines()
    assert first == ["3 notes: 3 update", "calls: 3 at least, 3 likely"]
    for note in notes:
        api.change(note, grow=25)
    assert project.crawl(feed=False, mode="update").status == 0
    again = project.crawl(mode="update", dry_run="1").output.splitlines()
    assert again == ["3 notes: 3 update", "calls: 3 at least, 9 likely"]
    unread = project.crawl(notes=[*notes, sized_note(5, 9)], dry_run="1").output.splitlines()
    assert unread == [
        "4 notes: 4 full",
        "calls: 30 at least, 36 likely for 3 notes read before; "
        "unknown for 1 note never read: 1 call at least",
        "reading a whole note has cost 10.0 calls on average",
    ]


@pytest.mark.parametrize("mode", ["inline", "none"])
def test_a_comment_whose_id_nothing_can_hold_stops_nothing(
    api: Simulator, project: Project, mode: str
) -> None:
    patch: list[dict[str, Any]] = [{"path": ["comments", 0, "id"], "value": "\ud83d"}]
    api.script({"rules": [{"endpoint": "comments", "patch": patch}]})
    done = project.crawl(notes=[NOTE], replies=mode)
    assert "Traceback" not in done.errors, done
    assert done.status == 0, done
    first_level, stored = project.comment_ids(NOTE)
    assert first_level == set(THERE.first_level[1:])
    roots = THERE.first_level[1:]
    of_mode = {"none": {}, "inline": THERE.inline, "all": THERE.threads}[mode]
    assert stored == {reply for root in roots for reply in of_mode.get(root, ())}
