"""What the how-to pages for data platforms show: SQL over the export, and the mirror's loop."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import database
from support.documents import HOW_TO, blocks

from xhs.simulator.notes import sized_note, threaded_note

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.crawl import Document, Project

NOTES = [sized_note(15), threaded_note(3, 2)]
NOW = datetime.now(UTC).replace(microsecond=0)
TABLES = ("comments", "users", "notes", "history")


def test_the_sql_of_the_page_answers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    assert project.crawl(notes=NOTES, feed=False).status == 0
    monkeypatch.chdir(project.folder)
    for table in TABLES:
        path = project.folder / "data" / f"{table}.parquet"
        assert project.command("export", str(path), "--what", table).status == 0
    stored = project.documents("comments")
    queries = [block.text for block in blocks(HOW_TO / "duckdb.md") if block.language == "sql"]
    days, notes, answered, pictures = (duckdb.sql(query).fetchall() for query in queries)
    assert sum(comments + replies for _, comments, replies in days) == len(stored)
    beijing = {(one["created_at"] + timedelta(hours=8)).date() for one in stored.values()}
    assert [day for day, _, _ in days] == sorted(beijing)
    assert {note: held for note, _, held, _, _ in notes} == {
        note: sum(one["note_id"] == note for one in stored.values()) for note in NOTES
    }
    authors = [one for one in stored.values() if one["is_author"] and one["parent_comment_id"]]
    assert sum(count for _, count in answered) == len(authors)
    assert len(pictures) == sum(len(one["pictures"] or ()) for one in stored.values())
    assert {track for _, _, track in pictures} <= {"interaction-service.local"}
    ((total,),) = duckdb.sql("SELECT count(*) FROM 'data/users.parquet'").fetchall()
    assert total == len(project.documents("users"))


@pytest.fixture
def mirror() -> Callable[[Any, sqlite3.Connection], int]:
    """The function of the page's script."""
    (script,) = [
        block.text
        for block in blocks(HOW_TO / "incremental-mirror.md")
        if block.language == "python"
    ]
    names: dict[str, Any] = {"__name__": "mirror"}
    exec(script, names)  # noqa: S102 (the page's own)
    function: Callable[[Any, sqlite3.Connection], int] = names["mirror"]
    return function


def comment(number: int, seen: datetime, **fields: Any) -> Document:
    return {
        "_id": f"c{number}",
        "note_id": NOTES[0],
        "last_seen_at": seen,
        "vanished_at": None,
        **fields,
    }


def copies(target: sqlite3.Connection) -> set[str]:
    return {key for (key,) in target.execute("SELECT id FROM comments")}


def test_the_mirror_has_everything_and_then_reads_only_what_is_new(
    project: Project, mirror: Callable[[Any, sqlite3.Connection], int]
) -> None:
    """Equal times, writes that come late, and marks of vanished comments are not lost."""
    target = sqlite3.connect(":memory:")
    with database(project.uri, project.name) as source:
        assert mirror(source, target) == 0
        old, recent = NOW - timedelta(days=9), NOW - timedelta(minutes=10)
        source.comments.insert_many([comment(number, old) for number in range(3)])
        target.execute("DELETE FROM position")
        assert mirror(source, target) == 3
        assert mirror(source, target) == 0
        source.comments.insert_many([comment(number, recent) for number in range(3, 2003)])
        assert mirror(source, target) == 2000
        source.comments.insert_one(comment(2003, recent))  # written late, with an equal time
        mirror(source, target)
        assert copies(target) == {f"c{number}" for number in range(2004)}
        source.comments.update_one({"_id": "c0"}, {"$set": {"vanished_at": NOW}})
        source.note_history.insert_one({"_id": "p", "note_id": NOTES[0], "ended_at": NOW})
        mirror(source, target)
    (marked,) = target.execute("SELECT document FROM comments WHERE id = 'c0'").fetchone()
    assert f"{NOW:%Y-%m-%dT%H:%M:%S}" in marked


def test_a_mirror_that_breaks_off_begins_again(
    project: Project, mirror: Callable[[Any, sqlite3.Connection], int]
) -> None:
    target = sqlite3.connect(":memory:")
    with database(project.uri, project.name) as source:
        source.comments.insert_many([comment(number, NOW) for number in range(1200)])
        target.execute("CREATE TABLE comments (id TEXT PRIMARY KEY, document TEXT)")
        target.execute(
            "CREATE TRIGGER full BEFORE INSERT ON comments WHEN NEW.id = 'c1100' "
            "BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        with pytest.raises(sqlite3.Error, match="full"):
            mirror(source, target)
        target.rollback()
        target.execute("DROP TRIGGER full")
        assert mirror(source, target) == 1200
    assert len(copies(target)) == 1200
