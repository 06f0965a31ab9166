import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.crawl import json_list
from xhs.crawl.arguments import Arguments
from xhs.crawl.note_list import WrongNotes, read_notes

A = "65bf5360000000002c03f684"
B = "65c5944c000000001100b84a"
C = "65c4f627000000000803040c"
LINK = f"https://www.xiaohongshu.com/explore/{B}?xsec_token=x"


def read(path: Path | str) -> list[str]:
    notes = read_notes(Arguments(notes_file=str(path)))
    try:
        return list(notes)
    finally:
        notes.close()


def errors_of(path: Path | str) -> list[str]:
    with pytest.raises(WrongNotes) as caught:
        read(path)
    assert caught.value.total == len(caught.value.errors)
    return caught.value.errors


@contextmanager
def as_standard_input(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with path.open("rb") as file, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", file)
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_argument_names_notes() -> None:
    assert list(read_notes(Arguments(notes=f"{A},{LINK}"))) == [A, B]


def test_argument_and_file_are_both_read(folder: Path) -> None:
    (folder / "more.txt").write_text(B)
    assert list(read_notes(Arguments(notes=A, notes_file="more.txt"))) == [A, B]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", f"{A}\n{LINK}\n{C}"),
        ("a.TXT", f"{A} {B}\r\n\r\n  {C}  \r\n"),
        ("a.txt", f"# notes\n{A}\n   # more\n{B}\n\n{C}\n"),
        ("a.csv", f"note_id\n{A}\n{B}\n{C}\n"),
        ("a.csv", f'title,url\n"x, y",{LINK.replace(B, A)}\n\n"two\nlines",{LINK}\nz,{C}\n'),
        ("a.csv", f" Note_ID ,url\r\n{A},\r\n{B},nonsense\r\n{C}\r\n"),
        ("a.csv", f"标题,NOTE_URL\n一,{A}\n二,{LINK}\n三,{C}\n"),
        ("a.csv", f"\u3000笔记id ,标题\n{A},一\n{B},二\n{C},三\n"),
        ("a.csv", f"标题,笔记链接\n一,{A}\n二,{LINK}\n三,{C}\n"),
        ("a.csv", f"笔记 ＩＤ,笔记链接\n{A},no\n,{LINK}\n{C},\n"),
        ("a.csv", f"noteId\n{A}\n{B}\n{C}\n"),
        ("a.csv", f'标题;note_id\n"a;b";{A}\nc;{B}\nd;{C}\n'),
        ("a.csv", f"标题\tnote_id\na\t{A}\nb,c\t{B}\nd\t{C}\n"),
        ("a.csv", f"sep=;\r\nnote_id;x\r\n{A};1\r\n{B};2\r\n{C};3\r\n"),
        ("a.csv", f"note_id,url\n{A},\n6.63308E+23,{LINK}\n{C},\n"),
        ("a.csv", f"url,note_id\n{LINK},{A}\n,{B}\n{LINK},{C}\n"),
        ("a.json", json.dumps([{"Note_URL": A}, {"笔记ID": B, "x": 1}, {"笔记链接": C}])),
        ("a.json", json.dumps([A, {"note_id": 6.63308e23, "note_url": LINK}, {" NOTE_ID": C}])),
        (
            "a.txt",
            f"标题一 {LINK.replace(B, A)}\n复制后打开【小红书】查看笔记！\n标题二\n{LINK}\n\n{C}\n",
        ),
        (
            "a.txt",
            f"{A}\n34 【水果店 - 小红书】 xK2\n{LINK} 复制本条信息\n打开【小红书】App\n{C}\n",
        ),
        ("a.json", json.dumps([A, LINK, C])),
        ("a.json", json.dumps([{"note_id": A}, {"url": LINK}, {"note_id": C, "url": "no"}])),
        ("a.json", json.dumps([{"note_id": None, "url": A}, {"note_id": "", "url": B}, C])),
        ("a.jsonl", f'"{A}"\n\n{{"url": "{LINK}"}}\n{{"note_id": "{C}", "title": "x"}}\n'),
    ],
)
def test_each_format_names_notes_in_order(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode())
    assert read(name) == [A, B, C]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", A),
        ("a.csv", f"note_id\n{A}\n"),
        ("a.json", f'["{A}"]'),
        ("a.jsonl", f'"{A}"\n'),
    ],
)
def test_a_byte_order_mark_is_no_part_of_the_text(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode("utf-8-sig"))
    assert read(name) == [A]


