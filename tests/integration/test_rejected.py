"""Strange answers: stored or kept in ``rejected`` with the reason, never lost, never a stop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Site
    from support.simulator import Simulator

NOTE = sized_note(12, replies=False)

PATCHES: dict[str, tuple[list[str | int], Any, str]] = {
    "an element that is no object": (["comments", 3], 17, "comment_id"),
    "null for an element": (["comments", 3], None, "comment_id"),
    "no ID": (["comments", 3, "id"], None, "comment_id"),
    "an ID that is none": (["comments", 3, "id"], "a b", "comment_id"),
    "a negative count": (["comments", 3, "like_count"], -1, "like_count"),
    "a count that is none": (["comments", 3, "like_count"], "many", "like_count"),
    "a count above 64 bits": (["comments", 3, "like_count"], 2**70, "like_count"),
    "a number BSON cannot hold": (["comments", 3, "score"], 2**70, "item"),
    "a key BSON cannot hold": (["comments", 3, "odd"], {"a\x00b": 1}, "item"),
    "a lone surrogate": (["comments", 3, "content"], "\ud83d", "content"),
    "a lone surrogate in extra": (["comments", 3, "odd"], {"deep": ["\ud83d"]}, "extra"),
    "a time in words": (["comments", 3, "time"], "yesterday", "created_at"),
    "a picture that is none": (["comments", 3, "pictures"], ["x"], "pictures"),
}


@pytest.mark.parametrize("case", PATCHES)
def test_what_is_no_valid_comment_is_kept_whole(api: Simulator, site: Site, case: str) -> None:
    path, value, field = PATCHES[case]
    api.script({"rules": [{"page": 1, "patch": [{"path": path, "value": value}]}]})
    raw = json.loads(json.dumps(api.call(noteId=NOTE)["data"]["comments"][3]))
    done = site.crawl(notes=[NOTE])
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    [rejected] = site.documents("rejected").values()
    assert json.loads(rejected["raw"]) == raw
    assert (rejected["kind"], rejected["note_id"], rejected["page"]) == ("comment", NOTE, 1)
    assert all(error["message"] for error in rejected["errors"])
    assert {error["path"].split(".")[0] or "item" for error in rejected["errors"]} >= {field}
    assert done.stats["xhs/rejected"] == 1
    assert done.stats[f"xhs/rejected/{field}"] == 1
    assert len(site.comment_ids(NOTE)[0]) == 11
    [note] = done.items("note")
    assert (note["comments_collected"], note["missing"]) == (11, 1)


@pytest.mark.parametrize(
    "value", [{"a.b": 1, "$c": 2, "": 3}, "\x00", "x" * 400_000, {"user": None}, True]
)
def test_what_is_merely_odd_is_stored(api: Simulator, site: Site, value: Any) -> None:
    api.script(
        {"rules": [{"page": 1, "patch": [{"path": ["comments", 3, "odd"], "value": value}]}]}
    )
    done = site.crawl(notes=[NOTE])
    assert done.status == 0, done
    assert value in [item["extra"].get("odd") for item in done.items("comment")]
    assert len(site.comment_ids(NOTE)[0]) == 12


def test_a_comment_without_a_user_is_a_comment(api: Simulator, site: Site) -> None:
    api.script({"rules": [{"patch": [{"path": ["comments", 0, "user"], "remove": True}]}]})
    done = site.crawl(notes=[NOTE])
    assert done.status == 0, done
    assert len(site.documents("comments", user_id=None)) == 2


@pytest.mark.parametrize(
    ("rule", "stop"),
    [
        ({"data": None}, "cursor_missing"),
        ({"data": [1]}, "cursor_missing"),
        ({"data": {"comments": None, "has_more": True, "cursor": ""}}, "cursor_missing"),
        ({"data": {"comments": {}, "has_more": False}}, "complete"),
    ],
)
def test_an_answer_that_is_no_page_is_kept(
    api: Simulator, site: Site, rule: dict[str, Any], stop: str
) -> None:
    api.script({"rules": [{"page": 2, **rule}]})
    done = site.crawl(notes=[NOTE])
    assert "Traceback" not in done.errors
    [rejected] = site.documents("rejected").values()
    assert rejected["kind"] == "page"
    assert json.loads(rejected["raw"]) == rule["data"]
    assert site.note(NOTE)["stop_reason"] == stop
    assert len(site.comment_ids(NOTE)[0]) == 10
