"""The main job: note IDs in, valid comments and users in the database and the feed.

The first crawls run in new processes, as a user's does.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.expected import expected_note
from support.pages import page_count
from support.simulator import PROJECT, Simulator

from xhs.simulator.notes import DOCUMENTED_NOTE, missing_note, sized_note, threaded_note, usual_note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.crawl import Document, Outcome, Project


fresh = pytest.mark.usefixtures("fresh_process")

SAMPLE = PROJECT / "xhs" / "simulator" / "note-comments-v4.sample.json"
AUTHOR = "61e0f15300000000210253a5"

COMMENT_EXTRA = {
    "track_id",
    "show_tags_v2",
    "downvoted",
    "score",
    "show_type",
    "biz_label",
    "translation_strategy",
    "liked",
    "collected",
    "share_strategy",
    "friend_liked_msg",
    "media_source_type",
}
USER_EXTRA = {"level", "current_user"}


def sample() -> list[dict[str, Any]]:
    comments: list[dict[str, Any]] = json.loads(SAMPLE.read_text(encoding="utf-8"))["data"][
        "comments"
    ]
    return comments


def picked(raw: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: raw[name] for name in names if name in raw}


def comment_of(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the item of a documented comment, without ``scraped_at``."""
    extra = picked(raw, COMMENT_EXTRA)
    pictures = None
    if "pictures" in raw:
        pictures = [
            {
                "url": picture["url"],
                "origin_url": picture["origin_url"],
                "width": picture["width"],
                "height": picture["height"],
            }
            for picture in raw["pictures"]
        ]
        extra["pictures"] = [
            picked(picture, ("box_w", "box_h", "file_id")) for picture in raw["pictures"]
        ]
    return {
        "item_type": "comment",
        "comment_id": raw["id"],
        "note_id": DOCUMENTED_NOTE,
        "user_id": raw["user"]["userid"],
        "parent_comment_id": None,
        "target_comment_id": None,
        "content": raw["content"],
        "created_at": datetime.fromtimestamp(raw["time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "like_count": raw["like_count"],
        "sub_comment_count": raw["sub_comment_count"],
        "ip_location": None,
        "pictures": pictures,
        "at_users": raw["at_users"],
        "comment_type": raw["comment_type"],
        "status": raw["status"],
        "hidden": raw["hidden"],
        "is_pinned": False,
        "is_author": raw["user"]["userid"] == AUTHOR,
        "is_liked_by_author": False,
        "show_tags": raw["show_tags"],
        "is_new": True,
        "extra": extra,
    }


def user_of(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the item of a documented user, without ``scraped_at``."""
    return {
        "item_type": "user",
        "user_id": raw["userid"],
        "nickname": raw["nickname"],
        "avatar_url": raw["images"],
        "red_id": raw["red_id"],
        "ai_agent": raw["ai_agent"],
        "additional_tags": raw["additional_tags"],
        "extra": picked(raw, USER_EXTRA),
    }


def without(document: Document, *names: str) -> Document:
    return {name: value for name, value in document.items() if name not in names}


def as_stored(item: Document) -> Document:
    """Return an item's document, without the database's own times and ``scraped_at``."""
    stored = without(item, "item_type", "is_new")
    if "created_at" in stored:
        stored["created_at"] = datetime.fromisoformat(stored["created_at"])
    return stored


def check_whole(project: Project, done: Outcome, note: str, *, replies: bool = True) -> None:
    """Check that database and feed hold exactly the note's comments, ID by ID."""
    expected = expected_note(note)
    inline = expected.inline_replies if replies else set()
    assert project.comment_ids(note) == (set(expected.first_level), inline)
    fed = [item for item in done.items("comment") if item["note_id"] == note]
    assert sorted(item["comment_id"] for item in fed) == sorted([*expected.first_level, *inline])
    parents = {
        item["comment_id"]: item["parent_comment_id"] for item in fed if item["parent_comment_id"]
    }
    parents_expected = {reply: root for root, thread in expected.inline.items() for reply in thread}
    assert parents == (parents_expected if replies else {})
    (end,) = (item for item in done.items("note") if item["note_id"] == note)
    assert end["comments_collected"] == end["comment_count_l1"] == expected.comment_count_l1
    assert end["replies_collected"] == len(inline)
    assert (end["missing"], end["pages"]) == (0, expected.pages)
    assert (end["complete"], end["stop_reason"]) == (True, "complete")
    ledger = project.note(note)
    assert as_stored(without(end, "scraped_at")).items() <= ledger.items()
    assert (ledger["state"], ledger["checkpoint"]) == ("ended", None)
    assert ledger["billed_calls"] == expected.pages


def check_bill(api: Simulator, done: Outcome, notes: Iterable[str]) -> None:
    """Check that the billed calls are the existing pages, and that the crawl counted them."""
    pages = page_count(notes)
    call_log = api.call_log()
    assert (call_log["calls"], call_log["billed"], call_log["repeated"]) == (pages, pages, 0)
    assert done.stats["xhs/calls/billed"] == pages
    assert "xhs/calls/unknown" not in done.stats


@fresh
def test_the_documented_note_is_stored_and_exported_field_by_field(
    api: Simulator, project: Project
) -> None:
    done = project.crawl(notes=[DOCUMENTED_NOTE])
    assert done.status == 0, done
    assert done.reason == "finished"
    assert done.stats["xhs/comments/new"] == 801
    check_whole(project, done, DOCUMENTED_NOTE)
    check_bill(api, done, [DOCUMENTED_NOTE])

    comments = {item["comment_id"]: item for item in done.items("comment")}
    stored = project.documents("comments")
    assert len(stored) == 801
    (began,) = (document["began_at"] for document in project.documents("note_history").values())
    for raw in sample():
        item, document = comments[raw["id"]], stored[raw["id"]]
        assert without(item, "scraped_at") == comment_of(raw)
        seen = document["scraped_at"]
        assert datetime.fromisoformat(item["scraped_at"]) == seen
        assert document == {
            "_id": raw["id"],
            **as_stored(comment_of(raw)),
            "scraped_at": seen,
            "first_seen_at": seen,
            "last_seen_at": seen,
            "vanished_at": None,
            "last_listed_latest": began,
            "inline_replies": 0,
        }

    users = project.documents("users")
    documented = {raw["user"]["userid"]: raw["user"] for raw in sample()}
    first_page = {comments[raw["id"]]["scraped_at"] for raw in sample()}
    assert len(first_page) == 1
    fed = [item for item in done.items("user") if item["scraped_at"] in first_page]
    assert {item["user_id"]: without(item, "scraped_at") for item in fed} == {
        user_id: user_of(raw) for user_id, raw in documented.items()
    }
    for user_id, raw in documented.items():
        assert as_stored(user_of(raw)).items() <= users[user_id].items()
    assert set(users) == set(done.ids("user"))

    (end,) = done.items("note")
    assert without(end, "scraped_at") == {
        "item_type": "note",
        "note_id": DOCUMENTED_NOTE,
        "user_id": AUTHOR,
        "comment_count": 944,
        "comment_count_l1": 801,
        "comments_collected": 801,
        "replies_collected": 0,
        "missing": 0,
        "replies_reported": 143,
        "replies_missing": 143,
        "sort": "latest",
        "pages": 81,
        "complete": True,
        "stop_reason": "complete",
    }
    assert project.documents("rejected") == {}


@fresh
def test_a_second_run_changes_and_never_doubles(api: Simulator, project: Project) -> None:
    note = sized_note(25)
    first = project.crawl(notes=[note])
    before = project.documents("comments")
    users = project.documents("users")
    ledger = project.note(note)
    api.change(note, likes=3, grow=2)
    second = project.crawl(notes=[note])
    assert (first.status, second.status) == (0, 0), second
    after = project.documents("comments")
    grown = set(expected_note(note, grown=2).first_level) - set(expected_note(note).first_level)
    assert set(after) - set(before) >= grown
    assert {item["comment_id"] for item in second.items("comment") if item["is_new"]} == set(
        after
    ) - set(before)
    assert second.stats["xhs/comments/new"] == len(after) - len(before)
    assert second.stats["xhs/comments/known"] == len(before)
    for key, document in before.items():
        assert after[key]["like_count"] == document["like_count"] + 3
        assert after[key]["first_seen_at"] == document["first_seen_at"] == document["last_seen_at"]
        assert after[key]["last_seen_at"] == after[key]["scraped_at"] > document["last_seen_at"]
    for key, document in project.documents("users", _id={"$in": list(users)}).items():
        assert document["first_seen_at"] == users[key]["first_seen_at"]
        assert document["last_seen_at"] > users[key]["last_seen_at"]
    again = project.note(note)
    assert again["first_seen_at"] == ledger["first_seen_at"]
    assert again["last_crawled_at"] > ledger["last_crawled_at"]
    assert again["billed_calls"] == 6 == api.call_log()["billed"]
    assert again["comments_collected"] == 27


@fresh
def test_many_notes_of_every_form_arrive_whole(api: Simulator, project: Project) -> None:
    """Notes with counts as text, milliseconds, ``user_info``, pinned comments; empty ones."""
    notes = [usual_note(serial) for serial in (12, 30, 3, 4, 5, 40, 47, 9)]
    notes += [sized_note(0), sized_note(1), sized_note(10), sized_note(11), threaded_note(12, 5)]
    gone = [missing_note(), usual_note(27)]
    done = project.crawl(notes=[*notes, *gone])
    assert done.status == 0, done
    for note in notes:
        check_whole(project, done, note)
    for note in gone:
        (end,) = (item for item in done.items("note") if item["note_id"] == note)
        assert (end["stop_reason"], end["complete"]) == ("not_found", False)
        assert (end["user_id"], end["comments_collected"], end["pages"]) == (None, 0, 1)
        assert project.note(note)["state"] == "ended"
    check_bill(api, done, [*notes, *gone])
    assert done.stats["xhs/notes/complete"] == len(notes)
    assert done.stats["xhs/notes/not_found"] == 2
    assert done.stats["xhs/notes/left"] == 0
    assert project.documents("rejected") == {}
    assert len(done.items("note")) == len(notes) + 2
    users = set(done.ids("user"))
    for item in done.items("comment"):
        assert isinstance(item["like_count"], int)
        assert 2014 <= datetime.fromisoformat(item["created_at"]).year <= 2026
        assert item["user_id"] in users
    pinned = {item["comment_id"] for item in done.items("comment") if item["is_pinned"]}
    assert pinned == {comment for note in notes for comment in expected_note(note).pinned}


def test_replies_none_keeps_first_level_comments_alone(api: Simulator, project: Project) -> None:
    note = threaded_note(12, 5)
    assert expected_note(note).inline_replies
    done = project.crawl(notes=[note], replies="none")
    assert done.status == 0, done
    check_whole(project, done, note, replies=False)
    check_bill(api, done, [note])


@pytest.mark.parametrize("sort", ["latest", "normal", "like_count"])
def test_sort_is_sent_only_where_it_is_not_the_default(
    api: Simulator, project: Project, sort: str
) -> None:
    note = sized_note(25)
    done = project.crawl(notes=[note], sort=sort)
    assert done.status == 0, done
    check_whole(project, done, note)
    log = api.call_log()["log"]
    first, *later = [set(call["params"]) for call in log]
    named = {"sort"} if sort != "latest" else set()
    assert first == {"token", "noteId"} | named
    assert later == [{"token", "noteId", "lastCursor"} | named] * 2
    assert {call["sort"] for call in log} == {sort}
    order = expected_note(note).sorted_by(sort)
    assert [json.loads(call["cursor"])["cursor"] for call in log[1:]] == [order[9], order[19]]
    assert project.note(note)["sort"] == sort


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_the_other_versions_of_the_endpoint(api: Simulator, project: Project, version: str) -> None:
    note = sized_note(11)
    done = project.crawl(notes=[note], env={"JUSTONEAPI_COMMENTS_VERSION": version})
    assert done.status == 0, done
    check_whole(project, done, note)
    assert api.call_log()["paths"] == {f"/api/xiaohongshu/get-note-comment/{version}": 2}


def test_compressed_answers_are_read(api: Simulator, project: Project) -> None:
    note = sized_note(25)
    api.script({"gzip": True})
    done = project.crawl(notes=[note])
    assert done.status == 0, done
    check_whole(project, done, note)
    check_bill(api, done, [note])
    api.script({"rules": [{"gzip": True}]})
    unasked = project.crawl(notes=[note])
    assert unasked.status == 0, unasked
    assert unasked.stats["xhs/comments/known"] == len(done.items("comment"))


def test_a_crawl_without_a_store_knows_what_it_delivered(
    api: Simulator, without_store: Project
) -> None:
    note = sized_note(25)
    done = without_store.crawl(notes=[note])
    assert done.status == 0, done
    expected = expected_note(note)
    assert set(done.ids("comment")) == {*expected.first_level, *expected.inline_replies}
    assert {item["is_new"] for item in done.items("comment")} == {None}
    (end,) = done.items("note")
    assert end["comments_collected"] == 25
    assert end["replies_collected"] == len(expected.inline_replies)
    check_bill(api, done, [note])


def test_notes_come_from_links_files_and_share_texts_each_once(
    api: Simulator, without_store: Project
) -> None:
    notes = [sized_note(1, serial) for serial in range(5)]
    file = without_store.folder / "notes.csv"
    file.write_text(
        "title,url\n"
        f"one,https://www.xiaohongshu.com/explore/{notes[2]}?xsec_token=a,b\n"
        f'two,"62 看看这个 https://www.rednote.com/discovery/item/{notes[3]}，复制"\n'
        f"three,{notes[0].upper()}\n",
        encoding="utf-8",
    )
    link = f"https://www.xiaohongshu.com/discovery/item/{notes[1]}?xsec_token=x"
    done = without_store.crawl(notes=[notes[0], link, notes[0]], notes_file=str(file))
    assert done.status == 0, done
    assert set(done.ids("note")) == set(notes[:4])
    assert api.call_log()["calls"] == 4