@pytest.mark.parametrize("suffix", ["txt", "csv", "json", "jsonl"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("笔记ID,水果\n".encode("gb18030"), ["iconv -f GB18030 -t UTF-8", "CSV UTF-8"]),
        ("笔记ID,水果\n".encode("utf-16"), ["iconv -f UTF-16 -t UTF-8", "CSV UTF-8"]),
        (b"PK\x03\x04\x14\x00\xb1\xff", ["workbook", "CSV UTF-8"]),
        (b"note_id,\xff\n", ["save it as UTF-8"]),
    ],
)
def test_the_error_for_text_that_is_not_utf8_says_what_to_do(
    folder: Path, suffix: str, content: bytes, words: list[str]
) -> None:
    name = f"a.{suffix}"
    (folder / name).write_bytes(content)
    (error,) = errors_of(name)
    assert error.startswith(f"notes_file={name}: ")
    assert all(part in error for part in words), error


def test_the_error_for_text_that_is_not_utf8_far_down_says_what_to_do(folder: Path) -> None:
    (folder / "a.csv").write_bytes(f"note_id,x\n{f'{A},1{chr(10)}' * 900},水果\n".encode("gb18030"))
    (error,) = errors_of("a.csv")
    assert "iconv -f GB18030" in error


def test_utf_16_without_a_byte_order_mark_is_recognized(folder: Path) -> None:
    (folder / "a.csv").write_bytes(f"note_id\n{A}\n".encode("utf-16-le"))
    (error,) = errors_of("a.csv")
    assert "UTF-16" in error


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", ""),
        ("a.txt", "# nothing\n\n"),
        ("a.csv", "note_id\n"),
        ("a.json", "[]"),
        ("a.jsonl", "\n"),
    ],
)
def test_a_file_without_notes_is_an_error(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (error,) = errors_of(name)
    assert name in error
    assert "no note" in error


def test_an_argument_without_notes_is_an_error() -> None:
    with pytest.raises(WrongNotes) as caught:
        read_notes(Arguments(notes=" , "))
    assert caught.value.total == 1
    assert caught.value.errors[0].startswith("notes:")


def test_each_note_is_listed_once_at_its_first_place(folder: Path) -> None:
    (folder / "a.txt").write_text(f"{B}\n{A.upper()}\n{LINK}\n{A}\n")
    notes = read_notes(Arguments(notes_file="a.txt"))
    assert list(notes) == [B, A]
    assert len(notes) == 2


def test_long_lists_keep_their_order(folder: Path) -> None:
    expected = [f"{7919 * i % 100_000:024x}" for i in range(2500)]
    (folder / "a.txt").write_text("\n".join(expected))
    assert read("a.txt") == expected


def test_a_list_can_be_read_again(folder: Path) -> None:
    notes = read_notes(Arguments(notes=f"{A} {B}"))
    assert list(notes) == list(notes) == [A, B]


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.txt", f"# c\n{A}\n\nwrong\n", "line 4"),
        ("a.txt", f"{A}\n张三 的 笔记\n\n{LINK}\n", "line 2"),
        ("a.txt", f"{A}\n张三 的 笔记\n# no\n{LINK}\n", "line 2"),
        ("a.txt", f"{A}\n张三 的 笔记\n", "line 2"),
        ("a.txt", f"{A}\nwrong\n{LINK}\n", "line 2"),
        ("a.csv", f"sep=,\nurl\n{A}\nwrong\n", "line 4"),
        ("a.csv", f'x,url\n"a\nb",{A}\nc,wrong\n', "line 4"),
        ("a.json", f'["{A}",\n"wrong"]', "entry 2"),
        ("a.jsonl", f'"{A}"\n\n"wrong"\n', "line 3"),
        ("a.jsonl", f'"{A}"\n{{"url": "wrong"}}\n', "line 2"),
    ],
)
def test_a_malformed_note_is_reported_with_its_place(
    folder: Path, name: str, text: str, place: str
) -> None:
    (folder / name).write_text(text)
    (error,) = errors_of(name)
    assert error.startswith(f"notes_file={name}, {place}: ")
    assert "24 hexadecimal characters" in error
    assert "wrong" not in error
    assert "张三" not in error


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.csv", f"note_id\n{A}\n6.63308E+23\n", "line 3"),
        ("a.csv", f'note_id,x\n{A},1\n"6,63308E+23",2\n', "line 3"),
        ("a.csv", f"note_id;x\n{A};1\n6,63308E+23;2\n", "line 3"),
        ("a.csv", f"note_id\n{A}\n6.63308e23\n", "line 3"),
        ("a.csv", f"note_id\n{A}\n'6.63308E+23\n", "line 3"),
        ("a.csv", f"note_id\n{A}\n６.６３３０８Ｅ＋２３\n", "line 3"),
        ("a.txt", f"{A}\n6.63308E+23\n", "line 2"),
        ("a.json", f'["{A}", {{"note_id": 6.63308E+23}}]', "entry 2"),
        ("a.jsonl", f'"{A}"\n6.63308E+23\n', "line 2"),
    ],
)
def test_the_error_for_an_id_destroyed_by_a_spreadsheet_says_so(
    folder: Path, name: str, text: str, place: str
) -> None:
    (folder / name).write_text(text)
    (error,) = errors_of(name)
    assert error.startswith(f"notes_file={name}, {place}: ")
    assert "spreadsheet" in error


