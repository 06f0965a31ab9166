import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs import settings
from xhs.api.codes import CODES, close_reason, remedy, status_of
from xhs.api.envelope import Envelope, read
from xhs.reasons import CloseReason

_STATUSES = {
    0: 200,
    100: 401,
    301: 503,
    302: 429,
    303: 509,
    400: 400,
    500: 500,
    600: 403,
    601: 402,
    602: 402,
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(("code", "status"), list(_STATUSES.items()))
def test_a_known_code_becomes_its_status(code: int, status: int) -> None:
    assert status_of(code) == status


@given(st.integers().filter(lambda code: code not in _STATUSES))
def test_any_other_code_is_an_error_that_is_not_retried(code: int) -> None:
    assert status_of(code) == 520


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (100, CloseReason.TOKEN_REJECTED),
        (303, CloseReason.QUOTA_EXHAUSTED),
        (600, CloseReason.PERMISSION_DENIED),
        (601, CloseReason.BALANCE_EXHAUSTED),
        (602, CloseReason.BALANCE_EXHAUSTED),
    ],
)
def test_a_fatal_code_has_a_close_reason_and_a_remedy(code: int, reason: CloseReason) -> None:
    assert close_reason(code) is reason
    assert remedy(code, datetime(2026, 1, 31, 15, 59, tzinfo=UTC))


def test_no_other_code_is_fatal() -> None:
    assert {code for code in CODES if close_reason(code)} == {100, 303, 600, 601, 602}


def test_scrapy_retries_the_statuses_of_the_codes_that_are_retried() -> None:
    statuses = {entry.status for entry in CODES.values() if entry.is_retried}
    assert set(settings.RETRY_HTTP_CODES) == statuses
    assert all(
        entry.meaning and (entry.remedy or entry.code == 303)
        for entry in CODES.values()
        if entry.close_reason
    )


def test_an_envelope_is_read_completely() -> None:
    body = {"code": 0, "message": "ok", "data": {"a": 1}, "recordTime": "x", "requestId": "r-1"}
    assert read(json.dumps(body).encode()) == Envelope(0, "ok", {"a": 1}, "r-1")


def test_an_error_envelope_may_have_only_its_code() -> None:
    assert read(b'{"code": 301}') == Envelope(301, "", None, None)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("message", None, ""),
        ("message", 5, "5"),
        ("requestId", 17, "17"),
    ],
)
def test_text_fields_become_text(field: str, value: object, expected: str) -> None:
    answer = read(json.dumps({"code": 500, field: value}).encode())
    assert answer is not None
    assert expected in (answer.message, answer.request_id)


def test_a_code_may_be_text() -> None:
    answer = read(b'{"code": "302"}')
    assert answer is not None
    assert answer.code == 302


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        b'{"code": 0, "data": {"comments": [',
        b"null",
        b"0",
        b"[]",
        b'"code"',
        b"{}",
        b'{"data": {}}',
        b'{"code": null}',
        b'{"code": true}',
        b'{"code": false, "data": {}}',
        b'{"code": 0.5}',
        b'{"code": ""}',
        b'{"code": "ok"}',
        '{"code": "²"}'.encode(),
        b'{"code": []}',
        pytest.param(b'{"code": "' + b"9" * 5000 + b'"}', id="5000 digits as text"),
        pytest.param(b'{"code": ' + b"9" * 5000 + b"}", id="5000 digits"),
        b'{"code": 0, "message": "\xff"}',
        b"\x1f\x8b\x08\x00compressed",
        pytest.param(b'{"code": 0, "data": ' + b"[" * 100_000, id="nested too deeply"),
    ],
)
def test_anything_else_is_not_an_envelope(body: bytes) -> None:
    assert read(body) is None


@given(st.binary())
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    read(body)


@given(st.dictionaries(st.sampled_from(["code", "message", "data", "requestId"]), json_values))
def test_any_object_is_read_without_an_error(answer: dict[str, object]) -> None:
    envelope = read(json.dumps(answer).encode())
    assert envelope is None or isinstance(envelope.code, int)


@given(json_values)
def test_data_is_kept_as_sent(data: object) -> None:
    answer = read(json.dumps({"code": 0, "data": data}).encode())
    assert answer is not None
    assert json.dumps(answer.data) == json.dumps(data)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-01-31T15:59:59+00:00", "2026-01-31 16:00 UTC"),
        ("2026-01-31T16:00:00+00:00", "2026-02-01 16:00 UTC"),
        ("2026-12-31T20:00:00-05:00", "2027-01-01 16:00 UTC"),
    ],
)
def test_a_quota_is_renewed_when_the_day_ends_in_shanghai(now: str, end: str) -> None:
    assert end in remedy(303, datetime.fromisoformat(now))
