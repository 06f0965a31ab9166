"""Exporters: every value can be read back as it was written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.feeds.csv_escaping import GUARD
from xhs.feeds.exporters import CsvExporter, JsonLinesExporter, XmlExporter
from xhs.items import COLUMNS

COMMENT: dict[str, Any] = {"item_type": "comment", "comment_id": "c1", "like_count": 0}
USER: dict[str, Any] = {"item_type": "user", "user_id": "u1", "nickname": "水果店"}

LINE_BREAKS = "\v\f\x85\u2028\u2029"
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
KEPT_CONTROLS = "\t\n\r"
UNUSABLE = {*CONTROLS, "\ufffe", "\uffff", *LINE_BREAKS} - {*KEPT_CONTROLS}
"""Characters that break programs with which people open CSV files."""

characters = st.characters(codec="utf-8")
ordinary = st.characters(codec="utf-8", exclude_characters=UNUSABLE)
unusual = st.sampled_from([*CONTROLS, "\u2028", "\u2029", "\ufffe", "\uffff", '"', ",", "="])
texts = st.text(st.one_of(unusual, characters))


def csv_text(*items: dict[str, Any], **options: Any) -> str:
    file = io.BytesIO()
    exporter = CsvExporter(file, encoding="utf-8", **options)
    exporter.start_exporting()
    for item in items:
        exporter.export_item(item)
    exporter.finish_exporting()
    return file.getvalue().decode("utf-8")


def csv_rows(*items: dict[str, Any], **options: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(*items, **options), newline="")))


def xml_fields(*items: dict[str, Any]) -> Sequence[dict[str, str | None]]:
    file = io.BytesIO()
    exporter = XmlExporter(file, encoding="utf-8")
    exporter.start_exporting()
    for item in items:
        exporter.export_item(item)
    exporter.finish_exporting()
    root = ElementTree.fromstring(file.getvalue())  # noqa: S314
    return [{field.tag: field.text for field in item} for item in root]


@pytest.mark.parametrize("items", [[COMMENT], [USER], [USER, COMMENT]])
def test_columns_do_not_depend_on_the_items(items: list[dict[str, Any]]) -> None:
    assert list(csv_rows(*items)[0]) == COLUMNS


def test_a_mixed_feed_has_a_row_for_each_item() -> None:
    comment, user = csv_rows(COMMENT, USER)
    assert (comment["item_type"], comment["comment_id"], comment["nickname"]) == (
        "comment",
        "c1",
        "",
    )
    assert (user["item_type"], user["user_id"], user["nickname"]) == ("user", "u1", "水果店")


def test_a_feed_may_name_its_own_columns() -> None:
    assert list(csv_rows(COMMENT, fields_to_export=["like_count"])[0]) == ["like_count"]


@pytest.mark.parametrize("value", [True, False, [], ["茶", None, 1.5], {"a": {"b": [True]}}, {}])
def test_booleans_and_nested_values_are_json(value: object) -> None:
    assert json.loads(csv_rows({"extra": value})[0]["extra"]) == value


def test_nested_text_is_not_escaped() -> None:
    assert csv_rows({"extra": {"a": "茶"}})[0]["extra"] == '{"a": "茶"}'


@pytest.mark.parametrize(("value", "cell"), [(0, "0"), ("", ""), (None, ""), (-2, "-2")])
def test_plain_values_in_a_cell(value: object, cell: str) -> None:
    assert csv_rows({"status": value})[0]["status"] == cell


@given(st.text(ordinary))
def test_any_text_can_be_read_from_a_cell(text: str) -> None:
    assert csv_rows({"comment_id": "c", "content": text})[0]["content"] == text


@given(texts, st.booleans())
def test_no_character_breaks_a_row(text: str, spreadsheet: bool) -> None:
    items = [{"content": text, "extra": {text: [text]}, "nickname": "last"}, USER]
    written = csv_text(*items, spreadsheet=spreadsheet)
    assert not UNUSABLE & {*written}
    first, second = csv.DictReader(written.splitlines(keepends=True))
    expected = "".join(
        "\n" if char in LINE_BREAKS else "\ufffd" if char in UNUSABLE else char for char in text
    )
    assert first["content"] in (expected, GUARD + expected if spreadsheet else expected)
    assert (first["nickname"], second["nickname"]) == ("last", USER["nickname"])
    assert json.loads(first["extra"]) == {text: [text]}


def test_a_control_character_does_not_hide_a_formula_from_the_guard() -> None:
    (row,) = csv_rows({"content": "\u2028=1+1"}, spreadsheet=True)
    assert row["content"] == "\t\n=1+1"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_that_is_appended_to_has_one_header(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "out.csv"
    for item in (COMMENT, USER):
        with path.open("ab") as file:
            exporter = CsvExporter(cast("io.BytesIO", file), encoding=encoding)
            exporter.start_exporting()
            exporter.export_item(item)
            exporter.finish_exporting()
    comment, user = csv.DictReader(io.StringIO(path.read_text(encoding), newline=""))
    assert (comment["comment_id"], user["nickname"]) == ("c1", "水果店")


@given(texts)
def test_a_line_is_an_item_for_any_line_splitter(text: str) -> None:
    items = [{"content": text, "extra": {text: [text]}}, USER]
    file = io.BytesIO()
    exporter = JsonLinesExporter(file, encoding="utf-8")
    for item in items:
        exporter.export_item(item)
    written = file.getvalue().decode("utf-8")
    assert not {*written} & (UNUSABLE | {"\t", "\r"})
    assert [json.loads(line) for line in written.splitlines()] == items
    assert "水果店" in written


def test_xml_leaves_out_null_values_only() -> None:
    (fields,) = xml_fields(
        {"content": "<茶> & \x00", "like_count": 0, "user_id": None, "extra": {}}
    )
    assert fields == {"content": "<茶> & \ufffd", "like_count": "0", "extra": "{}"}


@given(st.text(st.characters()))
def test_xml_can_be_parsed_with_any_text(text: str) -> None:
    assert len(xml_fields({"content": text}, USER)) == 2