@pytest.mark.parametrize(
    "text",
    [
        f"冬日穿搭 怎么搭\n今天分享三套\n{LINK}\n复制后打开【小红书】查看笔记！\n",
        f"冬日穿搭\nOOTD\n#穿搭[话题]# #ootd\n今天\n{LINK} 复制\n",
        "一行\n" * 50 + f"{LINK}\n",
    ],
)
def test_a_share_text_may_have_several_lines_above_its_link(folder: Path, text: str) -> None:
    (folder / "a.txt").write_text(f"{A}\n{text}{C}\n")
    assert read("a.txt") == [A, B, C]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("张三 的\n笔记\n描述\n", ["lines 2 to 4"]),
        ("张三 的\n笔记\n\n描述\n", ["lines 2 and 3", "line 5"]),
        (f"张三 的\n{C}\n笔记\n", ["line 2", "line 4"]),
        ("一行\n" * 51 + f"{LINK}\n", ["lines 2 to 51"]),
    ],
)
def test_lines_of_words_without_a_link_are_one_error(
    folder: Path, text: str, places: list[str]
) -> None:
    (folder / "a.txt").write_text(f"{A}\n{text}")
    errors = errors_of("a.txt")
    assert [error.partition(": ")[0] for error in errors] == [
        f"notes_file=a.txt, {place}" for place in places
    ]
    assert not any("张三" in error for error in errors)


@pytest.mark.parametrize(
    "line",
    [
        f"#穿搭 冬日 https://www.xiaohongshu.com/explore/{B}",
        f"#穿搭https://www.xiaohongshu.com/explore/{B}",
        f"  #ootd {B}",
        f"#穿搭 {B[:-1]}",
        "#穿搭 http://xhslink.com/a/AbC",
    ],
)
def test_a_hashtag_before_a_link_is_an_error(folder: Path, line: str) -> None:
    (folder / "a.txt").write_text(f"{A}\n{line}\n")
    (error,) = errors_of("a.txt")
    assert error.startswith("notes_file=a.txt, line 2: it begins with #")
    assert "穿搭" not in error


