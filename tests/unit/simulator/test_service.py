"""Service of the stand-in: validation, billing, limits, and the rules of a script."""

from __future__ import annotations

import gzip
import json
import random
from typing import Any

import pytest
from support.expected import expected_note

from xhs.simulator.call_log import CallLog
from xhs.simulator.config import Config
from xhs.simulator.limits import Limits
from xhs.simulator.notes import missing_note, sized_note, threaded_note
from xhs.simulator.service import Service

COMMENTS = "/api/xiaohongshu/get-note-comment/v4"
REPLIES = "/api/xiaohongshu/get-note-sub-comment/v2"
BALANCE = "/user/get-balance"
NOTE = sized_note(35)
SECRET = "a-secret-token"


class Account:
    """Client of a service, without a network."""

    def __init__(self, *rules: dict[str, Any], **options: Any) -> None:
        self.service = Service(Config())
        self.service.load({"rules": list(rules), **options})

    def answer(
        self, path: str = COMMENTS, query: dict[str, str] | None = None, *, compressed: bool = False
    ) -> Any:
        query = query or {}
        asked = {"token": SECRET, **({"noteId": NOTE} if path != BALANCE else {}), **query}
        call = self.service.call_log.open(path, tuple(sorted(asked)))
        answer = self.service.call(call, path, asked, compressed=compressed)
        self.service.call_log.close(call, delivered=answer.cut is None)
        return answer

    def call(self, path: str = COMMENTS, **query: str) -> Any:
        return json.loads(self.answer(path, query).body)

    def code(self, path: str = COMMENTS, **query: str) -> int:
        code: int = self.call(path, **query)["code"]
        return code

    def codes(self, calls: int, **query: str) -> list[int]:
        return [self.code(**query) for _ in range(calls)]

    @property
    def log(self) -> dict[str, Any]:
        return self.service.call_log.summary()


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        (COMMENTS, {"token": ""}, 100),
        (COMMENTS, {"token": "invalid"}, 100),
        (BALANCE, {"token": "invalid"}, 100),
        (COMMENTS, {"noteId": ""}, 400),
        (COMMENTS, {"noteId": "65bf5360"}, 400),
        (COMMENTS, {"noteId": NOTE.upper()}, 400),
        (COMMENTS, {"sort": "best"}, 400),
        (COMMENTS, {"lastCursor": "x"}, 400),
        (REPLIES, {}, 400),
        (REPLIES, {"commentId": "x"}, 400),
        (REPLIES, {"commentId": "0" * 24}, 400),
        (COMMENTS, {}, 0),
        (COMMENTS, {"sort": "", "lastCursor": ""}, 0),
        (COMMENTS, {"noteId": missing_note()}, 0),
        (REPLIES, {"commentId": expected_note(NOTE).first_level[0]}, 0),
        (BALANCE, {}, 0),
    ],
)
def test_parameters_are_checked_and_only_code_0_is_billed(
    path: str, query: dict[str, str], code: int
) -> None:
    account = Account()
    assert account.code(path, **query) == code
    assert account.log["billed"] == (code == 0 and path != BALANCE)
    assert account.log["codes"] == {str(code): 1}


def test_only_given_tokens_are_accepted() -> None:
    service = Service(Config(tokens=frozenset({"one", "two"})))
    for token, code in (("one", 0), ("two", 0), ("three", 100)):
        call = service.call_log.open(COMMENTS, ())
        query = {"token": token, "noteId": NOTE}
        assert service.call(call, COMMENTS, query, compressed=False).code == code


def test_the_balance_costs_nothing_and_is_the_documented_text() -> None:
    data = Account().call(BALANCE)["data"]
    assert data == {"balance": "123.4500", "currency": "CNY"}


def test_the_balance_pays_for_billed_calls_until_it_is_empty() -> None:
    account = Account({"call": 2, "code": 301}, balance=0.25, price=0.1)
    assert account.codes(5) == [0, 301, 0, 601, 601]
    assert account.call(BALANCE)["data"]["balance"] == "0.0500"


def test_quota_spending_limit_and_revocation() -> None:
    assert Account(quota=2).codes(4) == [0, 0, 303, 303]
    assert Account(spending_limit=0.02).codes(3) == [0, 0, 602]
    assert Account(revoke_after=2).codes(4) == [0, 0, 100, 100]


def test_the_rate_is_a_sliding_second() -> None:
    now = 100.0
    limits = Limits(Config(rate=2), clock=lambda: now)
    assert [limits.refusal() for _ in range(3)] == [None, None, 302]
    now = 100.99
    assert limits.refusal() == 302
    now = 101.0
    assert [limits.refusal() for _ in range(3)] == [None, None, 302]


def test_a_rate_below_one_is_one_call_in_its_time() -> None:
    now = 0.0
    limits = Limits(Config(rate=0.5), clock=lambda: now)
    assert [limits.refusal(), limits.refusal()] == [None, 302]
    now = 2.0
    assert limits.refusal() is None


