"""Strange answers: each object is stored or rejected with a reason, and the others are stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.crawl import Project
from support.expected import expected_note

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Document, Outcome
    from support.simulator import Simulator

PLACE = 3
"""Place of the changed comment on the first page of its note."""
LARGEST = 2**63 - 1
LONG = "长" * 130_000
PROVIDERS_OWN = {
    "a.b": {"c.d": [1]},
    ".": 1,
    "$set": {"$inc": 2},
    "$": 3,
    "$oid": "no object ID",
    "": {"": [""]},
}


def nested(levels: int) -> Any:
    """Return nested lists and objects, by turns, of this depth."""
    value: Any = "deep"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


class Case(NamedTuple):
    """A change of a comment, and its result.

    ``rejected``: the field that is named as invalid. ``user``: True if its user is stored.
    """

    path: list[Any]
    value: Any
    rejected: str | None = None
    user: bool = True


CASES: dict[str, Case] = {
    "no object": Case([], "a text", "comment_id", user=False),
    "null": Case([], None, "comment_id", user=False),
    "a list": Case([], [{"id": "x"}], "comment_id", user=False),
    "empty": Case([], {}, "comment_id", user=False),
    "no ID": Case(["id"], None, "comment_id"),
    "a number as ID": Case(["id"], 17, "comment_id"),
    "NUL in the ID": Case(["id"], "a\0b", "comment_id"),
    "no user": Case(["user"], None, user=False),
    "an empty user": Case(["user"], {}, user=False),
    "a text as user": Case(["user"], "somebody", user=False),
    "a user without ID": Case(["user", "userid"], None, user=False),
    "an odd user": Case(["user", "of_tomorrow"], PROVIDERS_OWN),
    "a surrogate in a user": Case(["user", "nickname"], "\udc80", user=False),
    "of another note": Case(["note_id"], "nonsense", "note_id"),
    "unknown fields": Case(["of_tomorrow"], {"deep": [1, None, {"x": True}]}),
    "a surrogate": Case(["content"], "lone \ud83d surrogate", "content"),
    "a surrogate in a key": Case(["a\ud83dkey"], 1, "extra"),
    "a surrogate deep down": Case(["of_tomorrow"], [{"x": ["\udfff"]}], "extra"),
    "NUL": Case(["content"], "before\0after"),
    "NUL in a key": Case(["a\0key"], 1, ""),
    "long": Case(["content"], LONG),
    "a long key": Case(["x" * 100_000], 1),
    "an integer of 64 bits": Case(["like_count"], LARGEST),
    "an integer of 65 bits": Case(["like_count"], LARGEST + 1, "like_count"),
    "a huge integer": Case(["of_tomorrow"], {"deep": [2**70]}, ""),
    "a huge negative": Case(["status"], -(2**70), "status"),
    "a huge time": Case(["time"], 10**300, "created_at"),
    "a huge text of digits": Case(["like_count"], "9" * 5000, "like_count"),
    "infinite": Case(["score"], float("inf")),
    "not a number": Case(["like_count"], float("nan"), "like_count"),
    "keys of its own": Case(["of_tomorrow"], PROVIDERS_OWN),
    "dots in a key": Case(["a.b.c"], 1),
    "a key that begins with $": Case(["$where"], "1"),
    "a lone $": Case(["$"], 1),
    "an empty key": Case([""], 1),
    "an extended type": Case(["of_tomorrow"], {"$date": "never", "$numberLong": "x"}),
    "_id": Case(["_id"], {"$gt": ""}),
    "deep": Case(["of_tomorrow"], nested(150)),
    "deep in a field": Case(["show_tags"], nested(152)),
    "a deep reply": Case(["sub_comments"], [{"id": "reply", "of_tomorrow": nested(150)}]),
    "a text as replies": Case(["sub_comments"], "none"),
    "odd pictures": Case(["pictures"], [None, {"url": 5}], "pictures"),
    "booleans as counts": Case(["like_count"], True, "like_count"),
}
NOTES = {name: sized_note(25, serial, replies=False) for serial, name in enumerate(CASES)}
"""Notes with three pages, the first of them strange."""

ANSWERS: dict[str, tuple[Any, str]] = {
    "a list": ([{"id": "a", "content": "b"}], "unreadable_answer"),
    "a text": ("nothing", "unreadable_answer"),
    "a number": (2**80, "unreadable_answer"),
    "no comments": ({"has_more": False, "comment_count": 3}, "unreadable_answer"),
    "another name": ({"comment_list": [{"id": "a"}], "has_more": False}, "unreadable_answer"),
    "an envelope": ({"code": 0, "data": {"comments": [], "has_more": False}}, "unreadable_answer"),
    "comments null": ({"comments": None, "has_more": True, "cursor": ""}, "unreadable_answer"),
    "comments an object": ({"comments": {"0": {}}, "has_more": False}, "unreadable_answer"),
    "deep": ({"comments": nested(151), "has_more": False}, "unreadable_answer"),
    "a surrogate": ({"comments": "\ud83d", "has_more": False, "\udfff": 1}, "unreadable_answer"),
}
"""The ``data`` of a note's second page, and the note's stop reason."""
SPOILT = {name: sized_note(25, 100 + n, replies=False) for n, name in enumerate(ANSWERS)}


def odd_page(cursor: Any) -> list[dict[str, Any]]:
    return [
        {"path": ["cursor"], "value": cursor},
        {"path": ["user_id"], "value": "a\0b\ud83d"},
        {"path": ["comment_count"], "value": 2**70},
        {"path": ["comment_count_l1"], "value": "many"},
    ]


CURSORS: dict[str, Any] = {
    "surrogate": "\ud83d",
    "NUL": "a\0b",
    "number": 2**70,
    "object": {"$gt": 1},
    "long": "x" * 5000,
}
LED_ASTRAY = {name: sized_note(25, 200 + n, replies=False) for n, name in enumerate(CURSORS)}
GOOD = sized_note(25, 300)


class Crawl(NamedTuple):
    """One crawl of all strange notes, and its results."""

    done: Outcome
    call_log: Document
    comments: dict[str, Document]
    users: dict[str, Document]
    notes: dict[str, Document]
    rejected: dict[str, list[Document]]


@pytest.fixture(scope="module")
def crawl(_api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory) -> Crawl:
    """Crawl all strange notes at once."""
    rules: list[dict[str, Any]] = []
    for name, case in CASES.items():
        change = {"path": ["comments", PLACE, *case.path], "value": case.value}
        rules.append({"note": NOTES[name], "page": 1, "patch": [change]})
    for name, (data, _) in ANSWERS.items():
        rules.append({"note": SPOILT[name], "page": 2, "data": data})
    for name, cursor in CURSORS.items():
        rules.append({"note": LED_ASTRAY[name], "page": 1, "patch": odd_page(cursor)})
    _api.reset()
    _api.script({"rules": rules})
    folder = tmp_path_factory.mktemp("strange")
    project = Project(_api.url, folder, _server, folder.name)
    everything = [*NOTES.values(), *SPOILT.values(), *LED_ASTRAY.values(), GOOD]
    done = project.crawl(notes=everything)
    rejected: dict[str, list[Document]] = {}
    for document in project.documents("rejected").values():
        rejected.setdefault(document["note_id"], []).append(document)
    comments, users, notes = map(project.documents, ("comments", "users", "notes"))
    return Crawl(done, _api.call_log(), comments, users, notes, rejected)


def stored(crawl: Crawl, note: str) -> set[str]:
    return {key for key, comment in crawl.comments.items() if comment["note_id"] == note}


def same(one: Any, other: Any) -> bool:
    """True if two JSON values are equal, NaN included."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_nothing_stops_the_crawl(crawl: Crawl) -> None:
    assert (crawl.done.status, crawl.done.reason) == (4, "finished"), crawl.done
    assert "Traceback" not in crawl.done.errors
    assert {note_document["state"] for note_document in crawl.notes.values()} == {"ended"}
    assert crawl.done.stats["xhs/notes/left"] == 0
    assert crawl.call_log["repeated"] == 0
    assert stored(crawl, GOOD) >= set(expected_note(GOOD).first_level)


