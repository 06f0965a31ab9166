"""``scrapy export`` of a database into which something else has written."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import Project, database

from xhs.feeds.csv_escaping import GUARD
from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from pathlib import Path

    from support.simulator import Simulator

NOTE, OTHER = sized_note(25), sized_note(15, 1)
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = "hostile-value"
ENDINGS = ("csv", "xlsx", "jsonl", "parquet")
GOOD: dict[str, Any] = {
    "note_id": NOTE,
    "user_id": "u1",
    "parent_comment_id": None,
    "target_comment_id": None,
    "content": "good",
    "created_at": TIME,
    "like_count": 7,
    "sub_comment_count": 1,
    "pictures": None,
    "scraped_at": TIME,
    "first_seen_at": TIME,
    "last_seen_at": TIME,
    "extra": {},
}
WRONG: list[dict[str, Any]] = [
    {"created_at": SECRET},
    {"created_at": 5, "parent_comment_id": "good"},
    {"like_count": "1.2万"},
    {"like_count": float("nan")},
    {"like_count": True},
    {"sub_comment_count": "x"},
    {"pictures": [SECRET]},
    {"pictures": [{"url": [SECRET], "width": "x"}]},
    {"pictures": SECRET},
    {"content": [SECRET]},
    {"user_id": ["u1"]},
    {"user_id": {"id": SECRET}},
    {"user_id": 7},
    {"parent_comment_id": ["good"]},
    {"target_comment_id": {"id": 1}, "parent_comment_id": "good"},
    {"note_id": [NOTE]},
    {"at_users": SECRET, "show_tags": {}, "hidden": "x", "ip_location": 1},
    {"vanished_at": SECRET, "first_seen_at": SECRET, "last_seen_at": 1},
    {"extra": [SECRET]},
]
STRANGE: list[dict[str, Any]] = [
    {"scraped_at": None},
    {"at_users": [TIME], "extra": {"target_comment": {"id": [1], "user": {"userid": [1]}}}},
    {"parent_comment_id": "good", "extra": {"target_comment": {"user": {"nickname": [1]}}}},
]
"""Values of a type that the export accepts, in a place or of a shape that no crawl writes."""


@pytest.fixture(scope="module")
def hostile(_api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose database has one good document of each kind among many bad ones."""
    project = Project(_api.url, tmp_path_factory.mktemp("hostile"), _server, "hostile")
    bad = [{"_id": f"bad{n}", **GOOD, **fields} for n, fields in enumerate(WRONG + STRANGE)]
    with database(project.uri, project.name) as stored:
        good = {"_id": "good", "comment_id": "good", **GOOD}
        without_text_id = {"_id": 7, **GOOD}
        stored["comments"].insert_many([good, *bad, without_text_id])
        stored["users"].insert_many(
            [
                {"_id": "u1", "user_id": "u1", "nickname": "nick"},
                {"_id": "u2", "nickname": [SECRET], "avatar_url": {}, "extra": SECRET},
            ]
        )
        stored["comments"].insert_one({"_id": "second", **GOOD, "user_id": "u2"})
        stored["notes"].insert_many(
            [
                {"_id": NOTE, "note_id": NOTE, "user_id": "u1", "complete": True, "pages": 3},
                {
                    "_id": OTHER,
                    "user_id": [SECRET],
                    "comment_count_l1": SECRET,
                    "complete": SECRET,
                    "pages": "x",
                    "scraped_at": SECRET,
                    "stop_reason": 1,
                },
            ]
        )
        stored["note_history"].insert_many(
            [
                {"_id": f"{NOTE}/a", "note_id": NOTE, "began_at": TIME, "ended_at": TIME},
                {"_id": f"{NOTE}/b", "note_id": [NOTE], "began_at": SECRET, "ended_at": "x"},
                {"_id": f"{NOTE}/c", "note_id": NOTE, "pages": 1.5, "complete": "x"},
            ]
        )
    return project


def exported(project: Project, name: str, *words: str) -> tuple[Path, str]:
    path = project.folder / name
    done = project.command("export", str(path), *words)
    assert (done.status, done.output) == (0, ""), done
    assert "Traceback" not in done.errors
    assert SECRET not in done.errors
    return path, done.errors


@pytest.mark.parametrize("ending", [*ENDINGS, "gexf", "ndjson"])
def test_comments_with_values_of_the_wrong_type_are_exported(hostile: Project, ending: str) -> None:
    if ending in {"xlsx", "parquet"}:
        pytest.importorskip({"xlsx": "xlsxwriter", "parquet": "pyarrow"}[ending])
    path, errors = exported(hostile, f"comments.{ending}")
    expected = len(WRONG) + 1  # and one whose author's nickname is
    assert errors.splitlines()[0] == (
        f"{expected} comments have values of the wrong type: these count as missing"
    )
    assert path.stat().st_size


@pytest.mark.parametrize(("what", "wrong"), [("users", 1), ("notes", 1), ("history", 2)])
@pytest.mark.parametrize("ending", ENDINGS)
def test_other_tables_are_exported_too(
    hostile: Project, what: str, wrong: int, ending: str
) -> None:
    if ending in {"xlsx", "parquet"}:
        pytest.importorskip({"xlsx": "xlsxwriter", "parquet": "pyarrow"}[ending])
    _, errors = exported(hostile, f"{what}.{ending}", "--what", what)
    assert f"{wrong} {what} have values of the wrong type" in errors


def test_a_value_of_the_wrong_type_counts_as_missing(hostile: Project) -> None:
    path, _ = exported(hostile, "checked.jsonl")
    rows = {row["comment_id"]: row for row in map(json.loads, path.read_text("utf-8").splitlines())}
    assert rows.keys() == {"good", "second", *(f"bad{n}" for n in range(len(WRONG + STRANGE)))}
    for number, fields in enumerate(WRONG):
        row = rows[f"bad{number}"]
        for name, value in fields.items():
            assert row[name] == (value if value == "good" else None)
        kept = ("like_count", "content") if not {"like_count", "content"} & fields.keys() else ()
        assert [row[name] for name in kept] == [GOOD[name] for name in kept]
    assert rows["good"]["nickname"] == "nick"


def test_ids_and_counts_are_of_what_can_be_read(hostile: Project) -> None:
    path, _ = exported(hostile, "ids.txt", "--ids")
    assert {"good", "second"} < set(path.read_text().split())
    path, _ = exported(hostile, "users.csv", "--what", "users")
    with path.open(encoding="utf-8-sig", newline="") as file:
        users = {row["user_id"].removeprefix(GUARD): row for row in csv.DictReader(file)}
    dated = "2026-01-02 11:04:05"
    for user in users.values():
        assert (user["first_comment"], user["last_comment"]) == (dated, dated)
        assert user["first_comment_utc"] == user["last_comment_utc"] == "2026-01-02 03:04:05"
    assert users["u2"]["likes_received"] == "7"
    assert int(users["u1"]["likes_received"]) % 7 == 0


def test_filters_read_them_too(hostile: Project) -> None:
    for what in ("comments", "users"):
        exported(hostile, "some.csv", "--what", what, "--contains", "goo", "--min-likes", "1")
        exported(hostile, "some.csv", "--what", what, "--since", "2026-01-01", "--note", NOTE)
