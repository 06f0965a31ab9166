"""The price of a call."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.crawl.price import Price, in_money, read_price


@pytest.mark.parametrize(
    ("text", "calls", "cost"),
    [
        ("0.05 CNY", 1, "0.05 CNY"),
        ("0.05 CNY", 4200, "210.00 CNY"),
        ("0.05CNY", 3, "0.15 CNY"),
        (" 1 元 ", 12, "12 元"),
        ("0.1 $", 3, "0.3 $"),
        ("0.00000001 credits", 3, "0.00000003 credits"),
        ("0.05 CNY", 0, "0.00 CNY"),
    ],
)
def test_cost_of_calls(text: str, calls: int, cost: str) -> None:
    price = read_price(text)
    assert price is not None
    assert price.of(calls) == cost
    assert in_money(price, calls) == f" ({cost})"


@pytest.mark.parametrize("text", ["", "  "])
def test_no_price(text: str) -> None:
    assert read_price(text) is None
    assert in_money(None, 3) == ""


@pytest.mark.parametrize(
    "text",
    ["0.05", "CNY", "CNY 0.05", "0,05 CNY", "0 CNY", "0.00 CNY", "-1 CNY", "1e3 CNY", "inf CNY"]
    + ["0.05 CNY a call", "1.123456789 CNY", "٣ CNY", "5 %", "0.05 C1"],
)
def test_a_wrong_price(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 0\.05 CNY"):
        read_price(text)


@given(
    st.decimals(min_value="0.00000001", max_value=10**8, places=8),
    st.integers(0, 10**9),
)
def test_no_cent_is_lost(amount: Decimal, calls: int) -> None:
    cost, currency = Price(amount, "CNY").of(calls).split(" ")
    assert Decimal(cost) == Decimal(int(amount.scaleb(8)) * calls).scaleb(-8)
    assert currency == "CNY"


@given(st.text())
def test_any_text(text: str) -> None:
    try:
        price = read_price(text)
    except ValueError:
        return
    assert price is None or price.amount > 0
