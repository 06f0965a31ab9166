"""Words, emoji codes and questions of a text; files of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.report.text import (
    QUESTION_ENDINGS,
    QUESTION_WORDS,
    Words,
    WrongWordList,
    comparable,
    emoji_in,
    is_question,
    read_word_list,
)

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("rjieba", reason="pip install -r requirements-look.txt")


WORDS = Words()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("小红书的敏感肌博主", {"小红书", "敏感肌", "博主"}),
        ("我们的这个是", set()),
        ("好看好看[捂脸R]好看", {"好看"}),
        ("ＯＯＴＤ ootd OOTD", {"ootd"}),
        ("@小桃子 链接 https://xhslink.com/a/b", {"链接"}),
        ("哈哈哈哈哈哈哈 2024 6666 10%", set()),
        ("", set()),
    ],
)
def test_words_of_a_text(text: str, expected: set[str]) -> None:
    assert WORDS.of(text) == expected


def test_ones_own_stop_words_and_dictionary() -> None:
    text = "云朵蛋糕真好吃呀"
    assert "云朵蛋糕" not in Words().of(text)
    own = Words(stop_words=["好吃", "ABC"], dictionary=["云朵蛋糕"])
    assert "云朵蛋糕" in own.of(text)
    assert "好吃" in Words().of("蛋糕好吃")
    assert "好吃" not in own.of("蛋糕好吃")
    assert own.of("abc") == set()


@given(st.text())
def test_words_of_any_text(text: str) -> None:
    for word in WORDS.of(text):
        assert len(word) > 1
        assert word == word.casefold()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[捂脸R][捂脸R]好", {"[捂脸R]"}),
        ("[doge]和[笑哭R]", {"[doge]", "[笑哭R]"}),
        ("[1] [] [ x ] 数组[0]", set()),
        ("👍🏻👍", {"👍🏻", "👍"}),
        ("👩‍👩‍👧 一家", {"👩‍👩‍👧"}),
        ("🇨🇳🇭🇰", {"🇨🇳", "🇭🇰"}),
        ("❤️喜欢", {"❤️"}),
        ("⏰▶️㊗️⬛", {"⏰", "▶️", "㊗️", "⬛"}),
        ("1️⃣和2", {"1️⃣"}),
        (
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            {"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"},
        ),
        ("没有", set()),
    ],
)
def test_emoji_and_emoji_codes_are_units_as_written(text: str, expected: set[str]) -> None:
    assert emoji_in(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "在哪里买的？",
        "多少钱",
        "油皮能用吗",
        "油皮能用吗[害羞R]",
        "油皮能用吗~~ 😭",
        "是正品么。",
        "what is this?",
        *(f"这个{word}" for word in QUESTION_WORDS),
        *(f"真的好看{ending}" for ending in QUESTION_ENDINGS),
    ],
)
def test_questions(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize(
    "text", ["", "???", "？", "好看", "吗啡", "[疑问R]?", "https://a.b/?c=d", "呢子大衣"]
)
def test_no_questions(text: str) -> None:
    assert not is_question(text)


def test_texts_are_compared_without_what_does_not_matter() -> None:
    plain = comparable("感谢博主分享效果很好ABC")
    assert plain
    assert comparable("感谢博主分享，效果 很好！ａｂｃ[赞R]👍") == plain
    assert comparable("@小桃子 感谢博主分享效果很好abc") == plain
    assert comparable("感谢博主分享效果不好abc") != plain
    assert comparable("感谢博主分享[赞R][赞R]") is None


def test_a_file_of_words(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# 我的词\n云朵蛋糕 5 n\n\n  半糖  \n", encoding="utf-8-sig")
    assert read_word_list(path) == ["云朵蛋糕", "半糖"]


@pytest.mark.parametrize("content", [b"", b"# nothing\n", "词".encode("gb18030")])
def test_a_file_without_readable_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(WrongWordList, match=r"words\.txt"):
        read_word_list(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrongWordList, match="No such file"):
        read_word_list(tmp_path / "none.txt")