def test_a_note_in_a_comment_is_left_out_with_a_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a.txt").write_text(f"{A}\n# {B}\n#{B}\n# see {LINK}\n#{LINK}\n# no note\n#穿搭\n")
    assert read("a.txt") == [A]
    assert caplog.messages == [
        "notes_file=a.txt, line 2: a note in a comment (#) is left out; so are those of 3 other "
        "lines"
    ]
    caplog.clear()
    (folder / "a.txt").write_text(f"# no note\n#穿搭\n{A}\n")
    assert read("a.txt") == [A]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        (f"note_id,title\n{A},x\n{B},y\n", ".csv"),
        (f"标题;笔记链接\nx;{LINK}\ny;{LINK}\n", ".csv"),
        (f"title\tNote_ID\nx\t{A}\n", ".csv"),
        (f"note_id\n{A}\n{B}\n", ".csv"),
        (f"\n# exported\nnote_id,title\n{A},x\n{B},y\n", ".csv"),
        (f"sep=,\nid,x\n{A},1\n{B},2\n", ".csv"),
        (f'["{A}",\n"{B}"]\n', ".json"),
        (f'[\n"{A}",\n"{B}"\n]\n', ".json"),
        (f'{{"note_id": "{A}"}}\n{{"note_id": "{B}"}}\n', ".jsonl"),
    ],
)
def test_another_format_in_a_text_file_is_one_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, suffix: str
) -> None:
    (folder / "a.txt").write_text(text)
    (error,) = errors_of("a.txt")
    assert error.startswith("notes_file=a.txt: line ")
    assert suffix in error
    with as_standard_input(folder / "a.txt", monkeypatch):
        (error,) = errors_of("-")
    assert error.startswith("standard input: line ")


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.csv", f"note_id,x,note_id\n{A},1,{B}\n", ": line 1"),
        ("a.csv", f"sep=;\n笔记ID;笔记 id\n{A};{B}\n", ": line 2"),
        ("a.csv", f"noteId\tNote_ID\n{A}\t{B}\n", ": line 1"),
        ("a.json", f'["{C}", {{"note_id": "{A}", "note_id": "{B}"}}]', ", entry 2"),
        ("a.jsonl", f'"{C}"\n{{"note_id": "{A}", "noteId": "{B}"}}\n', ", line 2"),
    ],
)
def test_two_columns_with_the_same_name_are_an_error(
    folder: Path, name: str, text: str, place: str
) -> None:
    (folder / name).write_text(text)
    (error,) = errors_of(name)
    assert error.startswith(f"notes_file={name}{place}: ")
    assert "lost" in error


def test_other_columns_may_have_the_same_name(folder: Path) -> None:
    (folder / "a.csv").write_text(f"x,note_id,x,url\n1,{A},2,{LINK}\n")
    assert read("a.csv") == [A]
    (folder / "a.json").write_text(f'[{{"x": 1, "x": {{"y": 1}}, "note_id": "{A}"}}]')
    assert read("a.json") == [A]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("entry", ["NUMBER", '{"note_id": NUMBER}', '{"note_id": NUMBER, "x": 1}'])
def test_an_id_as_a_json_number_must_be_a_text(folder: Path, name: str, entry: str) -> None:
    entry = entry.replace("NUMBER", "663308000000000000000023")
    (folder / name).write_text(f"[{entry}]" if name == "a.json" else entry)
    (error,) = errors_of(name)
    assert "663308000000000000000023 is a number: an ID must be a text" in error


def test_a_share_text_over_two_lines_is_one_value(folder: Path) -> None:
    profile = "https://www.xiaohongshu.com/user/profile/5b0e1a2c4eacab3f1d2e3f40"
    (folder / "a.txt").write_text(f"{A}\n张三 发布了一篇小红书笔记\n{profile}?x=1 快来看\n")
    (error,) = errors_of("a.txt")
    assert error.startswith(f"notes_file=a.txt, lines 2 and 3: '{profile}' ")


@pytest.mark.parametrize(
    "entry",
    [
        *[5, None, True, [A], {}, {"id": A}, {"note_id": 5}, {"note_id": [A], "url": LINK}],
        {"title": "three words here", "user": "张三"},
    ],
)
def test_an_entry_that_names_no_note_is_one_error(folder: Path, entry: object) -> None:
    (folder / "a.json").write_text(json.dumps([A, entry]))
    (error,) = errors_of("a.json")
    assert error.startswith("notes_file=a.json, entry 2: ")
    assert "note_id, 笔记ID, note_url, 笔记链接 or url" in error
    assert "three" not in error


def test_errors_of_argument_and_file_are_reported_together(folder: Path) -> None:
    (folder / "a.txt").write_text("bad")
    with pytest.raises(WrongNotes) as caught:
        read_notes(Arguments(notes="worse", notes_file="a.txt"))
    assert [error.partition(": ")[0] for error in caught.value.errors] == [
        "notes",
        "notes_file=a.txt, line 1",
    ]