@pytest.mark.parametrize("name", CASES)
def test_a_strange_comment_is_stored_or_kept(crawl: Crawl, name: str) -> None:
    case, note = CASES[name], NOTES[name]
    first_level = expected_note(note).first_level
    strange = first_level[PLACE]
    comment_ids = stored(crawl, note)
    assert comment_ids >= {*first_level} - {strange}, "its page mates are stored"
    kept = [entry for entry in crawl.rejected.get(note, ()) if entry["kind"] == "comment"]
    if case.rejected is None:
        assert strange in comment_ids
        assert kept == []
    else:
        assert comment_ids == {*first_level} - {strange}
        (document,) = kept
        raw = json.loads(document["raw"])
        for step in case.path:
            raw = raw[step]
        assert same(raw, case.value)
        assert case.rejected in {error["path"].split(".")[0] for error in document["errors"]}
        assert all(error["message"] for error in document["errors"])
        assert (document["note_id"], document["page"]) == (note, 1)
    end = crawl.notes[note]
    assert (end["stop_reason"], end["missing"]) == ("complete", len({*first_level} - comment_ids))
    assert end["billed_calls"] == 3


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.rejected is None and case.path]
)
def test_what_is_stored_is_unchanged(crawl: Crawl, name: str) -> None:
    """A value without a field of its own is unchanged in ``extra``."""
    case, note = CASES[name], NOTES[name]
    document = crawl.comments[expected_note(note).first_level[PLACE]]
    (item,) = (
        comment
        for comment in crawl.done.items("comment")
        if comment["comment_id"] == document["comment_id"]
    )
    field, *_ = case.path
    for stored_or_fed in (document, item):
        if field == "user":
            anonymous = case.path in (["user"], ["user", "userid"])
            assert (stored_or_fed["user_id"] is None) == anonymous
        elif field in {"content", "like_count", "show_tags"}:
            assert same(stored_or_fed[field], case.value)
        elif field in stored_or_fed["extra"]:
            assert same(stored_or_fed["extra"][field], case.value)
        else:
            assert field == "sub_comments"


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.path[:1] == ["user"]]
)
def test_a_strange_user_is_stored_or_kept(crawl: Crawl, name: str) -> None:
    case, note = CASES[name], NOTES[name]
    kept = [entry for entry in crawl.rejected.get(note, ()) if entry["kind"] == "user"]
    value = case.value
    if case.user:
        assert kept == []
        (user,) = (user for user in crawl.done.items("user") if "of_tomorrow" in user["extra"])
        assert same(user["extra"]["of_tomorrow"], value)
    elif len(case.path) == 2:
        (document,) = kept
        assert same(json.loads(document["raw"])[case.path[1]], value)
        assert document["errors"]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_strange_page_is_kept_whole(crawl: Crawl, name: str) -> None:
    data, reason = ANSWERS[name]
    note = SPOILT[name]
    assert crawl.notes[note]["stop_reason"] == reason
    assert stored(crawl, note) == set(expected_note(note).first_level[:10])
    (document,) = crawl.rejected[note]
    assert (document["kind"], document["page"]) == ("page", 2)
    assert same(json.loads(document["raw"]), data)
    assert all(error["message"] for error in document["errors"])
    assert crawl.notes[note]["billed_calls"] == 2


