"""Users' own middlewares and pipelines cause no hang and no loss, and the ledger stays correct."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.crawl import Outcome
from support.expected import expected_note
from support.simulator import COMMENTS

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Project
    from support.simulator import Simulator

NOTE = sized_note(25)
OTHER = sized_note(15, 1)
MODULE = """
from scrapy.exceptions import DropItem

class Filter:
    async def process_spider_output(self, response, result):
        async for output in result:
            if getattr(output, "get", dict().get)("item_type") != "user":
                yield output

class Break:
    async def process_spider_output(self, response, result):
        seen = 0
        async for output in result:
            seen += 1
            if seen == 5 and "lastCursor" not in response.url:
                raise RuntimeError("broken middleware")
            yield output

class DropNotes:
    def process_item(self, item):
        if item["item_type"] == "note":
            raise DropItem("no notes here")
        return item

class RaiseOnNotes:
    def process_item(self, item):
        if item["item_type"] == "note":
            raise RuntimeError("broken pipeline")
        return item
"""

RAISE_ON_COMMENTS = """
class RaiseOnComments:
    def process_item(self, item):
        if item["item_type"] == "comment":
            raise RuntimeError("broken pipeline")
        return item
"""
PIPELINES = {
    "xhs.pipelines.ValidatePipeline": 100,
    "xhs.pipelines.StorePipeline": 300,
}


def crawl(project: Project, setting: str, components: dict[str, int]) -> Outcome:
    project.add_module(MODULE + RAISE_ON_COMMENTS)
    option = f"{setting}={json.dumps(components)}"
    return project.crawl("-s", option, notes=[NOTE, OTHER])


def middleware(name: str) -> dict[str, int]:
    return {"xhs.middlewares.PageMiddleware": 1, f"users_own.{name}": 543}


def test_items_that_a_middleware_filters_are_not_waited_for(project: Project) -> None:
    done = crawl(project, "SPIDER_MIDDLEWARES", middleware("Filter"))
    assert done.status == 0, done
    assert done.items("user") == []
    for note in (NOTE, OTHER):
        assert project.comment_ids(note)[0] == set(expected_note(note).first_level)
        assert project.note(note)["state"] == "ended"


def test_an_exception_in_a_middleware_leaves_the_note_unfinished(project: Project) -> None:
    done = crawl(project, "SPIDER_MIDDLEWARES", middleware("Break"))
    assert (done.status, done.reason) == (3, "finished"), done
    assert done.items("note") == []
    for note in (NOTE, OTHER):
        document = project.note(note)
        assert (document["state"], document["complete"]) == ("queued", False)
        assert document.get("checkpoint") is None


@pytest.mark.parametrize("priority", [200, 400])
@pytest.mark.parametrize("name", ["DropNotes", "RaiseOnNotes"])
def test_the_ledger_does_not_depend_on_what_becomes_of_the_note_item(
    project: Project, name: str, priority: int
) -> None:
    done = crawl(project, "ITEM_PIPELINES", {**PIPELINES, f"users_own.{name}": priority})
    assert done.status == 0, done
    assert done.items("note") == []
    for note in (NOTE, OTHER):
        assert (project.note(note)["state"], project.note(note)["complete"]) == ("ended", True)


def test_an_author_that_cannot_be_stored_is_no_author(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"patch": [{"path": ["user_id"], "value": "a\ud83d"}]}]})
    done = project.crawl(notes=[NOTE])
    assert done.status == 0, done
    assert project.note(NOTE)["state"] == "ended"
    assert done.items("note")[0]["user_id"] is None


def test_looking_at_a_page_books_its_cost_and_changes_nothing_else(
    api: Simulator, project: Project
) -> None:
    project.crawl(notes=[NOTE])
    before = project.note(NOTE)
    url = f"{api.url}{COMMENTS}?noteId={NOTE}"
    assert project.command("parse", "--spider=comments", "-c", "parse_page", url).status == 0
    after = project.note(NOTE)
    assert after.pop("last_write") != before.pop("last_write")
    assert after == {**before, "billed_calls": before["billed_calls"] + 1}


@pytest.mark.parametrize(("priority", "rejected"), [(200, True), (400, False)])
def test_what_is_stored_is_not_rejected_as_well(
    project: Project, priority: int, rejected: bool
) -> None:
    crawl(project, "ITEM_PIPELINES", {**PIPELINES, "users_own.RaiseOnComments": priority})
    wanted = set(expected_note(NOTE).first_level)
    stored = project.comment_ids(NOTE)[0]
    kept = {
        json.loads(document["raw"])["id"]
        for document in project.documents("rejected", note_id=NOTE).values()
    }
    assert stored == (set() if rejected else wanted)
    assert kept & wanted == (wanted if rejected else set())
