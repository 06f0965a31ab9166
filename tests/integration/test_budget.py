"""What a run may cost: a budget that is exact, and pages that are not paid for twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Site
    from support.simulator import Simulator

NOTE = sized_note(25)
PAGES = 3


@pytest.mark.parametrize("limit", [1, 7, 30])
def test_a_budget_is_exact(api: Simulator, site: Site, limit: int) -> None:
    api.script({"refuse_share": {"301": 0.2}})
    notes = [sized_note(50, serial) for serial in range(20)]
    done = site.crawl(notes=notes, env={"XHS_MAX_CALLS": str(limit)})
    assert (done.status, done.reason) == (3, "budget_spent"), done
    assert api.books()["billed"] == limit
    assert done.stats["xhs/calls/billed"] == limit


def test_a_call_of_unknown_billing_counts(api: Simulator, site: Site) -> None:
    api.script({"rules": [{"call": 2, "truncate": True}]})
    done = site.crawl(notes=[sized_note(50)], env={"XHS_MAX_CALLS": "3"})
    assert (done.status, done.reason) == (3, "budget_spent"), done
    assert api.books()["billed"] == 3


def test_a_budget_that_just_suffices_is_not_spent(api: Simulator, site: Site) -> None:
    done = site.crawl(notes=[NOTE], env={"XHS_MAX_CALLS": str(PAGES)})
    assert (done.status, done.reason) == (0, "finished"), done


@pytest.mark.parametrize("value", ["-1", "many", "1.5"])
def test_a_budget_that_is_none_is_refused(api: Simulator, site: Site, value: str) -> None:
    done = site.crawl(notes=[NOTE], env={"XHS_MAX_CALLS": value})
    assert done.status == 2, done
    assert len(done.lines("ERROR")) == 1
    assert api.books()["calls"] == 0


def test_a_cached_page_costs_nothing_and_a_refusal_is_not_cached(
    api: Simulator, storeless: Site
) -> None:
    cache = ["-s", "HTTPCACHE_ENABLED=1", "-s", f"HTTPCACHE_DIR={storeless.folder / 'cache'}"]
    api.script({"rules": [{"note_call": 1, "code": 301}]})
    first = storeless.crawl(*cache, notes=[NOTE])
    assert api.books()["billed"] == PAGES
    second = storeless.crawl(*cache, notes=[NOTE], env={"JUSTONEAPI_TOKEN": "another-token"})
    assert api.books()["billed"] == PAGES
    assert sorted(second.items("comment"), key=str) == sorted(first.items("comment"), key=str)