@pytest.mark.parametrize(
    ("matcher", "refused"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"call": 2}, [2]),
        ({"call": [1, "4-5"]}, [1, 4, 5]),
        ({"note_call": "5-"}, [5, 6]),
        ({"every": 3}, [3, 6]),
        ({"after": 4}, [5, 6]),
        ({"until": 2}, [1, 2]),
        ({"times": 3}, [1, 2, 3]),
        ({"after": 1, "times": 2}, [2, 3]),
        ({"note": sized_note(1)}, []),
        ({"endpoint": "replies"}, []),
        ({"page": 2}, []),
        ({"page_call": [1, 2]}, [1, 2]),
    ],
)
def test_matchers_choose_calls(matcher: dict[str, Any], refused: list[int]) -> None:
    codes = Account({**matcher, "code": 301}).codes(6)
    assert [place for place, code in enumerate(codes, 1) if code == 301] == refused


def test_pages_notes_and_threads_are_matched() -> None:
    note = threaded_note(20, 2)
    root, other = expected_note(note).first_level[:2]
    account = Account(
        {"page": 2, "page_call": 1, "code": 500},
        {"comment": root, "code": 301},
        {"note": missing_note(), "note_call": 2, "code": 302},
    )
    cursor = account.call(noteId=note)["data"]["cursor"]
    assert account.codes(2, noteId=note, lastCursor=cursor) == [500, 0]
    assert account.code(REPLIES, noteId=note, commentId=root) == 301
    assert account.code(REPLIES, noteId=note, commentId=other) == 0
    assert account.codes(3, noteId=missing_note()) == [0, 302, 0]


def test_a_share_hits_the_same_calls_in_any_order() -> None:
    notes = [sized_note(1, serial) for serial in range(100)]

    def refused(order: list[str], seed: int) -> set[str]:
        account = Account({"share": 0.3, "code": 301}, seed=seed)
        return {note for note in order if account.code(noteId=note) == 301}

    shuffled = list(notes)
    random.Random(3).shuffle(shuffled)  # noqa: S311
    assert refused(notes, 1) == refused(shuffled, 1) != refused(notes, 2)
    assert 15 < len(refused(notes, 1)) < 45


def test_a_share_of_all_calls_is_refused() -> None:
    codes = Account(refuse_share={"301": 0.2, "500": 0.1}).codes(500)
    assert 60 < codes.count(301) < 140
    assert 25 < codes.count(500) < 80
    assert codes.count(0) == 500 - codes.count(301) - codes.count(500)


def test_the_first_fault_wins_and_delays_add_up() -> None:
    account = Account(
        {"delay": 1},
        {"code": 301, "delay": 2, "message": "slowly"},
        {"code": 500},
        {"delay": 4},
    )
    answer = account.answer()
    assert (answer.code, answer.delay) == (301, 7.0)
    assert json.loads(answer.body)["message"] == "slowly"


def test_latency_lies_in_its_range() -> None:
    delays = {Account(latency=[0.2, 0.5], seed=seed).answer().delay for seed in range(20)}
    assert all(0.2 <= delay <= 0.5 for delay in delays)
    assert len(delays) == 20
    assert Account(latency=0.2).answer().delay == 0.2


@pytest.mark.parametrize(
    ("fault", "billed", "status", "code"),
    [
        ({"code": 777}, False, 200, 777),
        ({"status": 503}, False, 503, None),
        ({"status": 429, "envelope": True}, False, 429, 302),
        ({"status": 500, "billed": True}, True, 500, 0),
        ({"hang": True}, True, 200, 0),
        ({"hang": True, "billed": False}, False, 200, None),
        ({"reset": "before"}, True, 200, 0),
        ({"reset": "after", "billed": False}, False, 200, None),
        ({"truncate": True}, True, 200, 0),
        ({"html": True}, False, 200, None),
        ({"body": "x"}, False, 200, None),
        ({"body": "x", "billed": True}, True, 200, 0),
        ({"data": []}, True, 200, 0),
        ({"gzip": True}, True, 200, 0),
    ],
)
def test_faults_are_billed_as_they_say(
    fault: dict[str, Any], billed: bool, status: int, code: int | None
) -> None:
    account = Account(fault)
    answer = account.answer()
    assert (answer.billed, answer.status, answer.code) == (billed, status, code)
    lost = answer.cut is not None
    assert account.log["undelivered"] == (billed and lost)
    assert account.log["log"][0]["fault"] == next(iter(fault))


def test_answers_are_compressed_if_requested_and_allowed() -> None:
    plain = Account().call()["data"]
    for account, asked in ((Account(gzip=True), True), (Account({"gzip": True}), False)):
        answer = account.answer(compressed=asked)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(answer.body))["data"] == plain
    assert not Account(gzip=True).answer().headers
    assert not Account().answer(compressed=True).headers


