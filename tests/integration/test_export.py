"""``scrapy export``: what is in the store, as people and programs read it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from support.crawl import Project
from support.expected import expected_note
from support.fourcat import mapped
from support.marks import posix
from support.simulator import PROJECT

from xhs.feeds.csv_escaping import GUARD
from xhs.simulator.notes import missing_note, sized_note, threaded_note

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.crawl import Document
    from support.simulator import Simulator

NOTES = [sized_note(25), threaded_note(4, 12), sized_note(15, 1)]
NOTE = NOTES[0]
BEIJING = timezone(timedelta(hours=8))
SPECIAL = "=HYPERLINK(1) 3.5*[捂脸R]"


@pytest.fixture(scope="module")
def crawled(_api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose database holds three notes with all their replies."""
    _api.reset()
    patch = [{"path": ["comments", 0, "content"], "value": SPECIAL}]
    _api.script({"rules": [{"note": NOTE, "page": 1, "patch": patch}]})
    project = Project(_api.url, tmp_path_factory.mktemp("export"), _server, "export")
    done = project.crawl(notes=[*NOTES, missing_note()], replies="all", feed=False)
    assert done.status == 0, done
    return project


def exported(project: Project, name: str, *words: str) -> Path:
    """Export to a new file, and return its path."""
    path = project.folder / "exports" / name
    path.unlink(missing_ok=True)
    done = project.command("export", str(path), *words)
    assert (done.status, done.output) == (0, ""), done
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [
            {name: cell.removeprefix(GUARD) for name, cell in row.items()}
            for row in csv.DictReader(file)
        ]


def lines(path: Path) -> list[Document]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def in_beijing(time: datetime) -> str:
    return f"{time.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"


def test_every_comment_is_in_the_table_with_what_belongs_to_it(crawled: Project) -> None:
    comments, users = crawled.documents("comments"), crawled.documents("users")
    table = rows(exported(crawled, "comments.csv"))
    assert len(table) == len(comments)
    assert {row["comment_id"] for row in table} == comments.keys()
    for row in table:
        comment = comments[row["comment_id"]]
        assert row["text"] == comment["content"]
        assert row["nickname"] == users[comment["user_id"]]["nickname"]
        assert row["time"] == in_beijing(comment["created_at"])
        assert row["time_utc"] == f"{comment['created_at']:%Y-%m-%d %H:%M:%S}"
        assert row["note_url"].endswith(f"/explore/{comment['note_id']}")
        parent = comment["parent_comment_id"]
        assert row["level"] == ("reply" if parent else "comment")
        answered = comment["target_comment_id"] or parent
        assert row["answered_comment_id"] == (answered or "")
        if answered:
            answered_user = users[comments[answered]["user_id"]]
            assert row["answers"] == answered_user["nickname"]
            assert row["answered_user_id"] == answered_user["_id"]


def test_replies_stand_under_their_comment(crawled: Project) -> None:
    table = rows(exported(crawled, "comments.csv"))
    notes = [row["note_id"] for row in table]
    assert [note for note, _ in groupby(notes)] == sorted(NOTES)
    root, first_level = "", []
    for row, before in zip(table, [None, *table], strict=False):
        if row["level"] == "comment":
            root = row["comment_id"]
            first_level.append((row["note_id"], row["time"]))
        else:
            assert row["parent_comment_id"] == root
            assert before is not None
            if before["level"] == "reply":
                assert before["time"] <= row["time"]
    for note in NOTES:
        times = [time for note_id, time in first_level if note_id == note]
        assert times == sorted(times, reverse=True)


def test_notes_stand_in_the_order_in_which_they_are_named(crawled: Project) -> None:
    named = [NOTES[1], NOTES[0]]
    path = exported(crawled, "named.csv", "--note", named[0], "--note", named[1])
    assert list(dict.fromkeys(row["note_id"] for row in rows(path))) == named


def test_a_workbook_has_the_same_rows(crawled: Project) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("xlsxwriter")
    expected = rows(exported(crawled, "comments.csv"))
    sheet = openpyxl.load_workbook(exported(crawled, "comments.xlsx")).active
    header, *cells = [list(row) for row in sheet.iter_rows(values_only=True)]
    found = [
        {name: "" if cell is None else str(cell) for name, cell in zip(header, row, strict=True)}
        for row in cells
    ]
    assert found == expected


