"""mode=update: fetches what is new in few calls and leaves no gap, whatever came before."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import Outcome, Project
from support.expected import expected_note
from support.pages import pages_before_checkpoint
from support.passes import assert_stored, billed, history, pages_of, pinned_notes
from support.simulator import REPLIES

from xhs.simulator.note_layout import note_layout
from xhs.simulator.notes import missing_note, profile, sized_note, threaded_note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.crawl import Document
    from support.simulator import Simulator

SEED = 20261124
KILLS = 4
NEW = (1, 9, 10, 11, 25, 200)
NOTE = sized_note(45, 1000)
PAGES = 5


def crawl_whole(api: Simulator, project: Project, notes: Iterable[str], **arguments: Any) -> None:
    """Crawl these notes in full, and empty the call log."""
    done = project.crawl(notes=list(notes), feed=False, **arguments)
    assert done.status == 0, done
    api.reset_call_log()


def update(api: Simulator, project: Project, *notes: str, **arguments: Any) -> Outcome:
    """Update these notes, or the ledger's; the call log holds this run only."""
    api.reset_call_log()
    done = project.crawl(notes=notes, mode="update", **arguments)
    assert "Traceback" not in done.errors, done
    return done


def kill_at_page(api: Simulator, project: Project, note: str, page: int) -> None:
    """Kill an update of ``note`` after the pages of its pass before ``page`` are finished."""
    api.script({"rules": [{"note": note, "page": page, "delay": 60}]})
    crawl = project.start_crawl(notes=[note], mode="update")
    while (
        pages_of(api, note)[-1:] != [page]
        or pages_before_checkpoint(project.note(note)) != page - 1
    ):
        assert crawl.poll() is None, crawl.communicate()[1].decode()
        time.sleep(0.1)
    crawl.kill()
    crawl.communicate()
    api.script({})
    api.reset_call_log()


def ends(done: Outcome) -> dict[str, tuple[str, int, bool]]:
    """Return each note's stop reason, number of pages, and completeness."""
    return {
        item["note_id"]: (item["stop_reason"], item["pages"], item["complete"])
        for item in done.items("note")
    }


def assert_feed(done: Outcome, note: str, grown: int, pages: int) -> None:
    """Check that the feed has every comment of these pages, and which of them are new."""
    now, before = expected_note(note, grown), expected_note(note)
    wanted: dict[str, bool] = {}
    for root in now.first_level[: 10 * pages]:
        new = root not in before.first_level
        wanted |= dict.fromkeys((root, *now.inline.get(root, ())), new)
    found = [item for item in done.items("comment") if item["note_id"] == note]
    assert {item["comment_id"]: item["is_new"] for item in found} == wanted, note
    assert len(found) == len(wanted)


def test_nothing_new_costs_one_call(api: Simulator, project: Project) -> None:
    (pinned,) = pinned_notes(1)
    short = [sized_note(10, 1001), sized_note(1, 1002)]
    long = [NOTE, sized_note(11, 1003), pinned]
    crawl_whole(api, project, [*short, *long])
    before = project.documents("notes")
    done = update(api, project, *short, *long)
    assert done.status == 0, done
    assert billed(api) == dict.fromkeys([*short, *long], 1)
    assert api.call_log()["calls"] == 5
    reasons = dict.fromkeys(short, "complete") | dict.fromkeys(long, "up_to_date")
    assert ends(done) == {note: (reason, 1, True) for note, reason in reasons.items()}
    assert (done.stats["xhs/notes/up_to_date"], done.stats["xhs/notes/complete"]) == (3, 2)
    assert (done.stats["xhs/notes/left"], done.stats.get("xhs/comments/new", 0)) == (0, 0)
    for note, document in project.documents("notes").items():
        assert_feed(done, note, 0, 1)
        assert (document["state"], document["checkpoint"]) == ("ended", None), document
        assert (document["complete"], document["missing"]) == (True, 0), document
        assert document["watermark"] == before[note]["watermark"]
        assert document["billed_calls"] == before[note]["billed_calls"] + 1


