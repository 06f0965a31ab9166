"""The budget of a run is exact, and no page is paid for twice."""

from __future__ import annotations

import shlex
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.expected import expected_note
from support.pages import page_count

from xhs.simulator.notes import DOCUMENTED_NOTE, sized_note

if TYPE_CHECKING:
    from support.crawl import Document, Project
    from support.simulator import Simulator

NOTE = sized_note(25)
PAGES = 3


def check_paid_pages(project: Project, call_log: Document) -> None:
    """Check that exactly the pages that were billed and received are stored."""
    came = Counter(
        call["note"] for call in call_log["log"] if call["billed"] and call["fault"] is None
    )
    shown = {
        comment
        for note, pages in came.items()
        for comment in expected_note(note).first_level[: 10 * pages]
    }
    assert project.documents("comments", parent_comment_id=None).keys() == shown


@pytest.mark.parametrize(("limit", "concurrency"), [(1, 16), (7, 1), (30, 16), (30, 64)])
def test_a_budget_is_exact(api: Simulator, project: Project, limit: int, concurrency: int) -> None:
    api.script({"refuse_share": {"301": 0.2}})
    notes = [DOCUMENTED_NOTE, *(sized_note(50, serial) for serial in range(20))]
    words = ["-s", f"CONCURRENT_REQUESTS={concurrency}"]
    done = project.crawl(*words, notes=notes, env={"XHS_MAX_CALLS": str(limit)})
    assert (done.status, done.reason) == (3, "budget_spent"), done
    call_log = api.call_log()
    assert call_log["billed"] == done.stats["xhs/calls/billed"] == limit
    assert sum(note.get("billed_calls", 0) for note in project.documents("notes").values()) == limit
    check_paid_pages(project, call_log)


@pytest.mark.parametrize(("limit", "concurrency"), [(10, 1), (40, 16), (40, 64)])
def test_a_budget_holds_whatever_fails(
    api: Simulator, project: Project, limit: int, concurrency: int
) -> None:
    """A call that may have been billed uses up budget, even if it was not billed."""
    rules = [
        {"call": 2, "truncate": True},
        {"call": 4, "status": 504},
        {"share": 0.1, "code": 301},
        {"share": 0.05, "code": 302},
        {"share": 0.05, "html": True},
        {"share": 0.05, "status": 502},
        {"share": 0.03, "status": 504},
        {"share": 0.05, "truncate": True},
        {"share": 0.05, "reset": "after"},
        {"share": 0.03, "hang": True},
    ]
    api.script({"rules": rules})
    notes = [DOCUMENTED_NOTE, *(sized_note(50, serial) for serial in range(20))]
    words = ["-s", "DOWNLOAD_TIMEOUT=1", "-s", f"CONCURRENT_REQUESTS={concurrency}"]
    done = project.crawl(*words, notes=notes, env={"XHS_MAX_CALLS": str(limit)})
    assert (done.status, done.reason) == (3, "budget_spent"), done
    call_log, stats = api.call_log(), done.stats
    not_billed = sum(call["status"] == 504 for call in call_log["log"])
    assert not_billed >= 1
    assert call_log["billed"] == limit - not_billed
    lost = sum(call["billed"] and call["fault"] is not None for call in call_log["log"])
    assert lost >= 1
    assert stats["xhs/calls/unknown"] == lost + not_billed
    assert stats["xhs/calls/billed"] == call_log["billed"] - lost
    assert sum(note.get("billed_calls", 0) for note in project.documents("notes").values()) == limit
    check_paid_pages(project, call_log)


def test_a_call_of_unknown_billing_counts(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"call": 2, "truncate": True}]})
    done = project.crawl(notes=[sized_note(50)], env={"XHS_MAX_CALLS": "3"})
    assert (done.status, done.reason) == (3, "budget_spent"), done
    assert api.call_log()["billed"] == 3


@pytest.mark.parametrize("concurrency", [1, 64])
def test_a_budget_that_just_suffices_is_not_spent(
    api: Simulator, project: Project, concurrency: int
) -> None:
    """Also if calls are refused in between, including the last one that the budget allows."""
    *others, last = notes = [sized_note(5 * serial, serial) for serial in range(14)]
    pages = page_count(notes)
    rules = [
        {"note": last, "page": 7, "page_call": "1-2", "code": 302},
        {"note": others, "share": 0.2, "code": 301},
        {"note": others, "share": 0.1, "code": 500},
    ]
    api.script({"seed": 32, "rules": rules})
    words = ["-s", f"CONCURRENT_REQUESTS={concurrency}"]
    done = project.crawl(*words, notes=notes, env={"XHS_MAX_CALLS": str(pages)})
    assert (done.status, done.reason) == (0, "finished"), done
    call_log = api.call_log()
    assert call_log["billed"] == pages < call_log["calls"]
    check_paid_pages(project, call_log)
    assert {note["stop_reason"] for note in project.documents("notes").values()} == {"complete"}


