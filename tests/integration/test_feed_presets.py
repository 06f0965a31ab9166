"""Feeds that are turned on by name, read as their users read them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shlex
import signal
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from support.canary import files_with, found_in
from support.crawl import TOKEN
from support.expected import expected_note
from support.s3 import SECRET, Bucket, bucket, guarded

from xhs import items as schemas
from xhs.feeds.csv_escaping import GUARD
from xhs.feeds.readable import FEED_COLUMNS
from xhs.feeds.s3 import TRIAL
from xhs.settings import FEED_EXPORTERS
from xhs.simulator.notes import missing_note, sized_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.crawl import Outcome, Project
    from support.simulator import Simulator

NOTE = sized_note(25)
LONG = sized_note(400)
DIGITS = "650000000012345678901234"
FORMULA = "=1+1"
SCHEMAS = {"comment": schemas.COMMENT, "user": schemas.USER, "note": schemas.NOTE}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def lake() -> Iterator[Bucket]:
    with bucket("lake") as found:
        yield found


def read(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def rows(path: Path) -> list[Row]:
    """Return a CSV file's rows, read without its byte order mark."""
    return list(csv.DictReader(io.StringIO(read(path).decode("utf-8-sig"), newline="")))


def lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in read(path).decode().splitlines()]


def by_type(folder: Path, ending: str) -> dict[str, Path]:
    """Return the files of a preset by item type."""
    found = {path.name.partition("-")[0]: path for path in folder.glob(f"*.{ending}")}
    assert set(found) == {"comments", "users", "notes"}
    return {plural.removesuffix("s"): path for plural, path in found.items()}


def test_all_presets_hold_what_the_crawl_delivered(api: Simulator, without_store: Project) -> None:
    patch = [
        {"path": ["comments", 0, "id"], "value": DIGITS},
        {"path": ["comments", 1, "content"], "value": FORMULA},
        {"path": ["comments", 2, "content"], "value": '说"好"，\n再见, 65bf'},
    ]
    api.script({"rules": [{"note": NOTE, "page": 1, "patch": patch}]})
    folder = without_store.folder / "data"
    presets = {"XHS_FEEDS": "jsonl,csv-full,jsonl.gz,csv-full.gz", "XHS_FEEDS_URI": str(folder)}
    done = without_store.crawl(notes=[NOTE, missing_note()], env=presets)
    assert done.status == 0, done
    assert done.feed, "-O and the presets are written side by side"
    assert len(list(folder.iterdir())) == 12
    for ending in ("jsonl", "jsonl.gz"):
        for kind, path in by_type(folder, ending).items():
            assert lines(path) == done.items(kind)
    for ending in ("csv", "csv.gz"):
        for kind, path in by_type(folder, ending).items():
            check_csv(path, kind, done.items(kind))
    comments = by_type(folder, "csv")["comment"].read_bytes()
    assert comments.startswith(b"\xef\xbb\xbf"), "Excel recognizes UTF-8 by this mark"
    assert '"说""好""，\n再见, 65bf"'.encode() in comments
    assert f"{GUARD}{DIGITS}".encode() in comments
    assert f"{GUARD}{FORMULA}".encode() in comments


def check_csv(path: Path, kind: str, items: list[Row]) -> None:
    """Check that a table holds the items, with a guard before what a spreadsheet would change."""
    found = rows(path)
    columns = list(SCHEMAS[kind]["properties"])
    assert [list(row) for row in found] == [columns] * len(items)
    for row, item in zip(found, items, strict=True):
        for name, value in item.items():
            if value is None:
                assert row[name] == ""
            elif isinstance(value, str):
                assert row[name] in (value, GUARD + value)
            else:
                assert json.loads(row[name]) == value


def test_control_characters_break_no_line_and_are_stored_as_sent(
    api: Simulator, project: Project
) -> None:
    sent = "a\x00b\x0bc\x1c\x85d\u2028e\u2029=1\x7f"
    patch = [{"path": ["comments", 0, "content"], "value": sent}]
    api.script({"rules": [{"note": NOTE, "page": 1, "patch": patch}]})
    folder = project.folder / "data"
    presets = {"XHS_FEEDS": "jsonl,csv", "XHS_FEEDS_URI": str(folder)}
    done = project.crawl(notes=[NOTE], env=presets)
    assert done.status == 0, done
    first = expected_note(NOTE).first_level[0]
    assert project.documents("comments")[first]["content"] == sent
    found = {
        row["comment_id"]: row["content"] for row in lines(by_type(folder, "jsonl")["comment"])
    }
    assert found[first] == sent
    table = read(by_type(folder, "csv")["comment"]).decode("utf-8-sig").splitlines(keepends=True)
    cells = {row["comment_id"].strip(GUARD): row["text"] for row in csv.DictReader(table)}
    assert cells[first] == "a\ufffdb\nc\ufffd\nd\ne\n=1\ufffd"
    assert len(cells) == len(found) == len(done.items("comment"))


