"""The API without the network: validation, answers and billing of calls."""

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
from xhs.simulator.faults import Faults, Request, answer_data, change_dataset
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
INVALID_TOKEN = "invalid"  # noqa: S105 (a token that is refused, not a secret)

_TOKEN_REFUSED = 100
_INVALID_PARAMETERS = 400


class Service:
    """One account and its dataset."""

    def __init__(self, config: Config) -> None:
        self._initial_config = config
        self.dataset = Dataset()
        self.call_log = CallLog()
        self.load({})

    def load(self, script: Any) -> None:
        """Replace the script, and restart the counts of its rules and limits."""
        self.config = self._initial_config.with_script(script)
        self._restart_counts()

    def reset_call_log(self) -> None:
        """Empty the call log, and restart the counts of the script, which stays."""
        in_flight = self.call_log.in_flight
        self.call_log = CallLog(in_flight=in_flight, max_concurrent=in_flight)
        self._restart_counts()

    def reset(self) -> None:
        """Restore the state of the start: empty call log, initial script, unchanged dataset."""
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
        """Answer a call, and record it in the call log."""
        endpoint = ENDPOINTS[path]
        answer = self._answer(call, endpoint, query)
        if compressed and self.config.gzip and answer.cut is None and not answer.blanks:
            compress(answer)
        call.code, call.status, call.billed = answer.code, answer.status, answer.billed
        if answer.billed:
            self._limits.bill()
        self.call_log.record(call)
        return answer

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
            answer = fixed
            call.fault = rule.fault
        elif (code := self._faults.refused_by_chance(request)) is not None and rule is None:
            answer = refusal(code)
        else:
            try:
                data = answer_data(self.dataset, request, rule)
                answer = Answer(0, envelope(0, data), billed=True)
            except InvalidCallError as error:
                return refusal(_INVALID_PARAMETERS, f"Invalid parameters: {error}")
            if rule is not None:
                call.fault = rule.fault
                cut_short(answer, rule)
                if rule.fault == "gzip":
                    compress(answer, rule.details.get("blanks", 0))
        answer.delay = matched.delay + self._random.uniform(*self.config.latency)
        return answer

    def _token_works(self, token: str) -> bool:
        accepted = self.config.tokens
        if token not in accepted if accepted else token in ("", INVALID_TOKEN):
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
