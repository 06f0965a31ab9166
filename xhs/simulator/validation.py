"""Checks of single values in a script; each refuses with the place of what it does not take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xhs.simulator.notes import is_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ScriptError(ValueError):
    """A script, a rule or an option that is not understood."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Some positive whole numbers, as ranges whose end may be open."""

    ranges: tuple[tuple[int, int | None], ...]

    def __contains__(self, number: int) -> bool:
        return any(low <= number and (high is None or number <= high) for low, high in self.ranges)

    @classmethod
    def read(cls, value: Any, where: str) -> Numbers:
        """Read ``3``, ``"3-7"``, ``"3-"`` or a list of these."""
        values = value if isinstance(value, list) else [value]
        return cls(tuple(cls._range(one, where) for one in values))

    @staticmethod
    def _range(value: Any, where: str) -> tuple[int, int | None]:
        if isinstance(value, str):
            low, dash, high = value.partition("-")
            if dash and low.isdecimal() and (not high or high.isdecimal()):
                bounds = int(low), int(high) if high else None
                if bounds[1] is None or bounds[0] <= bounds[1]:
                    return bounds
            raise ScriptError(f'{where}: {value!r} is not a range such as "3-7" or "3-"')
        number = whole(value, where, least=1)
        return number, number


def whole(value: Any, where: str, least: int = 0, most: int | None = None) -> int:
    """A whole number between two bounds."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or value < least
        or (most is not None and value > most)
    ):
        upper = f" to {most}" if most is not None else " or more"
        raise ScriptError(f"{where}: must be a whole number, {least}{upper}")
    return value


def number(value: Any, where: str, above: float | None = None) -> float:
    """A number of 0 or more, or above a bound."""
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not 0 <= value < float("inf") or (above is not None and value <= above):
        bound = "0 or more" if above is None else f"above {above:g}"
        raise ScriptError(f"{where}: must be a number, {bound}")
    return float(value)


def seconds(value: Any, where: str) -> float:
    """A duration."""
    return number(value, where)


def share(value: Any, where: str) -> float:
    """A number from 0 to 1."""
    if number(value, where) > 1:
        raise ScriptError(f"{where}: must be a number from 0 to 1")
    return float(value)


def flag(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ScriptError(f"{where}: must be true or false")
    return value


def text(value: Any, where: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ScriptError(f"{where}: must be a text")
    return value


def texts(value: Any, where: str) -> list[str]:
    """A text or a list of texts."""
    return [text(one, where) for one in (value if isinstance(value, list) else [value])]


def ids(value: Any, where: str) -> frozenset[str]:
    """A note's or comment's ID, or a list of these."""
    found = texts(value, where)
    for one in found:
        if not is_id(one):
            raise ScriptError(f"{where}: {one!r} is not an ID of 24 hexadecimal digits")
    return frozenset(found)


def code(value: Any, where: str) -> int:
    """A business code of a refusal."""
    if whole(value, where) == 0:
        raise ScriptError(f"{where}: 0 is success; use data or patch to change an answer")
    return int(value)


def one_of(choices: Sequence[str]) -> Callable[[Any, str], str]:
    """A check for one of some words."""

    def check(value: Any, where: str) -> str:
        if value not in choices:
            raise ScriptError(f"{where}: must be one of {', '.join(choices)}")
        return str(value)

    return check


def headers(value: Any, where: str) -> dict[str, str]:
    """Names and values of HTTP headers."""
    if not isinstance(value, dict):
        raise ScriptError(f"{where}: must be an object")
    for name, content in value.items():
        if not isinstance(content, str) or set("\r\n") & set(name + content):
            raise ScriptError(f"{where}.{name}: must be a text of one line")
    return dict(value)


def patch(value: Any, where: str) -> list[dict[str, Any]]:
    """A list of changes to an answer's data."""
    if not isinstance(value, list) or not value:
        raise ScriptError(f"{where}: must be a list of changes")
    for place, change in enumerate(value):
        here = f"{where}[{place}]"
        if not isinstance(change, dict) or set(change) not in (
            {"path", "value"},
            {"path", "remove"},
        ):
            raise ScriptError(f"{here}: must have a path, and value or remove")
        path = change["path"]
        if not isinstance(path, list) or not path:
            raise ScriptError(f"{here}.path: must be a list of names and places")
        if not all(isinstance(step, str | int) and not isinstance(step, bool) for step in path):
            raise ScriptError(f"{here}.path: must be a list of names and places")
        if "remove" in change and change["remove"] is not True:
            raise ScriptError(f"{here}.remove: must be true")
    return value
