"""The feeds of a crawl in JSON, JSON Lines, CSV and XML hold the same items."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from support.expected import expected_note

from xhs.simulator.notes import missing_note, sized_note

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.crawl import Project
    from support.simulator import Simulator

NOTE = sized_note(25)
TEXT = '说"好"，再见[捂脸R]\n第二行, <b>&amp;</b>\t\U0001f600 ]]>'
CONTROL = "a\x00b\x0bc\x1b\ufffe\u2028d\x85\x80e"
CONTROL_IN_CSV = "a\ufffdb\nc\ufffd\ufffd\nd\n\ufffde"

COLUMNS = [
    "item_type",
    "comment_id",
    "note_id",
    "user_id",
    "parent_comment_id",
    "target_comment_id",
    "content",
    "created_at",
    "like_count",
    "sub_comment_count",
    "ip_location",
    "pictures",
    "at_users",
    "comment_type",
    "status",
    "hidden",
    "is_pinned",
    "is_author",
    "is_liked_by_author",
    "show_tags",
    "is_new",
    "scraped_at",
    "extra",
    "nickname",
    "avatar_url",
    "red_id",
    "ai_agent",
    "additional_tags",
    "comment_count",
    "comment_count_l1",
    "comments_collected",
    "replies_collected",
    "missing",
    "replies_reported",
    "replies_missing",
    "sort",
    "pages",
    "complete",
    "stop_reason",
]

Feeds = dict[str, Any]


@pytest.fixture
def feeds(api: Simulator, without_store: Project) -> dict[str, Path]:
    """Paths of one crawl's four feeds by format."""
    patch = [
        {"path": ["comments", 0, "content"], "value": TEXT},
        {"path": ["comments", 1, "content"], "value": CONTROL},
        {"path": ["comments", 2, "content"], "value": ""},
        {"path": ["comments", 2, "like_count"], "value": 0},
        {"path": ["comments", 3, "content"], "remove": True},
        {"path": ["comments", 3, "like_count"], "remove": True},
        {"path": ["comments", 3, "user"], "remove": True},
    ]
    api.script({"rules": [{"note": NOTE, "page": 1, "patch": patch}]})
    kinds = ("json", "jsonl", "csv", "xml")
    paths = {kind: without_store.folder / f"out.{kind}" for kind in kinds}
    options = [word for path in paths.values() for word in ("-O", str(path))]
    done = without_store.crawl(*options, notes=[NOTE, missing_note()], feed=False)
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    assert "xhs/rejected" not in done.stats
    return paths


def plain(value: Any) -> str:
    """Return a value as CSV and XML show it."""
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def of_comment(items: list[Feeds], place: int) -> Feeds:
    """Return the item of the note's comment at a place."""
    wanted = expected_note(NOTE).first_level[place]
    (found,) = (item for item in items if item.get("comment_id") == wanted)
    return found


def in_order(items: list[Feeds]) -> list[Feeds]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def test_feeds_hold_the_same_in_their_own_way(feeds: dict[str, Path]) -> None:
    checks: list[Callable[[list[Feeds], Path], None]] = [check_jsonl, check_csv, check_xml]
    items = json.loads(feeds["json"].read_text(encoding="utf-8"))
    check_json(items, feeds["json"])
    for check, kind in zip(checks, ("jsonl", "csv", "xml"), strict=True):
        check(items, feeds[kind])


def check_json(items: list[Feeds], path: Path) -> None:
    expected = expected_note(NOTE)
    kinds = [item["item_type"] for item in items]
    assert set(kinds) == {"comment", "user", "note"}
    assert kinds.count("note") == 2
    assert kinds.count("comment") == 25 + len(expected.inline_replies)
    assert of_comment(items, 0)["content"] == TEXT
    assert of_comment(items, 1)["content"] == CONTROL
    empty, absent = of_comment(items, 2), of_comment(items, 3)
    assert (empty["content"], empty["like_count"]) == ("", 0)
    assert (absent["content"], absent["like_count"], absent["user_id"]) == (None, None, None)
    assert "再见[捂脸R]" in path.read_text(encoding="utf-8")
    assert "\U0001f600" in path.read_text(encoding="utf-8")


def check_jsonl(items: list[Feeds], path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert in_order([json.loads(line) for line in lines]) == in_order(items)
    assert "再见[捂脸R]" in path.read_text(encoding="utf-8")


def check_csv(items: list[Feeds], path: Path) -> None:
    text = path.read_bytes().decode()
    header, *rows = csv.reader(text.splitlines(keepends=True))
    assert header == COLUMNS
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert of_comment(found, 1)["content"] == CONTROL_IN_CSV
    expected = [{name: plain(item.get(name)) for name in COLUMNS} for item in items]
    of_comment(expected, 1)["content"] = CONTROL_IN_CSV
    assert in_order(found) == in_order(expected)
    pictured = [row for row in found if row["pictures"] not in ("", "[]")]
    for row in pictured:
        assert json.loads(row["pictures"])[0]["width"] > 0
    comment = of_comment(found, 4)
    assert json.loads(comment["extra"])["show_type"] == "common"


def check_xml(items: list[Feeds], path: Path) -> None:
    root = ET.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314 (our own)
    found = [{field.tag: field.text or "" for field in item} for item in root]
    expected = [
        {name: plain(value) for name, value in item.items() if value is not None} for item in items
    ]
    for item in expected:
        for name, value in item.items():
            item[name] = value.translate(
                {0: "\ufffd", 11: "\ufffd", 27: "\ufffd", 0xFFFE: "\ufffd"}
            )
    assert in_order(found) == in_order(expected)


def test_the_same_columns_where_there_is_no_comment(api: Simulator, without_store: Project) -> None:
    path = without_store.folder / "out.csv"
    done = without_store.crawl("-O", str(path), notes=[missing_note()], feed=False)
    assert done.status == 0, done
    with path.open(encoding="utf-8", newline="") as file:
        header, row = csv.reader(file)
    assert header == COLUMNS
    assert dict(zip(header, row, strict=True))["stop_reason"] == "not_found"
