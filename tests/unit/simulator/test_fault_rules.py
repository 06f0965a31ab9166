"""Scripts of faults: what is understood, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from xhs.simulator.config import Config, read_json
from xhs.simulator.notes import sized_note
from xhs.simulator.validation import Numbers, ScriptError

NOTE = sized_note(5)


@pytest.mark.parametrize(
    ("script", "where"),
    [
        ([], "JSON object"),
        ({"rule": []}, "rule: unknown"),
        ({"rules": {}}, "rules: must be a list"),
        ({"rules": [3]}, r"rules\[0\]: must be an object"),
        ({"rules": [{}]}, "no fault"),
        ({"rules": [{"note": NOTE}]}, "no fault"),
        ({"rules": [{"cod": 301}]}, r"rules\[0\].cod: unknown"),
        ({"rules": [{"code": 301}, {"code": 0}]}, r"rules\[1\].code: 0 is success"),
        ({"rules": [{"code": "301"}]}, "whole number"),
        ({"rules": [{"code": True}]}, "whole number"),
        ({"rules": [{"code": 301, "hang": True}]}, "one fault at a time"),
        ({"rules": [{"code": 301, "billed": True}]}, "billed: unknown, or of no use with code"),
        ({"rules": [{"hang": False}]}, "only true"),
        ({"rules": [{"hang": True, "billed": 1}]}, "true or false"),
        ({"rules": [{"status": 99}]}, "200 to 599"),
        ({"rules": [{"status": 429, "headers": {"a": "b\r\nc"}}]}, "one line"),
        ({"rules": [{"reset": "later"}]}, "one of before, after"),
        ({"rules": [{"cursor": "lost"}]}, "one of ignored"),
        ({"rules": [{"truncate": -1}]}, "0 or more"),
        ({"rules": [{"grow": 0}]}, "1 or more"),
        ({"rules": [{"vanish": ["x"]}]}, "not an ID"),
        ({"rules": [{"note": "x", "code": 301}]}, "not an ID"),
        ({"rules": [{"note": NOTE, "endpoint": "users", "code": 301}]}, "one of comments"),
        ({"rules": [{"call": "7-3", "code": 301}]}, "not a range"),
        ({"rules": [{"call": "a", "code": 301}]}, "not a range"),
        ({"rules": [{"call": 0, "code": 301}]}, "1 or more"),
        ({"rules": [{"share": 1.5, "code": 301}]}, "0 to 1"),
        ({"rules": [{"delay": -1}]}, "0 or more"),
        ({"rules": [{"delay": "1"}]}, "must be a number"),
        ({"rules": [{"patch": []}]}, "list of changes"),
        ({"rules": [{"patch": [{"path": ["a"]}]}]}, "value or remove"),
        ({"rules": [{"patch": [{"path": [], "value": 1}]}]}, "names and places"),
        ({"rules": [{"patch": [{"path": [1.5], "value": 1}]}]}, "names and places"),
        ({"rules": [{"patch": [{"path": ["a"], "remove": False}]}]}, "must be true"),
        ({"rate": 0}, "above 0"),
        ({"rate": float("nan")}, "must be a number"),
        ({"quota": 1.5}, "whole number"),
        ({"balance": "12"}, "must be a number"),
        ({"latency": [0.2]}, "number of seconds or two"),
        ({"latency": [0.5, 0.1]}, "lower bound"),
        ({"refuse_share": {"0": 0.1}}, "not the code"),
        ({"refuse_share": {"301": 0.6, "500": 0.6}}, "more than 1"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(script: Any, where: str) -> None:
    with pytest.raises(ScriptError, match=where):
        Config().scripted(script)


def test_text_that_is_not_json_is_refused() -> None:
    with pytest.raises(ScriptError, match="not JSON"):
        read_json("{")


def test_every_matcher_and_fault_is_understood() -> None:
    matchers = {
        "note": [NOTE],
        "comment": NOTE,
        "endpoint": ["comments", "replies"],
        "call": [1, "3-7", "9-"],
        "note_call": 2,
        "page_call": "1-2",
        "page": 3,
        "every": 2,
        "after": 3,
        "until": 9,
        "share": 0.5,
        "times": 1,
    }
    faults: list[dict[str, Any]] = [
        {"code": 301, "message": "later"},
        {"status": 429, "envelope": True, "code": 302, "headers": {"Retry-After": "1"}},
        {"hang": True, "billed": False},
        {"reset": "before"},
        {"truncate": 100},
        {"truncate": True},
        {"html": "<p>"},
        {"body": "[]", "content_type": "text/plain", "billed": True},
        {"body": "", "blanks": 100, "chunked": True},
        {"gzip": True},
        {"gzip": True, "blanks": 100},
        {"cursor": "endless"},
        {"data": None},
        {"patch": [{"path": ["comments", "*", "id"], "value": 3}, {"path": ["x"], "remove": True}]},
        {"grow": 3},
        {"vanish": 3},
        {"vanish": [NOTE]},
        {"likes": 3},
        {"delay": 0.5},
        {"code": 500, "delay": 1},
    ]
    config = Config().scripted({"rules": [{**matchers, **fault} for fault in faults]})
    assert len(config.rules) == len(faults)
    assert [rule.fault for rule in config.rules[-2:]] == [None, "code"]


def test_numbers_are_ranges() -> None:
    numbers = Numbers.read([2, "4-5", "8-"], "call")
    assert [one for one in range(1, 11) if one in numbers] == [2, 4, 5, 8, 9, 10]


def test_a_script_leaves_alone_what_it_does_not_speak_of() -> None:
    config = Config(port=5).scripted({"rate": 3}).scripted({"quota": 7})
    assert (config.port, config.rate, config.quota) == (5, 3.0, 7)