@pytest.mark.parametrize("name", CURSORS)
def test_a_strange_cursor_loses_no_page_and_no_cost(crawl: Crawl, name: str) -> None:
    note = LED_ASTRAY[name]
    assert stored(crawl, note) == set(expected_note(note).first_level[:10])
    end = crawl.notes[note]
    assert end["stop_reason"] in {"refused", "cursor_missing", "retries_exhausted"}
    assert (end.get("user_id"), end["comments_collected"]) == (None, 10)
    assert end["billed_calls"] == crawl.call_log["notes"][note]["billed"] == 1


def test_an_integer_of_thousands_of_digits_is_paid_for_once(
    api: Simulator, project: Project
) -> None:
    """Python's JSON parser refuses it, and with it the whole page."""
    note = sized_note(5, 400, replies=False)
    envelope = api.call(noteId=note)
    envelope["data"]["comments"][PLACE]["score"] = "digits"
    body = json.dumps(envelope).replace('"digits"', "9" * 5000)
    api.script({"rules": [{"body": body, "content_type": "application/json", "billed": True}]})
    api.reset_call_log()
    done = project.crawl("-s", "RETRY_TIMES=1", notes=[note])
    assert "Traceback" not in done.errors
    assert api.call_log()["billed"] == 1
    first_level = expected_note(note).first_level
    assert project.comment_ids(note)[0] >= {*first_level} - {first_level[PLACE]}
