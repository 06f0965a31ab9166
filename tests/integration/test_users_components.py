"""The worst components of users: the crawl ends and reports what they did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.expected import expected_note

from xhs.settings import EXTENSIONS, ITEM_PIPELINES
from xhs.simulator.notes import missing_note, sized_note

if TYPE_CHECKING:
    from support.crawl import Outcome, Project

NOTE = sized_note(25)

PIPELINES = """
import asyncio
from dataclasses import dataclass

@dataclass(frozen=True)
class Frozen(Exception):
    about: str

class Equal(Exception):
    def __eq__(self, other):
        raise TypeError

def looped(item):
    item["extra"]["me"] = item["extra"]
    raise ValueError("round and round")

def cancelled(item):
    raise asyncio.CancelledError

def left(item):
    raise SystemExit(7)

def frozen(item):
    raise Frozen(item["content"])

def equal(item):
    try:
        raise Equal
    except Equal as error:
        raise Equal from error

def forgotten(item):
    return None

def generated(item):
    yield item

class Own:
    ways = [looped, cancelled, left, frozen, equal, forgotten, generated]

    def process_item(self, item):
        if item["item_type"] == "comment" and self.ways:
            return self.ways.pop()(item)
        return item

class Reduced:
    def process_item(self, item):
        kept = ("item_type", "note_id", "comment_id", "content")
        return {name: item[name] for name in kept if name in item}

class Late:
    async def process_item(self, item):
        if item["item_type"] == "comment":
            raise asyncio.CancelledError
        return item

class Unclosed:
    def process_item(self, item):
        return item

    def close_spider(self):
        raise ValueError("what it held is gone")
"""

FEEDS = """
from scrapy.extensions.feedexport import ItemFilter

class Raising(ItemFilter):
    def accepts(self, item):
        raise ValueError(f"{dict(item)}")
"""


def crawl(project: Project, code: str, *words: str) -> Outcome:
    project.add_module(code)
    return project.crawl(*words, notes=[NOTE])


def pipeline(name: str, place: int) -> tuple[str, str]:
    return "-s", f"ITEM_PIPELINES={json.dumps({**ITEM_PIPELINES, f'users_own.{name}': place})}"


def comments() -> set[str]:
    return {*expected_note(NOTE).first_level, *expected_note(NOTE).inline_replies}


def test_whatever_a_pipeline_does_to_an_item_the_crawl_ends_and_reports(project: Project) -> None:
    done = crawl(project, PIPELINES, *pipeline("Own", 400))
    assert done.status == 0, done
    assert done.run["pipelines"] == {"failed": 7, "unclosed": 0}
    assert "7 items are in no feed" in done.lines("ERROR")[-1]
    failed = [
        line for line in done.lines("ERROR") if line == "An item pipeline failed on a comment"
    ]
    assert len(failed) == 7
    assert "returned NoneType in place of an item" in done.errors
    assert "returned generator in place of an item" in done.errors
    assert "raised CancelledError" in done.errors
    assert set(project.documents("comments")) == comments()
    assert len(done.ids("comment")) == len(comments()) - 7
    assert project.note(NOTE)["stop_reason"] == "complete"


def test_what_a_pipeline_before_the_store_loses_is_kept_as_rejected(project: Project) -> None:
    done = crawl(project, PIPELINES, *pipeline("Late", 200))
    assert done.status == 0, done
    assert done.run["pipelines"]["failed"] == len(comments())
    assert len(project.documents("rejected")) == len(comments())
    assert project.note(NOTE)["stop_reason"] == "complete"


def test_what_is_lost_where_there_is_no_store_is_reported(without_store: Project) -> None:
    done = crawl(without_store, PIPELINES, *pipeline("Late", 400))
    assert done.status == 1, done
    assert done.run["lost"] == len(comments())
    assert "were paid for and could not be stored" in done.lines("ERROR")[-1]


def test_a_pipeline_that_cannot_be_closed_does_not_keep_the_store_from_it(project: Project) -> None:
    done = crawl(project, PIPELINES, *pipeline("Unclosed", 50))
    assert done.status == 1, done
    assert done.run["pipelines"] == {"failed": 0, "unclosed": 1}
    assert "1 pipelines could not be closed" in done.lines("ERROR")[-1]
    assert set(project.documents("comments")) == comments()
    assert project.note(NOTE)["state"] == "ended"


def test_items_may_lose_fields_without_a_store(without_store: Project) -> None:
    done = crawl(without_store, PIPELINES, *pipeline("Reduced", 400), "-a", "replies=all")
    assert done.status == 0, done
    assert done.errors.count("Error caught on signal handler") == 0
    assert {len(item) for item in done.items("comment")} == {4}
    assert set(done.ids("comment")) == comments()


def test_feeds_that_no_extension_writes_are_reported(without_store: Project) -> None:
    extensions = {**EXTENSIONS, "xhs.feeds.isolation.FeedExporter": None}
    done = without_store.crawl("-s", f"EXTENSIONS={json.dumps(extensions)}", notes=[missing_note()])
    assert done.status == 0, done
    assert any(
        "The FeedExporter extension is not enabled" in line for line in done.lines("WARNING")
    )


def test_a_filter_that_raises_costs_its_own_feed_alone(project: Project) -> None:
    feeds = {
        str(project.folder / name): {"format": "jsonl", **more}
        for name, more in (
            ("a.jsonl", {}),
            ("b.jsonl", {"item_filter": "users_own.Raising"}),
            ("c.jsonl", {}),
        )
    }
    project.add_module(FEEDS)
    done = project.crawl("-s", f"FEEDS={json.dumps(feeds)}", notes=[NOTE], feed=False)
    assert done.status == 1, done
    count = sum(done.run["items"].values())
    counts = {"stored": 2, "failed": 1, "items_missed": count}
    assert done.run["feeds"].items() >= counts.items()
    for name in ("a.jsonl", "c.jsonl"):
        assert len((project.folder / name).read_text().splitlines()) == count
    assert "Error caught on signal handler" not in done.errors
    assert expected_note(NOTE).first_level[0] not in "".join(done.lines("ERROR"))
