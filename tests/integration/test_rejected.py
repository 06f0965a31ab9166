"""Invalid items are kept unchanged with the reasons, and all others are stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.expected import expected_note

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Document, Project
    from support.simulator import Simulator

NOTE = sized_note(25)
HUGE = 2**70

# On page one: the comment's place and change, and the error that results.
STRANGE: list[tuple[list[Any], Any, str, str | None]] = [
    ([0], "a text", "comment", "comment_id"),
    ([1, "id"], None, "comment", "comment_id"),
    ([2, "like_count"], -5, "comment", "like_count"),
    ([3, "like_count"], HUGE, "comment", "like_count"),
    ([4, "of_tomorrow"], {"deep": [HUGE]}, "comment", None),
    ([5, "content"], "lone \ud83d surrogate", "comment", "content"),
    ([6, "a\x00key"], 1, "comment", None),
    ([7, "user", "userid"], 17, "user", "user_id"),
    ([8, "time"], "yesterday", "comment", "created_at"),
]


def patches(strange: list[tuple[list[Any], Any, str, str | None]]) -> list[dict[str, Any]]:
    return [{"path": ["comments", *path], "value": value} for path, value, _, _ in strange]


def test_strange_elements_are_kept_whole_and_their_page_mates_stored(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [{"note": NOTE, "page": 1, "patch": patches(STRANGE)}]})
    sent = api.call(noteId=NOTE)["data"]["comments"]
    api.reset_call_log()
    done = project.crawl(notes=[NOTE])
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 3

    rejected = [
        document for document in project.documents("rejected").values() if is_first_level(document)
    ]
    by_raw = {document["raw"]: document for document in rejected}
    for path, _, kind, field in STRANGE:
        raw = sent[path[0]]
        if kind == "user":
            raw = raw["user"]
        found = [one for text, one in by_raw.items() if json.loads(text) == raw]
        found = [one for one in found if one["kind"] == kind]
        assert len(found) == 1, path
        (document,) = found
        assert document["raw"].isascii()
        assert (document["note_id"], document["page"]) == (NOTE, 1)
        assert document["errors"], path
        assert all(error["message"] for error in document["errors"])
        if field is not None:
            assert field in {error["path"] for error in document["errors"]}, document["errors"]

    expected = expected_note(NOTE)
    lost = {expected.first_level[path[0]] for path, _, kind, _ in STRANGE if kind == "comment"}
    first, replies = project.comment_ids(NOTE)
    # The comment of the user without a proper ID names that user, so it is rejected too.
    lost.add(expected.first_level[7])
    assert first == set(expected.first_level) - lost
    assert first == {
        item["comment_id"] for item in done.items("comment") if item["parent_comment_id"] is None
    }
    orphans = {
        reply
        for root, thread in expected.inline.items()
        if root in (expected.first_level[0], expected.first_level[1])
        for reply in thread
    }
    assert replies >= expected.inline_replies - orphans
    stats = done.stats
    assert stats["xhs/rejected"] == len(project.documents("rejected"))
    for field, count in {"like_count": 2, "content": 1, "created_at": 1, "user_id": 2}.items():
        assert stats[f"xhs/rejected/{field}"] == count, field
    assert stats["xhs/rejected/comment_id"] >= 2
    (end,) = done.items("note")
    assert (end["stop_reason"], end["complete"]) == ("complete", True)
    assert end["missing"] == len(lost)
    assert HUGE not in stats.values()
    for line in done.lines("WARNING"):
        assert "surrogate\ud83d" not in line
        assert "yesterday" not in line


def is_first_level(document: Document) -> bool:
    raw = json.loads(document["raw"])
    return not isinstance(raw, dict) or "target_comment" not in raw


def test_a_second_run_does_not_double_what_is_rejected(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"note": NOTE, "page": 1, "patch": patches(STRANGE)}]})
    project.crawl(notes=[NOTE])
    before = project.documents("rejected")
    project.crawl(notes=[NOTE])
    after = project.documents("rejected")
    assert after.keys() == before.keys()
    for key, document in after.items():
        assert document["first_seen_at"] == before[key]["first_seen_at"]
        assert document["last_seen_at"] > before[key]["last_seen_at"]


def test_answers_without_what_they_should_have(api: Simulator, project: Project) -> None:
    """No data, no list of comments, a list of nonsense: kept and named, other notes continue."""
    data: list[Any] = [
        "text",
        [1],
        {"comment_list": []},
        {"comments": None, "has_more": True, "cursor": ""},
        {"comments": {"0": {}}, "has_more": False, "comment_count": 3},
    ]
    notes = [sized_note(5, serial) for serial in range(len(data))]
    mixed = sized_note(15, 50)
    rules: list[dict[str, Any]] = [
        {"note": note, "data": answer} for note, answer in zip(notes, data, strict=True)
    ]
    strange: list[Any] = [None, 7, [], {}, {"id": ""}, {"id": 17}]
    rules.append(
        {"note": mixed, "page": 2, "patch": [{"path": ["comments"], "value": strange}]},
    )
    api.script({"rules": rules})
    good = sized_note(11, 99)
    done = project.crawl(notes=[*notes, mixed, good])
    assert done.status == 4, done
    assert "Traceback" not in done.errors
    ends = {item["note_id"]: item["stop_reason"] for item in done.items("note")}
    assert ends.keys() == {*notes, mixed, good}
    assert ends[good] == ends[mixed] == "complete"
    assert {ends[note] for note in notes} == {"unreadable_answer"}
    assert api.call_log()["calls"] == len(notes) + 2 + 2
    for note, answer in zip(notes, data, strict=True):
        (document,) = project.documents("rejected", note_id=note).values()
        assert json.loads(document["raw"]) == answer
        assert document["errors"]
    kept = [
        json.loads(answer["raw"])
        for answer in project.documents("rejected", note_id=mixed).values()
    ]
    assert sorted(map(json.dumps, kept)) == sorted(map(json.dumps, strange))
    assert project.comment_ids(mixed)[0] == set(expected_note(mixed).first_level[:10])
    assert project.comment_ids(good)[0] == set(expected_note(good).first_level)


def test_without_a_store_what_is_rejected_is_not_collected(
    api: Simulator, without_store: Project
) -> None:
    note = sized_note(15, 60, replies=False)
    patch = {"path": ["comments", 2, "like_count"], "value": -1}
    api.script({"rules": [{"page": 1, "patch": [patch]}]})
    [end] = without_store.crawl(notes=[note]).items("note")
    assert (end["comments_collected"], end["replies_collected"], end["missing"]) == (14, 0, 1)
