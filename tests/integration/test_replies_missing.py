"""Replies that comments report but the store lacks are named wherever a note is complete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import database
from support.expected import expected_note

from xhs.simulator.notes import sized_note, threaded_note

if TYPE_CHECKING:
    from support.crawl import Document, Outcome, Project
    from support.simulator import Simulator

NOTES = [threaded_note(15, 17), sized_note(45, 6200), threaded_note(25, 1, 1)]
BARE = sized_note(25, 6201, replies=False)


def counts(source: Document) -> tuple[int, int]:
    return source["replies_reported"], source["replies_missing"]


def expected(note: str, *, inline: bool = True) -> tuple[int, int]:
    expected = expected_note(note)
    held = len(expected.inline_replies) if inline else 0
    return len(expected.replies), len(expected.replies) - held


def check(project: Project, done: Outcome, *, inline: bool = True) -> None:
    """Check that feed, ledger, history, stats and last lines have the same numbers."""
    reported = missing = 0
    for item in done.items("note"):
        wanted = expected(item["note_id"], inline=inline)
        assert (counts(item), item["complete"], item["missing"]) == (wanted, True, 0)
        if project.uri:
            assert counts(project.note(item["note_id"])) == wanted
        reported, missing = reported + wanted[0], missing + wanted[1]
    assert missing
    assert done.stats["xhs/replies/reported"] == reported
    assert done.stats["xhs/replies/missing"] == missing
    delivered = sum(item["parent_comment_id"] is not None for item in done.items("comment"))
    assert done.run["replies"] == {
        "delivered": delivered,
        "reported": reported,
        "missing": missing,
    }
    (line,) = (text for text in done.lines("INFO") if "replies reported" in text)
    assert f"Missing    {missing:,} of {reported:,} replies reported" in line


@pytest.mark.parametrize("replies", ["inline", "none"])
def test_missing_replies_are_those_that_exist_and_are_not_stored(
    api: Simulator, project: Project, replies: str
) -> None:
    done = project.crawl(notes=[*NOTES, BARE], replies=replies)
    assert done.status == 0, done
    check(project, done, inline=replies == "inline")


def test_without_a_store_it_is_what_this_run_has_not_delivered(
    api: Simulator, without_store: Project
) -> None:
    done = without_store.crawl(notes=NOTES)
    assert done.status == 0, done
    check(without_store, done)


def test_with_all_replies_none_is_missing(api: Simulator, project: Project) -> None:
    done = project.crawl(notes=NOTES, replies="all")
    assert done.status == 0, done
    for item in done.items("note"):
        assert counts(item) == (len(expected_note(item["note_id"]).replies), 0)
    assert not [text for text in done.lines("INFO") if "replies reported" in text]


def test_status_says_what_getting_them_would_cost_at_most(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[*NOTES, BARE], feed=False).status == 0
    done = project.command("status", "--incomplete", "--json")
    found = {note["note_id"]: note for note in map(json.loads, done.output.splitlines())}
    assert found.keys() == {note for note in NOTES if expected(note)[1]}
    table = project.command("status", "--incomplete").output
    assert "replies missing" in table
    for note, told in found.items():
        assert f"at most {told['replies_calls']} calls" in told["advice"]
        api.reset_call_log()
        assert project.crawl(notes=[note], replies="all", feed=False).status == 0
        assert api.call_log()["billed"] <= told["replies_calls"], note
        assert (
            api.call_log()["billed"] == expected_note(note).pages + expected_note(note).reply_pages
        )
    assert project.command("status", "--incomplete", "--json").output == ""


def test_replies_under_one_comment_make_up_for_none_under_another(
    api: Simulator, project: Project
) -> None:
    """A comment with a count below its stored replies, and a vanished comment."""
    note = threaded_note(15, 17)
    assert project.crawl(notes=[note], replies="all", feed=False).status == 0
    first, second, third, *_ = expected_note(note).first_level
    with database(project.uri, project.name) as found:
        comments = found["comments"]
        comments.update_one({"_id": first}, {"$set": {"sub_comment_count": 2}})
        comments.update_one({"_id": second}, {"$set": {"sub_comment_count": 30}})
        vanished = comments.find_one({"_id": first})
        comments.update_one(
            {"_id": third}, {"$set": {"vanished_at": vanished and vanished["first_seen_at"]}}
        )
    # An empty page changes no comment, so the counts are the current ones.
    cut = [{"path": ["comments"], "value": []}, {"path": ["has_more"], "value": False}]
    api.script({"rules": [{"page": 1, "patch": cut}]})
    done = project.crawl(notes=[note], mode="update")
    (item,) = done.items("note")
    assert counts(item) == (12 * 17 + 2 + 30, 30 - 17)


def test_the_bound_holds_for_notes_that_are_not_read_to_their_end(
    api: Simulator, project: Project
) -> None:
    limited, cut = threaded_note(40, 25), threaded_note(40, 25, 1)
    assert project.crawl(notes=[limited], max_comments="20", feed=False).status == 0
    api.script({"rules": [{"note": cut, "page": 3, "code": 999}]})
    assert project.crawl(notes=[cut], feed=False).status == 3
    api.script({})
    env = {"XHS_CALL_PRICE": "0.05 CNY"}
    done = project.command("status", "--incomplete", "--json", env=env)
    for note in map(json.loads, done.output.splitlines()):
        assert (note["comments_collected"], note["replies_missing"] > 0) == (20, True)
        assert "CNY" in note["advice"]
        api.reset_call_log()
        arguments: dict[str, Any] = {"mode": "full", "replies": "all"}
        assert project.crawl(notes=[note["note_id"]], feed=False, **arguments).status == 0
        assert api.call_log()["billed"] <= note["replies_calls"]


def test_replies_that_the_api_does_not_show_are_not_sent_for(
    api: Simulator, project: Project
) -> None:
    note = threaded_note(10, 5)
    patch = [{"path": ["comments", "*", "sub_comment_count"], "value": 9}]
    api.script({"rules": [{"endpoint": "comments", "patch": patch}]})
    assert project.crawl(notes=[note], replies="all", feed=False).status == 0
    told = json.loads(project.command("status", "--note", note, "--json").output)
    assert (told["replies_reported"], told["replies_missing"], told["replies_calls"]) == (90, 40, 0)
    assert "the API does not show them" in told["advice"]


def test_a_dry_run_counts_threads_under_comments_that_are_not_held(
    api: Simulator, project: Project
) -> None:
    note = threaded_note(40, 25)
    assert project.crawl(notes=[note], max_comments="20", feed=False).status == 0
    done = project.crawl(notes=[note], replies="all", dry_run="1", feed=False)
    api.reset_call_log()
    assert project.crawl(notes=[note], replies="all", feed=False).status == 0
    assert f"{api.call_log()['billed']} likely" in done.output, done
