"""replies=all: every reply of every thread is stored, and each page is paid for once."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.expected import expected_note
from support.killer import KILLER
from support.pages import page_count
from support.simulator import REPLIES
from support.threads import (
    assert_no_thread_is_ahead,
    authors,
    cost,
    delivered,
    pages_left,
    paid_twice,
    stored_threads,
    thread_calls,
    with_replies,
)

from xhs.simulator.comments import cursor_text
from xhs.simulator.notes import (
    DOCUMENTED_NOTE,
    missing_note,
    sized_note,
    threaded_note,
    usual_note,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.crawl import Outcome, Project
    from support.simulator import Simulator

ODD_FORMS = [usual_note(serial) for serial in (12, 40, 100, 196, 465)]
"""Counts as text, milliseconds, ``user_info``, no places, pinned comments; 32 to 40 comments."""
NOTES = [
    *ODD_FORMS,
    sized_note(45),
    sized_note(25, 1, replies=False),
    threaded_note(12, 3),
    threaded_note(3, 35),
    missing_note(),
    sized_note(0),
]
THREADED = threaded_note(6, 35, 1)
"""One page, and 24 of replies."""
MOST_TWICE = 24
SEED = 20261124
KILLS = 4


def crawl_all(
    project: Project, notes: Iterable[str] = (), *words: str, mode: str = "full", budget: int = 0
) -> Outcome:
    env = {"XHS_MAX_CALLS": str(budget)}
    return project.crawl(*words, notes=list(notes), env=env, replies="all", mode=mode)


def replies_paid(api: Simulator) -> int:
    return sum(call["billed"] for call in thread_calls(api))


def assert_whole(api: Simulator, project: Project, notes: Iterable[str]) -> None:
    """Check that these notes are stored entirely and the ledger has the cost of each."""
    notes = list(notes)
    found, ledger, call_log = (
        stored_threads(project),
        project.documents("notes"),
        api.call_log()["notes"],
    )
    for note in notes:
        expected, document = expected_note(note), ledger[note]
        assert found.get(note, {}) == with_replies(note), note
        assert (document["state"], document["checkpoint"]) == ("ended", None), document
        reason = "complete" if expected.exists else "not_found"
        assert (document["stop_reason"], document["complete"]) == (reason, expected.exists), (
            document
        )
        assert (document["pages"], document["missing"]) == (expected.pages, 0), document
        assert document["replies_collected"] == len(expected.replies), document
        assert document["billed_calls"] == call_log[note]["billed"], document


def inline_threads(note: str) -> set[str]:
    """Return the comments whose replies all come inline."""
    expected = expected_note(note)
    return {
        root for root, thread in expected.threads.items() if expected.inline.get(root) == thread
    }


def open_threads(note: str) -> list[str]:
    """Return the comments of which at least two replies did not come inline."""
    expected = expected_note(note)
    return [
        root
        for root, thread in expected.threads.items()
        if len(thread) - len(expected.inline.get(root, ())) >= 2
    ]


def test_every_reply_is_stored_and_paid_for_once(api: Simulator, project: Project) -> None:
    notes = [*NOTES, DOCUMENTED_NOTE]
    done = crawl_all(project, notes)
    assert (done.status, done.reason) == (0, "finished"), done
    assert "Traceback" not in done.errors
    call_log = api.call_log()
    assert (call_log["billed"], call_log["calls"], call_log["repeated"]) == (
        cost(notes),
        cost(notes),
        0,
    )
    assert call_log["paths"][REPLIES] == sum(expected_note(note).reply_pages for note in notes)
    assert done.stats["xhs/replies/calls_expected"] == call_log["paths"][REPLIES]
    assert_whole(api, project, notes)

    every = {comment: parents for note in notes for comment, parents in with_replies(note).items()}
    assert sorted(done.ids("comment")) == sorted(every)
    assert delivered(done.items("comment")) == every
    wrote = {user for note in notes for user in authors(note, with_replies(note))}
    assert set(done.ids("user")) == project.documents("users").keys() == wrote
    for item in done.items("note"):
        expected = expected_note(item["note_id"])
        assert (item["pages"], item["replies_collected"]) == (expected.pages, len(expected.replies))
        *_, last = (fed for fed in done.feed if fed.get("note_id") == item["note_id"])
        assert last is item, "a note ends after all of its comments"


def test_there_is_no_call_where_every_reply_came_inline(api: Simulator, project: Project) -> None:
    note = sized_note(120)
    assert len(inline_threads(note)) > 5
    done = crawl_all(project, [note])
    assert done.status == 0, done
    calls = thread_calls(api)
    assert {call["comment"] for call in calls} == pages_left(note).keys()
    assert len(calls) == expected_note(note).reply_pages
    inline = expected_note(note).inline
    begun: dict[str, str | None] = {}
    for call in calls:
        begun.setdefault(call["comment"], call["cursor"])
    for root, cursor in begun.items():
        last = json.loads(cursor)["cursor"] if cursor else None
        assert last == (inline[root][-1] if root in inline else None)


def test_without_a_store_the_feed_has_all(api: Simulator, without_store: Project) -> None:
    done = crawl_all(without_store, NOTES)
    assert done.status == 0, done
    every = {comment: parents for note in NOTES for comment, parents in with_replies(note).items()}
    assert sorted(done.ids("comment")) == sorted(every)
    assert delivered(done.items("comment")) == every
    assert api.call_log()["billed"] == cost(NOTES)
    collected = {item["note_id"]: item["replies_collected"] for item in done.items("note")}
    assert collected == {note: len(expected_note(note).replies) for note in NOTES}


@pytest.mark.parametrize("first", ["none", "inline"])
def test_what_was_left_out_before_is_fetched_later(
    api: Simulator, project: Project, first: str
) -> None:
    notes = NOTES[:8]
    assert project.crawl(notes=notes, replies=first).status == 0
    assert thread_calls(api) == []
    api.reset_call_log()
    done = crawl_all(project, notes)
    assert done.status == 0, done
    assert api.call_log()["billed"] == cost(notes)
    found = stored_threads(project)
    assert {note: found[note] for note in notes} == {note: with_replies(note) for note in notes}


def test_a_thread_that_did_not_change_is_not_fetched_again(
    api: Simulator, project: Project
) -> None:
    notes = NOTES[:9]
    assert crawl_all(project, notes).status == 0
    api.reset_call_log()
    for replies, sort in (
        ("all", "latest"),
        ("none", "like_count"),
        ("all", "latest"),
    ):
        done = project.crawl(notes=notes, replies=replies, sort=sort)
        assert (done.status, done.stats.get("xhs/replies/calls_expected", 0)) == (0, 0), done
        assert thread_calls(api) == []
        collected = {item["note_id"]: item["replies_collected"] for item in done.items("note")}
        assert collected == {note: len(expected_note(note).replies) for note in notes}
    assert api.call_log()["billed"] == 3 * page_count(notes)
    found = stored_threads(project)
    assert {note: found[note] for note in notes} == {note: with_replies(note) for note in notes}


def test_a_thread_that_lost_or_gained_replies_is_fetched_again(
    api: Simulator, project: Project
) -> None:
    notes = [sized_note(120), threaded_note(6, 35)]
    lost: dict[str, set[str]] = {}
    for note in notes:
        threads = expected_note(note).threads
        roots = [*open_threads(note)[:3], *sorted(inline_threads(note))[:2]]
        lost[note] = {threads[root][-1] for root in roots}

    assert crawl_all(project, notes).status == 0
    api.reset_call_log()
    for note in notes:
        api.change(note, vanish=lost[note])
    done = crawl_all(project, notes)
    assert done.status == 0, done
    expected: dict[str, int] = {}
    for note in notes:
        there = expected_note(note, vanished=frozenset(lost[note]))
        for root in open_threads(note)[:3]:
            left = len(there.threads.get(root, ())) - len(there.inline.get(root, ()))
            expected[root] = -(-left // 10)
    fetched = [call["comment"] for call in thread_calls(api)]
    assert sorted(fetched) == sorted(root for root, times in expected.items() for _ in range(times))
    assert done.stats["xhs/replies/calls_expected"] == len(fetched)
    assert_replies_kept(project, notes)

    api.reset()
    done = crawl_all(project, notes)
    assert done.status == 0, done
    again = {root: pages_left(note)[root] for note in notes for root in open_threads(note)[:3]}
    fetched = [call["comment"] for call in thread_calls(api)]
    assert sorted(fetched) == sorted(root for root, times in again.items() for _ in range(times))
    assert_replies_kept(project, notes)
    api.reset_call_log()
    assert crawl_all(project, notes).status == 0
    assert thread_calls(api) == []


def assert_replies_kept(project: Project, notes: Iterable[str]) -> None:
    found = stored_threads(project)
    for note in notes:
        assert found[note] == with_replies(note), note


def test_a_reply_that_was_not_there_before_is_stored(api: Simulator, project: Project) -> None:
    note = threaded_note(3, 35, 2)
    late = {thread[-1] for thread in expected_note(note).threads.values()}
    api.change(note, vanish=late)
    assert crawl_all(project, [note]).status == 0
    assert stored_threads(project)[note].keys() == with_replies(note).keys() - late
    api.reset()
    done = crawl_all(project, [note])
    assert done.status == 0, done
    assert_replies_kept(project, [note])
    assert {comment["comment_id"] for comment in done.items("comment") if comment["is_new"]} == late
    assert api.call_log()["billed"] == cost([note])


def test_a_count_that_promises_too_much_is_asked_once(api: Simulator, project: Project) -> None:
    note = sized_note(25, replies=False)
    patch = {"path": ["comments", 4, "sub_comment_count"], "value": 37}
    api.script({"rules": [{"endpoint": "comments", "page": 1, "patch": [patch]}]})
    done = crawl_all(project, [note])
    assert done.status == 0, done
    assert [call["comment"] for call in thread_calls(api)] == [expected_note(note).first_level[4]]
    assert done.stats["xhs/replies/calls_expected"] == 4
    assert crawl_all(project, [note]).status == 0
    assert len(thread_calls(api)) == 1
    patch["value"] = 38
    api.script({"rules": [{"endpoint": "comments", "page": 1, "patch": [patch]}]})
    assert crawl_all(project, [note]).status == 0
    assert len(thread_calls(api)) == 2


def test_an_update_follows_the_threads_of_new_comments(api: Simulator, project: Project) -> None:
    note = sized_note(45, 2)
    assert crawl_all(project, [note]).status == 0
    api.reset_call_log()
    api.change(note, grow=60)
    done = crawl_all(project, [note], mode="update")
    assert done.status == 0, done
    grown = expected_note(note, 60)
    new = {
        root: -(-(len(thread) - len(grown.inline.get(root, ()))) // 10)
        for root, thread in grown.threads.items()
        if root in grown.first_level[:60]
    }
    assert sum(new.values()) > 3
    assert len(thread_calls(api)) == sum(new.values())
    assert api.call_log()["billed"] - sum(new.values()) in (6, 7)
    assert stored_threads(project)[note] == with_replies(note, grown=60)


FAULTS: list[dict[str, Any]] = [
    {"code": 301},
    {"code": 500},
    {"code": 302},
    {"status": 502},
    {"html": True},
    {"truncate": True},
]


def test_what_passes_is_retried_and_no_reply_is_lost(api: Simulator, project: Project) -> None:
    """The first call of each page of replies fails."""
    notes = [threaded_note(2, 25, serial) for serial in range(len(FAULTS))]
    rules = [
        {"note": note, "endpoint": "replies", "page_call": 1, **fault}
        for note, fault in zip(notes, FAULTS, strict=True)
    ]
    api.script({"rules": rules})
    done = crawl_all(project, notes)
    assert (done.status, done.reason) == (0, "finished"), done
    assert_whole(api, project, notes)
    call_log = api.call_log()
    cut = expected_note(notes[-1]).reply_pages
    assert call_log["calls"] == cost(notes) + sum(expected_note(note).reply_pages for note in notes)
    assert (call_log["billed"], call_log["repeated"]) == (cost(notes) + cut, cut)
    assert done.stats["xhs/calls/billed"] == cost(notes)
    assert done.stats["xhs/calls/unknown"] == cut


def test_a_budget_that_ends_among_threads_is_gone_on_with(api: Simulator, project: Project) -> None:
    first = crawl_all(project, [THREADED], budget=10)
    assert (first.status, first.reason) == (3, "budget_spent"), first
    assert api.call_log()["billed"] == 10
    assert first.items("note") == []
    document = project.note(THREADED)
    assert (document["state"], document["stop_reason"]) == ("unfinished", "interrupted")
    assert (document["complete"], document["billed_calls"]) == (False, 10)
    checkpoint = document["checkpoint"]
    assert (checkpoint["stop_reason"], checkpoint["cursor"]) == ("complete", None)
    assert_no_thread_is_ahead(project)

    done = crawl_all(project, mode="resume")
    assert (done.status, done.reason) == (0, "finished"), done
    call_log = api.call_log()
    assert (call_log["billed"], call_log["repeated"]) == (cost([THREADED]), 0)
    assert_whole(api, project, [THREADED])
    (item,) = done.items("note")
    assert (item["pages"], item["replies_collected"]) == (1, 210)
    assert (item["stop_reason"], item["complete"], item["missing"]) == ("complete", True, 0)


def test_many_small_budgets_end_as_one_run_does(api: Simulator, project: Project) -> None:
    share = -(-cost(NOTES) // 4)
    crawls = [crawl_all(project, NOTES, mode="resume", budget=share) for _ in range(4)]
    assert [done.status for done in crawls] == [3] * 3 + [0]
    call_log = api.call_log()
    assert (call_log["billed"], call_log["repeated"]) == (cost(NOTES), 0)
    assert_whole(api, project, NOTES)
    received = sorted(comment for done in crawls for comment in done.ids("comment"))
    assert received == sorted(comment for note in NOTES for comment in with_replies(note))


def start(
    project: Project, notes: list[str], mode: str = "resume", *words: str
) -> subprocess.Popen[bytes]:
    return project.start_crawl(*words, notes=notes, mode=mode, replies="all")


def stop(api: Simulator, crawl: subprocess.Popen[bytes], how: signal.Signals, calls: int) -> str:
    """Signal a crawl after ``calls`` calls or at its end; return its log."""
    while api.call_log()["calls"] < calls and crawl.poll() is None:
        time.sleep(0.02)
    crawl.send_signal(how)
    return crawl.communicate()[1].decode()


KILLED = [threaded_note(6, 35, 10), threaded_note(2, 95, 11), sized_note(120, 12), usual_note(196)]


@pytest.mark.parametrize(("how", "calls"), [(signal.SIGTERM, 12), (signal.SIGKILL, 50)])
def test_a_stop_among_threads_loses_nothing(
    api: Simulator, project: Project, how: signal.Signals, calls: int
) -> None:
    api.script({"latency": 0.1})
    crawl = start(project, KILLED, "full")
    errors = stop(api, crawl, how, calls)
    assert crawl.returncode == (3 if how is signal.SIGTERM else -how), errors
    assert "Traceback" not in errors
    assert thread_calls(api), "the stop came too early to tell"
    assert_no_thread_is_ahead(project)
    api.script({})
    done = crawl_all(project, mode="resume")
    assert done.status == 0, done
    call_log = api.call_log()
    assert call_log["repeated"] <= (0 if how is signal.SIGTERM else MOST_TWICE)
    assert call_log["billed"] == cost(KILLED) + call_log["repeated"]
    begun = project.documents("notes").keys()
    assert begun == set(KILLED)
    assert_replies_kept(project, KILLED)
    for document in project.documents("notes").values():
        assert (document["state"], document["stop_reason"]) == ("ended", "complete"), document
        assert document["replies_collected"] == len(expected_note(document["note_id"]).replies)


def test_kills_at_random_moments_lose_no_reply(api: Simulator, project: Project) -> None:
    chance = random.Random(SEED)  # noqa: S311 (moments, no secret)
    api.script({"latency": 0.05})
    ends: list[int] = []
    for _ in range(KILLS):
        crawl = start(project, KILLED)
        errors = stop(api, crawl, signal.SIGKILL, api.call_log()["calls"] + chance.randint(1, 40))
        assert crawl.returncode in (-signal.SIGKILL, 0), errors
        assert "Traceback" not in errors
        assert_no_thread_is_ahead(project)
        ends.append(api.call_log()["calls"])
    assert_little_is_paid_twice(api, project, ends)


MOMENTS = [
    ("before thread", 1),
    ("after thread", 1),
    ("sending comments", 6),
    ("sent comments", 5),
    ("before thread", 11),
    ("after thread", 7),
    ("sent notes", 4),
    ("sending notes", 3),
    ("before thread", 20),
]


def test_kills_between_the_stores_writes_lose_no_reply(api: Simulator, project: Project) -> None:
    killer = project.extension(KILLER, "Killer")
    api.script({"latency": 0.05})
    ends: list[int] = []
    for moment, number in MOMENTS:
        at = ["-s", f"KILL_AT={moment}", "-s", f"KILL_NUMBER={number}"]
        crawl = start(project, KILLED, "resume", *killer, *at)
        errors = crawl.communicate()[1].decode()
        if crawl.returncode == 0:  # a busy machine's bulks are fewer and larger: all is stored
            break
        assert crawl.returncode == -signal.SIGKILL, (moment, errors)
        assert_no_thread_is_ahead(project)
        ends.append(api.call_log()["calls"])
    assert len(ends) > len(MOMENTS) // 2
    assert_little_is_paid_twice(api, project, ends)


def assert_little_is_paid_twice(api: Simulator, project: Project, ends: list[int]) -> None:
    """Finish the crawl; check that all is stored and the kills cost few pages."""
    done = crawl_all(project, KILLED, mode="resume")
    assert done.status == 0, done
    assert_replies_kept(project, KILLED)
    call_log = api.call_log()
    twice = paid_twice(call_log["log"], [*ends, call_log["calls"]])
    assert twice.total() == call_log["repeated"]
    assert call_log["billed"] == cost(KILLED) + call_log["repeated"]
    assert max(twice.values(), default=0) <= MOST_TWICE, twice


def test_a_long_thread_is_followed_to_its_end(api: Simulator, project: Project) -> None:
    note = threaded_note(2, 95)
    done = crawl_all(project, [note])
    assert done.status == 0, done
    assert api.call_log()["billed"] == 1 + expected_note(note).reply_pages == 21
    assert_whole(api, project, [note])
    comments = project.documents("comments")
    ended = {"followed": 95, "cursor": None, "stop_reason": "complete"}
    for root in expected_note(note).first_level:
        assert ended.items() <= comments[root]["thread"].items()


def test_a_killed_long_thread_continues_from_its_cursor(api: Simulator, project: Project) -> None:
    note = threaded_note(2, 95)
    api.script({"latency": 0.2})
    crawl = start(project, [note], "full")
    errors = stop(api, crawl, signal.SIGKILL, 9)
    assert crawl.returncode == -signal.SIGKILL, errors
    before = project.documents("comments")
    cursors = {root: before[root]["thread"]["cursor"] for root in expected_note(note).first_level}
    assert any(cursors.values())
    document = project.note(note)
    assert (document["state"], document["checkpoint"]["cursor"]) == ("running", None)
    assert document["checkpoint"]["stop_reason"] == "complete"
    assert_no_thread_is_ahead(project)
    last = api.call_log()["calls"]
    api.script({})
    done = crawl_all(project, mode="resume")
    assert done.status == 0, done
    begun: dict[str, str | None] = {}
    for call in thread_calls(api):
        if call["number"] > last:
            begun.setdefault(call["comment"], call["cursor"])
    for root, cursor in cursors.items():
        assert cursor is None or begun[root] == cursor
    assert api.call_log()["repeated"] <= 4
    assert_replies_kept(project, [note])


def test_a_refused_thread_flaws_its_note_alone(api: Simulator, project: Project) -> None:
    note, good = sized_note(120), sized_note(45)
    expected = expected_note(note)
    refused = [
        next(root for root in pages_left(note) if root not in expected.inline),
        next(root for root in pages_left(note) if root in expected.inline),
    ]
    api.script({"rules": [{"comment": refused, "code": 400}]})
    done = crawl_all(project, [note, good])
    assert (done.status, done.reason) == (4, "finished"), done
    ends = {item["note_id"]: item["stop_reason"] for item in done.items("note")}
    assert ends == {note: "refused", good: "complete"}
    document = project.note(note)
    assert (document["state"], document["complete"]) == ("ended", False)
    assert document["checkpoint"] is None
    shown = {*expected.inline.get(refused[1], ())}
    hidden = {reply for root in refused for reply in expected.threads[root]} - shown
    assert stored_threads(project)[note].keys() == with_replies(note).keys() - hidden
    assert stored_threads(project)[good] == with_replies(good)
    asked = [call["comment"] for call in thread_calls(api) if call["code"] == 400]
    assert sorted(asked) == sorted([refused[0], refused[1], refused[1]])

    api.reset()
    again = crawl_all(project, [note, good], mode="resume")
    assert again.status == 4, again
    assert api.call_log()["calls"] == 0
    done = crawl_all(project, [note])
    assert done.status == 0, done
    left = pages_left(note)
    assert api.call_log()["billed"] == expected.pages + sum(left[root] for root in refused)
    assert_replies_kept(project, [note])
    assert (project.note(note)["stop_reason"], project.note(note)["complete"]) == ("complete", True)


@pytest.mark.parametrize(
    ("fault", "reason"), [({"code": 301}, "retries_exhausted"), ({"code": 999}, "unknown_code")]
)
def test_a_thread_whose_calls_fail_for_good_is_left_to_resume(
    api: Simulator, project: Project, fault: dict[str, Any], reason: str
) -> None:
    note = usual_note(196)
    failing = max(pages_left(note), key=lambda root: pages_left(note)[root])
    page = min(2, pages_left(note)[failing])
    api.script({"rules": [{"comment": failing, "page": page, **fault}]})
    done = crawl_all(project, [note], "-s", "RETRY_TIMES=1")
    assert (done.status, done.reason) == (3, "finished"), done
    (item,) = done.items("note")
    assert (item["stop_reason"], item["complete"]) == (reason, False)
    document = project.note(note)
    assert (document["state"], document["stop_reason"]) == ("unfinished", reason)
    missing = with_replies(note).keys() - stored_threads(project)[note].keys()
    assert missing
    assert missing <= set(expected_note(note).threads[failing])
    api.script({})
    paid = api.call_log()["calls"]
    again = crawl_all(project, mode="resume")
    assert again.status == 0, again
    assert {call["comment"] for call in thread_calls(api) if call["number"] > paid} == {failing}
    call_log = api.call_log()
    assert (call_log["billed"], call_log["repeated"]) == (cost([note]), 0)
    assert_whole(api, project, [note])


LIES = {
    name: (threaded_note(2, 35, 30 + serial), reasons, most)
    for serial, (name, reasons, most) in enumerate(
        [
            ("ignored", {"cursor_ignored"}, 2),
            ("repeated", {"cursor_repeated"}, 2),
            ("missing", {"cursor_missing"}, 1),
            ("empty", {"cursor_missing"}, 1),
            ("endless", {"cursor_ignored", "no_progress"}, 7),
        ]
    )
}
"""Each with a note, its possible stop reasons, and the calls that a thread may cost."""


def test_a_thread_whose_cursors_lie_ends_with_the_name_of_the_lie(
    api: Simulator, project: Project
) -> None:
    rules = [
        {"note": note, "endpoint": "replies", "cursor": name} for name, (note, _, _) in LIES.items()
    ]
    notes = [note for note, _, _ in LIES.values()]
    api.script({"rules": rules})
    done = crawl_all(project, notes)
    assert (done.status, done.reason) == (4, "finished"), done
    ends = {item["note_id"]: item for item in done.items("note")}
    calls = [call["comment"] for call in thread_calls(api)]
    for name, (note, reasons, most) in LIES.items():
        assert ends[note]["stop_reason"] in reasons, name
        assert (ends[note]["complete"], project.note(note)["state"]) == (False, "ended"), name
        for root in expected_note(note).first_level:
            assert 1 <= calls.count(root) <= most, (name, calls.count(root))

    api.script({})
    api.reset_call_log()
    resumed = crawl_all(project, notes, mode="resume")
    assert resumed.status == 4, resumed
    assert api.call_log()["calls"] == 0
    updated = crawl_all(project, notes, mode="update")
    assert updated.status in (0, 4), updated
    assert (api.call_log()["calls"], thread_calls(api)) == (len(notes), [])
    api.reset_call_log()
    full = crawl_all(project, notes)
    assert full.status == 0, full
    assert api.call_log()["billed"] == cost(notes)
    for note in notes:
        assert stored_threads(project)[note] == with_replies(note), note
        assert (project.note(note)["stop_reason"], project.note(note)["complete"]) == (
            "complete",
            True,
        )


def test_a_refused_cursor_of_a_comment_restarts_its_thread(
    api: Simulator, project: Project
) -> None:
    note = sized_note(120)
    expected = expected_note(note)
    astray = [root for root in pages_left(note) if root in expected.inline]
    place = expected.first_level.index(astray[0])
    at = ["comments", place % 10, "sub_comment_cursor"]
    foreign = cursor_text(expected.first_level[0], 1)
    patch = [{"path": at, "value": foreign}]
    rule = {"endpoint": "comments", "page": place // 10 + 1, "patch": patch}
    api.script({"rules": [rule]})
    done = crawl_all(project, [note])
    assert done.status == 0, done
    asked = [
        (call["cursor"], call["code"]) for call in thread_calls(api) if call["comment"] == astray[0]
    ]
    anew = -(-len(expected.threads[astray[0]]) // 10)
    assert [code for _, code in asked] == [400] + [0] * anew
    assert [cursor for cursor, _ in asked[:2]] == [foreign, None]
    assert api.call_log()["billed"] == cost([note]) - pages_left(note)[astray[0]] + anew
    assert_replies_kept(project, [note])
    assert project.note(note)["stop_reason"] == "complete"


@pytest.mark.parametrize("change", [{"value": ""}, {"remove": True}])
def test_a_comment_without_a_cursor_has_its_thread_read_from_the_start(
    api: Simulator, project: Project, change: dict[str, Any]
) -> None:
    note = threaded_note(6, 12, 3)
    patch = [{"path": ["comments", "*", "sub_comment_cursor"], **change}]
    api.script({"rules": [{"endpoint": "comments", "patch": patch}]})
    done = crawl_all(project, [note])
    assert done.status == 0, done
    assert [call["code"] for call in thread_calls(api)] == [0] * 12
    assert replies_paid(api) == 12
    assert_replies_kept(project, [note])


ODD_IDS: dict[str, dict[str, Any]] = {
    "none": {"remove": True},
    "a number": {"value": 17},
    "a list": {"value": ["a"]},
    "an object": {"value": {"a": 1}},
    "empty": {"value": ""},
    "long": {"value": "x" * 300},
    "of other characters": {"value": "a b&c/é"},
    "a surrogate": {"value": "\ud83d"},
}


@pytest.mark.parametrize(
    ("odd", "with_store"),
    [*((odd, False) for odd in ODD_IDS), ("none", True), ("a surrogate", True)],
)
def test_a_comment_without_a_proper_id_has_no_thread(
    api: Simulator, project: Project, without_store: Project, odd: str, with_store: bool
) -> None:
    note = threaded_note(3, 12, 50)
    _, *others = expected_note(note).first_level
    change = {"path": ["comments", 0, "id"], **ODD_IDS[odd]}
    api.script({"rules": [{"endpoint": "comments", "patch": [change]}]})
    done = crawl_all(project if with_store else without_store, [note], budget=20)
    assert (done.status, done.reason) == (0, "finished"), done
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 1 + sum(pages_left(note, others).values())
    assert delivered(done.items("comment")) == with_replies(note, others)
    (item,) = done.items("note")
    assert (item["stop_reason"], item["missing"]) == ("complete", 1)


@pytest.mark.parametrize("with_store", [True, False], ids=["store", "no store"])
def test_a_comment_that_comes_twice_has_its_thread_read_once(
    api: Simulator, project: Project, without_store: Project, with_store: bool
) -> None:
    """On the next page, as when a new comment shifts the list, or on a page that is ignored."""
    shifted, ignored = threaded_note(25, 12, 51), sized_note(45, 3)
    ids = expected_note(shifted).first_level
    first = api.call(noteId=shifted)["data"]["comments"]
    second = api.call(noteId=shifted, lastCursor=cursor_text(ids[9], 2))["data"]["comments"]
    again = [{"path": ["comments"], "value": [*first[-2:], *second]}]
    rules: list[dict[str, Any]] = [
        {"endpoint": "comments", "note": shifted, "page": 2, "patch": again},
        {"endpoint": "comments", "note": ignored, "page": "2-", "cursor": "ignored"},
    ]
    api.script({"rules": rules})
    api.reset_call_log()
    done = crawl_all(project if with_store else without_store, [shifted, ignored])
    assert "Traceback" not in done.errors
    assert done.status == 4, done
    ends = {item["note_id"]: item["stop_reason"] for item in done.items("note")}
    assert ends == {shifted: "complete", ignored: "cursor_ignored"}
    shown = expected_note(ignored).first_level[:10]
    call_log = api.call_log()
    assert call_log["notes"][shifted]["billed"] == cost([shifted])
    assert call_log["notes"][ignored]["billed"] == 2 + sum(pages_left(ignored, shown).values())
    expected = {**with_replies(shifted), **with_replies(ignored, shown)}
    assert delivered(done.items("comment")) == expected


def test_a_strange_reply_is_kept_and_the_others_stored(api: Simulator, project: Project) -> None:
    note = threaded_note(2, 25, 52)
    root = expected_note(note).first_level[0]
    patch = [{"path": ["comments", 3, "content"], "value": "lone \ud83d"}]
    api.script({"rules": [{"comment": root, "page_call": 1, "times": 1, "patch": patch}]})
    done = crawl_all(project, [note])
    assert done.status == 0, done
    assert api.call_log()["billed"] == cost([note])
    inline = len(expected_note(note).inline.get(root, ()))
    strange = expected_note(note).threads[root][inline + 3]
    assert stored_threads(project)[note].keys() == with_replies(note).keys() - {strange}
    (document,) = project.documents("rejected").values()
    assert json.loads(document["raw"])["id"] == strange
    assert (document["kind"], document["note_id"], document["page"]) == ("comment", note, 1)
    assert document["parent_comment_id"] == root


def test_a_stop_of_the_account_among_threads_is_gone_on_with(
    api: Simulator, project: Project
) -> None:
    api.script({"balance": 0.25, "price": 0.01})
    first = crawl_all(project, KILLED)
    assert (first.status, first.reason) == (3, "balance_exhausted"), first
    assert thread_calls(api)
    assert_no_thread_is_ahead(project)
    api.script({})
    done = crawl_all(project, mode="resume")
    assert done.status == 0, done
    call_log = api.call_log()
    assert (call_log["billed"], call_log["repeated"]) == (cost(KILLED), 0)
    assert_whole(api, project, KILLED)


def test_a_job_directory_continues_among_threads(api: Simulator, project: Project) -> None:
    job = ["-s", f"JOBDIR={project.folder / 'job'}"]
    first = crawl_all(project, [THREADED], *job, budget=10)
    assert (first.status, first.reason) == (3, "budget_spent"), first
    done = crawl_all(project, [THREADED], *job)
    assert done.status == 0, done
    call_log = api.call_log()
    assert (call_log["billed"], call_log["repeated"]) == (cost([THREADED]), 0)
    assert_whole(api, project, [THREADED])


def test_two_crawls_at_once_lose_no_reply(api: Simulator, project: Project) -> None:
    api.script({"latency": 0.02})
    crawls = [start(project, KILLED, "full") for _ in range(2)]
    for crawl, errors in [(crawl, crawl.communicate()[1].decode()) for crawl in crawls]:
        assert crawl.returncode == 0, errors
        assert "Traceback" not in errors
    assert cost(KILLED) <= api.call_log()["billed"] <= 2 * cost(KILLED)
    assert_whole(api, project, KILLED)


def test_replies_from_a_cache_cost_nothing(api: Simulator, without_store: Project) -> None:
    cache = ["-s", "HTTPCACHE_ENABLED=1", "-s", f"HTTPCACHE_DIR={without_store.folder / 'cache'}"]
    notes = NOTES[:6]
    first = crawl_all(without_store, notes, *cache)
    assert (first.status, api.call_log()["calls"]) == (0, cost(notes)), first
    second = crawl_all(without_store, notes, *cache)
    assert (second.status, api.call_log()["calls"]) == (0, cost(notes)), second
    assert sorted(second.items("comment"), key=str) == sorted(first.items("comment"), key=str)


def test_a_page_of_replies_can_be_parsed_on_its_own(api: Simulator, without_store: Project) -> None:
    note = threaded_note(2, 25, 53)
    root = expected_note(note).first_level[0]
    address = f"{api.url}{REPLIES}?noteId={note}&commentId={root}"
    done = without_store.command("parse", "--spider=comments", "-c", "parse_page", address)
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 1
    for reply in expected_note(note).threads[root][:10]:
        assert f"'comment_id': '{reply}'" in done.output
    assert done.output.count(f"'parent_comment_id': '{root}'") == 10
    assert "'item_type': 'note'" not in done.output


def test_a_flaw_of_a_thread_is_remembered_through_an_interruption(
    api: Simulator, project: Project
) -> None:
    flawed = expected_note(THREADED).first_level[2]
    api.script({"rules": [{"comment": flawed, "cursor": "missing"}]})
    first = crawl_all(project, [THREADED], budget=12)
    assert (first.status, first.reason) == (3, "budget_spent"), first
    api.script({})
    done = crawl_all(project, mode="resume")
    assert done.status == 4, done
    assert [call["comment"] for call in thread_calls(api)].count(flawed) == 1
    document = project.note(THREADED)
    assert (document["stop_reason"], document["complete"]) == ("cursor_missing", False)
    assert (document["state"], document["checkpoint"]) == ("ended", None)
    call_log = api.call_log()
    assert call_log["billed"] == cost([THREADED]) - pages_left(THREADED)[flawed] + 1
    assert call_log["repeated"] == 0


def test_a_full_pass_that_is_resumed_asks_flawed_threads_too(
    api: Simulator, project: Project
) -> None:
    """Those of earlier passes; one that ended abnormally in this pass is left to the next."""
    note = threaded_note(4, 12, 54)
    *others, flawed = sorted(expected_note(note).first_level)
    api.script({"rules": [{"comment": flawed, "cursor": "missing"}]})
    assert crawl_all(project, [note]).status == 4
    api.script({})
    api.change(note, vanish=[expected_note(note).threads[root][-1] for root in others])
    first = crawl_all(project, [note], "-s", "CONCURRENT_REQUESTS=1", budget=3)
    assert (first.status, first.reason) == (3, "budget_spent"), first
    api.reset_call_log()
    done = crawl_all(project, [note], mode="resume")
    assert done.status == 0, done
    assert flawed in {call["comment"] for call in thread_calls(api)}
    assert stored_threads(project)[note] == with_replies(note)
    assert project.note(note)["stop_reason"] == "complete"


def test_an_empty_page_behind_a_cursor_that_just_came_is_the_end(
    api: Simulator, project: Project
) -> None:
    """The count includes hidden replies; no call beyond the expected ones is made."""
    note = sized_note(120)
    hidden = [root for root in pages_left(note) if root in expected_note(note).inline]
    empty = [{"path": ["comments"], "value": []}, {"path": ["has_more"], "value": False}]
    api.script({"rules": [{"endpoint": "replies", "comment": hidden, "page": 1, "patch": empty}]})
    done = crawl_all(project, [note])
    assert done.status == 0, done
    calls = thread_calls(api)
    assert len(calls) == expected_note(note).reply_pages == done.stats["xhs/replies/calls_expected"]
    api.reset_call_log()
    assert crawl_all(project, [note]).status == 0
    assert thread_calls(api) == []


def test_an_empty_page_behind_a_cursor_of_another_run_restarts_the_thread(
    api: Simulator, project: Project
) -> None:
    note = threaded_note(4, 25, 55)
    root = next(iter(expected_note(note).inline))
    first = crawl_all(project, [note], budget=1)
    assert (first.status, first.reason) == (3, "budget_spent"), first
    empty = [{"path": ["comments"], "value": []}, {"path": ["has_more"], "value": False}]
    api.script({"rules": [{"comment": root, "times": 1, "patch": empty}]})
    done = crawl_all(project, mode="resume")
    assert done.status == 0, done
    assert stored_threads(project)[note] == with_replies(note)
    anew = -(-len(expected_note(note).threads[root]) // 10)
    assert api.call_log()["billed"] == cost([note]) - pages_left(note)[root] + 1 + anew
