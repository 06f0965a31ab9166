"""The page's words: each is there in both languages, with the same values."""

from __future__ import annotations

import ast
from string import Formatter
from typing import TYPE_CHECKING

import pytest
from support.simulator import PROJECT

from xhs.reasons import StopReason
from xhs.report.labels import CHINESE, LONG, NOUNS, REASONS, Labels

if TYPE_CHECKING:
    from collections.abc import Iterator


def calls_of_say() -> Iterator[tuple[str, str]]:
    """Yield the method and the first argument of each call of ``say`` in the package."""
    for path in (PROJECT / "xhs" / "report").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name, first = (
                ast.unparse(node.func),
                node.args[-1 if "counted" in ast.unparse(node.func) else 0],
            )
            if name.split(".")[-2:] in (["say"], ["self", "say"], ["parts", "say"]):
                method = ""
            elif "say." in name:
                method = name.rpartition(".")[2]
            else:
                continue
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield method, first.value


def values(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize(("method", "table"), [("", CHINESE), ("long", LONG), ("counted", NOUNS)])
def test_every_text_that_is_used_is_there_and_no_other(
    method: str, table: dict[str, object]
) -> None:
    used = {text for called, text in calls_of_say() if called == method}
    assert used == set(table)


def test_both_languages_have_the_same_values() -> None:
    pairs = [*CHINESE.items(), *LONG.values()]
    assert [pair for pair in pairs if values(pair[0]) != values(pair[1])] == []


def test_every_stop_reason_has_words() -> None:
    assert set(REASONS) == set(StopReason)


def test_numbers_of_things() -> None:
    english, chinese = Labels("en"), Labels("zh")
    assert [english.counted(count, "reply") for count in (0, 1, 1200)] == [
        "0 replies",
        "1 reply",
        "1,200 replies",
    ]
    assert chinese.counted(1200, "reply") == "1,200 条回复"
    assert (english.number(None), english.ratio(1, 0), english.ratio(1, 8)) == ("–", "–", "12.5%")
    assert (english.html_lang, chinese.html_lang) == ("en", "zh-CN")