def test_a_table_without_items_has_its_columns(without_store: Project) -> None:
    presets = {"XHS_FEEDS": "csv", "XHS_FEEDS_URI": str(without_store.folder / "data")}
    assert without_store.crawl(notes=[missing_note()], feed=False, env=presets).status == 0
    path = by_type(without_store.folder / "data", "csv")["comment"]
    columns = [column.name for column in FEED_COLUMNS["comment"]]
    assert path.read_text("utf-8-sig").split() == [",".join(columns)]


def test_batches_hold_the_given_number_of_items(without_store: Project) -> None:
    presets = {"XHS_FEEDS": "jsonl", "XHS_FEEDS_URI": str(without_store.folder / "data")}
    batched = ("-s", "FEED_EXPORT_BATCH_ITEM_COUNT=10")
    assert without_store.crawl(*batched, notes=[NOTE], feed=False, env=presets).status == 0
    paths = sorted((without_store.folder / "data").glob("comments-*.jsonl"))
    sizes = [len(lines(path)) for path in paths]
    expected = expected_note(NOTE)
    assert set(sizes[:-1]) == {10}
    assert sum(sizes) == len(expected.first_level) + len(expected.inline_replies)
    assert [path.stem[-5:] for path in paths] == [f"{n:05}" for n in range(1, len(sizes) + 1)]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_what_a_killed_crawl_has_written_can_be_read(
    api: Simulator, without_store: Project
) -> None:
    api.script({"rules": [{"note": LONG, "page": 30, "hang": True}]})
    folder = without_store.folder / "data"
    presets = {"XHS_FEEDS": "jsonl,csv,jsonl.gz", "XHS_FEEDS_URI": str(folder)}
    without_store.environment.update(presets)
    crawl = without_store.start_crawl(notes=[LONG])
    api.wait_for_calls(30, crawl)
    crawl.kill()
    crawl.communicate()
    # Page 30 was requested once page 28 was finished.
    expected = expected_note(LONG).first_level[:280]
    paths = {ending: next(folder.glob(f"comments-*.{ending}")) for ending in ("jsonl", "csv")}
    found = {
        ending: lines(path) if ending == "jsonl" else rows(path) for ending, path in paths.items()
    }
    for items in found.values():
        assert {row["comment_id"].removeprefix(GUARD) for row in items} >= set(expected)
    assert paths["jsonl"].read_bytes().endswith(b"\n")
    packed = next(folder.glob("comments-*.jsonl.gz")).read_bytes()
    *whole, _ = zlib.decompressobj(wbits=31).decompress(packed).decode(errors="ignore").split("\n")
    size = paths["jsonl"].stat().st_size
    assert len("\n".join(whole).encode()) > size - (1 << 16) - 4096  # and the incomplete last line
    assert [json.loads(line) for line in whole] == found["jsonl"][: len(whole)]


def test_presets_go_to_s3(without_store: Project, lake: Bucket) -> None:
    presets = {"XHS_FEEDS": "jsonl,csv.gz", "XHS_FEEDS_URI": "s3://lake/some/folder/"}
    done = without_store.crawl(notes=[NOTE], env={**lake.environment, **presets})
    assert done.status == 0, done
    found = {key: data for key, data in lake.objects().items() if key.startswith("some/folder/")}
    assert len(found) == 6
    [comments] = [data for key, data in found.items() if "comments-" in key and "jsonl" in key]
    assert [json.loads(line) for line in comments.splitlines()] == done.items("comment")
    for data in (done.errors.encode(), *found.values()):
        assert not found_in(data, TOKEN, SECRET)


def test_batches_go_to_s3_as_they_are_full(without_store: Project, lake: Bucket) -> None:
    presets = {"XHS_FEEDS": "jsonl", "XHS_FEEDS_URI": "s3://lake/batches"}
    batched = ("-s", "FEED_EXPORT_BATCH_ITEM_COUNT=10")
    env = {**lake.environment, **presets}
    assert without_store.crawl(*batched, notes=[NOTE], feed=False, env=env).status == 0
    found = sorted((key, data) for key, data in lake.objects().items() if "/comments-" in key)
    parts = [data.splitlines() for key, data in found if key.startswith("batches/")]
    assert [len(part) for part in parts[:-1]] == [10] * (len(parts) - 1)
    ids = [json.loads(line)["comment_id"] for part in parts for line in part]
    assert set(ids) == {*expected_note(NOTE).first_level, *expected_note(NOTE).inline_replies}
    assert not list((without_store.folder / "spill/feeds").iterdir())


