"""A crawl that receives nothing changes no note's state; the ledger records what it wanted."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from support.codes import FATAL
from support.crawl import Project, database
from support.passes import assert_stored, pages_of

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Document
    from support.simulator import Simulator

ENDED, LEFT, QUEUED, NEW = (sized_note(45, serial, replies=False) for serial in range(6100, 6104))
KNOWN = [ENDED, LEFT, QUEUED]
PAGES = 5
OTHER: dict[str, Any] = {"retries": {"code": 301}, "unknown code": {"code": 999}, "empty": {}}
UNCHANGING = ("wanted", "billed_calls", "last_write")
"""Fields of the ledger that a crawl without an answer may change: its wish and its cost."""


@pytest.fixture(scope="module")
def _prepared(_api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("prepared")
    project = Project(_api.url, folder, _server, folder.name)
    _api.reset()
    assert project.crawl(notes=[ENDED], feed=False).status == 0
    _api.script({"rules": [{"page": 3, "code": 999}]})
    assert project.crawl(notes=[LEFT], feed=False).status == 3
    file = project.folder / "notes.txt"
    file.write_text(QUEUED)
    assert project.command("enqueue", str(file), "-a", "max_comments=20").status == 0
    return project


@pytest.fixture
def before(_prepared: Project, project: Project) -> dict[str, Document]:
    """Fill the database: a note has ended, one was left at its third page, and one is queued."""
    project.copy_documents(_prepared)
    return ledger(project)


def ledger(project: Project) -> dict[str, Document]:
    """Return the ledger without the fields that a crawl without an answer may change."""
    notes = project.documents("notes")
    for note in notes.values():
        for name in UNCHANGING:
            note.pop(name, None)
    return notes


def wanted(project: Project) -> dict[str, Any]:
    return {key: note.get("wanted") for key, note in project.documents("notes").items()}


def pages(api: Simulator) -> dict[str, list[int]]:
    return {note: pages_of(api, note) for note in api.call_log()["notes"]}


@pytest.mark.parametrize(
    ("mode", "code"), [*(("full", code) for code in FATAL), ("update", 601), ("update", 100)]
)
def test_a_fatal_code_leaves_every_note_as_it_was(
    api: Simulator, project: Project, mode: str, code: int, before: dict[str, Document]
) -> None:
    api.script({"rules": [{"code": code}]})
    done = project.crawl(notes=KNOWN, feed=False, mode=mode)
    assert (done.status, done.reason) == (3, FATAL[code]), done
    assert done.stats["xhs/notes/left"] == 3
    assert ledger(project) == before
    asked_for = {"mode": mode, "arguments": {}}
    assert wanted(project) == {ENDED: asked_for, LEFT: None, QUEUED: asked_for}

    api.script({})
    api.reset_call_log()
    resumed = project.crawl(mode="resume", feed=False)
    assert resumed.status == 0, resumed
    first = [1] if mode == "update" else [1, 2, 3, 4, 5]
    assert pages(api) == {ENDED: first, LEFT: [3, 4, 5], QUEUED: [1, 2]}
    ends = {key: (note["stop_reason"], note["complete"]) for key, note in ledger(project).items()}
    assert ends[ENDED] == ("up_to_date" if mode == "update" else "complete", True)
    assert (ends[LEFT], ends[QUEUED]) == (("complete", True), ("max_comments", False))
    assert set(map(str, wanted(project).values())) == {"None"}


@pytest.mark.parametrize(
    ("mode", "fault"), [("full", "retries"), ("full", "unknown code"), ("update", "empty")]
)
def test_a_first_call_that_fails_for_good_leaves_what_an_answer_said(
    api: Simulator, project: Project, mode: str, fault: str, before: dict[str, Document]
) -> None:
    api.script({"rules": [OTHER[fault] or {"data": {}}]})
    done = project.crawl("-s", "RETRY_TIMES=1", notes=[*KNOWN, NEW], mode=mode)
    assert done.status == 3, done
    reasons = {item["stop_reason"] for item in done.items("note")}
    assert reasons <= {"retries_exhausted", "unknown_code", "empty_answer"}
    after = ledger(project)
    assert {key: after[key] for key in (ENDED, LEFT)} == {key: before[key] for key in (ENDED, LEFT)}
    for key in (QUEUED, NEW):
        assert (after[key]["state"], after[key]["complete"]) == ("unfinished", False)
        assert {after[key]["stop_reason"]} == reasons
    billed = api.call_log()["notes"]
    for key, note in project.documents("notes").items():
        earlier = {ENDED: PAGES, LEFT: 2}.get(key, 0)
        assert note["billed_calls"] == earlier + billed[key]["billed"]

    api.script({})
    api.reset_call_log()
    assert project.crawl(mode="resume", feed=False).status == 0
    assert pages(api)[LEFT] == [3, 4, 5]
    assert pages(api).keys() == {ENDED, LEFT, QUEUED, NEW}


@pytest.mark.usefixtures("before")
def test_resume_reads_what_was_wanted_as_it_was_wanted(api: Simulator, project: Project) -> None:
    sort = "normal"
    api.script({"rules": [{"code": 601}]})
    arguments: dict[str, Any] = {
        "mode": "full",
        "sort": sort,
        "max_comments": "30",
        "replies": "none",
    }
    assert project.crawl(notes=[ENDED, NEW], feed=False, **arguments).status == 3
    del arguments["mode"]
    asked_for = {"mode": "full", "arguments": arguments}
    assert (wanted(project)[ENDED], wanted(project)[NEW]) == (asked_for, asked_for)
    api.script({})
    api.reset_call_log()
    done = project.crawl(notes=[ENDED, NEW], mode="resume")
    assert done.status == 0, done
    assert pages(api) == {ENDED: [1, 2, 3], NEW: [1, 2, 3]}
    assert {call["sort"] for call in api.call_log()["log"]} == {sort}
    assert {item["stop_reason"] for item in done.items("note")} == {"max_comments"}


@pytest.mark.usefixtures("before")
def test_a_note_that_an_update_has_finished_and_not_updated_is_still_wanted(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [{"page": 1, "code": 601}]})
    done = project.crawl(notes=[LEFT], mode="update", feed=False)
    assert (done.status, done.reason) == (3, "balance_exhausted"), done
    note = project.note(LEFT)
    assert (note["state"], note["stop_reason"], note["complete"]) == ("ended", "complete", True)
    assert note["wanted"] == {"mode": "update", "arguments": {}}
    api.script({})
    api.reset_call_log()
    assert project.crawl(mode="resume", feed=False).status == 0
    assert pages(api)[LEFT] == [1]
    assert project.note(LEFT)["stop_reason"] == "up_to_date"


def test_a_crawl_that_is_stopped_twice_before_an_answer_changes_nothing(
    api: Simulator, project: Project, before: dict[str, Document]
) -> None:
    api.script({"rules": [{"hang": True, "billed": False}]})
    crawl = project.start_crawl(notes=[*KNOWN, NEW])
    api.wait_for_calls(4, crawl)
    os.kill(crawl.pid, signal.SIGINT)
    assert crawl.stderr is not None
    while b"again to force" not in crawl.stderr.readline():
        pass
    os.kill(crawl.pid, signal.SIGINT)
    errors = crawl.communicate()[1].decode()
    assert (crawl.returncode, "Traceback" in errors) == (3, False), errors
    after = ledger(project)
    assert after.pop(NEW)["state"] == "queued"
    assert after == before
    api.script({})
    api.reset_call_log()
    assert project.crawl(mode="resume", feed=False).status == 0
    assert pages(api)[LEFT] == [3, 4, 5]
    for note in (ENDED, LEFT, NEW):
        assert_stored(project, note)


FAILING = """
from pymongo.errors import AutoReconnect

