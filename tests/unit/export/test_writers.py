"""Each format is read back with the library that its users have."""

from __future__ import annotations

import csv
import errno
import gc
import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fourcat import mapped

from xhs.export.files import replacing
from xhs.export.formats import FORMATS, ID_LIST, Format
from xhs.export.tables import COMMENTS, TABLES, Table
from xhs.feeds.csv_escaping import GUARD

if TYPE_CHECKING:
    from pathlib import Path

Row = dict[str, Any]

TIME = datetime(2024, 2, 9, 2, 56, 12, 345000, tzinfo=UTC)
NOTE = "65bf5360000000002c03f684"
DIGITS = "650000000012345678901234"
COMMENT: Row = {
    **dict.fromkeys(COMMENTS.fields),
    "comment_id": "c1",
    "note_id": NOTE,
    "user_id": "u1",
    "content": "好吃[捂脸R]\n=1+1",
    "created_at": TIME,
    "scraped_at": TIME,
    "like_count": 60,
    "sub_comment_count": 1,
    "is_reply": False,
    "root_comment_id": "c1",
    "nickname": "水果店",
    "avatar_url": "https://example.com/a",
    "pictures": [{"url": "https://a", "origin_url": None, "width": 1, "height": None}],
    "extra": {"a": ["茶"]},
}
REPLY: Row = {
    **COMMENT,
    "comment_id": DIGITS,
    "parent_comment_id": "c1",
    "user_id": "u2",
    "content": "=1+1",
    "is_reply": True,
    "answered_comment_id": "c1",
    "answered_user_id": "u1",
    "answered_nickname": "水果店",
    "nickname": '<&\x01">',
    "pictures": None,
}
ROWS = [COMMENT, REPLY]


def write(path: Path, rows: list[Row], table: Table = COMMENTS, form: Format | None = None) -> int:
    written = 0
    form = form or FORMATS[path.suffix]
    with replacing(path) as file, form.open(file, table) as writer:
        for row in rows:
            written += writer.write([row])
    return written


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def sheets(path: Path) -> dict[str, list[list[Any]]]:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(path)
    return {
        sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)]
        for sheet in book.worksheets
    }


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert write(path, ROWS) == 2
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    comment, reply = read_csv(path)
    assert list(comment) == [column.name for column in COMMENTS.columns]
    assert (comment["nickname"], comment["text"]) == ("水果店", "好吃[捂脸R]\n=1+1")
    assert (comment["time"], comment["time_utc"]) == ("2024-02-09 10:56:12", "2024-02-09 02:56:12")
    assert (reply["text"], reply["comment_id"]) == (f"{GUARD}=1+1", f"{GUARD}{DIGITS}")
    assert (reply["level"], reply["answers"]) == ("reply", "水果店")