def test_json_lines_and_parquet_have_every_field(crawled: Project) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    comments, notes = crawled.documents("comments"), crawled.documents("notes")
    table = lines(exported(crawled, "comments.jsonl"))
    assert len(table) == len(comments)
    for row in table:
        comment, note = comments[row["comment_id"]], notes[row["note_id"]]
        for name in ("content", "like_count", "user_id", "pictures", "at_users", "extra"):
            assert row[name] == comment[name]
        assert datetime.fromisoformat(row["created_at"]) == comment["created_at"]
        assert row["root_comment_id"] == comment["parent_comment_id"] or comment["_id"]
        assert row["is_reply"] == (comment["parent_comment_id"] is not None)
        assert row["note_comment_count"] == note["comment_count"]
    typed = pq.read_table(exported(crawled, "comments.parquet")).to_pylist()
    assert [list(row) for row in typed] == [list(row) for row in table]
    for row, other in zip(typed, table, strict=True):
        assert row["comment_id"] == other["comment_id"]
        assert row["created_at"] == datetime.fromisoformat(other["created_at"])
        assert json.loads(row["extra"]) == other["extra"]


def test_users_have_their_counts_over_all_notes(crawled: Project) -> None:
    comments, users = crawled.documents("comments"), crawled.documents("users")
    table = lines(exported(crawled, "users.jsonl", "--what", "users"))
    assert [row["user_id"] for row in table] == sorted(users)
    for row in table:
        written = [one for one in comments.values() if one["user_id"] == row["user_id"]]
        replies = [one for one in written if one["parent_comment_id"]]
        assert row["nickname"] == users[row["user_id"]]["nickname"]
        assert (row["comments"], row["replies"]) == (len(written) - len(replies), len(replies))
        assert row["likes_received"] == sum(one["like_count"] or 0 for one in written)
        assert row["notes"] == len({one["note_id"] for one in written})
        times = [one["created_at"] for one in written]
        assert datetime.fromisoformat(row["first_comment_at"]) == min(times)
        assert datetime.fromisoformat(row["last_comment_at"]) == max(times)


def test_users_of_a_note_still_have_their_counts_over_all_notes(crawled: Project) -> None:
    table = lines(exported(crawled, "all.jsonl", "--what", "users"))
    of_note = lines(exported(crawled, "some.jsonl", "--what", "users", "--note", NOTE))
    comments = crawled.documents("comments", note_id=NOTE)
    authors = {one["user_id"] for one in comments.values()}
    assert of_note == [row for row in table if row["user_id"] in authors]
    assert 0 < len(of_note) < len(table)


def test_notes_and_their_passes(crawled: Project) -> None:
    ledger = crawled.documents("notes")
    notes = rows(exported(crawled, "notes.csv", "--what", "notes"))
    assert [row["note_id"] for row in notes] == sorted(ledger)
    for row in notes:
        note = ledger[row["note_id"]]
        assert row["comments_held"] == str(note["comments_collected"])
        assert row["ended"] == note["stop_reason"]
        assert row["billed_calls"] == str(note["billed_calls"])
    history = rows(exported(crawled, "history.csv", "--what", "history"))
    passes = crawled.documents("note_history")
    assert [row["note_id"] for row in history] == sorted(one["note_id"] for one in passes.values())
    assert {row["mode"] for row in history} == {"full"}
    assert exported(crawled, "notes.parquet", "--what", "notes").stat().st_size
    assert exported(crawled, "history.xlsx", "--what", "history").stat().st_size


def test_a_note_that_has_not_ended_has_the_counts_of_now(project: Project) -> None:
    done = project.crawl(notes=[NOTE], feed=False, env={"XHS_MAX_CALLS": "1"})
    assert done.status == 3, done
    (row,) = rows(exported(project, "notes.csv", "--what", "notes"))
    first_level, replies = project.comment_ids(NOTE)
    assert row["state"] == "unfinished"
    assert (row["comments_held"], row["replies_held"]) == (str(len(first_level)), str(len(replies)))


_FILTERS: dict[str, tuple[list[str], Callable[[Document], bool]]] = {
    "note": (["--note", NOTE], lambda one: one["note_id"] == NOTE),
    "text with special characters": (
        ["--contains", "3.5*[捂"],
        lambda one: "3.5*[捂" in one["content"],
    ),
    "text in another case": (["--contains", "hyperLINK"], lambda one: one["content"] == SPECIAL),
    "likes": (["--min-likes", "3"], lambda one: (one["like_count"] or 0) >= 3),
    "likes of a note": (
        ["--min-likes", "1", "--note", f"https://www.xiaohongshu.com/explore/{NOTES[2]}"],
        lambda one: (one["like_count"] or 0) >= 1 and one["note_id"] == NOTES[2],
    ),
    "all seen since": (["--first-seen-since", "2020-01-01"], lambda one: True),
}


@pytest.mark.parametrize("name", _FILTERS)
def test_filters(crawled: Project, name: str) -> None:
    words, matches = _FILTERS[name]
    expected = {key for key, one in crawled.documents("comments").items() if matches(one)}
    assert expected
    found = [row["comment_id"] for row in lines(exported(crawled, "some.jsonl", *words))]
    assert sorted(found) == sorted(expected)


