"""The project deployed to a running Scrapyd: its jobs, their results and their logs.

Two servers share one deployment: a usual one, with an items file for each job and the token in its
environment, and one with a token file and without items files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from support import scrapyd as support
from support.canary import command_lines, files_with, found_in
from support.crawl import TOKEN, Outcome, Project
from support.expected import expected_note
from support.pages import expected_comments, page_count
from support.passes import billed
from support.scrapyd import Scrapyd, copy_project, read_lines
from support.threads import cost, stored_threads, with_inline, with_replies

from xhs.simulator.notes import missing_note, sized_note, threaded_note, usual_note
from xhs.store.embedded.server import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from support.crawl import Document
    from support.simulator import Simulator

pytestmark = pytest.mark.skipif(
    bool(support.MISSING),
    reason=f"without {' and '.join(support.MISSING)}: pip install -r requirements-dev.txt",
)

DAILY = "daily"
"""Database of jobs that name none."""

NOTE = sized_note(25)
NOTES = [sized_note(40, serial) for serial in range(20)]
"""Four more notes than concurrent requests."""

MOST_TWICE = 24
"""Pages that a crawl may have requested and not finished."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which a deployment may leave files."""
    return copy_project(tmp_path_factory.mktemp("scrapyd") / "project")


@pytest.fixture(scope="module")
def scrapyd(
    _api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory, checkout: Path
) -> Iterator[Scrapyd]:
    """A server with the project deployed, the token in its environment and items files."""
    folder = tmp_path_factory.mktemp("scrapyd")
    env = {
        "JUSTONEAPI_TOKEN": TOKEN,
        "JUSTONEAPI_BASE_URL": _api.url,
        "MONGODB_URI": _server,
        "MONGODB_DATABASE": DAILY,
    }
    with Scrapyd(folder, env, items_dir=str(folder / "items")) as running:
        running.deploy(checkout)
        yield running


@pytest.fixture(scope="module")
def plain(
    _api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory, scrapyd: Scrapyd
) -> Iterator[Scrapyd]:
    """A server with the same project, a missing token file and no items files."""
    folder = tmp_path_factory.mktemp("plain")
    env = {
        "JUSTONEAPI_TOKEN_FILE": str(folder / "token"),
        "JUSTONEAPI_BASE_URL": _api.url,
        "MONGODB_URI": _server,
    }
    with Scrapyd(folder, env, eggs_dir=str(scrapyd.eggs)) as running:
        yield running


@pytest.fixture
def token_file(plain: Scrapyd) -> Path:
    """Path of that server's token file; the file is missing."""
    path = Path(plain.environment["JUSTONEAPI_TOKEN_FILE"])
    path.unlink(missing_ok=True)
    return path


@pytest.fixture
def settings(project: Project) -> dict[str, str]:
    """Settings by which a job uses the test's own database."""
    return {"MONGODB_DATABASE": project.name, "XHS_SPILL_DIR": project.environment["XHS_SPILL_DIR"]}


def wait_for_calls(api: Simulator, scrapyd: Scrapyd, job: str, calls: int) -> None:
    """Wait until ``calls`` calls have been made; fail if the job ends before."""
    scrapyd.wait_until(job, lambda: api.call_log()["calls"] >= calls)


def assert_whole(project: Project, notes: Iterable[str]) -> None:
    """Check that exactly these notes' comments are stored, and that the ledger agrees."""
    comments, ledger = project.documents("comments"), project.documents("notes")
    shown = {
        comment: parent for note in notes for comment, parent in expected_comments(note).items()
    }
    assert {key: comment["parent_comment_id"] for key, comment in comments.items()} == shown
    assert {comment["user_id"] for comment in comments.values()} <= project.documents(
        "users"
    ).keys()
    for note in notes:
        document = ledger[note]
        assert (document["state"], document["stop_reason"]) == ("ended", "complete"), document
        assert (document["complete"], document["missing"]) == (True, 0), document


