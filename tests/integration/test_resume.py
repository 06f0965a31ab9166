"""mode=resume and JOBDIR: ended notes are skipped, others continue, nothing is paid twice."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import Outcome, Project, database
from support.expected import expected_note
from support.pages import expected_comments, page_count, stored
from support.passes import leave_at_page_three, pages_of

from xhs.simulator.notes import missing_note, sized_note, threaded_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from support.crawl import Document
    from support.simulator import Simulator

SIZES = (45, 5, 120, 35, 75, 10, 60, 95, 25, 150, 40, 65)
NOTES = [sized_note(size, serial) for serial, size in enumerate(SIZES)]
NOTE = sized_note(45, 100)
PAGES = 5


def stop(api: Simulator, crawl: subprocess.Popen[bytes], how: signal.Signals, calls: int) -> str:
    """Signal a crawl after ``calls`` calls; return its log."""
    api.wait_for_calls(calls, crawl)
    crawl.send_signal(how)
    return crawl.communicate()[1].decode()


def assert_all_there(project: Project, notes: Iterable[str]) -> None:
    """Check that exactly the comments of these notes are stored."""
    assert stored(project) == {note: expected_comments(note) for note in notes}


def assert_whole(api: Simulator, project: Project, notes: Iterable[str]) -> None:
    """Check that these notes are stored entirely and the ledger has the cost of each."""
    assert_all_there(project, notes)
    call_log = api.call_log()["notes"]
    ledger = project.documents("notes")
    for note in notes:
        document = ledger[note]
        assert (document["state"], document["complete"]) == ("ended", True), document
        assert (document["stop_reason"], document["checkpoint"]) == ("complete", None)
        assert (document["missing"], document["pages"]) == (0, expected_note(note).pages), document
        assert document["billed_calls"] == call_log[note]["billed"], document


def end_state(project: Project) -> dict[str, dict[str, Document]]:
    """Return all documents without times and costs."""
    passing = {"scraped_at", "first_seen_at", "last_seen_at", "last_crawled_at"}
    passing |= {"billed_calls", "last_write", "last_listed_latest"}
    return {
        collection: {
            key: {name: value for name, value in document.items() if name not in passing}
            for key, document in project.documents(collection).items()
        }
        for collection in ("comments", "users", "notes", "rejected")
    }


@pytest.fixture(scope="module")
def of_one_run(
    _api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Document]]:
    """End state of one undisturbed crawl of NOTES."""
    _api.reset()
    folder = tmp_path_factory.mktemp("one")
    project = Project(_api.url, folder, _server, folder.name)
    assert project.crawl(notes=NOTES, feed=False).status == 0
    return end_state(project)


def skipped(done: Outcome) -> dict[str, float]:
    prefix = "xhs/notes/skipped/"
    found = {name: count for name, count in done.stats.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): count for name, count in found.items()}


SATISFIED = {"complete": sized_note(25, 200), "not_found": missing_note(201)}
FLAWED = {
    "refused": sized_note(25, 202),
    "cursor_ignored": sized_note(25, 203),
    "cursor_repeated": sized_note(25, 204),
    "cursor_missing": sized_note(25, 205),
    "no_progress": sized_note(45, 206),
}


def lies() -> list[dict[str, Any]]:
    """Return rules by which each note of FLAWED ends with its reason."""
    known = expected_note(FLAWED["no_progress"]).first_level[0]

    def nothing_new(page: int) -> dict[str, Any]:
        last = expected_note(FLAWED["no_progress"]).first_level[10 * page - 1]
        cursor = json.dumps({"cursor": last, "index": page + 1, "pageArea": "UNFOLDED"})
        changes = [
            {"path": ["comments"], "value": [{"id": known}]},
            {"path": ["cursor"], "value": cursor},
        ]
        return {"note": FLAWED["no_progress"], "page": page, "patch": changes}

    return [
        {"note": FLAWED["refused"], "page": 2, "code": 400},
        {"note": FLAWED["cursor_ignored"], "page": "2-", "cursor": "ignored"},
        {"note": FLAWED["cursor_repeated"], "page": 2, "cursor": "repeated"},
        {"note": FLAWED["cursor_missing"], "page": 2, "cursor": "missing"},
        nothing_new(3),
        nothing_new(4),
    ]


def test_what_has_ended_is_left_alone(api: Simulator, project: Project) -> None:
    api.script({"rules": lies()})
    notes = {**SATISFIED, **FLAWED}
    first = project.crawl(notes=list(notes.values()))
    assert first.status == 4, first
    assert {item["stop_reason"]: item["note_id"] for item in first.items("note")} == notes
    before = project.documents("notes")

    api.reset()
    again = project.crawl(notes=list(notes.values()), mode="resume")
    assert (again.status, again.reason) == (4, "finished"), again
    assert skipped(again) == dict.fromkeys(notes, 1)
    assert again.feed == []
    good = project.crawl(notes=list(SATISFIED.values()), mode="resume")
    assert (good.status, good.reason) == (0, "finished"), good
    none = project.crawl(mode="resume")
    assert (none.status, none.reason, skipped(none)) == (0, "finished", {}), none
    assert api.call_log()["calls"] == 0
    assert project.documents("notes") == before


def test_where_there_is_nothing_to_do_nothing_is_done(api: Simulator, project: Project) -> None:
    done = project.crawl(mode="resume")
    assert (done.status, done.reason, done.feed) == (0, "finished", []), done
    assert done.stats["xhs/notes/left"] == 0
    assert api.call_log()["calls"] == 0


def test_without_a_store_there_is_nothing_to_go_on_from(
    api: Simulator, without_store: Project
) -> None:
    done = without_store.crawl(notes=[NOTE], mode="resume")
    assert done.status == 2, done
    (line,) = done.lines("ERROR")
    assert "MONGODB_URI" in line
    assert api.call_log()["calls"] == 0


def stop_at_a_code(code: int) -> Callable[[Simulator, Project], Outcome]:
    def crawl(api: Simulator, project: Project) -> Outcome:
        api.script({"rules": [{"after": 40, "code": code}]})
        return project.crawl(notes=NOTES)

    return crawl


def stop_at_the_budget(api: Simulator, project: Project) -> Outcome:
    api.script({"refuse_share": {"301": 0.1}})
    return project.crawl(notes=NOTES, env={"XHS_MAX_CALLS": "40"})


def stop_at_a_signal(api: Simulator, project: Project) -> Outcome:
    api.script({"latency": 0.1})
    crawl = project.start_crawl(notes=NOTES)
    errors = stop(api, crawl, signal.SIGTERM, 40)
    return Outcome(crawl.returncode, "", errors)


def stop_at_calls_that_fail(api: Simulator, project: Project) -> Outcome:
    faults: list[dict[str, Any]] = [{"code": 301}, {"status": 502}, {"code": 999}]
    rules = [
        {"note": NOTES[place :: len(faults)], "page": place + 1, **fault}
        for place, fault in enumerate(faults)
    ]
    api.script({"rules": rules})
    return project.crawl("-s", "RETRY_TIMES=1", notes=NOTES)


STOPS: dict[str, tuple[Callable[[Simulator, Project], Outcome], str]] = {
    "quota": (stop_at_a_code(303), "quota_exhausted"),
    "budget": (stop_at_the_budget, "budget_spent"),
    "signal": (stop_at_a_signal, "shutdown"),
    "failed calls": (stop_at_calls_that_fail, "finished"),
}


@pytest.mark.parametrize("name", STOPS)
def test_it_continues_from_each_cursor(api: Simulator, project: Project, name: str) -> None:
    stopped, reason = STOPS[name]
    first = stopped(api, project)
    assert (first.status, first.reason) == (3, reason), first
    paid = api.call_log()["billed"]
    assert 0 < paid < page_count(NOTES)
    ended = {
        note
        for note, document in project.documents("notes").items()
        if document["state"] == "ended"
    }

    api.script({})
    done = project.crawl(notes=NOTES, mode="resume")
    assert done.status == 0, done
    call_log = api.call_log()
    assert (call_log["repeated"], call_log["billed"]) == (0, page_count(NOTES))
    assert done.stats["xhs/calls/billed"] == page_count(NOTES) - paid
    assert_whole(api, project, NOTES)
    ends = {item["note_id"]: item for item in done.items("note")}
    assert ends.keys() == set(NOTES) - ended
    for note, item in ends.items():
        expected = expected_note(note)
        assert (item["pages"], item["complete"]) == (expected.pages, True), item
        assert item["comments_collected"] == len(expected.first_level)
        assert (item["replies_collected"], item["missing"]) == (len(expected.inline_replies), 0)


def test_without_a_list_it_continues_with_what_the_ledger_knows(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [{"after": 8, "code": 601}]})
    project.crawl(notes=[sized_note(45, serial) for serial in range(300, 340)])
    begun = project.documents("notes").keys()
    api.script({})
    done = project.crawl(mode="resume")
    assert done.status == 0, done
    assert project.documents("notes").keys() == begun
    assert_whole(api, project, begun)
    call_log = api.call_log()
    assert (call_log["repeated"], call_log["billed"]) == (0, page_count(begun))
    assert set(done.ids("note")) == begun


def test_with_another_list_only_that_is_asked_for(api: Simulator, project: Project) -> None:
    old = [sized_note(45, serial) for serial in range(400, 404)]
    leave_at_page_three(api, project, *old)
    before = project.documents("notes")
    new = [sized_note(15, 410), threaded_note(12, 3, 411)]
    asked = [old[1], *new, old[3]]
    done = project.crawl(notes=asked, mode="resume")
    assert done.status == 0, done
    assert set(done.ids("note")) == set(asked)
    found = stored(project)
    for note in asked:
        expected = expected_note(note)
        assert found[note] == expected_comments(note)
        assert pages_of(api, note) == list(range(3 if note in old else 1, expected.pages + 1))
    after = project.documents("notes")
    assert after.keys() == {*old, *new}
    for note in (old[0], old[2]):
        assert after[note] == before[note]
    assert api.call_log()["billed"] == 2 * (PAGES - 2) + page_count(new)


def test_a_checkpoint_of_another_order_or_version_restarts(
    api: Simulator, project: Project
) -> None:
    other = sized_note(45, 420)
    leave_at_page_three(api, project, NOTE, other)
    done = project.crawl(notes=[NOTE], mode="resume", sort="like_count")
    assert done.status == 0, done
    assert pages_of(api, NOTE) == list(range(1, PAGES + 1))
    assert {call["sort"] for call in api.call_log()["log"]} == {"like_count"}
    (end,) = done.items("note")
    assert (end["pages"], end["sort"], end["missing"]) == (PAGES, "like_count", 0)
    assert project.note(NOTE)["billed_calls"] == 2 + PAGES

    done = project.crawl(mode="resume", env={"JUSTONEAPI_COMMENTS_VERSION": "v3"})
    assert done.status == 0, done
    assert pages_of(api, other) == list(range(1, PAGES + 1))
    assert api.call_log()["paths"]["/api/xiaohongshu/get-note-comment/v3"] == PAGES
    (end,) = done.items("note")
    assert (end["note_id"], end["pages"], end["missing"]) == (other, PAGES, 0)


EMPTY: dict[str, Any] = {
    "patch": [{"path": ["comments"], "value": []}, {"path": ["has_more"], "value": False}]
}
DEAD_ENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "refused": (sized_note(45, 430), {"page_call": 1, "code": 400}),
    "empty": (sized_note(45, 431), {"page_call": 1, **EMPTY}),
    "always refused": (sized_note(45, 433), {"code": 400}),
    "always empty": (sized_note(45, 434), EMPTY),
}


def test_a_cursor_that_leads_nowhere_is_given_up_once(api: Simulator, project: Project) -> None:
    notes = {name: note for name, (note, _) in DEAD_ENDS.items()}
    leave_at_page_three(api, project, *notes.values())
    rules = [{"note": note, "page": 3, **fault} for note, fault in DEAD_ENDS.values()]
    api.script({"rules": rules})
    done = project.crawl(mode="resume")
    assert done.status == 4, done
    ends = {item["note_id"]: item for item in done.items("note")}
    warnings = [line for line in done.lines("WARNING") if "restarts" in line]
    assert len(warnings) == len(notes)
    for name, note in notes.items():
        end, always = ends[note], name.startswith("always")
        assert pages_of(api, note) == ([3, 1, 2, 3] if always else [3, 1, 2, 3, 4, 5]), name
        assert end["stop_reason"] == ("refused" if name == "always refused" else "complete")
        assert (end["missing"], project.note(note)["state"]) == (25 if always else 0, "ended"), name
        if not always:
            assert end["pages"] == PAGES, name
        assert project.note(note)["billed_calls"] == 2 + api.call_log()["notes"][note]["billed"]


def test_a_first_page_that_is_empty_is_asked_once(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"page": 1, "code": 601}]})
    project.crawl(notes=[NOTE], feed=False)
    api.reset_call_log()
    api.script({"rules": [EMPTY]})
    done = project.crawl(mode="resume")
    assert done.status == 0, done
    assert api.call_log()["calls"] == 1
    assert done.items("note")[0]["pages"] == 1


ODD: list[Document] = [
    {},
    {"state": "queued"},
    {"state": "asleep"},
    {"state": "unfinished"},
    {"state": "running", "checkpoint": None},
    {"state": "running", "checkpoint": {}},
    {"state": "running", "checkpoint": {"cursor": ""}},
    {"state": "running", "checkpoint": {"cursor": "nonsense"}, "pages": 7},
    {"state": "running", "checkpoint": {"cursor": 17}, "pages": None},
    {"state": "running", "checkpoint": {"cursor": "x" * 3000}, "comment_count_l1": 2**62},
]
"""Odd ledger documents; `fill_ledger` adds the fields that all have."""
ODD_TYPES: list[Document] = [
    {"state": "running", "checkpoint": "a text"},
    {"state": "running", "checkpoint": ["a", "list"]},
    {"state": "running", "checkpoint": {"cursor": {"index": 3}}},
    {"state": "running", "checkpoint": {"cursor": "page 2"}, "pages": "many"},
    {"state": "running", "checkpoint": {"cursor": "page 2"}, "comment_count_l1": "1.2万"},
    {"state": 5},
]
ODD_ENDS: list[Document] = [
    {"state": "ended"},
    {"state": "ended", "stop_reason": None},
    {"state": "ended", "stop_reason": "of a later version"},
]


def fill_ledger(project: Project, odd: Iterable[Document]) -> list[str]:
    """Insert these documents into the ledger; return their notes."""
    notes = {}
    for serial, fields in enumerate(odd, 500):
        note = sized_note(25, serial)
        document: Document = {"_id": note, "note_id": note, **fields}
        if isinstance(document.get("checkpoint"), dict):
            checkpoint = {**document["checkpoint"], "sort": "latest", "version": "v4"}
            if checkpoint.get("cursor") == "page 2":
                last = expected_note(note).first_level[9]
                cursor = {"cursor": last, "index": 2, "pageArea": "UNFOLDED"}
                checkpoint["cursor"] = json.dumps(cursor)
            document["checkpoint"] = checkpoint
        notes[note] = document
    with database(project.uri, project.name) as found:
        found["notes"].insert_many(notes.values())
    return list(notes)


@pytest.mark.parametrize("odd", [ODD, ODD_TYPES], ids=["values", "types"])
def test_an_odd_document_in_the_ledger_keeps_no_note_from_its_end(
    api: Simulator, project: Project, odd: list[Document]
) -> None:
    notes = [*fill_ledger(project, odd), NOTE]
    done = project.crawl(notes=notes, mode="resume")
    assert "Traceback" not in done.errors, done
    assert done.status == 0, done
    found = stored(project)
    for note in notes:
        assert found[note].keys() >= set(expected_note(note).first_level[10:]), note
        assert project.note(note)["state"] == "ended"


def test_an_end_that_nobody_knows_keeps_no_other_note_waiting(
    api: Simulator, project: Project
) -> None:
    done = project.crawl(notes=[*fill_ledger(project, ODD_ENDS), NOTE], mode="resume")
    assert "Traceback" not in done.errors, done
    assert project.comment_ids(NOTE)[0] == set(expected_note(NOTE).first_level)
    assert project.note(NOTE)["state"] == "ended"


@pytest.mark.parametrize("mode", ["full", "update"])
def test_notes_that_are_read_again_are_resumed_too(
    api: Simulator, project: Project, mode: str
) -> None:
    notes = [sized_note(25, serial) for serial in range(600, 612)]
    assert project.crawl(notes=notes, feed=False).status == 0
    api.reset_call_log()
    for note in notes:
        api.change(note, grow=12)
    stopped = project.crawl(notes=notes, mode=mode, feed=False, env={"XHS_MAX_CALLS": "7"})
    assert (stopped.status, stopped.reason) == (3, "budget_spent"), stopped
    done = project.crawl(mode="resume", feed=False)
    assert done.status == 0, done
    for note in notes:
        assert project.comment_ids(note)[0] == set(expected_note(note, 12).first_level)
        assert project.note(note)["state"] == "ended"
    assert api.call_log()["billed"] == len(notes) * (4 if mode == "full" else 2)
    assert api.call_log()["repeated"] == 0


def job(project: Project) -> tuple[str, str]:
    return "-s", f"JOBDIR={project.folder / 'job'}"


def test_the_first_start_with_a_job_directory_uses_its_mode(
    api: Simulator, project: Project
) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    first = project.crawl(*job(project), notes=[NOTE])
    assert first.status == 0, first
    assert api.call_log()["billed"] == 2 * PAGES
    again = project.crawl(*job(project), notes=[NOTE], mode="full")
    assert (again.status, skipped(again)) == (0, {"complete": 1}), again
    more = project.crawl(*job(project), notes=[NOTE, NOTES[0]])
    assert more.status == 0, more
    assert more.ids("note") == [NOTES[0]]
    assert api.call_log()["billed"] == 2 * PAGES + page_count(NOTES[:1])


def test_a_start_that_began_nothing_is_no_first_start(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    assert project.crawl(*job(project), notes=[NOTE, "nonsense"], feed=False).status == 2
    nobody = {"MONGODB_URI": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"}
    assert project.crawl(*job(project), notes=[NOTE], feed=False, env=nobody).status == 1
    done = project.crawl(*job(project), notes=[NOTE], feed=False)
    assert done.status == 0, done
    assert api.call_log()["billed"] == 2 * PAGES


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_directory_continues_after_a_stop(
    api: Simulator, project: Project, how: signal.Signals
) -> None:
    api.script({"latency": 0.1})
    crawl = project.start_crawl(*job(project), notes=NOTES)
    errors = stop(api, crawl, how, 40)
    assert crawl.returncode == (3 if how is signal.SIGTERM else -how), errors
    api.script({})
    done = project.crawl(*job(project), notes=NOTES)
    assert done.status == 0, done
    call_log = api.call_log()
    assert call_log["repeated"] <= (0 if how is signal.SIGTERM else 24)
    assert call_log["billed"] == page_count(NOTES) + call_log["repeated"]
    assert_all_there(project, NOTES)
    assert {document["state"] for document in project.documents("notes").values()} == {"ended"}


def test_a_job_directory_without_a_store_is_good_for_one_start(
    api: Simulator, without_store: Project
) -> None:
    first = without_store.crawl(*job(without_store), notes=[NOTE])
    assert first.status == 0, first
    assert len(first.items("comment")) >= 45
    calls = api.call_log()["calls"]
    again = without_store.crawl(*job(without_store), notes=[NOTE])
    assert again.status == 2, again
    (line,) = again.lines("ERROR")
    assert "MONGODB_URI" in line
    assert "JOBDIR" in line
    assert api.call_log()["calls"] == calls


@pytest.mark.parametrize("mode", ["full", "resume"])
def test_two_crawls_at_once_end_as_one_does(
    of_one_run: dict[str, dict[str, Document]], api: Simulator, project: Project, mode: str
) -> None:
    api.script({"latency": 0.02})
    crawls = [project.start_crawl(notes=NOTES, mode=mode) for _ in range(2)]
    for crawl, errors in [(crawl, crawl.communicate()[1].decode()) for crawl in crawls]:
        assert crawl.returncode == 0, errors
        assert "Traceback" not in errors
    assert end_state(project) == of_one_run
    booked = {
        note: document["billed_calls"] for note, document in project.documents("notes").items()
    }
    assert booked == {note: book["billed"] for note, book in api.call_log()["notes"].items()}


def test_ten_restarts_end_as_one_run_does(
    of_one_run: dict[str, dict[str, Document]], api: Simulator, project: Project
) -> None:
    share = {"XHS_MAX_CALLS": str(-(-page_count(NOTES) // 10))}
    crawls = [project.crawl(notes=NOTES, mode="resume", feed=False, env=share) for _ in range(10)]
    assert [done.status for done in crawls] == [3] * 9 + [0]
    call_log = api.call_log()
    assert (call_log["repeated"], call_log["billed"]) == (0, page_count(NOTES))
    assert_whole(api, project, NOTES)
    assert end_state(project) == of_one_run
