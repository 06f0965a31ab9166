"""Crawls write metrics for node-exporter: each minute, and at their end."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from support.crawl import TOKEN
from support.marks import posix
from support.passes import cut_short
from support.prometheus import read_metrics

from xhs.simulator.notes import sized_note, threaded_note

if TYPE_CHECKING:
    from pathlib import Path

    from support.crawl import Outcome, Project
    from support.simulator import Simulator

WHOLE, SHORT, LATE = (sized_note(25, serial, replies=False) for serial in range(5100, 5103))
THREADED = threaded_note(5, 12)


@pytest.fixture
def path(project: Project) -> Path:
    """The file of metrics that each crawl of the project writes."""
    path = project.folder / "daily.prom"
    project.environment["XHS_METRICS_FILE"] = str(path)
    return path


def metrics(path: Path) -> dict[str, dict[str, float]]:
    """Return the file's metrics, each by the value of its label."""
    found: dict[str, dict[str, float]] = {}
    for name, samples in read_metrics(path.read_text(encoding="utf-8")).items():
        for labels, number in samples.items():
            named = dict(labels)
            assert named.pop("crawl") == path.stem
            found.setdefault(name, {})["".join(named.values())] = number
    return found


def numbers(path: Path) -> dict[str, float]:
    """Return the metrics that have no label."""
    return {name: found[""] for name, found in metrics(path).items() if "" in found}


def test_metrics_agree_with_the_stats(api: Simulator, project: Project, path: Path) -> None:
    before = time.time()
    api.script({"rules": [cut_short(SHORT, 1, 7), {"note": LATE, "page": 2, "code": 999}]})
    notes = [WHOLE, SHORT, LATE, THREADED]
    done = project.crawl(notes=notes, replies="all")
    assert (done.status, done.reason) == (3, "finished"), done
    found, plain = metrics(path), numbers(path)
    assert plain["xhs_running"] == 0
    assert (plain["xhs_last_exit_status"], plain["xhs_notes_left"]) == (3, 1)
    assert found["xhs_last_close_reason"] == {"finished": 1}
    ended = {reason: count for reason, count in found["xhs_notes_ended"].items() if count}
    assert ended == {"complete": 3, "unknown_code": 1}
    ends = done.items("note")
    assert plain["xhs_comments_missing"] == sum(end["missing"] for end in ends) == 18 + 15
    assert plain["xhs_replies_missing"] == sum(end["replies_missing"] for end in ends)
    assert plain["xhs_calls_billed"] == api.call_log()["billed"] == done.stats["xhs/calls/billed"]
    assert sum(found["xhs_pages"].values()) == plain["xhs_calls_billed"]
    assert found["xhs_pages"]["replies"] > 0
    assert found["xhs_calls_refused"] == {"999": done.stats["xhs/calls/refused/999"]}
    assert found["xhs_items"]["comment"] == len(done.items("comment"))
    assert before <= plain["xhs_last_page_timestamp_seconds"] <= time.time()
    assert "xhs_last_success_timestamp_seconds" not in plain
    assert "xhs.prom" not in "".join(done.lines("WARNING"))
    assert_no_secrets(path, *notes)

    api.script({})
    assert project.crawl(mode="resume", feed=False).status == 0
    resumed = numbers(path)
    assert (resumed["xhs_last_exit_status"], resumed["xhs_notes_left"]) == (0, 0)
    success = resumed["xhs_last_success_timestamp_seconds"]
    assert plain["xhs_last_page_timestamp_seconds"] < success <= time.time()

    api.script({"rules": [{"code": 601}]})
    assert project.crawl(notes=[WHOLE], mode="update", feed=False).status == 3
    later = numbers(path)
    assert (later["xhs_calls_billed"], later["xhs_notes_left"]) == (0, 1)
    assert later["xhs_last_success_timestamp_seconds"] == success
    page = "xhs_last_page_timestamp_seconds"
    assert later[page] == resumed[page]
    assert metrics(path)["xhs_last_close_reason"] == {"balance_exhausted": 1}

    text = path.read_text(encoding="utf-8")
    assert project.crawl(notes=[WHOLE], dry_run="1", feed=False).status == 0
    assert project.crawl(notes=[WHOLE], dry_run="1", mode="bogus", feed=False).status == 2
    assert path.read_text(encoding="utf-8") == text
    refused = project.crawl(notes=[WHOLE], mode="bogus", feed=False)
    assert refused.status == 2
    changed = numbers(path)
    assert changed == {**later, "xhs_last_exit_status": 2}
    assert metrics(path)["xhs_last_close_reason"] == {"wrong_input": 1}
    assert [each.name for each in project.folder.glob("*.prom*")] == ["daily.prom"]