def assert_items(done: Outcome, notes: Iterable[str]) -> None:
    """Check that the items file holds these notes' comments once, their users and their ends."""
    wanted = {
        comment: parent for note in notes for comment, parent in expected_comments(note).items()
    }
    found = {
        comment["comment_id"]: comment["parent_comment_id"] for comment in done.items("comment")
    }
    assert found == wanted
    assert len(done.ids("comment")) == len(wanted)
    assert sorted(done.ids("note")) == sorted(notes)
    assert {comment["user_id"] for comment in done.items("comment")} <= set(done.ids("user"))


def password(uri: str) -> str:
    """Return the password of an embedded server."""
    with resolve(uri) as lease:
        return urlsplit(lease.uri).password or ""


def can_import_project(scrapyd: Scrapyd) -> bool:
    """True if a job can import the project without the deployed egg."""
    words = [sys.executable, "-c", "import xhs"]
    done = subprocess.run(
        words, env=scrapyd.environment, cwd=scrapyd.folder, capture_output=True, check=False
    )
    return done.returncode == 0


def test_a_job_ends_with_its_log_its_items_and_the_database_filled(
    api: Simulator, project: Project, scrapyd: Scrapyd, settings: dict[str, str]
) -> None:
    assert not can_import_project(scrapyd)
    notes = [NOTE, threaded_note(12, 5), usual_note(12), sized_note(0)]
    secrets = TOKEN, password(project.uri)
    job = scrapyd.schedule(settings, notes=",".join([*notes, missing_note()]))
    while scrapyd.state(job) != "finished":
        for shown in (*command_lines(), json.dumps(scrapyd.jobs()).encode()):
            assert not found_in(shown, *secrets)
        time.sleep(0.1)
    (done,) = scrapyd.wait(job)
    assert (done.status, done.reason) == (0, "finished"), done
    assert (done.lines("ERROR"), done.lines("WARNING")) == ([], []), done
    assert "5 asked for: 5 ended, 0 left" in done.errors
    assert_whole(project, notes)
    assert_items(done, [*notes, missing_note()])
    assert project.documents("comments").keys() == set(done.ids("comment"))
    assert project.documents("users").keys() == set(done.ids("user"))
    call_log = api.call_log()
    assert call_log["billed"] == page_count(notes) + 1
    assert (call_log["calls"], call_log["repeated"]) == (call_log["billed"], 0)
    assert done.stats["xhs/calls/billed"] == call_log["billed"]

    (listed,) = (finished for finished in scrapyd.jobs()["finished"] if finished["id"] == job)
    assert listed["log_url"].endswith(f"/{job}.log")
    assert listed["items_url"].endswith(f"/{job}.jl")
    held = files_with(scrapyd.folder, NOTE)
    assert {path.suffix for path in held} >= {".log", ".jl"}
    assert {path.stat().st_mode & 0o777 for path in held if path.stem == job} == {0o600}
    assert files_with(scrapyd.folder, *secrets) == []


def test_all_that_is_wrong_stands_in_the_jobs_own_log_and_no_call_is_made(
    api: Simulator, project: Project, scrapyd: Scrapyd, settings: dict[str, str]
) -> None:
    settings |= {"XHS_MAX_CALLS": "some"}
    done = scrapyd.run(settings, notes=f"{NOTE},{NOTE[:-1]},nonsense", bogus="1", mode="fast")
    assert done.status == 2, done
    expected = (
        "XHS_MAX_CALLS=some must be a whole number",
        "bogus: no such argument; there are notes, ",
        "mode='fast' is none of full, resume, update",
        f"notes: '{NOTE[:-1]}' is not a note ID",
        "notes: piece 3 of 3 is neither a note ID",
    )
    errors = done.lines("ERROR")
    assert len(errors) == len(expected), done
    for part in expected:
        assert sum(part in error for error in errors) == 1, (part, errors)
        assert part in scrapyd.journal
    assert "Traceback" not in done.errors
    assert done.feed == []
    assert (api.call_log()["calls"], project.documents("notes")) == (0, {})