def test_a_feed_that_s3_does_not_take_is_kept_and_reported(without_store: Project) -> None:
    presets = {"XHS_FEEDS": "jsonl", "XHS_FEEDS_URI": "s3://lake/x"}
    with guarded(("PUT", TRIAL), ("DELETE", TRIAL)) as s3:
        done = without_store.crawl("-L", "DEBUG", notes=[NOTE], env={**s3.environment, **presets})
    assert done.status == 1, done
    kept = {
        path.name.split("-")[2]: path for path in (without_store.folder / "spill/feeds").iterdir()
    }
    assert lines(kept["comments"]) == done.items("comment")
    assert all(str(path) in done.errors for path in kept.values())
    assert "3 feeds were not stored" in done.lines("ERROR")[-1]
    assert sum("AccessDenied" in line for line in done.lines("ERROR")) == 3
    assert "Traceback" not in done.errors
    assert not of_libraries(done)
    assert not found_in(done.errors.encode(), TOKEN, SECRET)
    assert not files_with(without_store.folder, SECRET)
    uri = f"embedded:{without_store.folder / 'db'}"
    assert without_store.command("recover", env={"MONGODB_URI": uri}).errors == ""


def of_libraries(done: Outcome) -> set[str]:
    """Return the loggers in a log that are neither Scrapy's nor the project's."""
    loggers = set(re.findall(r"^[\d-]+ [\d:]+ \[([^\]]+)\]", done.errors, re.M))
    return {name for name in loggers - {"comments"} if not name.startswith(("scrapy", "xhs"))}


PRESET = {"XHS_FEEDS": "jsonl", "XHS_FEEDS_URI": "s3://lake/x"}


@pytest.mark.parametrize(
    ("changed", "words", "message"),
    [
        ({"XHS_FEEDS_URI": "s3://no-such-bucket/x"}, "", "NoSuchBucket"),
        ({}, "-O s3://no-such-bucket/x/out.json", "NoSuchBucket"),
        ({}, "-s FEED_STORAGE_S3_ACL=everybody", "S3 refuses it"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "", "Could not connect"),
        ({}, "-s AWS_ENDPOINT_URL=http://127.0.0.1:1", "Could not connect"),
        ({"AWS_ENDPOINT_URL": "http://me:secret-word@127.0.0.1:1"}, "", "Could not connect"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, "", "Invalid endpoint"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "", "no credentials"),
        ({"AWS_DEFAULT_REGION": "far away"}, "", "region_name"),
        ({"AWS_PROFILE": "nobody"}, "", "nobody"),
    ],
)
def test_what_s3_refuses_is_reported_before_the_first_call(
    api: Simulator, without_store: Project, lake: Bucket, changed: Row, words: str, message: str
) -> None:
    env = {**lake.environment, **PRESET, **changed}
    words = f"-L DEBUG {words}"
    done = without_store.crawl(*words.split(), notes=[NOTE], feed=False, env=env)
    assert done.status == 2, done
    [error] = done.lines("ERROR")
    assert message in error
    assert "s3://" in error
    assert "Traceback" not in done.errors
    assert not of_libraries(done)
    assert not found_in(done.errors.encode(), TOKEN, SECRET, "secret-word")
    assert api.call_log()["calls"] == 0
    assert not list((without_store.folder / "spill").glob("**/*"))


def test_without_boto3_no_call_is_made(api: Simulator, without_store: Project) -> None:
    without_store.add_module("")
    (without_store.folder / "boto3.py").write_text("raise ImportError")
    done = without_store.crawl("-O", "s3://lake/out.json", notes=[NOTE], feed=False)
    assert done.status == 2, done
    assert done.lines("ERROR") == [
        "the feed s3://lake/out.json: boto3 is not installed: pip install boto3"
    ]
    assert api.call_log()["calls"] == 0


def test_a_key_that_may_not_write_is_reported_once(api: Simulator, without_store: Project) -> None:
    with guarded(("HEAD", "/lake")) as s3:
        done = without_store.crawl(notes=[NOTE], feed=False, env={**s3.environment, **PRESET})
    assert done.status == 2, done
    [error] = done.lines("ERROR")
    assert "XHS_FEEDS_URI=s3://lake/x: S3 refuses it (AccessDenied: Access Denied)" in error
    assert api.call_log()["calls"] == 0