def test_a_hundred_errors_are_shown_and_all_are_counted(folder: Path) -> None:
    (folder / "a.txt").write_text("\n".join(f"wrong{i} {A}" for i in range(1, 251)))
    with pytest.raises(WrongNotes) as caught:
        read("a.txt")
    assert len(caught.value.errors) == 100
    assert caught.value.total == 250
    assert "line 100: " in caught.value.errors[-1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.txt", "No such file"),
        ("folder.txt", "directory"),
        ("notes.xlsx", ".txt, .csv, .json, .jsonl"),
        ("notes", ".txt, .csv, .json, .jsonl"),
        ("~nobody-of-this-name/notes.txt", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(folder: Path, name: str, words: str) -> None:
    (folder / "folder.txt").mkdir()
    (error,) = errors_of(name)
    assert error.startswith(f"notes_file={name}: ")
    assert words in error


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", f"id\n{A}\n", "note_id, 笔记ID, note_url, 笔记链接 or url"),
        ("a.csv", f"note_id;;\n{A};;\n".replace("note_id", "id"), "line 1"),
        ("a.csv", "", "note_id, 笔记ID, note_url, 笔记链接 or url"),
        ("a.json", f'["{A}"', "JSON"),
        ("a.json", f'{{"note_id": "{A}"}}', "list"),
        ("a.json", f'["{A}" "{B}"]', "after entry 1"),
        ("a.json", f'["{A}",]', "entry 2: not JSON"),
        ("a.json", f'["{A}"]]', "follows"),
        ("a.json", "", "list"),
        pytest.param("a.json", "[" * 100_000, "JSON", id="nested too deeply"),
        ("a.jsonl", f'"{A}"\n{{oops\n', "line 2: not JSON"),
    ],
)
def test_a_malformed_file_is_one_error(folder: Path, name: str, text: str, words: str) -> None:
    (folder / name).write_text(text)
    (error,) = errors_of(name)
    assert error.startswith(f"notes_file={name}: ")
    assert words in error


@pytest.mark.parametrize(
    "name", [LINK, f"张三 发布了一篇小红书笔记 {LINK}", "张三 发布了一篇小红书笔记", "张三的笔记"]
)
def test_a_link_or_share_text_instead_of_a_file_name_is_not_quoted(name: str) -> None:
    (error,) = errors_of(name)
    assert error.startswith("notes_file: ")
    assert "notes" in error.partition(": ")[2]
    assert "张三" not in error
    assert "xsec_token" not in error


@given(
    st.lists(
        st.none()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text()
        | st.dictionaries(st.text(), st.lists(st.integers()))
    ),
    st.sampled_from([None, 1]),
    st.integers(1, 40),
)
def test_a_streamed_json_list_has_the_same_entries_as_a_parsed_one(
    entries: list[object], indent: int | None, block: int
) -> None:
    text = io.StringIO(json.dumps(entries, indent=indent) + "\n ")
    with mock.patch.object(json_list, "BLOCK", block):
        assert list(json_list.entries(text)) == entries


def test_a_malformed_list_is_not_read_to_its_end() -> None:
    text = io.StringIO('["a", {"b" 1}, ' + '"c", ' * 1_000_000)
    with pytest.raises(ValueError, match="entry 2"):
        list(json_list.entries(text))
    assert text.tell() <= 2 * json_list.BLOCK


def test_standard_input_is_text_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"# piped\n{A}\n标题\n{LINK}\n复制后打开【小红书】查看笔记！\n"
    (folder / "piped").write_bytes(text.encode("utf-8-sig"))
    with as_standard_input(folder / "piped", monkeypatch):
        assert read("-") == [A, B]


def test_errors_in_standard_input_say_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "piped").write_text(f"{A}\nwrong\n")
    with as_standard_input(folder / "piped", monkeypatch):
        (error,) = errors_of("-")
    assert error.startswith("standard input, line 2: ")


def test_the_link_names_the_note_of_a_row_without_an_id(folder: Path) -> None:
    (folder / "both.csv").write_text(f"url,note_id\nx,{A}\n{LINK},\n,{C}\n")
    assert read("both.csv") == [A, B, C]
