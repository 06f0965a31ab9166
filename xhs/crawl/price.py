"""The price of a billed call. Pure, and in decimal arithmetic: money is never a float."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

_PRICE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,8})?)\s*([^\W\d_]{1,16}|[$€£¥￥])")


class Price(NamedTuple):
    """What a billed call costs."""

    amount: Decimal
    currency: str

    def of(self, calls: int) -> str:
        """The cost of so many calls, with the currency and the decimals of the price."""
        return f"{self.amount * calls:f} {self.currency}"


def read_price(text: str) -> Price | None:
    """Read the setting ``XHS_CALL_PRICE``; None if it is empty.

    Raises:
        ValueError: if it is no price.
    """
    if not text.strip():
        return None
    found = _PRICE.fullmatch(text.strip())
    if not found or not Decimal(found[1]):
        raise ValueError("an amount above 0 and its currency are needed, such as 0.05 CNY")
    return Price(Decimal(found[1]), found[2])


def in_money(price: Price | None, calls: int) -> str:
    """The cost of so many calls in brackets, to stand behind their number; "" without a price."""
    return f" ({price.of(calls)})" if price else ""
