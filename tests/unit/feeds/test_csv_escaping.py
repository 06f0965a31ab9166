"""Cells that a spreadsheet would convert get a guard; all others are unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.feeds.csv_escaping import GUARD, escape_cell

CHANGED = [
    *(
        "650000000012345678901234",
        "650000000000000000001e25",
        "0086",
        "10086",
        ".5",
        "1,234",
        "1e5",
    ),
    *(
        "=1+1",
        "+1",
        "-1",
        "@小红",
        "-好吃",
        "＝1",
        "＋1",
        "+",
        "-",
        "==",
        "=a\nb",
        "\t好吃",
        "\r=1",
        " 1",
    ),
    *("1/2", "1 2/3", "2026-11-25", "2026-11-25 10:30", "3:00", "3:00:01", "3:00 pm", "１２"),
    *("5月1日", "11月", "2026年", "10点30分", "Jan5", "Jan 5", "5 Jan 2026", "Sept-26", "12-Mar"),
    *(
        "2026-11-25T10:30",
        "2026-11-25t10:30:00",
        "Friday, November 5, 2026",
        "1:30上午",
        "1:30 下午",
    ),
    *(
        "TRUE",
        "false",
        "真",
        "12%",
        "¥5",
        "￥5",
        "$5",
        "5￥",
        "5 $",
        "NT$5",
        "(1)",
        "（1）",
        "1E 5",
    ),
    *("５／１", "1／2", "１．５", "１，２３４", "1：30", "ＴＲＵＥ"),
]
KEPT = [
    *("65bf5360000000002c03f684", "65000000000000000000012e", "2026-11-25T02:03:00Z", ""),
    *("好吃", "好吃+1", "好吃\n+1", "[doge]", "a=1", "https://example.com", "5e", "INF", "trueish"),
    *("第1名", "9.9折", "1楼", "1号线", "10斤", "1 个", "二", "周五", "真好"),
    *("Janet", "marching", "Decent 5 stars", "May be 5", "Monday", "5 apples", "12 pieces"),
]


@pytest.mark.parametrize("text", CHANGED)
def test_a_convertible_text_is_guarded(text: str) -> None:
    assert escape_cell(text) == GUARD + text


@pytest.mark.parametrize("text", KEPT)
def test_plain_text_is_unchanged(text: str) -> None:
    assert escape_cell(text) == text


@given(
    st.one_of(
        st.integers(), st.decimals(allow_nan=False, allow_infinity=False), st.dates(), st.times()
    )
)
def test_numbers_dates_and_times_are_guarded(value: object) -> None:
    assert escape_cell(str(value)) == f"{GUARD}{value}"


@given(st.text())
def test_a_text_is_restored_without_its_guard(text: str) -> None:
    cell = escape_cell(text)
    assert cell == text or (cell == GUARD + text and cell.removeprefix(GUARD) == text)


@given(st.sampled_from("=+-@\t\r"), st.text())
def test_no_cell_begins_like_a_formula(first: str, rest: str) -> None:
    assert escape_cell(first + rest) == GUARD + first + rest


@given(
    st.integers(1, 200),
    st.sampled_from(
        ["1", "1 ", "1.", "5月", "Jan 1 ", "1:", "Jan1", " ", "jan", "1jan", "mon", "1e", "1 a"]
    ),
)
def test_a_long_text_is_matched_in_linear_time(times: int, piece: str) -> None:
    text = piece * times * 20 + "!"
    assert escape_cell(text) == text
