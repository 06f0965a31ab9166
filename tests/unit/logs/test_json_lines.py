"""A log with one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.download.token import Token
from xhs.logs.json_lines import JsonFormatter


def line(message: str, *args: object, **more: Any) -> dict[str, Any]:
    fields = {"name": "a.logger", "levelname": "WARNING", "levelno": logging.WARNING}
    record = logging.makeLogRecord({**fields, "msg": message, "args": args, "created": 0, **more})
    written = JsonFormatter().format(record)
    assert "\n" not in written
    fields_written: dict[str, Any] = json.loads(written)
    return fields_written


def test_a_line_has_time_level_logger_and_message() -> None:
    assert line("%d notes", 3) == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "WARNING",
        "logger": "a.logger",
        "message": "3 notes",
    }


@given(st.text(st.characters()))
def test_any_message_is_one_line(text: str) -> None:
    assert line("%s", text)["message"] == text


def test_a_traceback_is_part_of_its_line() -> None:
    try:
        raise ValueError("too\nbad")
    except ValueError:
        record = line("it broke", exc_info=sys.exc_info())
    assert record["message"] == "it broke"
    assert "ValueError: too\nbad" in record["exception"]


def test_the_result_of_a_crawl_is_an_object_in_its_line() -> None:
    run = {"exit_status": 0, "notes": {"left": 0}}
    assert line("%s", "whatever", run=run)["run"] == run


@pytest.mark.parametrize("field", ["message", "run"])
def test_no_secret_is_in_a_line(field: str) -> None:
    secret = 'a-"secret"-of-this-test'
    Token(secret)
    record = line(secret) if field == "message" else line("x", run={"resume": secret})
    assert "of-this-test" not in json.dumps(record)