from xhs.store.mongo import retrying as patience
from xhs.store.mongo import writer

patience.retry_until_answered.__defaults__ = (1.0,)
writer.Writer.__init__.__defaults__ = (None, None, 1.0)


async def gone(*_):
    raise AutoReconnect("gone")


class Failing:
    # Every write fails from the first one on.
    @classmethod
    def from_crawler(cls, crawler):
        writer.Writer._bulk = gone
        return cls()
"""


def test_a_store_that_fails_at_once_leaves_every_note_as_it_was(
    api: Simulator, project: Project, before: dict[str, Document]
) -> None:
    failing = project.extension(FAILING, "Failing", 0)
    api.script({"latency": 0.1})
    done = project.crawl(*failing, notes=[*KNOWN, NEW], feed=False)
    assert (done.status, done.reason) == (3, "store_failed"), done
    assert ledger(project) == before
    paid = api.call_log()["billed"]
    api.script({})
    assert project.command("recover").status == 0
    assert project.crawl(notes=[NEW], mode="resume", feed=False).status == 0
    assert project.crawl(mode="resume", feed=False).status == 0
    for note in (ENDED, LEFT, NEW):
        assert_stored(project, note)
    assert api.call_log()["billed"] <= paid + PAGES + 3 + 2 + PAGES


def test_a_note_without_what_is_wanted_is_distinguished_from_an_empty_ledger(
    api: Simulator, project: Project
) -> None:
    empty = project.crawl(mode="resume", feed=False)
    assert "has no notes" in "".join(empty.lines("WARNING")), empty
    assert project.crawl(notes=[ENDED], feed=False).status == 0
    ended = project.crawl(mode="resume", feed=False)
    assert ended.status == 0, ended
    (warning,) = (line for line in ended.lines("WARNING") if "ledger" in line)
    assert "all 1 notes in the ledger have ended" in warning


@pytest.mark.usefixtures("before")
def test_status_names_what_is_wanted(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"code": 100}]})
    assert project.crawl(notes=[ENDED], mode="full", feed=False).status == 3
    done = project.command("status", "--note", ENDED, "--json")
    note = json.loads(done.output)
    assert note["wanted"] == {"mode": "full", "arguments": {}}
    assert "mode=resume" in note["advice"]


@pytest.mark.usefixtures("before")
def test_what_enqueue_says_replaces_what_was_wanted(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"code": 100}]})
    assert project.crawl(notes=[ENDED], mode="full", sort="normal", feed=False).status == 3
    file = project.folder / "again.txt"
    file.write_text(ENDED)
    assert project.command("enqueue", str(file), "-a", "mode=update").status == 0
    api.script({})
    api.reset_call_log()
    assert project.crawl(notes=[ENDED], mode="resume", feed=False).status == 0
    assert pages(api)[ENDED] == [1]


def test_the_ledger_s_index_serves_those_who_read_what_is_new(project: Project) -> None:
    assert project.crawl(notes=[NEW], feed=False).status == 0
    with database(project.uri, project.name) as found:
        for name in ("comments", "users", "notes", "rejected"):
            keys = [index["key"] for index in found[name].list_indexes()]
            assert {"last_seen_at": 1} in [dict(key) for key in keys], name


@pytest.mark.parametrize("fault", [{"code": 400}, {"data": {"of_tomorrow": 1}}])
def test_an_end_without_a_page_leaves_what_pages_said(
    api: Simulator, project: Project, fault: dict[str, Any], before: dict[str, Document]
) -> None:
    api.script({"rules": [fault]})
    done = project.crawl(notes=[ENDED, LEFT, NEW], feed=False)
    assert done.status == 4, done
    after = ledger(project)
    assert {key: after[key] for key in (ENDED, LEFT)} == {key: before[key] for key in (ENDED, LEFT)}
    assert after[NEW]["state"] == "ended"
    assert wanted(project)[ENDED] is None
    api.script({})
    api.reset_call_log()
    assert project.crawl(mode="resume", feed=False).status == 0
    assert pages(api) == {LEFT: [3, 4, 5], QUEUED: [1, 2]}


@pytest.mark.usefixtures("before")
def test_a_note_that_is_queued_again_keeps_what_pages_said(
    api: Simulator, project: Project
) -> None:
    file = project.folder / "again.txt"
    file.write_text(ENDED)
    assert project.command("enqueue", str(file)).status == 0
    before = ledger(project)[ENDED]
    api.script({"rules": [{"code": 999}]})
    assert project.crawl(notes=[ENDED], mode="update", feed=False).status == 3
    assert ledger(project)[ENDED] == before
    assert (before["stop_reason"], before["complete"]) == ("complete", True)


@pytest.mark.usefixtures("before")
def test_the_mode_that_is_kept_with_a_note_is_what_is_wanted(
    api: Simulator, project: Project
) -> None:
    file = project.folder / "again.txt"
    file.write_text(ENDED)
    assert project.command("enqueue", str(file), "-a", "mode=update").status == 0
    api.script({"rules": [{"code": 601}]})
    assert project.crawl(notes=[ENDED], feed=False).status == 3
    assert wanted(project)[ENDED] == {"mode": "update", "arguments": {}}
    api.script({})
    api.reset_call_log()
    assert project.crawl(notes=[ENDED], mode="resume", feed=False).status == 0
    assert pages(api) == {ENDED: [1]}


@pytest.mark.usefixtures("before")
def test_what_is_wanted_is_found_by_status_and_queued_as_unfinished(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [{"code": 601}]})
    assert project.crawl(notes=[ENDED], mode="full", sort="normal", feed=False).status == 3
    listed = project.command("status", "--incomplete", "--json").output.splitlines()
    assert ENDED in {json.loads(line)["note_id"] for line in listed}
    assert project.command("enqueue", "--unfinished").output == "2 notes queued\n"
    assert project.note(ENDED)["state"] == "queued"
    assert wanted(project)[ENDED] == {"mode": "full", "arguments": {"sort": "normal"}}