def test_a_key_that_may_only_write_is_enough(without_store: Project) -> None:
    with guarded(("PUT", "")) as s3:
        done = without_store.crawl(notes=[NOTE], feed=False, env={**s3.environment, **PRESET})
    assert done.status == 0, done
    assert s3.requests[:2] == [("PUT", f"/lake/x/{TRIAL}"), ("DELETE", f"/lake/x/{TRIAL}")]


@pytest.mark.parametrize("mode", ["full", "update"])
def test_a_dry_run_looks_for_the_bucket_and_writes_nothing(
    project: Project, lake: Bucket, mode: str
) -> None:
    words = ("-O", "s3://lake/dry/out.json")
    before = lake.objects()
    env = {**lake.environment, **PRESET}
    done = project.crawl(*words, notes=[NOTE], feed=False, mode=mode, dry_run="1", env=env)
    assert (done.status, lake.objects()) == (0, before), done
    env["XHS_FEEDS_URI"] = "s3://no-such-bucket/x"
    done = project.crawl(notes=[NOTE], feed=False, mode=mode, dry_run="1", env=env)
    assert done.status == 2, done
    with guarded() as s3:
        env = {**s3.environment, **PRESET}
        assert project.crawl(notes=[NOTE], feed=False, dry_run="1", env=env).status == 0
    assert {method for method, _ in s3.requests} == {"HEAD"}


