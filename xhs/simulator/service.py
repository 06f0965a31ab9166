"""The API itself: which calls it takes, what it answers, what it charges. No network here."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from xhs.simulator.answers import (
    Answer,
    answer_without_data,
    compress,
    cut_short,
    envelope,
    refusal,
)
from xhs.simulator.call_log import CallLog, LoggedCall
from xhs.simulator.dataset import Dataset, InvalidCallError, parse_cursor
from xhs.simulator.fault_rules import COMMENTS, REPLIES
from xhs.simulator.faults import Faults, Request, answer, change_dataset
from xhs.simulator.limits import Limits
from xhs.simulator.note_layout import SORTS
from xhs.simulator.notes import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xhs.simulator.config import Config

BALANCE = "balance"
ENDPOINTS = {
    "/api/xiaohongshu/get-note-comment/v2": COMMENTS,
    "/api/xiaohongshu/get-note-comment/v3": COMMENTS,
    "/api/xiaohongshu/get-note-comment/v4": COMMENTS,
    "/api/xiaohongshu/get-note-sub-comment/v2": REPLIES,
    "/user/get-balance": BALANCE,
}
INVALID_TOKEN = "invalid"  # noqa: S105 (the one that is refused, not a secret)

_TOKEN_REFUSED = 100
_INVALID_PARAMETERS = 400


class Service:
    """One account with one world behind it."""

    def __init__(self, config: Config) -> None:
        self._initial_config = config
        self.dataset = Dataset()
        self.call_log = CallLog()
        self.load({})

    def load(self, script: Any) -> None:
        """Replace the script; counts that rules and limits go by begin anew."""
        self.config = self._initial_config.with_script(script)
        self._restart_counts()

    def reset_call_log(self) -> None:
        """Empty books; the script stays, and the counts it goes by begin anew."""
        under_way = self.call_log.in_flight
        self.call_log = CallLog(in_flight=under_way, max_concurrent=under_way)
        self._restart_counts()

    def reset(self) -> None:
        """As it was when it started: empty books, its first script, an unchanged dataset."""
        self.dataset.reset()
        self.load({})
        self.reset_call_log()

    def _restart_counts(self) -> None:
        self._faults = Faults(self.config)
        self._limits = Limits(self.config)
        self._random = random.Random(self.config.seed)  # noqa: S311 (latency, not a secret)

    def call(
        self, call: LoggedCall, path: str, query: Mapping[str, str], *, compressed: bool
    ) -> Answer:
        """Answer a call, and enter it into the books."""
        endpoint = ENDPOINTS[path]
        found = self._answer(call, endpoint, query)
        if compressed and self.config.gzip and found.cut is None and not found.blanks:
            compress(found)
        call.code, call.status, call.billed = found.code, found.status, found.billed
        if found.billed:
            self._limits.bill()
        self.call_log.record(call)
        return found

    def _answer(self, call: LoggedCall, endpoint: str, query: Mapping[str, str]) -> Answer:
        if not self._token_works(query.get("token", "")):
            return refusal(_TOKEN_REFUSED)
        if endpoint == BALANCE:
            data = {"balance": self._limits.balance, "currency": "CNY"}
            return Answer(0, envelope(0, data))
        try:
            request = _read(endpoint, query)
        except InvalidCallError as error:
            return refusal(_INVALID_PARAMETERS, f"Invalid parameters: {error}")
        call.note, call.comment, call.sort = request.note, request.comment or None, request.sort
        call.cursor, call.page = request.cursor or None, request.page
        limit = self._limits.refusal()
        if limit is not None:
            return refusal(limit)
        return self._answer_by_rules(call, request)

    def _answer_by_rules(self, call: LoggedCall, request: Request) -> Answer:
        matched = self._faults.match(request)
        for change in matched.changes:
            change_dataset(self.dataset, request.note, change)
        rule = matched.rule
        fixed = answer_without_data(rule) if rule is not None else None
        if fixed is not None and rule is not None:
            found = fixed
            call.fault = rule.fault
        elif (code := self._faults.refused_by_chance(request)) is not None and rule is None:
            found = refusal(code)
        else:
            try:
                found = Answer(0, envelope(0, answer(self.dataset, request, rule)), billed=True)
            except InvalidCallError as error:
                return refusal(_INVALID_PARAMETERS, f"Invalid parameters: {error}")
            if rule is not None:
                call.fault = rule.fault
                cut_short(found, rule)
                if rule.fault == "gzip":
                    compress(found, rule.details.get("blanks", 0))
        found.delay = matched.delay + self._random.uniform(*self.config.latency)
        return found

    def _token_works(self, token: str) -> bool:
        known = self.config.tokens
        if token not in known if known else token in ("", INVALID_TOKEN):
            return False
        return not self._limits.revoked()


def _read(endpoint: str, query: Mapping[str, str]) -> Request:
    note = query.get("noteId", "")
    if not is_id(note):
        raise InvalidCallError("noteId must have 24 hexadecimal digits")
    comment = ""
    sort = "latest"
    if endpoint == REPLIES:
        comment = query.get("commentId", "")
        if not is_id(comment):
            raise InvalidCallError("commentId must have 24 hexadecimal digits")
    else:
        sort = query.get("sort") or sort
        if sort not in SORTS:
            raise InvalidCallError(f"sort must be one of {', '.join(SORTS)}")
    cursor = query.get("lastCursor", "")
    page = parse_cursor(cursor, sort).index if cursor else 1
    return Request(endpoint, note, comment, sort, cursor, page)
