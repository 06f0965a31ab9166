"""Feeds of crawls that continue others: earlier items stay, and the file can be read."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from support.crawl import Outcome
from support.expected import expected_note
from support.s3 import guarded
from support.simulator import PROJECT

from xhs.feeds.s3 import TRIAL
from xhs.simulator.notes import missing_note, sized_note

if TYPE_CHECKING:
    from pathlib import Path

    from support.crawl import Project
    from support.simulator import Simulator

NOTE = sized_note(45)
ONE_CALL = {"XHS_MAX_CALLS": "1"}


def read(path: Path) -> list[dict[str, Any]]:
    """Read the items of a feed; a second CSV header would be an item."""
    text = path.read_bytes().decode("utf-8-sig")
    if path.suffix == ".json":
        found: list[dict[str, Any]] = json.loads(text)
        return found
    if path.suffix == ".xml":
        items = ET.fromstring(text)  # noqa: S314 (our own)
        return [{field.tag: field.text for field in item} for item in items]
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines(keepends=True)))
    return [json.loads(line) for line in text.splitlines()]


def comments(folder: Path) -> list[str]:
    """Return the IDs of the comments in all feeds of a folder."""
    items = [item for path in folder.iterdir() for item in read(path)]
    assert {item["item_type"] for item in items} <= {"comment", "user", "note"}
    return [item["comment_id"].strip() for item in items if item["item_type"] == "comment"]


def paste(project: Project, command: str, **env: str) -> Outcome:
    """Run the command that the last line of a log proposes."""
    program, *words = shlex.split(command)
    assert program == "scrapy"
    return project.command(*words, env=env)


@pytest.mark.parametrize(
    ("given", "files"),
    [
        ("-O {}/out.json", {"out.json", "out-2.json", "out-3.json"}),
        ("-o {}/out.json:json", {"out.json", "out-2.json", "out-3.json"}),
        ("-O {}/2026-11-25.xml", {"2026-11-25.xml", "2026-11-25-2.xml", "2026-11-25-3.xml"}),
        ("-O {}/out.jsonl", {"out.jsonl"}),
        ("-O {}/out.csv", {"out.csv"}),
        ("-o file://{}/out.jl:jsonlines", {"out.jl"}),
        ("-O '{}/a b-%(name)s.json'", {f"a b-comments{n}.json" for n in ("", "-2", "-3")}),
    ],
)
def test_the_proposed_command_loses_no_feed(
    api: Simulator, project: Project, given: str, files: set[str]
) -> None:
    folder = project.folder / "feeds"
    done = project.crawl(*shlex.split(given.format(folder)), notes=[NOTE], feed=False, env=ONE_CALL)
    for calls in ("2", "0"):
        assert done.status == 3, done
        assert done.run["resume"] in done.errors.splitlines()[-1]
        done = paste(project, done.run["resume"], XHS_MAX_CALLS=calls)
    assert (done.status, done.run["resume"]) == (0, None), done
    assert {path.name for path in folder.iterdir()} == files
    found = comments(folder)
    assert set(found) == {*expected_note(NOTE).first_level, *expected_note(NOTE).inline_replies}
    assert api.call_log()["billed"] == expected_note(NOTE).pages


def test_the_proposed_command_has_the_presets_too(project: Project) -> None:
    folder = project.folder / "feeds"
    presets = {"XHS_FEEDS": "jsonl csv", "XHS_FEEDS_URI": str(folder)}
    options = ["-s", "XHS_FEEDS=jsonl csv"]
    done = project.crawl(*options, notes=[NOTE], feed=False, env={**presets, **ONE_CALL})
    assert done.run["resume"].count("XHS_FEEDS=") == 1
    done = paste(project, done.run["resume"])
    assert done.status == 0, done
    for ending in ("jsonl", "csv"):
        items = [item for path in folder.glob(f"comments-*.{ending}") for item in read(path)]
        found = {item["comment_id"].strip() for item in items}
        assert found == {*expected_note(NOTE).first_level, *expected_note(NOTE).inline_replies}


def test_without_a_store_the_proposed_command_begins_a_file_of_its_own(
    without_store: Project,
) -> None:
    """It requests every page again."""
    path = without_store.folder / "out.jsonl"
    done = without_store.crawl("-O", str(path), notes=[NOTE], feed=False, env=ONE_CALL)
    assert paste(without_store, done.run["resume"]).status == 0
    assert len(read(path)) < len(read(without_store.folder / "out-2.jsonl"))


@pytest.mark.parametrize(
    ("name", "option", "mode", "cures"),
    [
        ("a.json", "-O", "resume", "-o {}/a-2.json"),
        ("a.json", "-o", "resume", "-o {}/a-2.json"),
        ("a.json", "-o", "full", "-o {}/a-2.json"),
        ("a.xml", "-O", "update", "-o {}/a-2.xml"),
        ("a.jsonl", "-O", "resume", "-o {}/a.jsonl"),
        ("a.csv", "-O", "update", "-o {}/a.csv"),
        ("a:jsonlines", "-O", "update", "-o {}/a:jsonlines"),
    ],
)
def test_what_an_earlier_crawl_has_written_is_not_overwritten(
    api: Simulator, project: Project, name: str, option: str, mode: str, cures: str
) -> None:
    folder = project.folder / "feeds"
    path = folder / name.partition(":")[0]
    words = (option, f"{folder / name}")
    first = project.crawl("-O", f"{folder / name}", notes=[NOTE], feed=False, env=ONE_CALL)
    assert first.status == 3, first
    before, calls = path.read_bytes(), api.call_log()["calls"]
    done = project.crawl(*words, feed=False, notes=[NOTE], mode=mode)
    assert done.status == 2, done
    [error] = done.lines("ERROR")
    assert cures.format(folder) in error
    assert (path.read_bytes(), api.call_log()["calls"]) == (before, calls)
    done = project.crawl(*shlex.split(cures.format(folder)), feed=False, notes=[NOTE], mode=mode)
    assert done.status == 0, done
    assert path.read_bytes().startswith(before)
    assert set(comments(folder)) == {
        *expected_note(NOTE).first_level,
        *expected_note(NOTE).inline_replies,
    }


def test_a_second_start_with_jobdir_overwrites_nothing(project: Project) -> None:
    path = project.folder / "a.json"
    words = ("-O", str(path), "-s", f"JOBDIR={project.folder / 'job'}")
    assert project.crawl(*words, notes=[NOTE], feed=False, env=ONE_CALL).status == 3
    before = path.read_bytes()
    done = project.crawl(*words, notes=[NOTE], feed=False)
    assert done.status == 2, done
    assert f"-o {project.folder / 'a-2.json'}" in done.lines("ERROR")[0]
    assert path.read_bytes() == before


def test_a_full_crawl_overwrites_as_requested(project: Project) -> None:
    path = project.folder / "a.json"
    for notes in ([NOTE], [missing_note()]):
        assert project.crawl("-O", str(path), notes=notes, feed=False).status == 0
    assert [item["note_id"] for item in read(path)] == [missing_note()]


def test_a_dry_run_opens_no_feed(api: Simulator, project: Project) -> None:
    path, new = project.folder / "a.json", project.folder / "feeds" / "b.jsonl"
    assert project.crawl("-O", str(path), notes=[NOTE], feed=False, env=ONE_CALL).status == 3
    before, calls = path.read_bytes(), api.call_log()["calls"]
    for mode in ("resume", "update", "full"):
        words = ("-O", str(path), "-O", str(new))
        done = project.crawl(*words, notes=[NOTE], feed=False, mode=mode, dry_run="1")
        assert done.status == 0, done
    assert (path.read_bytes(), api.call_log()["calls"]) == (before, calls)
    assert not new.parent.exists()


@pytest.mark.parametrize("failure", ["token", "store"])
def test_a_crawl_that_receives_nothing_keeps_the_feed_that_is_there(
    api: Simulator, project: Project, failure: str
) -> None:
    path, new = project.folder / "a.json", project.folder / "b.json"
    assert project.crawl("-O", str(path), notes=[missing_note()], feed=False).status == 0
    before = path.read_bytes()
    env: dict[str, str | None] = {}
    if failure == "token":
        api.script({"rules": [{"code": 100}]})
    else:
        env["MONGODB_URI"] = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"
    words = ("-O", str(path), "-O", str(new))
    done = project.crawl(*words, notes=[NOTE], feed=False, env=env)
    assert done.status == (3 if failure == "token" else 1), done
    assert path.read_bytes() == before
    assert any(f"{path} was left unchanged" in line for line in done.lines("WARNING"))
    assert read(new) == []


SCRIPT = """
import json, sys
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.utils.project import get_project_settings