def assert_no_secrets(path: Path, *notes: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert not any(secret in text for secret in (TOKEN, *notes))
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o644


def test_a_crawl_that_begins_nothing_says_so(project: Project, path: Path) -> None:
    env = {"MONGODB_URI": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"}
    assert project.crawl(notes=[WHOLE], feed=False, env=env).status == 1
    assert numbers(path)["xhs_last_exit_status"] == 1
    assert metrics(path)["xhs_last_close_reason"] == {"store_failed": 1}


@posix
def test_a_kill_leaves_the_last_whole_file(api: Simulator, project: Project, path: Path) -> None:
    api.script({"rules": [{"page": 2, "hang": True}]})
    crawl = project.start_crawl(notes=[WHOLE])
    while not path.exists():
        assert crawl.poll() is None, crawl.communicate()
        time.sleep(0.01)
    crawl.send_signal(signal.SIGKILL)
    crawl.communicate()
    found = numbers(path)
    assert found["xhs_running"] == 1
    assert "xhs_last_exit_status" not in found
    assert_no_secrets(path, WHOLE)


@posix
def test_a_crawl_that_is_forced_to_stop_says_so(
    api: Simulator, project: Project, path: Path
) -> None:
    api.script({"rules": [{"page": 2, "hang": True}]})
    crawl = project.start_crawl(notes=[WHOLE])
    while api.call_log()["calls"] < 2:
        assert crawl.poll() is None, crawl.communicate()
        time.sleep(0.01)
    crawl.send_signal(signal.SIGTERM)
    while b"shutting down gracefully" not in crawl.stderr.readline():  # type: ignore[union-attr]
        assert crawl.poll() is None
    crawl.send_signal(signal.SIGTERM)
    crawl.communicate()
    found = numbers(path)
    assert (crawl.returncode, found["xhs_last_exit_status"]) == (3, 3)
    assert (found["xhs_running"], found["xhs_notes_left"], found["xhs_calls_unknown"]) == (0, 1, 1)
    assert metrics(path)["xhs_last_close_reason"] == {"shutdown": 1}


def test_a_file_that_cannot_be_written_is_refused_before_the_first_call(
    api: Simulator, project: Project
) -> None:
    def refused(path: Path) -> Outcome:
        done = project.crawl(notes=[WHOLE], feed=False, env={"XHS_METRICS_FILE": str(path)})
        assert (done.status, api.call_log()["calls"]) == (2, 0), done
        return done

    missing = project.folder / "nowhere" / "daily.prom"
    (line,) = refused(missing).lines("ERROR")
    assert line == f"XHS_METRICS_FILE={missing}: the folder {missing.parent} does not exist"
    (line,) = refused(project.folder).lines("ERROR")
    assert line.startswith(f"XHS_METRICS_FILE={project.folder}: it is a folder")


def test_a_name_that_node_exporter_does_not_read_is_a_warning(project: Project) -> None:
    path = project.folder / "daily.txt"
    done = project.crawl(notes=[WHOLE], feed=False, env={"XHS_METRICS_FILE": str(path)})
    assert done.status == 0, done
    assert any("names end in .prom" in line for line in done.lines("WARNING"))
    assert numbers(path)["xhs_notes_left"] == 0


def test_the_shell_and_parse_write_none(project: Project, path: Path) -> None:
    base = project.environment["JUSTONEAPI_BASE_URL"]
    url = f"{base}/api/xiaohongshu/get-note-comment/v4?noteId={WHOLE}"
    env = {"MONGODB_URI": ""}
    assert project.command("shell", url, "-c", "response.status", env=env).output == "200\n"
    parsed = project.command("parse", "--spider=comments", "-c", "parse_page", url, env=env)
    assert parsed.status == 0, parsed
    assert not path.exists()
