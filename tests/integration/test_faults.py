"""What goes wrong at the API: everything arrives, or the end has its name and its price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from xhs.simulator.notes import sized_note
from xhs.simulator.truth import truth

if TYPE_CHECKING:
    from support.crawl import Site
    from support.simulator import Simulator

NOTE = sized_note(25)
OTHER = sized_note(12, 1)
LONGER = sized_note(45, 2)
PAGES, OTHER_PAGES = 3, 2

PASSING: dict[str, dict[str, Any]] = {
    "301": {"code": 301},
    "302": {"code": 302},
    "500": {"code": 500},
    "a gateway's 502": {"status": 502},
    "a gateway's 401": {"status": 401},
    "a gateway's 403": {"status": 403},
    "a 503 with an envelope": {"status": 503, "envelope": True, "code": 301},
    "HTML": {"html": True},
    "text": {"body": "busy"},
    "JSON that is no envelope": {"body": "[1, 2]", "content_type": "application/json"},
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_retried_and_costs_nothing(api: Simulator, site: Site, fault: str) -> None:
    api.script({"rules": [{"page_call": 1, "page": "1-2", **PASSING[fault]}]})
    done = site.crawl(notes=[NOTE])
    assert done.status == 0, done
    assert set(site.comment_ids(NOTE)[0]) == set(truth(NOTE).first_level)
    assert api.books()["billed"] == PAGES
    assert "Traceback" not in done.errors


@pytest.mark.parametrize("fault", [{"truncate": True}, {"reset": "after"}, {"reset": "before"}])
def test_an_answer_that_never_came_whole_counts_as_billed(
    api: Simulator, site: Site, fault: dict[str, Any]
) -> None:
    api.script({"rules": [{"page_call": 1, "page": 2, **fault}]})
    done = site.crawl(notes=[NOTE])
    assert done.status == 0, done
    assert set(done.ids("comment")) >= set(truth(NOTE).first_level)
    assert done.stats["xhs/calls/unknown"] == 1
    assert api.books()["undelivered"] == 1
    assert site.note(NOTE)["billed_calls"] == api.books()["billed"] == PAGES + 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (100, "token_rejected"),
        (600, "permission_denied"),
        (601, "balance_exhausted"),
        (602, "balance_exhausted"),
        (303, "quota_exhausted"),
    ],
)
def test_a_fatal_code_stops_the_crawl(api: Simulator, site: Site, code: int, reason: str) -> None:
    api.script({"rules": [{"after": 2, "code": code}]})
    done = site.crawl(notes=[NOTE])
    assert (done.status, done.reason) == (3, reason), done
    assert api.books()["calls"] == 3
    assert done.items("note") == []
    newest = truth(NOTE).sorted_by("latest")[:20]
    assert site.comment_ids(NOTE)[0] == set(newest)
    note = site.note(NOTE)
    assert note["state"] == "unfinished"
    assert note["stop_reason"] == "interrupted"
    assert note["checkpoint"]["cursor"]
    assert note["billed_calls"] == 2
    assert done.stats["xhs/notes/left"] == 1
    assert any(f"code {code}" in line for line in done.lines("ERROR"))


def test_a_refused_note_is_that_notes_own_business(api: Simulator, site: Site) -> None:
    api.script({"rules": [{"note": NOTE, "code": 400, "message": "no such parameter"}]})
    done = site.crawl(notes=[NOTE, OTHER])
    assert done.status == 4, done
    assert {item["note_id"]: item["stop_reason"] for item in done.items("note")} == {
        NOTE: "refused",
        OTHER: "complete",
    }
    assert site.note(NOTE)["state"] == "ended"
    assert any("no such parameter" in line for line in done.lines("ERROR"))


def test_an_unknown_code_is_quoted_and_not_retried(api: Simulator, site: Site) -> None:
    api.script({"rules": [{"note": NOTE, "page": 2, "code": 999, "message": "what is this"}]})
    done = site.crawl(notes=[NOTE, OTHER])
    assert done.status == 3, done
    assert site.note(NOTE)["stop_reason"] == "unknown_code"
    assert site.note(NOTE)["state"] == "unfinished"
    assert api.books()["codes"]["999"] == 1
    line = next(line for line in done.lines("ERROR") if "999" in line)
    assert "what is this" in line
    assert "requestId" in line


def test_a_note_that_exhausts_its_retries_is_left_at_its_checkpoint(
    api: Simulator, site: Site
) -> None:
    api.script({"rules": [{"note": NOTE, "page": 3, "code": 301}]})
    done = site.crawl("-s", "RETRY_TIMES=1", notes=[NOTE, OTHER])
    assert done.status == 3, done
    assert api.books()["codes"]["301"] == 2
    note = site.note(NOTE)
    assert (note["state"], note["stop_reason"]) == ("unfinished", "retries_exhausted")
    assert note["checkpoint"]["cursor"]
    assert note["comments_collected"] == 20
    assert note["missing"] == 5
    assert site.note(OTHER)["state"] == "ended"


@pytest.mark.parametrize(
    ("rule", "stop", "calls"),
    [
        ({"cursor": "ignored"}, "cursor_ignored", 2),
        ({"page": 2, "cursor": "repeated"}, "cursor_repeated", 2),
        ({"page": 2, "cursor": "missing"}, "cursor_missing", 2),
        ({"page": "3-", "cursor": "endless"}, "cursor_ignored", 6),
        ({"page": "2-", "patch": [{"path": ["comments"], "value": []}]}, "no_progress", 3),
    ],
)
def test_a_cursor_that_lies_has_a_name_and_a_price(
    api: Simulator, site: Site, rule: dict[str, Any], stop: str, calls: int
) -> None:
    api.script({"rules": [rule]})
    done = site.crawl(notes=[LONGER])
    assert done.status == 4, done
    [note] = done.items("note")
    assert (note["stop_reason"], note["complete"]) == (stop, False)
    assert api.books()["billed"] == calls
    assert site.note(LONGER)["state"] == "ended"


@pytest.mark.parametrize("limit", [1, 7, 30])
def test_a_budget_is_exact(api: Simulator, site: Site, limit: int) -> None:
    api.script({"refuse_share": {"301": 0.2}})
    notes = [sized_note(50, serial) for serial in range(20)]
    done = site.crawl(notes=notes, env={"XHS_MAX_CALLS": str(limit)})
    assert (done.status, done.reason) == (3, "budget_spent"), done
    assert api.books()["billed"] == limit


def test_a_budget_that_just_suffices_is_not_spent(api: Simulator, site: Site) -> None:
    done = site.crawl(notes=[NOTE, OTHER], env={"XHS_MAX_CALLS": str(PAGES + OTHER_PAGES)})
    assert (done.status, done.reason) == (0, "finished"), done


def test_a_cached_page_costs_nothing_and_a_refusal_is_not_cached(
    api: Simulator, storeless: Site
) -> None:
    cache = ["-s", "HTTPCACHE_ENABLED=1", "-s", f"HTTPCACHE_DIR={storeless.folder / 'cache'}"]
    api.script({"rules": [{"note_call": 1, "note": NOTE, "code": 301}]})
    first = storeless.crawl(*cache, notes=[NOTE])
    assert api.books()["billed"] == PAGES
    second = storeless.crawl(*cache, notes=[NOTE], env={"JUSTONEAPI_TOKEN": "another-token"})
    assert api.books()["billed"] == PAGES
    by_id = sorted(first.items("comment"), key=lambda item: item["comment_id"])
    assert sorted(second.items("comment"), key=lambda item: item["comment_id"]) == by_id