@pytest.mark.parametrize("kind", ["none pinned", "pinned"])
def test_what_is_new_costs_its_pages_or_one_more(
    api: Simulator, project: Project, kind: str
) -> None:
    serials = range(1010, 1010 + len(NEW))
    plain = [sized_note(45, serial) for serial in serials]
    notes = dict(zip(plain if kind == "none pinned" else pinned_notes(len(NEW)), NEW, strict=True))
    crawl_whole(api, project, notes)
    for note, grown in notes.items():
        api.change(note, grow=grown)
    done = update(api, project, *notes)
    assert done.status == 0, done
    pages = {note: (grown + len(profile(note).pinned)) // 10 + 1 for note, grown in notes.items()}
    assert billed(api) == pages
    assert ends(done) == {note: ("up_to_date", pages[note], True) for note in notes}
    for note, grown in notes.items():
        assert pages[note] - -(-grown // 10) in (0, 1)
        assert_stored(project, note, grown)
        assert_feed(done, note, grown, pages[note])
        document = project.note(note)
        assert document["missing"] == 0, document
        assert document["comments_collected"] == len(expected_note(note, grown).first_level)


def test_likes_of_what_it_sees_are_brought_up_to_date(api: Simulator, project: Project) -> None:
    crawl_whole(api, project, [NOTE])
    before = project.documents("comments")
    api.change(NOTE, grow=2, likes=7)
    assert update(api, project, NOTE).status == 0
    after = project.documents("comments")
    seen = set(expected_note(NOTE).first_level[:8])
    for key, comment in before.items():
        if comment["parent_comment_id"] is None:
            more = 7 if key in seen else 0
            assert after[key]["like_count"] == comment["like_count"] + more, key
            assert (after[key]["last_seen_at"] > comment["last_seen_at"]) == (key in seen)


GONE: dict[str, tuple[int, slice, int]] = {
    "the newest": (0, slice(0, 1), 1),
    "some": (0, slice(2, 6), 1),
    "the newest, and twelve came": (12, slice(12, 13), 2),
    "the first page": (0, slice(0, 10), 1),
    "the first page, and twelve came": (12, slice(12, 22), 2),
    "two pages and more": (3, slice(3, 27), 1),
    "some of the new": (25, slice(2, 8), 2),
}


def test_comments_deleted_since_leave_no_gap(api: Simulator, project: Project) -> None:
    notes = {name: sized_note(45, 1020 + serial) for serial, name in enumerate(GONE)}
    pinned, other = pinned_notes(2)
    crawl_whole(api, project, [*notes.values(), pinned, other])
    for name, (grow, gone, _) in GONE.items():
        api.change(notes[name], grow=grow)
        api.change(notes[name], vanish=expected_note(notes[name], grow).first_level[gone])
    api.change(pinned, vanish=expected_note(pinned).pinned, grow=5)
    api.change(other, vanish=expected_note(other).first_level[:10], grow=5)
    done = update(api, project, *notes.values(), pinned, other)
    assert done.status == 0, done
    cost = {notes[name]: calls for name, (_, _, calls) in GONE.items()}
    assert billed(api) == {**cost, pinned: 1, other: 1}
    for name, (grow, gone, _) in GONE.items():
        note = notes[name]
        lost = frozenset(expected_note(note, grow).first_level[gone])
        expected = set(expected_note(note, grow, lost).first_level)
        assert project.comment_ids(note)[0] == expected | set(expected_note(note).first_level), name

    for note in (*notes.values(), pinned, other):
        api.change(note, grow=3)
    again = update(api, project, *notes.values(), pinned, other)
    assert again.status == 0, again
    assert set(billed(api).values()) == {1}
    for name, (grow, gone, _) in GONE.items():
        note = notes[name]
        lost = frozenset(expected_note(note, grow).first_level[gone])
        assert project.comment_ids(note)[0] >= set(
            expected_note(note, grow + 3, lost).first_level
        ), name


def test_a_comment_of_the_watermark_that_is_pinned_since_ends_nothing(
    api: Simulator, project: Project
) -> None:
    crawl_whole(api, project, [NOTE])
    newest = api.call(noteId=NOTE)["data"]["comments"][0]
    api.change(NOTE, grow=30)
    page = api.call(noteId=NOTE)["data"]
    pinned = {**newest, "show_tags": ["user_top"], "show_tags_v2": [{"type": "user_top"}]}
    comments = [pinned, *page["comments"][:9]]
    cursor = page["cursor"].replace(page["comments"][9]["id"], page["comments"][8]["id"])
    shown = {**page, "comments": comments, "cursor": cursor}
    api.script({"rules": [{"note": NOTE, "page": 1, "data": shown}]})
    done = update(api, project, NOTE)
    assert ends(done) == {NOTE: ("up_to_date", 4, True)}, done
    assert_stored(project, NOTE, 30)


def test_an_update_killed_between_its_pages_leaves_no_gap(api: Simulator, project: Project) -> None:
    crawl_whole(api, project, [NOTE])
    watermark = project.note(NOTE)["watermark"]
    api.change(NOTE, grow=60)
    kill_at_page(api, project, NOTE, 3)
    killed = project.note(NOTE)
    assert (killed["watermark"], killed["state"]) == (watermark, "running")
    assert killed["checkpoint"]["mode"] == "update"
    assert set(killed["checkpoint"]["watermark"]["comment_ids"]) == set(
        expected_note(NOTE, 60).first_level[:10]
    )
    api.change(NOTE, grow=10)
    kill_at_page(api, project, NOTE, 5)
    assert project.note(NOTE)["watermark"] == watermark
    api.change(NOTE, grow=25)

    done = update(api, project, NOTE)
    assert done.status == 0, done
    assert pages_of(api, NOTE) == [5, 6, 7, 1, 2, 3, 4]
    assert ends(done) == {NOTE: ("up_to_date", 4, True)}
    assert (done.stats["xhs/notes/up_to_date"], done.stats["xhs/notes/left"]) == (1, 0)
    assert_stored(project, NOTE, 95)
    document = project.note(NOTE)
    assert (document["state"], document["checkpoint"]) == ("ended", None)
    assert set(document["watermark"]["comment_ids"]) == set(
        expected_note(NOTE, 95).first_level[:10]
    )
    assert [document["mode"] for document in history(project, NOTE)] == ["full", "update", "update"]


def test_an_update_killed_in_the_pass_after_the_one_it_finished_leaves_no_gap(
    api: Simulator, project: Project
) -> None:
    crawl_whole(api, project, [NOTE])
    api.change(NOTE, grow=60)
    kill_at_page(api, project, NOTE, 4)
    api.change(NOTE, grow=25)
    kill_at_page(api, project, NOTE, 2)
    assert len(history(project, NOTE)) == 2
    api.change(NOTE, grow=5)
    done = update(api, project, NOTE)
    assert ends(done) == {NOTE: ("up_to_date", 1, True)}, done
    assert pages_of(api, NOTE) == [2, 3, 1]
    assert_stored(project, NOTE, 90)


def test_resume_finishes_an_update_that_was_killed(api: Simulator, project: Project) -> None:
    crawl_whole(api, project, [NOTE])
    api.change(NOTE, grow=60)
    kill_at_page(api, project, NOTE, 4)
    api.change(NOTE, grow=25)
    done = project.crawl(notes=[NOTE], mode="resume")
    assert done.status == 0, done
    assert pages_of(api, NOTE) == [4, 5, 6, 7]
    assert ends(done) == {NOTE: ("up_to_date", 7, True)}
    assert_stored(project, NOTE, 60)

    done = update(api, project, NOTE)
    assert ends(done) == {NOTE: ("up_to_date", 3, True)}, done
    assert pages_of(api, NOTE) == [1, 2, 3]
    assert_stored(project, NOTE, 85)


def test_a_first_pass_that_was_interrupted_is_finished_and_followed_by_an_update(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [{"page": 3, "code": 999}]})
    assert project.crawl(notes=[NOTE], feed=False).status == 3
    api.script({})
    api.change(NOTE, grow=12)
    done = update(api, project, NOTE)
    assert ends(done) == {NOTE: ("up_to_date", 2, True)}, done
    assert pages_of(api, NOTE) == [3, 4, 5, 1, 2]
    assert_stored(project, NOTE, 12)
    assert [document["mode"] for document in history(project, NOTE)] == ["full", "update"]


def test_an_update_that_the_budget_stopped_is_finished_by_the_next(
    api: Simulator, project: Project
) -> None:
    crawl_whole(api, project, [NOTE])
    watermark = project.note(NOTE)["watermark"]
    api.change(NOTE, grow=60)
    stopped = project.crawl(notes=[NOTE], mode="update", env={"XHS_MAX_CALLS": "3"})
    assert (stopped.status, stopped.reason) == (3, "budget_spent"), stopped
    assert stopped.items("note") == []
    document = project.note(NOTE)
    assert (document["state"], document["watermark"]) == ("unfinished", watermark)
    done = update(api, project, NOTE)
    assert done.status == 0, done
    assert pages_of(api, NOTE) == [4, 5, 6, 7, 1]
    assert_stored(project, NOTE, 60)
    assert project.note(NOTE)["billed_calls"] == PAGES + 7 + 1


def test_a_budget_that_ends_with_the_pass_to_be_finished_leaves_the_next(
    api: Simulator, project: Project
) -> None:
    crawl_whole(api, project, [NOTE])
    api.change(NOTE, grow=60)
    kill_at_page(api, project, NOTE, 3)
    api.change(NOTE, grow=25)
    stopped = project.crawl(notes=[NOTE], mode="update", env={"XHS_MAX_CALLS": "5"})
    assert pages_of(api, NOTE) == [3, 4, 5, 6, 7]
    assert (stopped.status, stopped.reason) == (3, "budget_spent"), stopped
    assert (stopped.items("note"), len(history(project, NOTE))) == ([], 2)
    assert_stored(project, NOTE, 60)
    api.reset_call_log()
    done = project.crawl(notes=[NOTE], mode="resume")
    assert done.status == 0, done
    assert pages_of(api, NOTE) == [1, 2, 3]
    assert_stored(project, NOTE, 85)
    assert len(history(project, NOTE)) == 3


def time_of(note: str, place: int, grown: int = 0) -> str:
    """Return when the comment at a place of the list was written."""
    layout = note_layout(note, grown)
    return datetime.fromtimestamp(layout.time(layout.size - 1 - place), UTC).isoformat()


@pytest.mark.parametrize(
    ("mode", "limit"), [("update", "max_comments"), ("update", "since"), ("full", "max_comments")]
)
def test_a_limit_in_the_pass_before_leaves_no_gap(
    api: Simulator, project: Project, mode: str, limit: str
) -> None:
    crawl_whole(api, project, [NOTE])
    watermark = project.note(NOTE)["watermark"]
    api.change(NOTE, grow=50)
    value = "15" if limit == "max_comments" else time_of(NOTE, 14, 50)
    arguments: dict[str, Any] = {"mode": mode, limit: value}
    first = project.crawl(notes=[NOTE], **arguments)
    assert first.status == 0, first
    assert pages_of(api, NOTE) == [1, 2]
    assert ends(first) == {NOTE: (limit, 2, False)}
    assert_stored(project, NOTE, 50, first=15, known=45)
    assert project.note(NOTE)["watermark"] == watermark

    done = update(api, project, NOTE)
    assert ends(done) == {NOTE: ("up_to_date", 6, True)}, done
    assert_stored(project, NOTE, 50)
    assert project.note(NOTE)["missing"] == 0


@pytest.mark.parametrize("limit", ["max_comments", "since"])
def test_a_first_pass_with_a_limit_is_up_to_date(
    api: Simulator, project: Project, limit: str
) -> None:
    note = sized_note(95, 1040)
    value = "15" if limit == "max_comments" else time_of(note, 14)
    crawl_whole(api, project, [note], **{limit: value})
    assert_stored(project, note, first=15)
    assert set(project.note(note)["watermark"]["comment_ids"]) == set(
        expected_note(note).first_level[:10]
    )
    api.change(note, grow=25)
    done = update(api, project, note)
    assert ends(done) == {note: ("up_to_date", 3, False)}, done
    assert_stored(project, note, 25, first=30, known=15)


def test_a_limit_that_is_not_reached_changes_nothing(api: Simulator, project: Project) -> None:
    crawl_whole(api, project, [NOTE])
    api.change(NOTE, grow=12)
    done = update(api, project, NOTE, max_comments="100")
    assert ends(done) == {NOTE: ("up_to_date", 2, True)}, done
    assert_stored(project, NOTE, 12)


def test_a_note_never_met_is_read_whole(api: Simulator, project: Project) -> None:
    fresh, short, empty, gone = (
        sized_note(25, 1050),
        sized_note(5, 1051),
        sized_note(0, 1052),
        missing_note(1053),
    )
    notes = (fresh, short, empty, gone)
    done = update(api, project, *notes)
    assert done.status == 0, done
    assert billed(api) == {fresh: 3, short: 1, empty: 1, gone: 1}
    assert ends(done) == {
        fresh: ("complete", 3, True),
        short: ("complete", 1, True),
        empty: ("complete", 1, True),
        gone: ("not_found", 1, False),
    }
    assert_stored(project, fresh)
    api.change(short, grow=3)
    api.change(empty, grow=25)
    done = update(api, project, *notes)
    assert done.status == 0, done
    assert billed(api) == {fresh: 1, short: 1, empty: 3, gone: 1}
    assert ends(done) == {
        fresh: ("up_to_date", 1, True),
        short: ("complete", 1, True),
        empty: ("complete", 3, True),
        gone: ("not_found", 1, False),
    }
    assert_stored(project, short, 3)
    assert_stored(project, empty, 25)
    assert update(api, project, *notes).status == 0
    assert billed(api) == dict.fromkeys(notes, 1)


def test_a_note_that_was_hidden_for_a_while_is_read_whole(api: Simulator, project: Project) -> None:
    crawl_whole(api, project, [NOTE])
    nothing = {"comments": [], "has_more": False, "cursor": "", "user_id": ""}
    api.script({"rules": [{"data": nothing}]})
    done = update(api, project, NOTE)
    assert ends(done) == {NOTE: ("not_found", 1, False)}, done
    api.script({})
    api.change(NOTE, grow=25)
    done = update(api, project, NOTE)
    assert ends(done) == {NOTE: ("complete", 7, True)}, done
    assert_stored(project, NOTE, 25)


@pytest.mark.parametrize(
    ("change", "pages", "reason"),
    [({"value": "default"}, 5, "complete"), ({"remove": True}, 1, "up_to_date")],
    ids=["default", "none"],
)
def test_where_the_order_is_not_by_time_it_says_so_and_reads_on(
    api: Simulator, project: Project, change: Document, pages: int, reason: str
) -> None:
    crawl_whole(api, project, [NOTE])
    api.change(NOTE, grow=5)
    api.script({"rules": [{"patch": [{"path": ["current_sort_strategy"], **change}]}]})
    done = update(api, project, NOTE)
    assert done.status == 0, done
    assert pages_of(api, NOTE) == list(range(1, pages + 1))
    assert ends(done) == {NOTE: (reason, pages, True)}
    assert_stored(project, NOTE, 5)
    warnings = [line for line in done.lines("WARNING") if "default" in line]
    assert bool(warnings) == (reason == "complete"), done


def test_in_another_order_it_says_so_and_reads_on(api: Simulator, project: Project) -> None:
    crawl_whole(api, project, [NOTE])
    api.change(NOTE, grow=5)
    done = update(api, project, NOTE, sort="normal")
    assert done.status == 0, done
    assert ends(done) == {NOTE: ("complete", 5, True)}
    assert {call["sort"] for call in api.call_log()["log"]} == {"normal"}
    assert [line for line in done.lines("WARNING") if NOTE in line and "time" in line], done
    assert_stored(project, NOTE, 5)

    api.change(NOTE, grow=12)
    done = update(api, project, NOTE)
    assert done.status == 0, done
    assert ends(done)[NOTE][0] == "up_to_date"
    assert_stored(project, NOTE, 17)


def test_what_cannot_work_is_refused(
    api: Simulator, project: Project, without_store: Project
) -> None:
    cached = project.crawl("-s", "HTTPCACHE_ENABLED=1", notes=[NOTE], mode="update")
    nowhere = without_store.crawl(notes=[NOTE], mode="update")
    for done, named in ((cached, "HTTPCACHE_ENABLED"), (nowhere, "MONGODB_URI")):
        assert done.status == 2, done
        (line,) = done.lines("ERROR")
        assert named in line
        assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 0


def test_without_a_list_it_takes_the_whole_ledger(api: Simulator, project: Project) -> None:
    grown, same, late, gone = (
        sized_note(45, 1060),
        sized_note(25, 1061),
        sized_note(45, 1062),
        missing_note(1063),
    )
    api.script({"rules": [{"note": late, "page": 3, "code": 999}]})
    assert project.crawl(notes=[grown, same, late, gone], feed=False).status == 3
    api.script({})
    api.change(grown, grow=12)
    done = update(api, project)
    assert done.status == 0, done
    assert ends(done) == {
        grown: ("up_to_date", 2, True),
        same: ("up_to_date", 1, True),
        late: ("up_to_date", 1, True),
        gone: ("not_found", 1, False),
    }
    assert billed(api) == {grown: 2, same: 1, late: 4, gone: 1}
    assert pages_of(api, late) == [3, 4, 5, 1]
    for note in (same, late):
        assert_stored(project, note)
    assert_stored(project, grown, 12)


def test_an_empty_ledger_is_nothing_to_do(api: Simulator, project: Project) -> None:
    done = update(api, project)
    assert (done.status, done.reason, done.feed) == (0, "finished", []), done
    assert done.stats["xhs/notes/left"] == 0
    assert api.call_log()["calls"] == 0


@pytest.mark.parametrize("changed", ["version", "sort"])
def test_a_checkpoint_of_another_order_or_version_restarts(
    api: Simulator, project: Project, changed: str
) -> None:
    crawl_whole(api, project, [NOTE])
    api.change(NOTE, grow=60)
    kill_at_page(api, project, NOTE, 4)
    if changed == "sort":
        done = update(api, project, NOTE, sort="like_count")
        whole = list(range(1, 12))
    else:
        project.environment["JUSTONEAPI_COMMENTS_VERSION"] = "v3"
        done = update(api, project, NOTE)
        whole = list(range(1, 8))
    assert done.status == 0, done
    assert pages_of(api, NOTE)[: len(whole)] == whole
    assert_stored(project, NOTE, 60)
    assert project.note(NOTE)["state"] == "ended"


def test_a_checkpoint_that_the_api_refuses_restarts_once(api: Simulator, project: Project) -> None:
    crawl_whole(api, project, [NOTE])
    api.change(NOTE, grow=60)
    kill_at_page(api, project, NOTE, 4)
    api.script({"rules": [{"note": NOTE, "page": 4, "page_call": 1, "code": 400}]})
    done = update(api, project, NOTE)
    assert done.status == 0, done
    assert pages_of(api, NOTE)[:8] == [4, 1, 2, 3, 4, 5, 6, 7]
    assert_stored(project, NOTE, 60)


FLAWS: dict[str, dict[str, Any]] = {
    "unknown_code": {"code": 999},
    "retries_exhausted": {"code": 301},
    "refused": {"code": 400},
    "cursor_missing": {"cursor": "missing"},
    "cursor_repeated": {"cursor": "repeated"},
    "cursor_ignored": {"cursor": "ignored"},
}


def test_a_pass_that_goes_wrong_moves_no_watermark(api: Simulator, project: Project) -> None:
    notes = {reason: sized_note(45, 1070 + place) for place, reason in enumerate(FLAWS)}
    crawl_whole(api, project, notes.values())
    before = project.documents("notes")
    for note in notes.values():
        api.change(note, grow=50)
    api.script({"rules": [{"note": notes[name], "page": 3, **FLAWS[name]} for name in FLAWS]})
    flawed = project.crawl("-s", "RETRY_TIMES=1", notes=list(notes.values()), mode="update")
    assert flawed.status == 3, flawed
    assert {item["stop_reason"]: item["note_id"] for item in flawed.items("note")} == notes
    for note, document in project.documents("notes").items():
        assert (document["watermark"], document["complete"]) == (before[note]["watermark"], False)

    api.script({})
    done = update(api, project, *notes.values())
    assert done.status == 0, done
    for reason, note in notes.items():
        finished = reason in {"unknown_code", "retries_exhausted"}
        wanted = [3, 4, 5, 6, 1] if finished else [1, 2, 3, 4, 5, 6]
        assert pages_of(api, note) == wanted, reason
        assert_stored(project, note, 50)


def test_threads_of_new_comments_are_followed(api: Simulator, project: Project) -> None:
    note = threaded_note(45, 13, 1080)
    crawl_whole(api, project, [note], replies="all")
    api.change(note, grow=5)
    done = update(api, project, note, replies="all")
    assert done.status == 0, done
    now = expected_note(note, 5)
    call_log = api.call_log()
    assert call_log["paths"][REPLIES] == now.reply_pages - expected_note(note).reply_pages
    assert call_log["billed"] == call_log["paths"][REPLIES] + 1
    assert {call["comment"] for call in call_log["log"]} == {None, *now.first_level[:5]}
    assert project.comment_ids(note) == (set(now.first_level), now.replies)
    assert ends(done) == {note: ("up_to_date", 1, True)}


def test_threads_of_what_is_not_met_are_left(api: Simulator, project: Project) -> None:
    note = threaded_note(45, 5, 1081)
    crawl_whole(api, project, [note])
    api.change(note, grow=5)
    done = update(api, project, note, replies="all")
    assert done.status == 0, done
    now = expected_note(note, 5)
    listed, older = now.first_level[:10], now.first_level[10:]
    asked = {call["comment"] for call in api.call_log()["log"]} - {None}
    assert asked == {root for root in listed if len(now.inline.get(root, ())) < 5}
    held = {reply for root in listed for reply in now.threads[root]}
    held |= {reply for root in older for reply in now.inline.get(root, ())}
    assert project.comment_ids(note) == (set(now.first_level), held)
    document = project.note(note)
    assert (document["comment_count"], document["replies_collected"]) == (50 * 6, len(held))


def test_an_update_killed_between_its_replies_loses_none(api: Simulator, project: Project) -> None:
    note = threaded_note(25, 13, 1082)
    crawl_whole(api, project, [note], replies="all")
    api.change(note, grow=12)
    api.script({"rules": [{"endpoint": "replies", "after": 8, "delay": 60}]})
    crawl = project.start_crawl(notes=[note], mode="update", replies="all")
    api.wait_for_calls(9, crawl)
    crawl.kill()
    crawl.communicate()
    assert project.note(note)["state"] == "running"
    api.script({})
    api.change(note, grow=3)
    done = update(api, project, note, replies="all")
    assert done.status == 0, done
    now = expected_note(note, 15)
    assert project.comment_ids(note) == (set(now.first_level), now.replies)
    assert api.call_log()["repeated"] == 0
    assert ends(done) == {note: ("up_to_date", 1, True)}
    assert update(api, project, note, replies="all").status == 0
    assert billed(api) == {note: 1}


def test_updates_killed_at_random_moments_leave_no_gap(api: Simulator, project: Project) -> None:
    chance = random.Random(SEED)  # noqa: S311 (moments, no secret)
    grown = {sized_note(size, 1100 + size): 0 for size in (5, 30, 45, 12, 90, 60)}
    crawl_whole(api, project, grown)
    api.script({"latency": 0.05})
    for _ in range(KILLS):
        for note in grown:
            more = chance.choice((0, 3, 10, 45))
            api.change(note, grow=more)
            grown[note] += more
        crawl = project.start_crawl(mode="update")
        last = api.call_log()["calls"] + chance.randint(1, 30)
        while api.call_log()["calls"] < last and crawl.poll() is None:
            time.sleep(0.02)
        crawl.kill()
        assert "Traceback" not in crawl.communicate()[1].decode()
    done = update(api, project)
    assert done.status == 0, done
    for note, more in grown.items():
        assert_stored(project, note, more)
        document = project.note(note)
        assert (document["state"], document["missing"], document["complete"]) == ("ended", 0, True)


def test_two_updates_at_once_do_no_harm(api: Simulator, project: Project) -> None:
    notes = dict(zip((sized_note(45, serial) for serial in range(1090, 1096)), NEW, strict=True))
    crawl_whole(api, project, notes)
    for note, grown in notes.items():
        api.change(note, grow=grown)
    api.reset_call_log()
    api.script({"latency": 0.05})
    crawls = [project.start_crawl(notes=notes, mode="update") for _ in range(2)]
    for crawl, errors in [(crawl, crawl.communicate()[1].decode()) for crawl in crawls]:
        assert crawl.returncode == 0, errors
        assert "Traceback" not in errors
    ledger = project.documents("notes")
    for note, grown in notes.items():
        assert_stored(project, note, grown)
        document = ledger[note]
        assert (document["state"], document["stop_reason"]) == ("ended", "up_to_date"), document
        assert (document["complete"], document["missing"]) == (True, 0), document
        assert document["billed_calls"] == PAGES + billed(api)[note]
        assert set(document["watermark"]["comment_ids"]) == set(
            expected_note(note, grown).first_level[:10]
        )
    assert all(calls <= 3 * (notes[note] // 10 + 1) for note, calls in billed(api).items())
