"""Answers of the stand-in, whole or changed by a fault."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

if TYPE_CHECKING:
    from xhs.simulator.fault_rules import Rule

JSON = "application/json"

MESSAGES = {
    0: "success",
    100: "Token invalid or inactive",
    301: "Collection failed, please retry",
    302: "Rate limit exceeded",
    303: "Daily quota exceeded",
    400: "Invalid parameters",
    500: "Internal server error",
    600: "Permission denied",
    601: "Insufficient balance",
    602: "Token spending limit reached",
}
_CODE_OF_STATUS = {401: 100, 403: 600, 429: 302}
_HTML = (
    "<!DOCTYPE html><html><head><title>{0}</title></head>"
    "<body><center><h1>{0}</h1></center><hr><center>nginx</center></body></html>"
)

_MEMBER_SIZE = 1_000_000

Cut = Literal["hang", "before", "after", "body"]


@dataclass(slots=True)
class Answer:
    """Answer ready to be sent. With ``cut``, it does not arrive whole."""

    code: int | None
    body: bytes
    billed: bool = False
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    cut: Cut | None = None
    sent: int = 0
    delay: float = 0.0
    blanks: int = 0
    """Number of blanks sent before the body."""
    chunked: bool = False
    """True if it is sent without Content-Length."""


def envelope(code: int, data: Any = None, message: str | None = None) -> bytes:
    """Return the JSON object in which the API wraps every answer."""
    document = {
        "code": code,
        "message": MESSAGES.get(code, "Unknown error") if message is None else message,
        "data": data,
        "recordTime": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        "requestId": uuid4().hex,
    }
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":")).encode()


def refusal(code: int, message: str | None = None) -> Answer:
    """Return an answer with a code other than 0, which is not billed."""
    return Answer(code, envelope(code, message=message))


def answer_without_data(rule: Rule) -> Answer | None:
    """Return the answer of a fault that needs no data, None for the other faults."""
    details = rule.details
    billed = bool(details.get("billed", False))
    match rule.fault:
        case "code":
            return refusal(rule.value, details.get("message"))
        case "status":
            return _status(rule.value, details, billed)
        case "html":
            page = rule.value if isinstance(rule.value, str) else _HTML.format("Just a moment...")
            return Answer(0 if billed else None, page.encode(), billed, content_type="text/html")
        case "body":
            body = rule.value.encode("utf-8", "surrogatepass")
            kind = details.get("content_type", JSON)
            answer = Answer(0 if billed else None, body, billed, content_type=kind)
            answer.blanks = details.get("blanks", 0)
            answer.chunked = details.get("chunked", False)
            return answer
    return None


def _status(status: int, details: dict[str, Any], billed: bool) -> Answer:
    headers = details.get("headers", {})
    if not details.get("envelope", False):
        page = _HTML.format(f"{status}").encode()
        code = 0 if billed else details.get("code")
        return Answer(code, page, billed, status, "text/html", headers)
    code = 0 if billed else details.get("code", _CODE_OF_STATUS.get(status, status))
    body = envelope(code, message=details.get("message"))
    return Answer(code, body, billed, status, headers=headers)


def cut_short(answer: Answer, rule: Rule) -> None:
    """Cut a billed answer as the fault ``hang``, ``reset`` or ``truncate`` says."""
    match rule.fault:
        case "hang":
            answer.cut = "hang"
        case "reset":
            answer.cut = "before" if rule.value == "before" else "after"
        case "truncate":
            answer.cut = "body"
            half = len(answer.body) // 2
            answer.sent = half if rule.value is True else min(rule.value, len(answer.body) - 1)
        case _:
            return
    if not rule.details.get("billed", True):
        answer.billed = False
        answer.code = None


def compress(answer: Answer, blanks: int = 0) -> None:
    """Compress the body, with ``blanks`` blanks before it."""
    # A gzip file may hold several members, so one member of blanks is compressed and repeated.
    many, rest = divmod(blanks, _MEMBER_SIZE)
    before = gzip.compress(b" " * _MEMBER_SIZE, mtime=0) * many if many else b""
    after = gzip.compress(b" " * rest + answer.body, compresslevel=1, mtime=0)
    answer.body = before + after
    answer.headers = {**answer.headers, "Content-Encoding": "gzip"}
