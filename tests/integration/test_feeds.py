"""Feeds that people read: nothing lost, nothing in Python's own spelling."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from xhs.schemas import COLUMNS
from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Site
    from support.simulator import Simulator

NOTE = sized_note(15)
TEXT = '喝茶☕,"好"\n[doge]\x0b\x00'


def crawl(api: Simulator, site: Site) -> dict[str, Any]:
    api.script(
        {"rules": [{"page": 1, "patch": [{"path": ["comments", 0, "content"], "value": TEXT}]}]}
    )
    paths = {kind: site.folder / f"out.{kind}" for kind in ("json", "jsonl", "csv", "xml")}
    outputs = [word for path in paths.values() for word in ("-O", str(path))]
    done = site.crawl(*outputs, notes=[NOTE], feed=False)
    assert done.status == 0, done
    return paths


def test_every_format_says_the_same(api: Simulator, site: Site) -> None:
    paths = crawl(api, site)
    items = json.loads(paths["json"].read_text(encoding="utf-8"))
    assert {item["item_type"] for item in items} == {"comment", "user", "note"}
    assert TEXT in [item.get("content") for item in items]
    assert "喝茶☕" in paths["json"].read_text(encoding="utf-8")
    lines = paths["jsonl"].read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines if line] == items

    with paths["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    for row, item in zip(rows, items, strict=True):
        for name in COLUMNS:
            value = item.get(name)
            if value is None:
                assert row[name] == ""
            elif isinstance(value, str):
                assert row[name] == value
            else:
                assert json.loads(row[name]) == value

    elements = ElementTree.parse(paths["xml"]).getroot()  # noqa: S314 (ours)
    for element, item in zip(elements, items, strict=True):
        found = {field.tag: field.text or "" for field in element}
        assert set(found) == {name for name, value in item.items() if value is not None}
        assert found["item_type"] == item["item_type"]
        assert json.loads(found["extra"] if "extra" in item else "{}") == item.get("extra", {})
    contents = [element.findtext("content") or "" for element in elements]
    assert TEXT.replace("\x0b", "\ufffd").replace("\x00", "\ufffd") in contents