def test_a_span_of_time(crawled: Project) -> None:
    comments = crawled.documents("comments", note_id=NOTE)
    times = sorted(one["created_at"] for one in comments.values())
    first, last = times[3], times[-4]
    words = ("--note", NOTE, "--since", first.isoformat(), "--until", last.isoformat())
    found = {row["comment_id"] for row in lines(exported(crawled, "some.jsonl", *words))}
    assert found == {key for key, one in comments.items() if first <= one["created_at"] < last}
    assert first in {one["created_at"] for one in comments.values()}


def test_until_a_date_includes_the_day(crawled: Project) -> None:
    comments = crawled.documents("comments", note_id=NOTE)
    day = max(one["created_at"] for one in comments.values()).date()
    words = ("--note", NOTE, "--since", f"{day}", "--until", f"{day}")
    found = {row["comment_id"] for row in lines(exported(crawled, "some.jsonl", *words))}
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert found == {key for key, one in comments.items() if one["created_at"] >= midnight}


def test_a_reply_keeps_its_place_without_its_comment(crawled: Project) -> None:
    path = exported(crawled, "all.csv", "--note", NOTES[1])
    likes = sorted({int(row["likes"] or 0) for row in rows(path)})
    few = [row for row in rows(path) if int(row["likes"] or 0) >= likes[1]]
    found = rows(exported(crawled, "few.csv", "--note", NOTES[1], "--min-likes", f"{likes[1]}"))
    assert found == few


@pytest.mark.parametrize("ending", ["txt", "csv", "jsonl"])
def test_the_ids_of_notes_can_be_enqueued(crawled: Project, project: Project, ending: str) -> None:
    path = exported(crawled, f"notes.{ending}", "--what", "notes", "--ids")
    done = project.command("enqueue", str(path))
    assert (done.status, done.output.split()[0]) == (0, "4"), done
    assert project.documents("notes").keys() == crawled.documents("notes").keys()


@pytest.mark.parametrize(("what", "collection"), [("comments", "comments"), ("users", "users")])
def test_ids_alone(crawled: Project, what: str, collection: str) -> None:
    path = exported(crawled, "ids.txt", "--ids", "--what", what)
    ids = path.read_text().split()
    assert len(ids) == len(set(ids))
    assert set(ids) == crawled.documents(collection).keys()


def test_the_graph_has_an_edge_for_each_pair_that_answers(crawled: Project) -> None:
    table = lines(exported(crawled, "comments.jsonl"))
    expected = Counter(
        (row["user_id"], row["answered_user_id"]) for row in table if row["answered_user_id"]
    )
    root = ElementTree.parse(exported(crawled, "comments.gexf")).getroot()  # noqa: S314
    edges = {
        (edge.get("source"), edge.get("target")): int(edge.get("weight") or 0)
        for edge in root.iter("{http://gexf.net/1.3}edge")
    }
    assert edges == expected


def test_4cat_can_read_every_comment(crawled: Project) -> None:
    path = exported(crawled, "comments.ndjson")
    items = [mapped(line) for line in path.read_text("utf-8").splitlines()]
    assert {item["id"] for item in items} == crawled.documents("comments").keys()


def test_standard_output_is_json_lines(crawled: Project) -> None:
    done = crawled.command("export", "-", "--note", NOTE)
    expected = crawled.documents("comments", note_id=NOTE)
    assert {json.loads(line)["comment_id"] for line in done.output.splitlines()} == expected.keys()
    assert done.errors == f"{len(expected)} comments in standard output\n"


@posix
def test_rows_on_a_terminal_have_no_display_between_them(crawled: Project) -> None:
    from support.terminal import Terminal

    environment = crawled.environment | {"XHS_PROGRESS": "1"}
    with Terminal("export", "-", environment=environment) as shown:
        assert shown.process.wait(60) == 0
    *rows, end = shown.text.splitlines()
    expected = crawled.documents("comments").keys()
    assert {json.loads(row)["comment_id"] for row in rows} == expected
    assert end == f"{len(expected)} comments in standard output"


def test_the_end_is_one_line(crawled: Project) -> None:
    path = crawled.folder / "exports" / "comments.csv"
    done = crawled.command("export", str(path))
    number = len(crawled.documents("comments"))
    assert (done.status, done.errors) == (0, f"{number:,} comments in {path}\n")


def test_if_nothing_matches_the_file_has_its_header(crawled: Project) -> None:
    path = crawled.folder / "exports" / "none.csv"
    done = crawled.command("export", str(path), "--contains", "no such text anywhere")
    assert (done.status, done.errors) == (0, f"nothing matches: {path} has no comments\n")
    assert path.read_text("utf-8-sig").startswith("nickname,text,time,")
    assert rows(path) == []


