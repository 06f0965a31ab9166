"""The envelope of an answer. The meanings of its codes are in :mod:`xhs.api.codes`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_MAX_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Envelope:
    """An answer as the provider sent it. ``data`` is the result if ``code`` is 0."""

    code: int
    message: str
    data: Any
    request_id: str | None

    @property
    def summary(self) -> str:
        """Code, message and request ID of a refusal, on one line of bounded length."""
        message = self.message[:_MAX_LENGTH]
        request_id = "".join(filter(str.isprintable, (self.request_id or "none")[:_MAX_LENGTH]))
        return f"code {self.code}, {message!r}, requestId {request_id}"


def read(body: bytes) -> Envelope | None:
    """Return the envelope in a body; None for HTML, a truncated answer or other JSON."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = _with_long_numbers(body)
    if not isinstance(answer, dict):
        return None
    code = answer.get("code")
    if isinstance(code, str) and re.fullmatch(r"[0-9]{1,9}", code):
        code = int(code)
    if not isinstance(code, int) or isinstance(code, bool):
        return None
    request_id = answer.get("requestId")
    return Envelope(
        code=code,
        message=str(answer.get("message") or ""),
        data=answer.get("data"),
        request_id=None if request_id is None else str(request_id),
    )


def _with_long_numbers(body: bytes) -> Any:
    """Read JSON with an integer that is too long for Python: it becomes text."""
    try:
        return json.loads(
            body, parse_int=lambda digits: int(digits) if len(digits) < 4000 else digits
        )
    except (ValueError, RecursionError):
        return None