arguments, feeds = map(json.loads, sys.argv[1:])
settings = get_project_settings()
settings.set("FEEDS", feeds)
process = AsyncCrawlerProcess(settings)
crawler = process.create_crawler("comments")
process.crawl(crawler, **arguments)
process.start()
print(crawler.stats.get_value("finish_reason"))
"""


def from_a_script(project: Project, arguments: dict[str, str], feeds: dict[str, Any]) -> Outcome:
    """Run a crawl from a script, with feeds in its settings."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(arguments), json.dumps(feeds)],
        env={**project.environment, "SCRAPY_SETTINGS_MODULE": "xhs.settings"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [{"notes": NOTE, "mode": "resume"}, {"notes": "nonsense"}])
def test_a_crawl_that_is_refused_from_a_script_opens_no_feed(
    api: Simulator, project: Project, arguments: dict[str, str]
) -> None:
    path, new = project.folder / "a.json", project.folder / "b.jsonl"
    path.write_text('[{"item_type": "note"}]')
    feeds = {str(path): {"format": "json", "overwrite": True}, str(new): {"format": "jsonl"}}
    done = from_a_script(project, arguments, feeds)
    assert done.output == "wrong_input\n", done
    assert len(done.lines("ERROR")) == 1
    assert path.read_text() == '[{"item_type": "note"}]'
    assert not new.exists()
    assert api.call_log()["calls"] == 0


def test_what_s3_refuses_closes_a_crawl_from_a_script(
    api: Simulator, without_store: Project
) -> None:
    with guarded() as s3:
        without_store.environment.update({k: v for k, v in s3.environment.items() if v})
        feeds = {"s3://lake/x/a.json": {"format": "json"}, "s3://lake/x/b.csv": {"format": "csv"}}
        done = from_a_script(without_store, {"notes": NOTE}, feeds)
    assert done.output == "wrong_input\n", done
    [error] = done.lines("ERROR")
    assert "the feed s3://lake/x/a.json: S3 refuses it (AccessDenied" in error
    assert "Traceback" not in done.errors
    assert s3.requests == [("PUT", f"/lake/x/{TRIAL}")]
    assert api.call_log()["calls"] == 0