def test_a_note_that_is_not_in_the_store_is_an_error(crawled: Project) -> None:
    path = crawled.folder / "exports" / "unknown.csv"
    done = crawled.command("export", str(path), "--note", sized_note(7, 7))
    assert done.status == 1
    assert done.errors == f"error: note {sized_note(7, 7)} is not in the store\n"
    assert not path.exists()


WAITING = """
import time
from xhs.export.workbook import WorkbookWriter

def write(self, rows):
    print("writing", flush=True)
    time.sleep(60)

WorkbookWriter.write = write
"""


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_temporary_files(
    crawled: Project, number: signal.Signals, tmp_path: Path
) -> None:
    pytest.importorskip("xlsxwriter")
    code, folder = tmp_path / "code", tmp_path / "exports"
    code.mkdir()
    (code / "sitecustomize.py").write_text(WAITING)
    process = subprocess.Popen(
        [sys.executable, "-m", "scrapy", "export", str(folder / "out.xlsx")],
        env=crawled.environment | {"PYTHONPATH": f"{code}{os.pathsep}{PROJECT}"},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    assert len(list(folder.iterdir())) == 2
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert (process.returncode, errors) == (128 + number, b"")
    assert list(folder.iterdir()) == []


WRONG: list[tuple[list[str], str]] = [
    (["out.pdf"], "out.pdf must end with .csv, .xlsx, .jsonl, .parquet, .gexf or .ndjson"),
    (["out"], "must end with"),
    (["ids.txt"], "must end with"),
    (["out.csv", "--what", "likes"], "--what likes is none of comments, users, notes, history"),
    (["out.gexf", "--what", "users"], ".gexf holds comments"),
    (["out.ndjson", "--ids"], ".ndjson holds comments"),
    (["out.csv", "--what", "history", "--ids"], "a pass has no ID"),
    (["out.csv", "--since", "yesterday"], "--since yesterday is not a date"),
    (["out.csv", "--until", "2026-13-01"], "--until 2026-13-01 is not a date"),
    (["out.csv", "--until", "9999-12-31"], "--until 9999-12-31 is the end of the calendar"),
    (["out.csv", "--until", "2026-W48"], "--until 2026-W48 is neither a date as 2026-11-24"),
    (["out.csv", "--first-seen-since", "1"], "--first-seen-since 1 is not a date"),
    (["out.csv", "--since", "2026-02-01", "--until", "2026-01-01"], "--since is not before"),
    (["out.csv", "--min-likes", "many"], "--min-likes many is not a number of likes"),
    (["out.csv", "--min-likes=-1"], "--min-likes -1 is not a number of likes"),
    (["out.csv", "--contains", ""], "--contains needs a text"),
    (["out.csv", "--contains", "a" * 1001], "--contains takes at most 1,000 characters"),
    (["out.csv", "--note", "abc"], "--note: "),
    (["out.csv", "--what", "notes", "--min-likes", "1"], "--min-likes does not go with"),
    (["out.csv", "--what", "history", "--contains", "a"], "--contains does not go with"),
    (["out.csv", "--bogus"], "no such option: --bogus"),
    ([], "missing: out"),
    (["a.csv", "b.csv"], "too many arguments"),
    (["out" + "a" * 300 + ".csv"], ".csv cannot be written: "),
    (["/dev/null/out.csv"], "/dev/null is not a folder"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_usage_is_one_line(crawled: Project, words: list[str], message: str) -> None:
    folder = crawled.folder / "wrong"
    folder.mkdir(exist_ok=True)
    paths = [str(folder / word) if word.startswith(("out", "ids")) else word for word in words]
    done = crawled.command("export", *paths)
    assert (done.status, done.output) == (2, ""), done
    assert done.errors.startswith("error: ")
    assert message in done.errors
    assert done.errors.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_a_folder_is_no_file(crawled: Project) -> None:
    folder = crawled.folder / "folder.csv"
    folder.mkdir(exist_ok=True)
    done = crawled.command("export", str(folder))
    assert (done.status, done.errors) == (2, f"error: {folder} is not a file\n")


def test_it_needs_a_store(without_store: Project) -> None:
    done = without_store.command("export", str(without_store.folder / "out.csv"))
    assert done.status == 2
    assert done.errors == "error: MONGODB_URI is empty: this command needs a store\n"


def test_vanished_comments_are_exported_with_the_time(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    gone = expected_note(NOTE).first_level[3]
    api.change(NOTE, vanish=[gone])
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    vanished = project.documents("comments")[gone]["vanished_at"]
    table = {row["comment_id"]: row["vanished"] for row in rows(exported(project, "out.csv"))}
    assert {key: time for key, time in table.items() if time} == {gone: in_beijing(vanished)}