def end_of_day() -> str:
    """Return the end of the day in Asia/Shanghai, which is always eight hours ahead of UTC."""
    shanghai = datetime.now(UTC) + timedelta(hours=8)
    return f"{shanghai:%Y-%m-%d} 16:00 UTC"


@pytest.mark.parametrize(
    ("limit", "reason", "why"),
    [
        ({"quota": 30}, "quota_exhausted", "code 303: the day's quota is used up"),
        ({"balance": 0.61, "price": 0.02}, "balance_exhausted", "code 601: the account's balance"),
        ({"spending_limit": 0.3}, "balance_exhausted", "code 602: the token's own spending limit"),
        ({"revoke_after": 30}, "token_rejected", "code 100: the API rejects the token"),
    ],
    ids=["quota", "balance", "spending_limit", "revoke_after"],
)
def test_a_limit_of_the_account_is_used_to_its_end(
    api: Simulator, project: Project, limit: dict[str, Any], reason: str, why: str
) -> None:
    """With 16 concurrent calls; the last lines name the reason and how to do the rest."""
    api.script(limit)
    notes = [sized_note(25, serial) for serial in range(20)]
    days = {end_of_day()}
    done = project.crawl(notes=notes)
    days.add(end_of_day())
    assert (done.status, done.reason) == (3, reason), done
    call_log = api.call_log()
    assert call_log["billed"] == done.stats["xhs/calls/billed"] == 30
    assert 30 < call_log["calls"] <= 30 + 16
    assert sum(note.get("billed_calls", 0) for note in project.documents("notes").values()) == 30
    check_paid_pages(project, call_log)

    *_, cause, advice = done.errors.splitlines()
    assert f"WARNING: {done.stats['xhs/notes/left']:.0f} notes are left" in cause
    assert reason in cause
    assert why in cause
    assert any(day in cause for day in days) is (reason == "quota_exhausted")
    program, *words = shlex.split(advice.partition("To continue: ")[2])
    assert program == "scrapy"
    api.script({})
    again = project.command(*words)
    assert again.status == 0, again
    check_paid_pages(project, api.call_log())
    assert {note["stop_reason"] for note in project.documents("notes").values()} == {"complete"}


@pytest.mark.parametrize("value", ["-1", "many", "1.5"])
def test_a_budget_that_is_none_is_refused(api: Simulator, project: Project, value: str) -> None:
    done = project.crawl(notes=[NOTE], env={"XHS_MAX_CALLS": value})
    assert done.status == 2, done
    assert len(done.lines("ERROR")) == 1
    assert api.call_log()["calls"] == 0


def test_a_cached_page_costs_nothing_and_a_refusal_is_not_cached(
    api: Simulator, without_store: Project
) -> None:
    cache = ["-s", "HTTPCACHE_ENABLED=1", "-s", f"HTTPCACHE_DIR={without_store.folder / 'cache'}"]
    api.script({"rules": [{"note_call": 1, "code": 301}]})
    first = without_store.crawl(*cache, notes=[NOTE])
    assert api.call_log()["billed"] == PAGES
    second = without_store.crawl(*cache, notes=[NOTE], env={"JUSTONEAPI_TOKEN": "another-token"})
    assert api.call_log()["billed"] == PAGES
    assert sorted(second.items("comment"), key=str) == sorted(first.items("comment"), key=str)


def test_more_notes_from_the_cache_than_there_are_places(
    api: Simulator, without_store: Project
) -> None:
    """A page from the cache is never sent, but its note counts as begun."""
    notes = [sized_note(5, serial) for serial in range(40)]
    cache = ["-s", "HTTPCACHE_ENABLED=1", "-s", f"HTTPCACHE_DIR={without_store.folder / 'cache'}"]
    for _ in range(2):
        done = without_store.crawl(*cache, notes=notes)
        assert (done.status, len(done.items("note"))) == (0, len(notes)), done
        assert api.call_log()["billed"] == len(notes)