def test_standard_input_which_no_job_has_is_refused_and_not_waited_for(
    api: Simulator, scrapyd: Scrapyd, settings: dict[str, str]
) -> None:
    done = scrapyd.run(settings, notes_file="-")
    (error,) = done.lines("ERROR")
    assert (done.status, "notes_file=-" in error) == (2, True), done
    assert api.call_log()["calls"] == 0


def test_the_token_may_stand_in_a_file_that_is_read_as_each_job_starts(
    api: Simulator, project: Project, plain: Scrapyd, token_file: Path, settings: dict[str, str]
) -> None:
    refused = plain.run(settings, notes=f"{NOTE},nonsense")
    assert refused.status == 2, refused
    missing, malformed = refused.lines("ERROR")
    assert f"JUSTONEAPI_TOKEN_FILE={token_file}: cannot be read" in missing
    assert "piece 2 of 2 is neither a note ID" in malformed
    assert api.call_log()["calls"] == 0

    token_file.write_text(f"{TOKEN}\n", encoding="utf-8")
    done = plain.run(settings, notes=NOTE)
    assert done.status == 0, done
    assert_whole(project, [NOTE])
    assert done.feed == []
    assert files_with(plain.folder, TOKEN) == [token_file]


def test_several_jobs_at_once_share_notes_and_a_database(
    api: Simulator, project: Project, scrapyd: Scrapyd, settings: dict[str, str]
) -> None:
    api.script({"latency": 1.5})
    lists = [NOTES[:6], NOTES[8:2:-1], NOTES[:9:2]]
    jobs = [scrapyd.schedule(settings, notes=",".join(notes)) for notes in lists]
    scrapyd.wait_until(jobs[0], lambda: all("Crawled (200)" in scrapyd.log(job) for job in jobs))
    assert "finished" not in {scrapyd.state(job) for job in jobs}
    api.script({})
    for done, notes in zip(scrapyd.wait(*jobs), lists, strict=True):
        assert done.status == 0, done
        assert "Traceback" not in done.errors
        assert_items(done, notes)
    assert_whole(project, NOTES[:9])
    ledger = project.documents("notes")
    assert {note: document["billed_calls"] for note, document in ledger.items()} == billed(api)


@pytest.mark.parametrize(
    ("signals", "most_twice"),
    [(["INT"], 0), (["INT", "INT"], MOST_TWICE), (["KILL"], MOST_TWICE)],
    ids=["once", "twice", "by KILL"],
)
def test_resume_continues_where_a_job_was_cancelled(
    api: Simulator,
    project: Project,
    scrapyd: Scrapyd,
    settings: dict[str, str],
    signals: list[str],
    most_twice: int,
) -> None:
    """``cancel.json`` sends SIGINT if no signal is named."""
    api.script({"latency": 0.4})
    job = scrapyd.schedule(settings, notes=",".join(NOTES))
    wait_for_calls(api, scrapyd, job, 24)
    for number in signals:
        signal = {} if number == "INT" else {"signal": number}
        assert scrapyd.cancel(job, **signal) == "running"
    (cancelled,) = scrapyd.wait(job)
    assert "Traceback" not in cancelled.errors, cancelled
    assert scrapyd.cancel(job) is None
    if signals != ["KILL"]:
        calls = cancelled.run["calls"]
        assert calls["billed"] + calls["unknown"] >= api.call_log()["billed"], cancelled
    api.script({})
    done = scrapyd.run(settings, notes=",".join(NOTES), mode="resume")
    assert done.status == 0, done
    assert_whole(project, NOTES)
    call_log = api.call_log()
    assert call_log["repeated"] <= most_twice
    assert call_log["billed"] == page_count(NOTES) + call_log["repeated"]
    if signals != ["KILL"]:
        assert cancelled.status == 3, cancelled
        assert f"{len(NOTES)} asked for: 0 ended, {len(NOTES)} left" in cancelled.errors
        assert "-a mode=resume" in cancelled.lines("WARNING")[-1]


