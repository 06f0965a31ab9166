"""JSON Schemas of what users load into the stand-in: scripts, rules and changes.

A script is a JSON object of ``rules``, a list, and of `OPTIONS`. A rule is an object of
`MATCHERS`, which must all match (a rule without any always matches), and of one of `FAULTS` with
its `DETAILS`, a ``delay``, or both. For example:
``{"rules": [{"page": 2, "share": 0.1, "code": 301}], "rate": 20}``.

Of the rules that match a call, the first with a fault wins; delays add up. The `CHANGES` of the
dataset all take effect, once for each note unless ``times`` is given.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Schema = dict[str, Any]


class ScriptError(ValueError):
    """A script, a rule, an option or a change is invalid."""


def check(document: Any, schema: Schema, where: str = "") -> None:
    """Raise `ScriptError` with the place and the reason if a document does not fit its schema."""
    # Importing jsonschema takes as long as the rest of a start, and most starts need no script.
    from jsonschema import Draft4Validator, Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    strict = Draft4Validator.TYPE_CHECKER  # 1.0 is no integer

    def is_finite(name: str) -> Callable[[Any, Any], bool]:
        return lambda _, value: strict.is_type(value, name) and abs(value) <= sys.float_info.max

    finite = strict.redefine_many({name: is_finite(name) for name in ("integer", "number")})
    validator = extend(Draft202012Validator, type_checker=finite)  # type: ignore[no-untyped-call]
    error = best_match(validator(schema).iter_errors(document))
    if error is not None:
        place = f"{where}{error.json_path[1:]}".lstrip(".") or "the document"
        meaning = error.schema.get("description")
        raise ScriptError(f"{place}: {error.message}" + (f" ({meaning})" if meaning else ""))


def _prop(description: str, schema: Schema, **keywords: Any) -> Schema:
    return {**schema, **keywords, "description": description}


def _listable(*types: str, **keywords: Any) -> Schema:
    """Return the schema of a value or a list of values."""
    value = {"type": list(types), **keywords}
    return {**value, "type": [*types, "array"], "items": value}


def _closed(table: dict[str, Schema], **keywords: Any) -> Schema:
    """Return the schema of an object with these properties only; its errors list them."""
    return {"type": "object", "properties": table, "propertyNames": {"enum": [*table]}, **keywords}


_FLAG: Schema = {"type": "boolean"}
_TEXT: Schema = {"type": "string"}
_LINE: Schema = {"type": "string", "pattern": r"^[^\r\n]*\Z"}
_LINES: Schema = {"type": "object", "propertyNames": _LINE, "additionalProperties": _LINE}
_TRUE: Schema = {"const": True}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_POSITIVE: Schema = {"type": "integer", "minimum": 1}
_STATUS: Schema = {"type": "integer", "minimum": 200, "maximum": 599}
_NUMBER: Schema = {"type": "number", "minimum": 0}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_CODE: Schema = {"pattern": "^[1-9][0-9]*$"}
_SHARES: Schema = {"type": "object", "propertyNames": _CODE, "additionalProperties": _SHARE}
_ENDPOINTS = _listable("string", pattern="^(comments|replies)$")
_IDS = _listable("string", pattern="^[0-9a-f]{24}$", maxLength=24)
_RANGES = _listable("integer", "string", minimum=1, pattern="^[0-9]{1,18}-[0-9]{0,18}$")
_COUNT_OR_IDS: Schema = {"type": ["integer", "array"], "minimum": 0, "items": _IDS["items"]}
_CURSORS: Schema = {"enum": ["ignored", "repeated", "missing", "empty", "endless"]}
_PATH: Schema = {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1}
_PATCH = _prop(
    "path, and value or remove",
    _closed({"path": _PATH, "value": {}, "remove": _TRUE}, required=["path"]),
    minProperties=2,
    maxProperties=2,
)

MATCHERS = {
    "note": _prop("ID of the note, or a list", _IDS),
    "comment": _prop("ID of the comment whose replies are requested, or a list", _IDS),
    "endpoint": _prop("comments, replies, or a list; default: both", _ENDPOINTS),
    "call": _prop('number of the call since the load: 1, "3-7", "3-", or a list', _RANGES),
    "note_call": _prop("the same, counted for each note", _RANGES),
    "page_call": _prop("the same, counted for each page: 1 is the first attempt", _RANGES),
    "page": _prop("number of the page, as its cursor implies", _RANGES),
    "every": _prop("every n-th call", _POSITIVE),
    "after": _prop("calls with a higher number", _WHOLE),
    "until": _prop("calls up to this number", _WHOLE),
    "share": _prop("share of calls, drawn by seed, note and note_call alone", _SHARE),
    "times": _prop("number of calls at most", _POSITIVE),
}
CHANGES = {
    "grow": _prop("number of new comments on top, from this call on", _POSITIVE),
    "vanish": _prop("number or IDs of comments gone, from this call on", _COUNT_OR_IDS, minimum=1),
    "likes": _prop("number of new likes for each comment, from this call on", _POSITIVE),
}
FAULTS = {
    "status": _prop("HTTP status, with HTML unless envelope is true; not billed", _STATUS),
    "code": _prop("business code other than 0; not billed", _POSITIVE),
    "hang": _prop("no answer, for as long as the client waits; billed", _TRUE),
    "reset": _prop("cut before or after the headers; billed", {"enum": ["before", "after"]}),
    "truncate": _prop(
        "true: cut in half; a number: after that many bytes; billed", {"anyOf": [_TRUE, _WHOLE]}
    ),
    "html": _prop(
        "HTML with status 200; true: a usual page; not billed", {"anyOf": [_TRUE, _TEXT]}
    ),
    "body": _prop("body with status 200; not billed", _TEXT),
    "gzip": _prop("the answer is compressed, even if the client does not accept it", _TRUE),
    "cursor": _prop(
        "ignored: page 1 again; repeated: the cursor that was sent; missing, empty: more pages but"
        " no cursor; endless: more pages for ever, with known comments and new cursors",
        _CURSORS,
    ),
    "data": _prop("replaces the data of the answer", {}),
    "patch": _prop(
        'changes to the data, as {"path": ["comments", "*", "id"], "value": 1} or'
        ' {"path": ["user_id"], "remove": true}; "*" is every element',
        {"type": "array", "items": _PATCH, "minItems": 1},
    ),
    **CHANGES,
}
_WITH_BILLED = ["status", "hang", "reset", "truncate", "html", "body"]
DETAILS = {
    "message": _prop("message of the envelope", _TEXT, faults=["code", "status"]),
    "envelope": _prop("true for a JSON envelope, which may have code", _FLAG, faults=["status"]),
    "headers": _prop("HTTP headers", _LINES, faults=["status"]),
    "billed": _prop("true if the call is billed", _FLAG, faults=_WITH_BILLED),
    "content_type": _prop("content type of the body", _LINE, faults=["body"]),
    "blanks": _prop(
        "number of blanks before the body; JSON allows them, and gzip makes one byte of a thousand",
        _WHOLE,
        faults=["body", "gzip"],
    ),
    "chunked": _prop("true to send no Content-Length", _FLAG, faults=["body"]),
}
"""Properties that go with one of their ``faults``; ``status`` may have a ``code`` too."""
DELAY = _prop("seconds added before the answer", _NUMBER)
OPTIONS = {
    "rate": _prop("calls a second; more are refused with code 302", _NUMBER, exclusiveMinimum=0),
    "quota": _prop("billed calls, then code 303", _WHOLE),
    "balance": _prop("money on the account, then code 601", _NUMBER),
    "price": _prop("money that a billed call costs (default: 0.01)", _NUMBER),
    "spending_limit": _prop("money that the token may spend, then code 602", _NUMBER),
    "revoke_after": _prop("calls, then the token is refused with code 100", _WHOLE),
    "seed": _prop("seed of all that is random (default: 0)", _WHOLE),
    "latency": _prop(
        "seconds that an answer takes, or the two bounds of a range",
        _listable("number", minimum=0) | {"minItems": 2, "maxItems": 2},
    ),
    "refuse_share": _prop('share of calls refused with each code, as {"301": 0.2}', _SHARES),
    "gzip": _prop("true to compress for clients that accept it", _FLAG),
}
_RULE = _closed(MATCHERS | {"delay": DELAY} | FAULTS | DETAILS)
RULES: Schema = {"type": "array", "items": _RULE}
SCRIPT = _closed({"rules": RULES, **OPTIONS})
_CHANGE = {"note": _IDS["items"], "grow": _WHOLE, "vanish": _COUNT_OR_IDS, "likes": _WHOLE}
CHANGE = _closed(_CHANGE, required=["note"])