def test_an_object_is_not_overwritten_by_a_crawl_that_continues(
    api: Simulator, project: Project, lake: Bucket
) -> None:
    env = {**lake.environment, "XHS_MAX_CALLS": "1"}
    words = ("-O", "s3://lake/kept/out.jsonl")
    first = project.crawl(*words, notes=[NOTE], feed=False, env=env)
    assert first.status == 3, first
    before = lake.objects()
    for option in ("-o", "-O"):
        done = project.crawl(option, words[1], mode="resume", feed=False, env=lake.environment)
        assert done.status == 2, done
        assert "-o 's3://lake/kept/out-%(time)s.jsonl'" in done.lines("ERROR")[0]
    assert (lake.objects(), api.call_log()["billed"]) == (before, 1)
    _, *command = shlex.split(first.run["resume"])
    assert project.command(*command, env=lake.environment).status == 0
    parts = [data for key, data in lake.objects().items() if key.startswith("kept/")]
    assert len(parts) == 2
    found = {json.loads(line).get("comment_id") for part in parts for line in part.splitlines()}
    assert found - {None} == {*expected_note(NOTE).first_level, *expected_note(NOTE).inline_replies}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["-s", "XHS_FEEDS=csv", "-s", "XHS_FEEDS_URI=/dev/null/x"], "/dev/null is not a folder"),
        (["-O", "/dev/null/out.json"], "/dev/null/out.json"),
        (["-O", "nowhere://out.json"], "Unknown feed storage scheme: nowhere"),
        (
            ["-O", "%(nothing)s.json", "-s", "XHS_FEEDS=csv"],
            "cannot be opened: KeyError: 'nothing'",
        ),
        (["-s", "FEED_EXPORT_BATCH_ITEM_COUNT=5", "-O", "out.json"], "batch_id"),
    ],
)
def test_feeds_that_cannot_be_written_cost_nothing(
    api: Simulator, without_store: Project, words: list[str], named: str
) -> None:
    done = without_store.crawl(*words, notes=[NOTE], feed=False)
    assert done.status == 2, done
    assert any(named in line for line in done.lines("ERROR"))
    assert (done.run["close_reason"], bool(done.run["errors"])) == ("wrong_input", True)
    assert api.call_log()["calls"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
@pytest.mark.parametrize("stored", [True, False])
def test_a_disk_that_is_full_is_reported_and_stops_a_crawl_that_keeps_nothing_else(
    api: Simulator, project: Project, without_store: Project, stored: bool
) -> None:
    place = project if stored else without_store
    done = place.crawl("-O", "/dev/full:jsonl", notes=[LONG], feed=False)
    [failed] = [line for line in done.lines("ERROR") if "cannot be written" in line]
    assert "No space left" in failed
    if stored:
        assert done.status == 1, done
        assert len(project.documents("comments")) >= 400
        assert "1 feeds were not stored" in done.lines("ERROR")[-1]
    else:
        assert (done.status, done.reason) == (3, "store_failed"), done
        assert api.call_log()["billed"] <= 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
@pytest.mark.parametrize("kind", ["jsonl", "xml"])
def test_a_feed_that_fails_takes_no_other_with_it(project: Project, kind: str) -> None:
    presets = {"XHS_FEEDS": "csv-full", "XHS_FEEDS_URI": str(project.folder / "data")}
    done = project.crawl("-O", f"/dev/full:{kind}", notes=[NOTE], env=presets)
    assert done.status == 1, done
    assert len([line for line in done.lines("ERROR") if "/dev/full cannot be written" in line]) == 1
    assert "1 feeds were not stored" in done.lines("ERROR")[-1]
    for kind, path in by_type(project.folder / "data", "csv").items():
        check_csv(path, kind, done.items(kind))


def test_a_feed_that_could_not_be_sent_is_not_among_those_written(project: Project) -> None:
    done = project.crawl("-O", "ftp://127.0.0.1:1/out.jsonl", notes=[NOTE])
    assert done.status == 1, done
    written = [str(project.folder / "feed-1.json")]
    assert done.run["feeds"] == {"stored": 1, "failed": 1, "items_missed": 0, "written": written}


BREAKING = """
from scrapy.exporters import JsonItemExporter

class Breaking(JsonItemExporter):
    # Fails on its third item alone, in the middle of writing it.
    count = 0

    def export_item(self, item):
        self.count += 1
        if self.count == 3:
            self.file.write(b'{"half": ')
            raise ValueError(f"odd: {item}")
        super().export_item(item)
"""


def test_a_feed_that_broke_once_takes_no_more_and_is_not_called_stored(project: Project) -> None:
    project.add_module(BREAKING)
    exporters = json.dumps({**FEED_EXPORTERS, "breaking": "users_own.Breaking"})
    done = project.crawl(
        *("-s", f"FEED_EXPORTERS={exporters}", "-O", f"{project.folder / 'out.breaking'}:breaking"),
        notes=[NOTE],
    )
    assert done.status == 1, done
    counts = {"stored": 1, "failed": 1, "items_missed": len(done.feed) - 2}
    assert done.run["feeds"].items() >= counts.items()
    assert any(line.endswith("cannot be written: ValueError") for line in done.lines("ERROR"))


def test_an_exporter_that_raises_is_reported_and_counted(
    api: Simulator, without_store: Project
) -> None:
    """A user's own exporters replace the project's, whose CSV is safe in spreadsheets."""
    exporters = json.dumps({"own": "scrapy.exporters.JsonItemExporter"})
    presets = {"XHS_FEEDS": "csv", "XHS_FEEDS_URI": str(without_store.folder / "data")}
    done = without_store.crawl("-s", f"FEED_EXPORTERS={exporters}", notes=[LONG], env=presets)
    assert (done.status, done.reason) == (3, "store_failed"), done
    assert any(line.endswith("cannot be written: TypeError") for line in done.lines("ERROR"))
    assert api.call_log()["billed"] <= 3


@pytest.mark.parametrize("store", ["empty", "comments", "none"])
def test_the_table_for_people_has_nicknames_and_replies_under_their_comment(
    store: str, project: Project, without_store: Project
) -> None:
    """Also if the store has the comments already, and the replies are new."""
    here = without_store if store == "none" else project
    if store == "comments":
        assert here.crawl(notes=[NOTE], replies="none", feed=False).status == 0
    folder = here.folder / "data"
    presets = {"XHS_FEEDS": "csv,csv.gz", "XHS_FEEDS_URI": str(folder)}
    done = here.crawl(notes=[NOTE], env=presets)
    assert done.status == 0, done
    nicknames = {user["user_id"]: user["nickname"] for user in done.items("user")}
    comments = {comment["comment_id"]: comment for comment in done.items("comment")}
    table = [
        {name: cell.removeprefix(GUARD) for name, cell in row.items()}
        for row in rows(by_type(folder, "csv")["comment"])
    ]
    assert {row["comment_id"] for row in table} == comments.keys()
    authors = {key: nicknames[one["user_id"]] for key, one in comments.items()}
    root = ""
    for row in table:
        assert row["nickname"] == authors[row["comment_id"]]
        assert row["answers"] == authors.get(row["answered_comment_id"], "")
        if row["level"] == "comment":
            root = row["comment_id"]
        else:
            assert row["parent_comment_id"] == root
    assert rows(by_type(folder, "csv.gz")["comment"]) == rows(by_type(folder, "csv")["comment"])
    (note,) = rows(by_type(folder, "csv")["note"])
    assert (note["complete"], note["comments_held"]) == ("yes", "25")
    users = rows(by_type(folder, "csv")["user"])
    assert {row["user_id"]: row["nickname"].removeprefix(GUARD) for row in users} == nicknames