def test_a_redeployment_in_mid_job_disturbs_nothing(
    api: Simulator, tmp_path: Path, scrapyd: Scrapyd, checkout: Path, own_server: Project
) -> None:
    """Neither of another version nor of the same, which overwrites the egg of the running job.

    The job still has notes and threads to finish, and a store of its own to release.
    """
    project = own_server
    settings = {"MONGODB_URI": project.uri, "MONGODB_DATABASE": project.name}
    of = {"project": "redeployed"}
    one = next(scrapyd.eggs.glob("xhs/*.egg"))
    other = scrapyd.build(copy_project(tmp_path / "other", 'BOT_NAME = "another"'))
    notes, later = [sized_note(200, serial) for serial in (1, 2)], NOTE

    def deploy(egg: Path, version: str) -> None:
        scrapyd.deploy(checkout, "--egg", str(egg), "-p", of["project"], "-v", version)

    deploy(one, "1")
    api.script({"latency": 4})
    job = scrapyd.schedule(settings, **of, _version="1", notes=",".join(notes), replies="all")
    wait_for_calls(api, scrapyd, job, 2)
    deploy(other, "1")
    deploy(other, "2")
    assert scrapyd.state(job) == "running"
    next_job = scrapyd.schedule(settings, **of, notes=later)
    wait_for_calls(api, scrapyd, job, api.call_log()["calls"] + 1)
    api.script({})
    done, next_done = scrapyd.wait(job, next_job)

    assert (done.status, done.reason, next_done.status) == (0, "finished", 0), (done, next_done)
    for outcome, bot in ((done, "xhs"), (next_done, "another")):
        assert f"started (bot: {bot})" in outcome.errors
        assert "Traceback" not in outcome.errors
    assert stored_threads(project) == {note: with_replies(note) for note in notes} | {
        later: with_inline(later, expected_note(later).first_level)
    }
    assert {document["stop_reason"] for document in project.documents("notes").values()} == {
        "complete"
    }
    assert api.call_log()["billed"] == cost(notes) + expected_note(later).pages


def test_relative_paths_begin_where_scrapyd_was_started(
    api: Simulator, tmp_path: Path, scrapyd: Scrapyd
) -> None:
    """Scrapyd's jobs inherit its current directory."""
    name = tmp_path.name
    folder = scrapyd.folder / name
    folder.mkdir()
    (folder / "notes.txt").write_text(f"{NOTE}\n", encoding="utf-8")
    settings = {"MONGODB_URI": f"embedded:{name}/db", "MONGODB_DATABASE": "xhs"}
    feeds = {"XHS_FEEDS": "jsonl", "XHS_FEEDS_URI": f"{name}/data"}
    done = scrapyd.run(settings | feeds, notes_file=f"{name}/notes.txt")
    assert done.status == 0, done
    assert_whole(Project(api.url, tmp_path, f"embedded:{folder / 'db'}", "xhs"), [NOTE])
    assert len(list((folder / "data").iterdir())) == 3


def test_what_is_wrong_with_a_relative_path_is_said_of_the_absolute_one(
    api: Simulator, scrapyd: Scrapyd
) -> None:
    (scrapyd.folder / "a-file").touch()
    settings = {"XHS_SPILL_DIR": "a-file/spill", "XHS_FEEDS": "csv", "XHS_FEEDS_URI": "a-file/data"}
    done = scrapyd.run(settings, notes_file="gone.txt")
    spill, feeds, notes = done.lines("ERROR")
    assert f"XHS_SPILL_DIR=a-file/spill: {scrapyd.folder / 'a-file'} is not a folder" in spill
    assert f"XHS_FEEDS_URI=a-file/data: {scrapyd.folder / 'a-file'} is not a folder" in feeds
    assert str(scrapyd.folder / "gone.txt") in notes
    assert done.status == 2, done

    done = scrapyd.run({"MONGODB_URI": "embedded:a-file/db"}, notes=NOTE)
    (error, *_) = done.lines("ERROR")
    assert f"cannot use the folder {scrapyd.folder / 'a-file' / 'db'}: " in error
    assert done.status == 1, done
    assert api.call_log()["calls"] == 0


