"""The price of a billed call. Pure, and in decimal arithmetic: money is never a float."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

_PRICE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,8})?)\s*([^\W\d_]{1,16}|[$€£¥￥])")


class Price(NamedTuple):
    """The cost of a billed call."""

    amount: Decimal
    currency: str

    def of(self, calls: int) -> str:
        """Return the cost of ``calls`` calls, with the currency and the decimals of the price."""
        return f"{self.amount * calls:f} {self.currency}"


def read_price(setting: object) -> Price | None:
    """Read the setting ``XHS_CALL_PRICE``; None if it is empty.

    Raises:
        ValueError: if it is not a price. The message names the setting.
    """
    text = "" if setting is None else str(setting).strip()
    if not text:
        return None
    match = _PRICE.fullmatch(text)
    if not match or not Decimal(match[1]):
        raise ValueError(
            f"XHS_CALL_PRICE={setting}: an amount above 0 and its currency are needed, such as "
            "0.05 CNY"
        )
    return Price(Decimal(match[1]), match[2])


def in_money(price: Price | None, calls: int) -> str:
    """Return the cost of ``calls`` calls in brackets, to append to their number; "" if no price."""
    return f" ({price.of(calls)})" if price else ""
