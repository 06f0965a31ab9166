"""Rules of faults, read from a script. `xhs.simulator.schemas` says what a rule may hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

from xhs.simulator.schemas import DETAILS, FAULTS, MATCHERS, ScriptError

COMMENTS = "comments"
REPLIES = "replies"


@dataclass(frozen=True, slots=True)
class Numbers:
    """Set of positive integers, as ranges."""

    ranges: tuple[tuple[int, float], ...]

    def __contains__(self, number: int) -> bool:
        return any(low <= number <= high for low, high in self.ranges)

    @classmethod
    def read(cls, value: Any, where: str) -> Numbers:
        """Read ``3``, ``"3-7"``, ``"3-"`` or a list of these, already validated."""
        ranges = []
        for item in _as_list(value):
            start, dash, end = str(item).partition("-")
            low, high = int(start), float(end or inf) if dash else int(start)
            if low > high:
                raise ScriptError(f"{where}: {item!r}: the lower bound comes first")
            ranges.append((low, high))
        return cls(tuple(ranges))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its matchers by name, and its fault with the details that go with it."""

    matchers: dict[str, Any]
    fault: str | None
    value: Any = None
    details: dict[str, Any] = field(default_factory=dict)
    delay: float = 0.0


def read_rules(value: Any, where: str = "rules") -> tuple[Rule, ...]:
    """Read a list of rules that fits `RULES`; raise `ScriptError` if a rule contradicts itself."""
    return tuple(_read_rule(rule, f"{where}[{index}]") for index, rule in enumerate(value))


def _read_rule(rule: dict[str, Any], where: str) -> Rule:
    faults = [name for name in FAULTS if name in rule]
    details = {name: value for name, value in rule.items() if name in DETAILS}
    if {"status", "code"} <= rule.keys():
        faults.remove("code")
        details["code"] = rule["code"]
    if len(faults) > 1:
        raise ScriptError(f"{where}: one fault at a time, not {' and '.join(faults)}")
    if not faults and "delay" not in rule:
        raise ScriptError(f"{where}: no fault; there are delay, {', '.join(FAULTS)}")
    fault = faults[0] if faults else None
    for name in details.keys() & DETAILS.keys():
        if fault not in DETAILS[name]["faults"]:
            raise ScriptError(
                f"{where}.{name}: goes with {', '.join(DETAILS[name]['faults'])} only"
            )
    matchers = {
        name: _read_matcher(name, value, f"{where}.{name}")
        for name, value in rule.items()
        if name in MATCHERS
    }
    return Rule(matchers, fault, rule[fault] if fault else None, details, rule.get("delay", 0.0))


def _read_matcher(name: str, value: Any, where: str) -> Any:
    match name:
        case "note" | "comment" | "endpoint":
            return frozenset(_as_list(value))
        case "call" | "note_call" | "page_call" | "page":
            return Numbers.read(value, where)
    return value


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
