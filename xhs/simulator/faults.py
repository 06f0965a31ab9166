"""Selection of the rules that match a call, and their effect on its answer."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xhs.simulator.comments import cursor_text
from xhs.simulator.dataset import parse_cursor
from xhs.simulator.fault_rules import REPLIES, Rule
from xhs.simulator.schemas import CHANGES
from xhs.simulator.seeded_random import fraction

if TYPE_CHECKING:
    from xhs.simulator.config import Config
    from xhs.simulator.dataset import Data, Dataset


@dataclass(frozen=True, slots=True)
class Request:
    """Valid parameters of a call."""

    endpoint: str
    note: str
    comment: str
    sort: str
    cursor: str
    page: int


@dataclass(slots=True)
class MatchedRules:
    """Rules that match a call: the first with a fault, the sum of delays, all dataset changes."""

    rule: Rule | None = None
    delay: float = 0.0
    changes: list[Rule] = field(default_factory=list)


class Faults:
    """The rules of a script and the counts that they match."""

    def __init__(self, config: Config) -> None:
        self._rules = config.rules
        self._seed = config.seed
        self._refuse_share = config.refuse_share
        self._calls = 0
        self._note_calls: Counter[str] = Counter()
        self._page_calls: Counter[Request] = Counter()
        self._used: Counter[int] = Counter()
        self._changed: set[tuple[int, str]] = set()

    def match(self, request: Request) -> MatchedRules:
        """Count a call, and return the rules that match it."""
        self._calls += 1
        self._note_calls[request.note] += 1
        if self._rules:
            self._page_calls[request] += 1
        matched = MatchedRules()
        for index, rule in enumerate(self._rules):
            taken = matched.rule is not None and rule.fault not in CHANGES
            if (taken and rule.fault) or not self._matches(index, rule, request):
                continue
            self._used[index] += 1
            matched.delay += rule.delay
            if rule.fault in CHANGES:
                self._changed.add((index, request.note))
                matched.changes.append(rule)
            elif rule.fault:
                matched.rule = rule
        return matched

    def refused_by_chance(self, request: Request) -> int | None:
        """Return the code of a random refusal, drawn by note and ``note_call``, or None."""
        if not self._refuse_share:
            return None
        drawn = self._draw("refuse", request)
        for code, part in self._refuse_share.items():
            if drawn < part:
                return code
            drawn -= part
        return None

    def _draw(self, purpose: str, request: Request) -> float:
        call = self._note_calls[request.note]
        return fraction(f"{self._seed}/{purpose}/{request.note}/{call}")

    def _matches(self, index: int, rule: Rule, request: Request) -> bool:
        matchers = rule.matchers
        counts = {
            "call": self._calls,
            "note_call": self._note_calls[request.note],
            "page_call": self._page_calls[request],
            "page": request.page,
        }
        for name, wanted in matchers.items():
            match name:
                case "note":
                    matches = request.note in wanted
                case "comment":
                    matches = request.comment in wanted
                case "endpoint":
                    matches = request.endpoint in wanted
                case "every":
                    matches = self._calls % wanted == 0
                case "after":
                    matches = self._calls > wanted
                case "until":
                    matches = self._calls <= wanted
                case "share":
                    matches = self._draw(f"rule {index}", request) < wanted
                case "times":
                    matches = self._used[index] < wanted
                case _:
                    matches = counts[name] in wanted
            if not matches:
                return False
        once = rule.fault in CHANGES and "times" not in matchers
        return not (once and (index, request.note) in self._changed)


def change_dataset(dataset: Dataset, note: str, rule: Rule) -> None:
    """Apply a dataset change of a rule to a note."""
    dataset.change(note, **{str(rule.fault): rule.value})


def answer_data(dataset: Dataset, request: Request, rule: Rule | None) -> Data:
    """Return the data of the answer to a call, changed by the rule that matches it."""
    cursor = parse_cursor(request.cursor, request.sort) if request.cursor else None
    fault = rule.value if rule is not None and rule.fault == "cursor" else None
    if request.endpoint == REPLIES:
        data = dataset.replies(
            request.note, request.comment, None if fault == "ignored" else cursor
        )
        if fault == "endless" and not data["comments"]:
            data = dataset.replies(request.note, request.comment, None)
    elif fault == "endless":
        data = dataset.numbered_page(request.note, request.sort, request.page)
    else:
        data = dataset.comments(request.note, request.sort, None if fault == "ignored" else cursor)
    if fault is not None:
        return _with_cursor_fault(data, request, fault)
    if rule is not None and rule.fault == "data":
        return rule.value  # type: ignore[no-any-return]
    if rule is not None and rule.fault == "patch":
        data = copy.deepcopy(data)
        for change in rule.value:
            _patch(data, change["path"], change)
    return data


def _with_cursor_fault(data: Data, request: Request, fault: str) -> Data:
    if fault == "ignored":
        return data
    changed = {**data, "has_more": True}
    if fault == "missing":
        del changed["cursor"]
    elif fault == "empty":
        changed["cursor"] = ""
    elif fault == "repeated":
        changed["cursor"] = request.cursor or data["cursor"]
    elif data["comments"]:
        last_id = data["comments"][-1]["id"]
        changed["cursor"] = cursor_text(last_id, request.page + 1, request.sort)
    return changed


def _patch(target: Any, path: list[Any], change: dict[str, Any]) -> None:
    """Apply a change at its path. If the path does not exist, do nothing."""
    step, *rest = path
    if step == "*" and isinstance(target, list):
        for place in range(len(target) - 1, -1, -1):
            _patch(target, [place, *rest], change)
        return
    if isinstance(target, list):
        if not isinstance(step, int) or not -len(target) <= step < len(target):
            return
    elif not isinstance(target, dict):
        return
    if rest:
        if isinstance(target, list) or step in target:
            _patch(target[step], rest, change)
    elif "value" in change:
        target[step] = copy.deepcopy(change["value"])
    elif isinstance(target, list) or step in target:
        del target[step]