def feed_files(folder: Path) -> dict[str, list[Document]]:
    """Return the files of a preset ``jsonl`` by the item type that begins their names."""
    files = {path.name.partition("-")[0]: path for path in folder.glob("*.jsonl")}
    assert len(files) == len(list(folder.iterdir()))
    return {name: read_lines(path) for name, path in files.items()}


def test_an_items_file_takes_the_place_of_other_feeds_but_not_of_presets(
    scrapyd: Scrapyd, tmp_path: Path, settings: dict[str, str]
) -> None:
    """Scrapyd sets ``FEEDS`` itself, after the settings of the schedule."""
    own = tmp_path / "own.jsonl"
    settings |= {"FEEDS": json.dumps({str(own): {"format": "jsonlines"}})}
    settings |= {"XHS_FEEDS": "jsonl", "XHS_FEEDS_URI": str(tmp_path / "data")}
    done = scrapyd.run(settings, notes=NOTE)
    assert done.status == 0, done
    assert_items(done, [NOTE])
    assert not own.exists()
    feeds = feed_files(tmp_path / "data")
    for name in ("comment", "user", "note"):
        assert feeds.pop(f"{name}s") == done.items(name)
    assert feeds == {}


def test_without_items_files_there_are_the_feeds_that_are_asked_for(
    plain: Scrapyd, token_file: Path, tmp_path: Path, settings: dict[str, str]
) -> None:
    token_file.write_text(TOKEN, encoding="utf-8")
    own = tmp_path / "own.jsonl"
    settings |= {"FEEDS": json.dumps({str(own): {"format": "jsonlines"}})}
    settings |= {"XHS_FEEDS": "jsonl", "XHS_FEEDS_URI": str(tmp_path / "data")}
    done = plain.run(settings, notes=NOTE)
    assert done.status == 0, done
    assert not (plain.folder / "items").exists()
    items = read_lines(own)
    assert_items(Outcome(0, "", "", items), [NOTE])
    feeds = feed_files(tmp_path / "data")
    assert {name: len(found) for name, found in feeds.items()} == {
        f"{name}s": sum(item["item_type"] == name for item in items)
        for name in ("comment", "user", "note")
    }


def test_the_daily_update_needs_no_file_on_the_host(
    api: Simulator, project: Project, scrapyd: Scrapyd
) -> None:
    project = Project(api.url, project.folder, project.uri, DAILY)
    notes = [sized_note(45, 1000), sized_note(25, 1001), sized_note(5, 1002)]
    queued = project.command("enqueue", "-", stdin="\n".join(notes))
    assert queued.status == 0, queued
    first = run_daily(scrapyd)
    assert first.status == 0, first
    assert_whole(project, notes)
    assert_items(first, notes)

    api.change(notes[0], grow=12)
    api.reset_call_log()
    second = run_daily(scrapyd)
    assert second.status == 0, second
    assert billed(api) == {notes[0]: 2, notes[1]: 1, notes[2]: 1}
    fresh = expected_note(notes[0], 12)
    roots = set(fresh.first_level) - set(expected_note(notes[0]).first_level)
    new = {*roots, *(reply for root in roots for reply in fresh.inline.get(root, ()))}
    assert {
        comment["comment_id"] for comment in second.items("comment") if comment["is_new"]
    } == new
    assert project.documents("comments").keys() == new | set(first.ids("comment"))


def run_daily(scrapyd: Scrapyd) -> Outcome:
    """Schedule the daily update by a crontab's line, as cron runs it, and wait for its end.

    Without curl, the same request is made in Python.
    """
    if shutil.which("curl", path=os.defpath) is None:
        return scrapyd.run(mode="update")
    line = f"curl -fsS {scrapyd.url}schedule.json -d project=xhs -d spider=comments -d mode=update"
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        env={"PATH": os.defpath, "HOME": str(scrapyd.folder)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done
    (outcome,) = scrapyd.wait(json.loads(done.stdout)["jobid"])
    return outcome