def test_workbook(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    assert write(path, ROWS) == 2
    ((title, (header, comment, reply)),) = sheets(path).items()
    assert title == "comments"
    cells = dict(zip(header, comment, strict=True))
    assert cells["text"] == "好吃[捂脸R]\n=1+1"
    assert cells["likes"] == 60
    assert cells["time"] == datetime(2024, 2, 9, 10, 56, 12)  # noqa: DTZ001 (as clocks show it)
    answer = dict(zip(header, reply, strict=True))
    assert (answer["text"], answer["comment_id"]) == ("=1+1", DIGITS)
    assert answer["nickname"] == '<&\ufffd">'


def test_a_workbook_has_no_formula_and_no_link(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "out.xlsx"
    write(path, ROWS)
    sheet = openpyxl.load_workbook(path).active
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row]
    assert {cell.data_type for cell in cells} == {"s", "n", "d"}  # text, numbers and blanks, times
    assert not any(cell.hyperlink for cell in cells)
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:{cells[-1].column_letter}3"


def test_a_full_sheet_continues_on_another(tmp_path: Path) -> None:
    from xhs.export.workbook import WorkbookWriter

    path = tmp_path / "out.xlsx"
    with replacing(path) as file, WorkbookWriter(file, COMMENTS.of_ids(), most_rows=3) as writer:
        writer.write([{"comment_id": f"c{number}"} for number in range(5)])
    assert sheets(path) == {
        "comments": [["comment_id"], ["c0"], ["c1"]],
        "comments 2": [["comment_id"], ["c2"], ["c3"]],
        "comments 3": [["comment_id"], ["c4"]],
    }
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_that_no_cell_can_hold_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    write(path, [{**COMMENT, "content": "好" * 40_000}])
    (rows,) = sheets(path).values()
    assert rows[1][1] == "好" * 32_767


def test_a_failed_workbook_leaves_no_files(tmp_path: Path) -> None:
    from xhs.export.workbook import WorkbookWriter

    path = tmp_path / "out.xlsx"

    def fail() -> None:
        with replacing(path) as file, WorkbookWriter(file, COMMENTS.of_ids()) as writer:
            writer.write([COMMENT])
            writer.write([{}])  # a comment has an ID

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []
    gc.collect()  # warns of files that are still open


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert write(path, ROWS) == 2
    comment, _ = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    times = {"created_at": "2024-02-09T02:56:12.345Z", "scraped_at": "2024-02-09T02:56:12.345Z"}
    assert comment == COMMENT | times


def test_parquet(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "out.parquet"
    assert write(path, ROWS) == 2
    table = pq.read_table(path)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert list(kinds) == list(COMMENTS.fields)
    assert kinds["created_at"] == "timestamp[ms, tz=UTC]"
    assert (kinds["like_count"], kinds["is_reply"]) == ("int64", "bool")
    assert kinds["pictures"].startswith("list<element: struct<url: string")
    comment, reply = table.to_pylist()
    assert comment == COMMENT | {"extra": '{"a": ["茶"]}'}
    assert reply["comment_id"] == DIGITS


class FullDisk(BytesIO):
    """A file that refuses what is written after its beginning."""

    def write(self, data: Any) -> int:
        if self.tell():
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize(("file", "error"), [(BytesIO, KeyboardInterrupt), (FullDisk, None)])
def test_a_parquet_file_that_fails_prints_nothing_later(
    file: type[BytesIO], error: type[BaseException] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    def fail() -> None:
        with file() as out, FORMATS[".parquet"].open(out, COMMENTS) as writer:
            writer.write(ROWS)
            if error:
                raise error

    with suppress(KeyboardInterrupt, OSError):
        fail()
    gc.collect()
    assert unraisable == []


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".parquet"])
def test_a_table_without_rows_has_its_columns(name: str, ending: str, tmp_path: Path) -> None:
    table, path = TABLES[name], tmp_path / f"out{ending}"
    assert write(path, [], table) == 0
    columns = [column.name for column in table.columns]
    if ending == ".csv":
        assert path.read_text("utf-8-sig").split() == [",".join(columns)]
    elif ending == ".xlsx":
        assert sheets(path) == {name: [columns]}
    else:
        pq = pytest.importorskip("pyarrow.parquet")
        assert pq.read_table(path).to_pydict() == {name: [] for name in table.fields}


def test_a_graph_of_who_answers_whom(tmp_path: Path) -> None:
    path = tmp_path / "out.gexf"
    unknown = {**COMMENT, "comment_id": "c3", "user_id": None, "nickname": None}
    to_unknown = {**REPLY, "comment_id": "c4", "answered_user_id": None}
    to_absent = {**REPLY, "comment_id": "c5", "answered_user_id": "u9", "answered_nickname": None}
    write(path, [COMMENT, REPLY, REPLY, unknown, to_unknown, to_absent])
    space = "{http://gexf.net/1.3}"
    root = ElementTree.parse(path).getroot()  # noqa: S314 (our own)
    assert (root.tag, root.get("version")) == (f"{space}gexf", "1.3")
    nodes = {node.get("id"): node for node in root.iter(f"{space}node")}
    assert {key: node.get("label") for key, node in nodes.items()} == {
        "u1": "水果店",
        "u2": '<&\ufffd">',
        "u9": "u9",
    }
    declared = [one.get("id") for one in root.iter(f"{space}attribute")]
    values = {
        key: [one.get("value") for one in node.iter(f"{space}attvalue")]
        for key, node in nodes.items()
    }
    assert declared == ["comments", "replies", "likes_received"]
    assert values == {"u1": ["1", "0", "60"], "u2": ["0", "4", "240"], "u9": ["0", "0", "0"]}
    edges = [
        (one.get("source"), one.get("target"), one.get("weight"))
        for one in root.iter(f"{space}edge")
    ]
    assert edges == [("u2", "u1", "2"), ("u2", "u9", "1")]
    (graph,) = root.iter(f"{space}graph")
    assert graph.get("defaultedgetype") == "directed"


def test_a_graph_has_no_character_that_xml_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "out.gexf"
    write(path, [{**REPLY, "user_id": "u\x00", "answered_user_id": "u\x01"}])
    root = ElementTree.parse(path).getroot()  # noqa: S314 (our own)
    (edge,) = root.iter("{http://gexf.net/1.3}edge")
    assert edge.get("source") == edge.get("target") == "u\ufffd"


def test_4cat_can_map_every_line(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    sparse = {**COMMENT, "ip_location": None, "nickname": None, "content": None, "avatar_url": None}
    assert write(path, [*ROWS, {**COMMENT, "created_at": None}, sparse]) == 3
    items = [mapped(line) for line in path.read_text("utf-8").splitlines()]
    assert items[0] == {
        "id": "c1",
        "thread_id": NOTE,
        "body": "好吃[捂脸R]\n=1+1",
        "author": "水果店",
        "author_avatar_url": "https://example.com/a",
        "ip_location": "",
        "likes": 60,
        "replies": 1,
        "unix_timestamp": 1707447372,
    }
    assert [item["id"] for item in items] == ["c1", DIGITS, "c1"]


def test_ids_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    assert write(path, ROWS, COMMENTS.of_ids(), ID_LIST) == 2
    assert path.read_text() == f"c1\n{DIGITS}\n"


@pytest.mark.parametrize(("ending", "text"), [(".csv", f"c1\n{GUARD}{DIGITS}\n"), (".jsonl", "")])
def test_ids_in_a_table(ending: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{ending}"
    write(path, ROWS, COMMENTS.of_ids())
    text = text or f'{{"comment_id": "c1"}}\n{{"comment_id": "{DIGITS}"}}\n'
    header = "comment_id\n" if ending == ".csv" else ""
    assert path.read_text("utf-8-sig") == header + text


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(nickname=_TEXT, text=_TEXT)
def test_any_text_makes_files_that_can_be_read(nickname: str, text: str, tmp_path: Path) -> None:
    row = {**REPLY, "nickname": nickname, "content": text, "answered_nickname": nickname}
    for ending in (".csv", ".jsonl", ".gexf", ".ndjson"):
        write(tmp_path / f"out{ending}", [row, COMMENT])
    assert len(read_csv(tmp_path / "out.csv")) == 2
    lines = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[0])["content"] == text
    ElementTree.parse(tmp_path / "out.gexf")  # noqa: S314 (our own)
    assert len((tmp_path / "out.ndjson").read_text("utf-8").splitlines()) == 2
