"""``scrapy recover``: what it stores from spill files and ``rejected``, what stays, and why."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import DBRef
from support.crawl import Project, database

from xhs.api.endpoints import PageRef
from xhs.crawl.checkpoint import Checkpoint, Wanted
from xhs.crawl.storage import Problem, Provenance
from xhs.simulator.notes import sized_note, threaded_note
from xhs.store.mongo.collections import Write, item_write
from xhs.store.mongo.notes import add_note, end_note, leave_note, save_checkpoint
from xhs.store.mongo.rejected import rejected_write
from xhs.store.spill.files import Entry, Spill, encode, head, lock_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from support.crawl import Document, Outcome
    from support.simulator import Simulator

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(days=1), NOW + timedelta(days=1)
NOTE = sized_note(25, 1)


@pytest.fixture
def spill(project: Project) -> Path:
    """The project's spill folder."""
    folder = project.folder / "spill"
    folder.mkdir()
    project.environment["XHS_SPILL_DIR"] = str(folder)
    return folder


def user(serial: int, when: datetime = NOW, **fields: Any) -> Write:
    """Return the write of a user."""
    item = {"item_type": "user", "user_id": f"u{serial}", "nickname": "n", "extra": {}, **fields}
    return item_write({**item, "scraped_at": when.isoformat()})


