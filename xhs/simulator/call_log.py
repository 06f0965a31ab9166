"""Log and counts of all calls: result, delivery and billing. They never hold a token."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

LOG_LENGTH = 2000
HTTP_OK = 200


@dataclass(slots=True)
class LoggedCall:
    """One call of the log.

    ``code`` is the business code of the answer, None if it has none. ``delivered`` is None while
    the call is in progress, and True afterwards if the whole answer was sent to the client.
    """

    number: int
    time: float
    path: str
    params: tuple[str, ...]
    note: str | None = None
    comment: str | None = None
    sort: str | None = None
    cursor: str | None = None
    page: int | None = None
    code: int | None = None
    status: int | None = None
    billed: bool = False
    fault: str | None = None
    delivered: bool | None = None
    in_flight: int = 0
    seconds: float | None = None


@dataclass
class CallLog:
    """Counts of all calls, and a log of the last ones. Times are seconds since the epoch."""

    calls: int = 0
    billed: int = 0
    undelivered: int = 0
    repeated: int = 0
    in_flight: int = 0
    max_concurrent: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    note_calls: Counter[str] = field(default_factory=Counter)
    note_billed: Counter[str] = field(default_factory=Counter)
    first_call: float | None = None
    last_answer: float | None = None
    log: deque[LoggedCall] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))
    _paid: set[tuple[str | None, ...]] = field(default_factory=set)

    def open(self, path: str, params: tuple[str, ...]) -> LoggedCall:
        """Log a call that came in."""
        self.calls += 1
        self.in_flight += 1
        self.max_concurrent = max(self.max_concurrent, self.in_flight)
        self.paths[path] += 1
        now = time.time()
        self.first_call = self.first_call or now
        call = LoggedCall(self.calls, now, path, params, in_flight=self.in_flight)
        self.log.append(call)
        return call

    def record(self, call: LoggedCall) -> None:
        """Count the code and the billing of a call."""
        if call.code is not None:
            self.codes[str(call.code)] += 1
        else:
            self.codes[f"http_{call.status}" if call.status != HTTP_OK else str(call.fault)] += 1
        if call.note is not None:
            self.note_calls[call.note] += 1
        if call.billed:
            self.billed += 1
            if call.note is not None:
                self.note_billed[call.note] += 1
            page = (call.path, call.note, call.comment, call.sort, call.cursor)
            self.repeated += page in self._paid
            self._paid.add(page)

    def close(self, call: LoggedCall, *, delivered: bool) -> None:
        """Log the end of a call."""
        self.in_flight -= 1
        call.delivered = delivered
        self.last_answer = time.time()
        call.seconds = round(self.last_answer - call.time, 6)
        if call.billed and not delivered:
            self.undelivered += 1

    def summary(self, log_length: int = LOG_LENGTH) -> dict[str, Any]:
        """Return counts and the last ``log_length`` calls as a JSON object."""
        log = list(self.log)[-log_length:] if log_length else []
        return {
            "calls": self.calls,
            "billed": self.billed,
            "undelivered": self.undelivered,
            "repeated": self.repeated,
            "in_flight": self.in_flight,
            "max_concurrent": self.max_concurrent,
            "first_call": self.first_call,
            "last_answer": self.last_answer,
            "codes": dict(self.codes),
            "paths": dict(self.paths),
            "notes": {
                note: {"calls": calls, "billed": self.note_billed[note]}
                for note, calls in self.note_calls.items()
            },
            "log": [asdict(call) for call in log],
        }