def test_a_compressed_answer_may_hold_any_number_of_blanks() -> None:
    answer = Account({"gzip": True, "blanks": 2_500_000}).answer()
    assert len(answer.body) < 10_000
    body = gzip.decompress(answer.body)
    assert len(body) - len(body.lstrip(b" ")) == 2_500_000
    assert json.loads(body)["data"] == Account().call()["data"]


def test_cursor_faults() -> None:
    whole = Account()
    first = whole.call()["data"]
    cursor = first["cursor"]
    second = whole.call(lastCursor=cursor)["data"]
    assert Account({"cursor": "ignored"}).call(lastCursor=cursor)["data"] == first
    repeated = Account({"cursor": "repeated"}).call(lastCursor=cursor)["data"]
    assert repeated == {**second, "cursor": cursor}
    missing = Account({"cursor": "missing"}).call(lastCursor=cursor)["data"]
    assert "cursor" not in missing
    assert missing["has_more"]
    assert Account({"cursor": "empty"}).call()["data"]["cursor"] == ""


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (COMMENTS, {}),
        (REPLIES, {"noteId": threaded_note(1, 25)}),
    ],
)
def test_an_endless_list_has_fresh_cursors_and_known_comments(
    path: str, query: dict[str, str]
) -> None:
    if path == REPLIES:
        query = {**query, "commentId": expected_note(query["noteId"]).first_level[0]}
        known = expected_note(query["noteId"]).replies
    else:
        known = set(expected_note(NOTE).first_level)
    account = Account({"cursor": "endless"})
    cursors: list[str] = []
    for _ in range(12):
        data = account.call(path, **query)["data"]
        assert data["has_more"]
        assert {one["id"] for one in data["comments"]} <= known
        assert data["comments"]
        cursors.append(data["cursor"])
        query = {**query, "lastCursor": data["cursor"]}
    assert len(set(cursors)) == 12


def test_data_is_patched_where_the_path_leads() -> None:
    patch = [
        {"path": ["comments", "*", "time"], "remove": True},
        {"path": ["comments", 0, "user", "nickname"], "value": "\ud800"},
        {"path": ["comments", -1], "remove": True},
        {"path": ["comments", 99, "id"], "value": 1},
        {"path": ["user_id", "x"], "value": 1},
        {"path": ["fresh"], "value": {"a": 1}},
    ]
    data = Account({"patch": patch}).call()["data"]
    whole = Account().call()["data"]
    assert all("time" not in one for one in data["comments"])
    assert data["comments"][0]["user"]["nickname"] == "\ud800"
    assert len(data["comments"]) == 9
    assert (data["user_id"], data["fresh"]) == (whole["user_id"], {"a": 1})
    emptied = Account({"patch": [{"path": ["comments", "*"], "remove": True}]}).call()["data"]
    assert emptied["comments"] == []


def test_a_note_changes_once_and_stays_changed_under_the_next_script() -> None:
    account = Account({"note_call": "2-", "grow": 3}, {"note_call": 3, "likes": 1, "times": 1})
    counts = [account.call()["data"]["comment_count_l1"] for _ in range(4)]
    assert counts == [35, 38, 38, 38]
    account.service.load({})
    assert account.call()["data"]["comment_count_l1"] == 38
    assert account.service.dataset.changes(NOTE).likes == 1
    account.service.reset()
    assert account.call()["data"]["comment_count_l1"] == 35


def test_the_call_log_counts_notes_codes_and_repeated_payment_and_holds_no_token() -> None:
    account = Account({"note_call": 2, "code": 301})
    account.codes(3)
    account.code(noteId=SECRET)
    account.code(lastCursor=SECRET)
    account.code(sort=SECRET)
    log = account.log
    assert (log["calls"], log["billed"], log["repeated"]) == (6, 2, 1)
    assert log["codes"] == {"0": 2, "301": 1, "400": 3}
    assert log["notes"] == {NOTE: {"calls": 3, "billed": 2}}
    assert log["paths"] == {COMMENTS: 6}
    assert SECRET not in json.dumps(log)
    assert log["log"][0]["params"] == ("noteId", "token")


def test_reset_of_the_call_log_restarts_the_counts_of_the_script() -> None:
    account = Account({"call": 1, "code": 301}, quota=1)
    assert account.codes(3) == [301, 0, 303]
    account.service.reset_call_log()
    assert account.log["calls"] == 0
    assert account.codes(3) == [301, 0, 303]


def test_concurrent_calls_are_counted() -> None:
    log = CallLog()
    calls = [log.open("/", ()) for _ in range(3)]
    for call in calls:
        log.close(call, delivered=True)
    log.close(log.open("/", ()), delivered=True)
    assert (log.max_concurrent, log.in_flight) == (3, 0)
