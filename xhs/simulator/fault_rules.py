"""The script of what goes wrong: how it is written, and read without mercy.

A script is a JSON object: ``rules``, a list, and the options of the whole world: `OPTIONS`.
A rule is an object of matchers, which must all hold (without any it always holds), and one fault,
a ``delay``, or both. Whatever is not understood is refused with the place where it stands.

| matcher | holds for |
|---|---|
| ``note``, ``comment`` | this ID, or one of a list; ``comment`` is the thread of a replies call |
| ``endpoint`` | ``comments``, ``replies``, or a list; both if absent |
| ``call`` | calls by their number since the script was loaded, 1 for the first |
| ``note_call`` | the same, counted for each note |
| ``page_call`` | the same, counted for each page: 1 is the first attempt at it |
| ``page`` | pages by the number that their cursor implies |
| ``every`` | every n-th call |
| ``after``, ``until`` | calls with a higher number; calls up to this number |
| ``share`` | this share of calls, drawn from seed, note and ``note_call``, in any order of calls |
| ``times`` | at most so many calls in all |

Numbers are a number, a text such as ``"3-7"`` or ``"3-"``, or a list of these.

| fault | what happens | also |
|---|---|---|
| ``code`` | a business code, not billed | ``message`` |
| ``status`` | an HTTP status, not billed; with ``envelope`` as JSON | ``envelope``, ``code``, ``message``, ``headers``, ``billed`` |
| ``hang`` | no answer for as long as the client waits; billed | ``billed`` |
| ``reset`` | the connection is cut ``before`` or ``after`` the headers; billed | ``billed`` |
| ``truncate`` | the body is cut in half, or after so many bytes; billed | ``billed`` |
| ``html`` | a page of HTML with status 200, not billed | ``billed`` |
| ``body`` | any text as the body with status 200, not billed | ``content_type``, ``billed``, ``blanks``, ``chunked`` |
| ``gzip`` | the answer comes compressed, asked or not | ``blanks`` |
| ``cursor`` | ``ignored``: page one again; ``repeated``: the cursor sent comes back; ``missing``, ``empty``: more pages, no cursor; ``endless``: more pages for ever, with known comments and fresh cursors | |
| ``data`` | replaces the answer's ``data`` | |
| ``patch`` | a list of ``{"path": [...], "value": …}`` or ``{"path": [...], "remove": true}``, applied to ``data``; ``"*"`` is every element | |
| ``grow``, ``likes`` | so many new comments on top, or likes for each, from this call on | |
| ``vanish`` | so many comments, or those with these IDs, are gone from this call on | |

``blanks`` puts so many blanks before the body: JSON allows them, so the answer stays whole, and it can
be of any size. Compressed, each thousand takes one byte. ``chunked`` keeps its length secret.

Of the rules that hold for a call the first with a fault wins; delays add up. The last three change
the world: all that hold take effect, once for each note unless ``times`` says otherwise.
"""  # noqa: E501

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xhs.simulator.validation import (
    Numbers,
    ScriptError,
    flag,
    ids,
    one_of,
    share,
    texts,
    whole,
)
from xhs.simulator.validation import (
    code as business_code,
)
from xhs.simulator.validation import (
    headers as header_table,
)
from xhs.simulator.validation import (
    patch as patch_list,
)
from xhs.simulator.validation import (
    seconds as duration,
)
from xhs.simulator.validation import (
    text as plain_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[Any, str], Any]

COMMENTS = "comments"
REPLIES = "replies"
ENDPOINTS = (COMMENTS, REPLIES)
WORLD_CHANGES = frozenset({"grow", "vanish", "likes"})
CURSOR_FAULTS = ("ignored", "repeated", "missing", "empty", "endless")


def _positive(value: Any, where: str) -> int:
    return whole(value, where, least=1)


def _endpoints(value: Any, where: str) -> frozenset[str]:
    wanted = texts(value, where)
    return frozenset(one_of(ENDPOINTS)(name, where) for name in wanted)


def _cut(value: Any, where: str) -> bool | int:
    return value if value is True else whole(value, where)


def _page(value: Any, where: str) -> bool | str:
    return value if value is True else plain_text(value, where)


def _on(value: Any, where: str) -> bool:
    if value is not True:
        raise ScriptError(f"{where}: only true makes sense here")
    return True


def _vanish(value: Any, where: str) -> int | frozenset[str]:
    return ids(value, where) if isinstance(value, list) else _positive(value, where)


def _status(value: Any, where: str) -> int:
    return whole(value, where, least=200, most=599)


MATCHERS: dict[str, Check] = {
    "note": ids,
    "comment": ids,
    "endpoint": _endpoints,
    "call": Numbers.read,
    "note_call": Numbers.read,
    "page_call": Numbers.read,
    "page": Numbers.read,
    "every": _positive,
    "after": whole,
    "until": whole,
    "share": share,
    "times": _positive,
}
FAULTS: dict[str, Check] = {
    "status": _status,
    "code": business_code,
    "hang": _on,
    "reset": one_of(("before", "after")),
    "truncate": _cut,
    "html": _page,
    "body": plain_text,
    "gzip": _on,
    "cursor": one_of(CURSOR_FAULTS),
    "data": lambda value, _where: value,
    "patch": patch_list,
    "grow": _positive,
    "vanish": _vanish,
    "likes": _positive,
}
DETAILS: dict[str, dict[str, Check]] = {
    "code": {"message": plain_text},
    "status": {
        "envelope": flag,
        "code": business_code,
        "message": plain_text,
        "headers": header_table,
        "billed": flag,
    },
    "hang": {"billed": flag},
    "reset": {"billed": flag},
    "truncate": {"billed": flag},
    "html": {"billed": flag},
    "body": {"billed": flag, "content_type": plain_text, "blanks": whole, "chunked": flag},
    "gzip": {"blanks": whole},
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its matchers by name, and its fault with the details that go with it."""

    matchers: dict[str, Any]
    fault: str | None
    value: Any = None
    details: dict[str, Any] = field(default_factory=dict)
    delay: float = 0.0


def read_rules(value: Any, where: str = "rules") -> tuple[Rule, ...]:
    """Check a list of rules."""
    if not isinstance(value, list):
        raise ScriptError(f"{where}: must be a list")
    return tuple(_rule(one, f"{where}[{place}]") for place, one in enumerate(value))


def _rule(value: Any, where: str) -> Rule:
    if not isinstance(value, dict):
        raise ScriptError(f"{where}: must be an object")
    faults = [name for name in FAULTS if name in value]
    if "status" in faults and "code" in faults:
        faults.remove("code")
    if len(faults) > 1:
        raise ScriptError(f"{where}: one fault at a time, not {' and '.join(faults)}")
    fault = faults[0] if faults else None
    details = DETAILS.get(fault, {}) if fault else {}
    for name in value:
        if name not in MATCHERS and name not in details and name not in (fault, "delay"):
            raise ScriptError(f"{where}.{name}: unknown, or of no use with {fault or 'delay'}")
    if fault is None and "delay" not in value:
        raise ScriptError(f"{where}: no fault; there are delay, {', '.join(FAULTS)}")
    matchers: dict[str, Any] = {}
    given: dict[str, Any] = {}
    delay = 0.0
    for name, what in value.items():
        place = f"{where}.{name}"
        if name in MATCHERS:
            matchers[name] = MATCHERS[name](what, place)
        elif name in details:
            given[name] = details[name](what, place)
        elif name == "delay":
            delay = duration(what, place)
    outcome = FAULTS[fault](value[fault], f"{where}.{fault}") if fault else None
    return Rule(matchers, fault, outcome, given, delay)
