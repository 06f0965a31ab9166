"""Replies that comments report and nobody holds, named wherever a note is called complete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.crawl import database

from xhs.simulator.notes import sized_note, threaded_note
from xhs.simulator.truth import truth

if TYPE_CHECKING:
    from support.crawl import Document, Outcome, Project
    from support.simulator import Simulator

NOTES = [threaded_note(15, 17), sized_note(45, 6200), threaded_note(25, 1, 1)]
BARE = sized_note(25, 6201, replies=False)


def counts(source: Document) -> tuple[int, int]:
    return source["replies_reported"], source["replies_missing"]


def expected(note: str, *, inline: bool = True) -> tuple[int, int]:
    there = truth(note)
    held = len(there.inline_replies) if inline else 0
    return len(there.replies), len(there.replies) - held


def check(site: Project, done: Outcome, *, inline: bool = True) -> None:
    """Feed, ledger, history, stats and last lines name the same numbers."""
    reported = missing = 0
    for item in done.items("note"):
        wanted = expected(item["note_id"], inline=inline)
        assert (counts(item), item["complete"], item["missing"]) == (wanted, True, 0)
        if site.uri:
            assert counts(site.note(item["note_id"])) == wanted
        reported, missing = reported + wanted[0], missing + wanted[1]
    assert missing
    assert done.stats["xhs/replies/reported"] == reported
    assert done.stats["xhs/replies/missing"] == missing
    assert done.run["replies"] == {"reported": reported, "missing": missing}
    (line,) = (text for text in done.lines("INFO") if "replies that" in text)
    assert f"{reported} replies" in line
    assert f"{missing} are not held" in line


@pytest.mark.parametrize("replies", ["inline", "none"])
def test_what_is_missing_is_what_truth_has_and_nobody_holds(
    api: Simulator, site: Project, replies: str
) -> None:
    done = site.crawl(notes=[*NOTES, BARE], replies=replies)
    assert done.status == 0, done
    check(site, done, inline=replies == "inline")


def test_without_a_store_it_is_what_this_run_has_not_delivered(
    api: Simulator, without_store: Project
) -> None:
    done = without_store.crawl(notes=NOTES)
    assert done.status == 0, done
    check(without_store, done)


def test_with_all_replies_none_is_missing(api: Simulator, site: Project) -> None:
    done = site.crawl(notes=NOTES, replies="all")
    assert done.status == 0, done
    for item in done.items("note"):
        assert counts(item) == (len(truth(item["note_id"]).replies), 0)
    assert not [text for text in done.lines("INFO") if "replies that" in text]


def test_status_says_what_getting_them_would_cost_at_most(api: Simulator, site: Project) -> None:
    assert site.crawl(notes=[*NOTES, BARE], feed=False).status == 0
    done = site.command("status", "--incomplete", "--json")
    found = {note["note_id"]: note for note in map(json.loads, done.output.splitlines())}
    assert found.keys() == {note for note in NOTES if expected(note)[1]}
    table = site.command("status", "--incomplete").output
    assert "replies missing" in table
    for note, told in found.items():
        assert f"at most {told['replies_calls']} calls" in told["advice"]
        api.reset_books()
        assert site.crawl(notes=[note], replies="all", feed=False).status == 0
        assert api.books()["billed"] <= told["replies_calls"], note
        assert api.books()["billed"] == truth(note).pages + truth(note).reply_pages
    assert site.command("status", "--incomplete", "--json").output == ""


def test_replies_under_one_comment_make_up_for_none_under_another(
    api: Simulator, site: Project
) -> None:
    """A comment whose count has fallen behind what is held, and one that has vanished."""
    note = threaded_note(15, 17)
    assert site.crawl(notes=[note], replies="all", feed=False).status == 0
    first, second, third, *_ = truth(note).first_level
    with database(site.uri, site.name) as found:
        comments = found["comments"]
        comments.update_one({"_id": first}, {"$set": {"sub_comment_count": 2}})
        comments.update_one({"_id": second}, {"$set": {"sub_comment_count": 30}})
        vanished = comments.find_one({"_id": first})
        comments.update_one(
            {"_id": third}, {"$set": {"vanished_at": vanished and vanished["first_seen_at"]}}
        )
    # An empty page changes no comment, so the counts are taken as they are now.
    cut = [{"path": ["comments"], "value": []}, {"path": ["has_more"], "value": False}]
    api.script({"rules": [{"page": 1, "patch": cut}]})
    done = site.crawl(notes=[note], mode="update")
    (item,) = done.items("note")
    assert counts(item) == (12 * 17 + 2 + 30, 30 - 17)
