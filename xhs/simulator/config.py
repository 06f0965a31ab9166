"""Configuration of the stand-in: its port and tokens, and what a script sets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from xhs.simulator.fault_rules import Rule, read_rules
from xhs.simulator.schemas import SCRIPT, ScriptError, check

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Config:
    """Port and tokens of the stand-in, and what a script sets; see `xhs.simulator.schemas`."""

    port: int = 0
    tokens: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    rate: float | None = None
    quota: int | None = None
    balance: Decimal | None = None
    price: Decimal = Decimal("0.01")
    spending_limit: Decimal | None = None
    revoke_after: int | None = None
    latency: tuple[float, float] = (0.0, 0.0)
    refuse_share: dict[int, float] = field(default_factory=dict)
    gzip: bool = False
    seed: int = 0

    def with_script(self, script: Any) -> Config:
        """Return a copy with the values of a script, or raise `ScriptError`."""
        if script == {}:
            return self
        check(script, SCRIPT)
        read = {name: reader(script[name]) for name, reader in _READERS.items() if name in script}
        return replace(self, **(script | read))


def read_json(text: str | bytes) -> Any:
    """Parse JSON, or raise `ScriptError`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"not JSON: {error}") from None


def _money(value: float) -> Decimal:
    return Decimal(str(value))


def _latency(value: Any) -> tuple[float, float]:
    low, high = value if isinstance(value, list) else (value, value)
    if low > high:
        raise ScriptError("latency: the lower bound comes first")
    return low, high


def _refuse_share(value: dict[str, float]) -> dict[int, float]:
    if sum(value.values()) > 1:
        raise ScriptError("refuse_share: the shares come to more than 1")
    return {int(code): share for code, share in value.items()}


_READERS: dict[str, Callable[[Any], Any]] = {
    "rules": read_rules,
    "balance": _money,
    "price": _money,
    "spending_limit": _money,
    "latency": _latency,
    "refuse_share": _refuse_share,
}
