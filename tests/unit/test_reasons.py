"""Stop reasons, and the exit statuses that they lead to."""

from __future__ import annotations

import pytest

from xhs.reasons import StopReason
from xhs.result import exit_status


@pytest.mark.parametrize(
    ("stats", "begun", "status"),
    [
        ({"finish_reason": "finished", "xhs/notes/complete": 3, "xhs/notes/not_found": 1}, True, 0),
        ({"finish_reason": "shutdown", "xhs/notes/complete": 3}, True, 0),
        ({"finish_reason": "store_failed"}, False, 1),
        ({}, False, 1),
        ({"finish_reason": "shutdown"}, False, 3),
        ({"finish_reason": "shutdown", "xhs/notes/left": 0}, False, 0),
        ({"finish_reason": "shutdown", "xhs/notes/left": 5}, False, 3),
        ({"finish_reason": "wrong_input"}, False, 2),
        ({"finish_reason": "finished", "xhs/notes/left": 1, "xhs/notes/refused": 1}, True, 3),
        ({"finish_reason": "token_rejected", "xhs/notes/left": 1}, True, 3),
        ({"finish_reason": "finished", "xhs/notes/refused": 1}, True, 4),
        ({"finish_reason": "finished", "xhs/notes/cursor_ignored": 1}, True, 4),
    ],
)
def test_exit_status(stats: dict[str, object], begun: bool, status: int) -> None:
    assert exit_status({**stats, "xhs/notes/begun": int(begun)}) == status


def test_reasons_that_resume_continues() -> None:
    unfinished = {reason.value for reason in StopReason if not reason.ended}
    assert unfinished == {"retries_exhausted", "empty_answer", "unknown_code", "interrupted"}


@pytest.mark.parametrize("reason", ["unreadable_answer", "all_rejected"])
def test_paid_answers_that_gave_no_comments_are_not_a_success(reason: str) -> None:
    stop = StopReason(reason)
    assert (stop.ended, stop.satisfied, stop.moves_watermark) == (True, False, False)
    stats = {"finish_reason": "finished", "xhs/notes/begun": 1, f"xhs/notes/{reason}": 1}
    assert exit_status(stats) == 4
