"""The options of the whole world: limits, pace and pseudo-randomness."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from xhs.simulator.fault_rules import Rule, read_rules
from xhs.simulator.validation import ScriptError, flag, number, share, whole

HOST = "127.0.0.1"

DEFAULT_PRICE = Decimal("0.01")


@dataclass(frozen=True)
class Config:
    """How the stand-in behaves; a script changes all but the port and the tokens.

    | option | meaning |
    |---|---|
    | ``rate`` | calls a second; what is above it is refused with 302 |
    | ``quota`` | billed calls, then 303 |
    | ``balance`` | money: each billed call costs ``price``; then 601 |
    | ``spending_limit`` | money that this token may spend, then 602 |
    | ``revoke_after`` | calls, then the token is refused with 100 |
    | ``latency`` | seconds an answer takes: one number, or the two bounds of a range |
    | ``refuse_share`` | codes and the share of calls refused with each, as ``{"301": 0.2}`` |
    | ``gzip`` | answers are compressed for clients that accept it |
    | ``seed`` | of all that is left to chance |
    """

    port: int = 0
    tokens: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    rate: float | None = None
    quota: int | None = None
    balance: Decimal | None = None
    price: Decimal = DEFAULT_PRICE
    spending_limit: Decimal | None = None
    revoke_after: int | None = None
    latency: tuple[float, float] = (0.0, 0.0)
    refuse_share: dict[int, float] = field(default_factory=dict)
    gzip: bool = False
    seed: int = 0

    def scripted(self, script: Any) -> Config:
        """This configuration with what a script document says instead."""
        if not isinstance(script, dict):
            raise ScriptError("a script is a JSON object")
        for name in script:
            if name not in OPTIONS:
                raise ScriptError(f"{name}: unknown; there are {', '.join(OPTIONS)}")
        return replace(self, **{name: OPTIONS[name](what, name) for name, what in script.items()})


def read_json(text: str | bytes) -> Any:
    """The document in a script's text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"not JSON: {error}") from None


def money(value: Any, where: str) -> Decimal:
    """An amount of money."""
    number(value, where)
    return Decimal(str(value))


def _rate(value: Any, where: str) -> float:
    return number(value, where, above=0)


def _latency(value: Any, where: str) -> tuple[float, float]:
    if isinstance(value, list):
        if len(value) != 2:
            raise ScriptError(f"{where}: must be a number of seconds or two")
        low, high = (number(one, where) for one in value)
        if low > high:
            raise ScriptError(f"{where}: the lower bound comes first")
        return low, high
    return (number(value, where),) * 2


def _refuse_share(value: Any, where: str) -> dict[int, float]:
    if not isinstance(value, dict):
        raise ScriptError(f"{where}: must be an object of codes and shares")
    shares = {}
    for code, part in value.items():
        if not code.isdecimal() or int(code) == 0:
            raise ScriptError(f"{where}.{code}: not the code of a refusal")
        shares[int(code)] = share(part, f"{where}.{code}")
    if sum(shares.values()) > 1:
        raise ScriptError(f"{where}: the shares come to more than 1")
    return shares


OPTIONS: dict[str, Any] = {
    "rules": read_rules,
    "rate": _rate,
    "quota": whole,
    "balance": money,
    "price": money,
    "spending_limit": money,
    "revoke_after": whole,
    "latency": _latency,
    "refuse_share": _refuse_share,
    "gzip": flag,
    "seed": whole,
}