def put(
    folder: Path, name: str, writes: Iterable[Write], database: str, when: datetime = NOW
) -> Path:
    """Create a spill file with these writes."""
    path = folder / f"{name}.jsonl"
    lines = [head(database), *(encode(Entry(write, "it was away", when)) for write in writes)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def stays(recovered: Outcome) -> list[str]:
    """Return the lines about writes that stay."""
    lines = recovered.output.splitlines()
    return [line.partition("stays: ")[2] for line in lines if "stays: " in line]


def recover(project: Project) -> Outcome:
    done = project.command("recover")
    assert (done.status, done.errors) == (0, ""), done
    return done


def test_where_nothing_waits_nothing_is_done(project: Project) -> None:
    project.environment["XHS_SPILL_DIR"] = str(project.folder / "none")
    done = recover(project)
    assert done.output.splitlines() == [
        "0 writes stored from spill files",
        "0 rejected objects stored",
    ]
    assert not (project.folder / "none").exists()


def test_what_was_spilled_is_stored_and_its_file_goes(project: Project, spill: Path) -> None:
    put(spill, "one", map(user, range(3)), project.name)
    put(spill, "two", map(user, range(1200, 2500)), project.name)
    lock_path(spill / "one.jsonl").touch()  # as a killed run leaves it
    assert recover(project).output.startswith("1303 writes stored from spill files\n")
    assert list(spill.iterdir()) == []
    users = project.documents("users")
    assert users.keys() == {f"u{serial}" for serial in [*range(3), *range(1200, 2500)]}
    assert users["u0"]["last_seen_at"] == NOW
    assert recover(project).output.startswith("0 writes stored from spill files\n")
    assert project.documents("users") == users


def test_the_file_of_another_database_stays(project: Project, spill: Path) -> None:
    other = f"{project.name}other"
    path = put(spill, project.name, [user(1)], other)
    text = path.read_text()
    (why,) = stays(recover(project))
    assert str(path) in why
    assert other in why
    assert "MONGODB_DATABASE" in why
    assert path.read_text() == text
    assert project.documents("users") == {}
    project.environment["MONGODB_DATABASE"] = project.name = other
    assert stays(recover(project)) == []
    assert project.documents("users").keys() == {"u1"}
    assert list(spill.iterdir()) == []


def test_a_line_that_was_never_finished_stays(project: Project, spill: Path) -> None:
    path = put(spill, "torn", map(user, range(3)), project.name)
    torn = encode(Entry(user(4), "it was away", NOW))[:60]
    with path.open("a") as file:
        file.write(torn)
    for stored in (3, 0):
        done = recover(project)
        assert done.output.startswith(f"{stored} writes stored")
        (why,) = stays(done)
        assert f"{path}, line" in why
        assert path.read_text().splitlines() == [head(project.name), torn]
        assert (path.stat().st_mode & 0o077) == 0 or stored == 0
    assert project.documents("users").keys() == {"u0", "u1", "u2"}


FOREIGN = {
    "empty": b"",
    "torn head": b'{"data',
    "no spill": b'{"note_id": 1}\n{"a": 2}\n',
    "a list": b"[]\n",
    "bytes": b"\xff\xfe\x00\n",
    "notes": b"65bf5360000000002c03f684\n",
}


def test_files_that_are_none_stay_and_keep_no_other_waiting(project: Project, spill: Path) -> None:
    for name, content in FOREIGN.items():
        (spill / f"{name}.jsonl").write_bytes(content)
    (spill / "folder.jsonl").mkdir()
    (spill / "locked by a folder.lock").mkdir()
    put(spill, "locked by a folder", [user(3)], project.name)
    put(spill, "whole", [user(1)], project.name)
    odd = put(spill, "with odd lines", [user(2)], project.name)
    with odd.open("a") as file:
        file.write('[]\n{"collection": "users"}\n\0\0\0\0\n')
        line = json.loads(encode(Entry(user(4), "it was away", NOW)))
        changed: list[Document] = [
            {"collection": "a..b"},
            {"key": 4},
            {"reason": None},
            {"once": 5},
            {"spilled_at": "2026-01-02T03:04:05"},
            {"as_of": "2026-01-02T03:04:05"},
            {"update": b64encode(bson.encode({"$set": 1})).decode()},
            {"update": b64encode(bson.encode({"$where": {}})).decode()},
        ]
        file.writelines(json.dumps({**line, **change}) + "\n" for change in changed)
    done = recover(project)
    assert done.output.startswith("2 writes stored")
    assert project.documents("users").keys() == {"u1", "u2"}
    reported = stays(done)
    for name, content in FOREIGN.items():
        assert (spill / f"{name}.jsonl").read_bytes() == content
        assert any(f"{name}.jsonl" in why for why in reported), name
    assert sum("with odd lines" in why for why in reported) == 3 + len(changed)
    assert any("locked by a folder" in why for why in reported)
    assert not (spill / "whole.jsonl").exists()


def test_the_file_of_a_running_crawl_is_left_alone(project: Project, spill: Path) -> None:
    running = Spill(spill, project.name)
    running.keep([user(1)], "it is away")
    before = {path: path.read_text() for path in spill.iterdir()}
    done = recover(project)
    assert (done.output.splitlines()[0], stays(done)) == ("0 writes stored from spill files", [])
    assert {path: path.read_text() for path in spill.iterdir()} == before
    running.keep([user(2)], "it is away")
    running.close()
    assert recover(project).output.startswith("2 writes stored")
    assert list(spill.iterdir()) == []


def test_an_older_answer_overwrites_no_newer_one(project: Project, spill: Path) -> None:
    put(spill, "new", [user(1, NOW, nickname="new")], project.name)
    recover(project)
    put(spill, "old", [user(1, EARLIER, nickname="old")], project.name)
    assert recover(project).output.startswith("1 writes stored")
    document = project.documents("users")["u1"]
    assert (document["nickname"], document["scraped_at"]) == ("new", NOW)
    assert document["first_seen_at"] == EARLIER


def ledger_writes(note: str) -> list[Write]:
    """Return the ledger writes of a crawl that finishes two pages of a note and is stopped."""
    begun = Checkpoint(PageRef(note), "v4", "full", NOW)
    return [
        add_note(note, Wanted("full"), NOW),
        *(
            save_checkpoint(
                note,
                {"sort": "latest", "pages": 2},
                replace(begun, next_page=PageRef(note, f"to page {calls + 1}")),
                calls,
                NOW,
            )
            for calls in (1, 2)
        ),
        leave_note(replace(begun, next_page=PageRef(note, "to page 3")), 3),
    ]


def test_what_a_later_crawl_has_overtaken_changes_the_cost_alone(
    api: Simulator, project: Project, spill: Path
) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    before = project.note(NOTE)
    put(spill, "overtaken", ledger_writes(NOTE), project.name, when=EARLIER)
    assert recover(project).output.startswith("4 writes stored")
    after = project.note(NOTE)
    del before["last_write"], after["last_write"]
    assert after == {**before, "billed_calls": before["billed_calls"] + 1 + 2 + 3}
    calls = api.call_log()["calls"]
    assert project.crawl(notes=[NOTE], mode="resume", feed=False).status == 0
    assert api.call_log()["calls"] == calls


def test_what_nothing_has_overtaken_continues_as_it_was_left(project: Project, spill: Path) -> None:
    first, *rest = ledger_writes(NOTE)
    put(spill, "b", rest, project.name, when=LATER)
    put(spill, "a", [first], project.name, when=LATER)
    recover(project)
    document = project.note(NOTE)
    assert (document["state"], document["stop_reason"]) == ("unfinished", "interrupted")
    assert (document["checkpoint"]["cursor"], document["pages"]) == ("to page 3", 2)
    assert document["billed_calls"] == 1 + 2 + 3


def test_a_recovery_that_was_killed_books_nothing_twice(project: Project, spill: Path) -> None:
    """The kill came between the last write and the removal of the file."""
    path = put(spill, "file", ledger_writes(NOTE), project.name, when=LATER)
    text = path.read_text()
    recover(project)
    before = project.note(NOTE)
    path.write_text(text)
    recover(project)
    after = project.note(NOTE)
    del before["last_write"], after["last_write"]
    assert after == before


def test_an_end_that_was_spilled_counts_what_is_held_by_now(project: Project, spill: Path) -> None:
    end = {
        "item_type": "note",
        "note_id": NOTE,
        "comment_count_l1": 25,
        "comments_collected": 3,
        "replies_collected": 0,
        "missing": 22,
        "stop_reason": "complete",
        "complete": True,
        "scraped_at": NOW.isoformat(),
    }
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    held = project.note(NOTE)
    with database(project.uri, project.name) as found:
        found["notes"].delete_one({"_id": NOTE})
    put(spill, "end", [end_note(end, 3, NOW)], project.name)
    recover(project)
    document = project.note(NOTE)
    counts = ("comments_collected", "replies_collected", "missing", "state")
    assert {name: document[name] for name in counts} == {name: held[name] for name in counts}


EXTENDED: dict[str, Any] = {
    "no object ID": {"$oid": "zz"},
    "an object ID": {"$oid": "5f5f5f5f5f5f5f5f5f5f5f5f"},
    "no date": {"$date": "never"},
    "a date": {"$date": "2026-01-01T00:00:00Z"},
    "a number": {"$numberLong": "5"},
    "no number": {"$numberInt": "x"},
    "no binary": {"$binary": 5},
    "a pattern": {"$regex": "(", "$options": "i"},
    "a reference": {"$ref": "a", "$id": 1},
    "a key": {"$minKey": 1},
    "nothing": {"$undefined": True},
    "a UUID": {"$uuid": "x"},
}


def test_what_looks_like_a_type_of_the_spill_is_unchanged(project: Project, spill: Path) -> None:
    """The provider's own keys may begin with a dollar sign."""
    odd = [user(n, extra={"of_tomorrow": value}) for n, value in enumerate(EXTENDED.values())]
    put(spill, "file", odd, project.name)
    assert stays(recover(project)) == []
    users = project.documents("users")
    found = {name: users[f"u{n}"]["extra"]["of_tomorrow"] for n, name in enumerate(EXTENDED)}
    # pymongo decodes anything that looks like a DBRef.
    plain = {
        name: dict(one.as_doc()) if isinstance(one, DBRef) else one for name, one in found.items()
    }
    assert plain == EXTENDED
    assert list(spill.iterdir()) == []


def set_aside(recovered: Outcome) -> list[str]:
    """Return the lines about writes that are set aside."""
    lines = recovered.output.splitlines()
    return [line.partition("not tried again: ")[2] for line in lines if "set aside" in line]


def test_what_no_database_can_hold_is_set_aside_once(project: Project, spill: Path) -> None:
    """Too large for a document, or a line so long that it is not read."""
    huge = user(2, extra={"huge": "x" * 17_000_000})
    larger = user(4, extra={"huge": "x" * 20_000_000})
    path = put(spill, "file", [user(1), huge, user(3), larger, user(5)], project.name)
    with path.open("a") as file:
        file.write("torn")
    original = path.read_bytes().splitlines()
    done = recover(project)
    assert done.output.startswith("3 writes stored")
    assert project.documents("users").keys() == {"u1", "u3", "u5"}
    (torn,) = stays(done)
    assert f"{path}, line 7" in torn
    assert path.read_text().splitlines() == [head(project.name), "torn"]

    aside = spill / "file.unstorable"
    assert aside.stat().st_mode & 0o777 == 0o600
    reasons = ("a write to users: no database can hold it", "more than any database can hold")
    # The longer line is detected while reading, the other while storing.
    told = sorted(set_aside(done))
    for line, reason, found in zip((3, 5), reasons, told, strict=True):
        assert f"{path}, line {line}: " in found
        assert reason in found
        assert found.endswith(f"now in {aside}")
    first, *kept = aside.read_bytes().splitlines()
    assert first.decode() == head(project.name)
    assert original[4] in kept
    assert {json.loads(line)["key"] for line in kept} == {"u2", "u4"}

    content = aside.read_bytes()
    again = recover(project)
    assert again.output.startswith("0 writes stored")
    assert (stays(again), set_aside(again)) == ([torn.replace("line 7", "line 2")], [])
    assert aside.read_bytes() == content
    assert sorted(spill.iterdir()) == [path, aside]


def test_what_is_set_aside_of_a_file_overwrites_nothing(project: Project, spill: Path) -> None:
    huge = user(1, extra={"huge": "x" * 17_000_000})
    for name in ("file.unstorable", "file-2.unstorable"):
        put(spill, "file", [huge], project.name)
        (why,) = set_aside(recover(project))
        assert why.endswith(f"now in {spill / name}")
    first, second = (spill / name for name in ("file.unstorable", "file-2.unstorable"))
    assert first.read_bytes() == second.read_bytes()
    assert sorted(spill.iterdir()) == [second, first]


def test_a_crawl_sets_aside_what_no_database_can_hold(
    api: Simulator, project: Project, spill: Path
) -> None:
    put(spill, "file", [user(1, extra={"huge": "x" * 17_000_000})], project.name)
    for told in (1, 0):
        done = project.crawl(notes=[NOTE], feed=False)
        assert done.status == 0, done
        warnings = [line for line in done.lines("WARNING") if "file.jsonl, line 2" in line]
        assert len(warnings) == told
        assert [path.name for path in spill.iterdir()] == ["file.unstorable"]


def raw_comments(api: Simulator, note: str) -> list[dict[str, Any]]:
    """Return a note's first comments as the API sends them."""
    comments: list[dict[str, Any]] = api.call(noteId=note)["data"]["comments"]
    return comments


def reject(
    project: Project, kind: str, raw: Any, note: str = NOTE, when: datetime = NOW, **more: Any
) -> str:
    """Put an object into ``rejected``, as a version that cannot read it would; return its ID."""
    given = {"author_id": None, "parent_comment_id": None, "scraped_at": when.isoformat(), **more}
    origin = Provenance(note, 1, raw, **given)
    write = rejected_write(kind, origin, [Problem("like_count", "was not understood")], when)
    with database(project.uri, project.name) as found:
        found["rejected"].insert_one(write.document)
    return write.key


def test_what_is_valid_by_now_moves_to_where_it_belongs(api: Simulator, project: Project) -> None:
    """A comment, a reply and a user that were missing in the store."""
    note = threaded_note(15, 2, 7)
    comments = raw_comments(api, note)
    comment, reply = comments[3], comments[5]["sub_comments"][0]
    reference = Project(api.url, project.folder, project.uri, f"{project.name}b")
    assert reference.crawl(notes=[note], feed=False).status == 0
    whole = reference.documents("comments")

    lacking = [
        {"path": ["comments", 5, "sub_comments", 0], "remove": True},
        {"path": ["comments", 3], "remove": True},
    ]
    api.script({"rules": [{"page": 1, "patch": lacking}]})
    assert project.crawl(notes=[note], feed=False).status == 0
    ended = project.note(note)
    replies = len(whole) - 15
    lost = 1 + len(comment["sub_comments"])
    assert (ended["comments_collected"], ended["missing"]) == (14, 1)
    assert ended["replies_collected"] == replies - lost

    author = api.call(noteId=note)["data"]["user_id"]
    reject(project, "comment", comment, note, author_id=author)
    reject(project, "comment", reply, note, author_id=author, parent_comment_id=comments[5]["id"])
    newcomer = {**comment["user"], "userid": "newcomer"}
    reject(project, "user", newcomer, note)
    done = recover(project)
    assert done.output.splitlines() == [
        "0 writes stored from spill files",
        "3 rejected objects stored: 2 comment, 1 user",
    ]
    assert project.documents("rejected") == {}

    found = project.documents("comments")
    for raw, parent in ((comment, None), (reply, comments[5]["id"])):
        document, wanted = found[raw["id"]], whole[raw["id"]]
        moments = {"scraped_at": NOW, "first_seen_at": NOW, "last_seen_at": NOW}
        for name in ("last_listed_latest", "inline_replies"):
            wanted.pop(name, None)
        assert document == {**wanted, **moments}
        assert document["parent_comment_id"] == parent
    stored = project.documents("users")["newcomer"]
    assert (stored["nickname"], stored["scraped_at"]) == (comment["user"]["nickname"], NOW)
    reported = comment["sub_comment_count"]
    counted = {
        "comments_collected": 15,
        "replies_collected": replies - lost + 1,
        "missing": 0,
        "replies_reported": ended["replies_reported"] + reported,
        "replies_missing": ended["replies_missing"] + reported - 1,
    }
    assert project.note(note) == {**ended, **counted}
    assert recover(project).output.splitlines()[1] == "0 rejected objects stored"


def test_the_author_is_who_the_page_said(api: Simulator, project: Project) -> None:
    first, second, third, *_ = copy.deepcopy(raw_comments(api, NOTE))
    for raw in (first, second, third):
        raw["show_tags"], raw["show_tags_v2"] = [], []
        raw["user"]["userid"] = "writer"
    reject(project, "comment", first, author_id="writer")
    reject(project, "comment", second, author_id="somebody")
    reject(project, "comment", third)
    assert stays(recover(project)) == []
    found = project.documents("comments")
    by_author = [found[raw["id"]]["is_author"] for raw in (first, second, third)]
    assert by_author == [True, False, None]


def test_an_object_of_an_older_version_has_less_to_go_by(api: Simulator, project: Project) -> None:
    """It was kept without author, parent and time of its answer."""
    raw = raw_comments(api, NOTE)[0]
    key = reject(project, "comment", raw, when=EARLIER)
    missing = dict.fromkeys(("author_id", "parent_comment_id", "scraped_at"), "")
    with database(project.uri, project.name) as found:
        found["rejected"].update_one({"_id": key}, {"$unset": missing})
    assert stays(recover(project)) == []
    document = project.documents("comments")[raw["id"]]
    assert (document["parent_comment_id"], document["scraped_at"]) == (None, EARLIER)


def test_what_is_stored_already_is_not_made_older(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    before = project.documents("comments")
    raw = {**raw_comments(api, NOTE)[0], "content": "as it was once"}
    reject(project, "comment", raw, when=EARLIER)
    recover(project)
    assert project.documents("rejected") == {}
    after = project.documents("comments")
    assert after[raw["id"]] == {**before[raw["id"]], "first_seen_at": EARLIER}


def test_what_is_still_wrong_stays_with_its_reason(api: Simulator, project: Project) -> None:
    good, bad, worse, *_ = raw_comments(api, NOTE)
    reject(project, "comment", good)
    kept: Document = {
        reject(project, "comment", {**bad, "like_count": -5}): "like_count",
        reject(project, "comment", {**worse, "of_tomorrow": 2**70}): "BSON cannot hold it",
        reject(project, "comment", None): "comment_id",
        reject(
            project, "comment", {**worse, "id": "other"}, parent_comment_id=""
        ): "parent_comment",
        reject(project, "user", {"nickname": "nobody"}): "user_id",
        reject(project, "user", "a text"): "was not understood",
        reject(project, "page", {"comments": None}): "was not understood",
        reject(project, "picture", {"id": "p"}): "was not understood",
    }
    foreign: list[Document] = [
        {"_id": "by hand"},
        {"_id": "by hand too", "kind": "user", "raw": "{", "last_seen_at": NOW},
        {"_id": "by hand as well", "kind": "page", "raw": "1", "note_id": NOTE, "errors": 1},
    ]
    with database(project.uri, project.name) as stored:
        stored["rejected"].insert_many(foreign)
    kept |= {str(one["_id"]): "is not a rejected object" for one in foreign}
    before = project.documents("rejected")
    done = recover(project)
    assert done.output.splitlines()[1] == "1 rejected objects stored: 1 comment"
    assert project.documents("rejected") == {key: before[key] for key in kept}
    assert project.documents("comments").keys() == {good["id"]}
    reported = stays(done)
    for why in kept.values():
        assert any(why in line for line in reported), (why, reported)
    assert sum(int(line.split()[0]) for line in reported) == len(kept)
    assert recover(project).output == done.output.replace(
        "1 rejected objects stored: 1 comment", "0 rejected objects stored"
    )


def test_many_rejected_objects_all_get_their_turn(project: Project) -> None:
    write = rejected_write("user", Provenance(NOTE, 1, None), [], NOW).document
    many = []
    for serial in range(250):
        raw = {"userid": f"u{serial}", "nickname": 5 if serial % 2 else "n"}
        many.append({**write, "_id": f"{serial:064x}", "raw": json.dumps(raw)})
    with database(project.uri, project.name) as found:
        found["rejected"].insert_many(many)
    done = recover(project)
    assert done.output.splitlines()[1] == "125 rejected objects stored: 125 user"
    (why,) = stays(done)
    assert why.startswith("125 user: nickname")
    assert len(project.documents("users")) == len(project.documents("rejected")) == 125


@pytest.mark.parametrize(
    ("words", "env", "message"),
    [
        ((), {"MONGODB_URI": ""}, "MONGODB_URI"),
        (("--force",), {}, "--force"),
        (("everything",), {}, "everything"),
        ((), {"XHS_SPILL_DIR": ""}, "XHS_SPILL_DIR"),
    ],
    ids=["no store", "option", "word", "no spill folder"],
)
def test_wrong_use_is_refused(
    project: Project, spill: Path, words: tuple[str, ...], env: dict[str, str | None], message: str
) -> None:
    path = put(spill, "file", [user(1)], project.name)
    done = project.command("recover", *words, env=env)
    assert (done.status, done.output) == (2, "")
    assert done.errors.startswith("error: ")
    assert message in done.errors
    assert len(done.errors.splitlines()) == 1
    assert path.exists()


def test_where_the_database_is_away_everything_stays(project: Project, spill: Path) -> None:
    path = put(spill, "file", [user(1)], project.name)
    text = path.read_text()
    nobody = {"MONGODB_URI": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"}
    done = project.command("recover", env=nobody)
    assert done.status == 1
    assert done.errors.startswith("error: ")
    assert "Traceback" not in done.errors
    assert (path.read_text(), list(spill.iterdir())) == (text, [path])


def test_a_crawl_stores_what_waits_and_reports_what_stays(project: Project, spill: Path) -> None:
    put(spill, "whole", [user(1)], project.name)
    path = put(spill, "other", [user(2)], f"{project.name}other")
    done = project.crawl(notes=[NOTE], feed=False)
    assert done.status == 0, done
    assert any("Stored 1 writes" in line for line in done.lines("INFO"))
    assert [line for line in done.lines("WARNING") if str(path) in line]
    assert "u1" in project.documents("users")
    assert list(spill.iterdir()) == [path]
