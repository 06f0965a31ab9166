"""Scripts of faults: accepted and refused ones."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from xhs.simulator.config import Config, read_json
from xhs.simulator.fault_rules import Numbers
from xhs.simulator.notes import sized_note
from xhs.simulator.schemas import CHANGE, SCRIPT, Schema, ScriptError

NOTE = sized_note(5)


@pytest.mark.parametrize(
    ("script", "where"),
    [
        ([], "not of type 'object'"),
        ({"rule": []}, "'rule' is not one of .*'rules'"),
        ({"rules": {}}, "rules: {} is not of type 'array'"),
        ({"rules": [3]}, r"rules\[0\]: 3 is not of type 'object'"),
        ({"rules": [{}]}, "no fault"),
        ({"rules": [{"note": NOTE}]}, "no fault"),
        ({"rules": [{"cod": 301}]}, r"rules\[0\]: 'cod' is not one of .*'code'"),
        (
            {"rules": [{"code": 301}, {"code": 0}]},
            r"rules\[1\].code: 0 is less than the minimum of 1",
        ),
        ({"rules": [{"code": "301"}]}, "not of type 'integer'"),
        ({"rules": [{"code": True}]}, "not of type 'integer'"),
        ({"rules": [{"code": 301, "hang": True}]}, "one fault at a time"),
        ({"rules": [{"code": 301, "billed": True}]}, "billed: goes with status, hang"),
        ({"rules": [{"hang": False}]}, "hang: True was expected"),
        ({"rules": [{"hang": True, "billed": 1}]}, "not of type 'boolean'"),
        ({"rules": [{"status": 99}]}, "less than the minimum of 200"),
        (
            {"rules": [{"status": 429, "headers": {"a": "b\r\nc"}}]},
            r"headers\.a: .* does not match",
        ),
        ({"rules": [{"reset": "later"}]}, r"one of \['before', 'after'\]"),
        ({"rules": [{"cursor": "lost"}]}, r"one of \['ignored'"),
        ({"rules": [{"truncate": -1}]}, "less than the minimum of 0"),
        ({"rules": [{"grow": 0}]}, "less than the minimum of 1"),
        ({"rules": [{"vanish": ["x"]}]}, r"vanish\[0\]: 'x' does not match"),
        ({"rules": [{"note": "x", "code": 301}]}, "note: 'x' does not match"),
        ({"rules": [{"note": NOTE, "endpoint": "users", "code": 301}]}, "comments, replies"),
        ({"rules": [{"call": "7-3", "code": 301}]}, "lower bound comes first"),
        ({"rules": [{"call": "a", "code": 301}]}, "does not match .*3-7"),
        ({"rules": [{"call": 0, "code": 301}]}, "less than the minimum of 1"),
        ({"rules": [{"share": 1.5, "code": 301}]}, "greater than the maximum of 1"),
        ({"rules": [{"delay": -1}]}, "less than the minimum of 0"),
        ({"rules": [{"delay": "1"}]}, "not of type 'number'"),
        ({"rules": [{"patch": []}]}, "non-empty"),
        ({"rules": [{"patch": [{"path": ["a"]}]}]}, "value or remove"),
        ({"rules": [{"patch": [{"path": [], "value": 1}]}]}, r"path: \[\] should be non-empty"),
        ({"rules": [{"patch": [{"path": [1.5], "value": 1}]}]}, "'string', 'integer'"),
        ({"rules": [{"patch": [{"path": ["a"], "remove": False}]}]}, "remove: True was expected"),
        ({"rate": 0}, "less than or equal to the minimum of 0"),
        ({"rate": float("nan")}, "not of type 'number'"),
        ({"quota": 1.5}, "not of type 'integer'"),
        ({"quota": -(10**400)}, "not of type 'integer'"),
        ({"rules": [{"status": 10**400}]}, "not of type 'integer'"),
        ({"quota": 1.0}, "not of type 'integer'"),
        ({"balance": "12"}, "not of type 'number'"),
        ({"latency": [0.2]}, "too short .*two bounds"),
        ({"latency": [0.5, 0.1]}, "lower bound"),
        ({"refuse_share": {"0": 0.1}}, "'0' does not match"),
        ({"refuse_share": {"301": 0.6, "500": 0.6}}, "more than 1"),
    ],
)
def test_an_invalid_script_is_refused_with_the_place_and_reason(script: Any, where: str) -> None:
    with pytest.raises(ScriptError, match=where):
        Config().with_script(script)


@pytest.mark.parametrize("schema", [SCRIPT, CHANGE])
def test_schemas_are_valid(schema: Schema) -> None:
    Draft202012Validator.check_schema(schema)


def test_text_that_is_not_json_is_refused() -> None:
    with pytest.raises(ScriptError, match="not JSON"):
        read_json("{")


def test_every_matcher_and_fault_is_accepted() -> None:
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
    config = Config().with_script({"rules": [{**matchers, **fault} for fault in faults]})
    assert len(config.rules) == len(faults)
    assert [rule.fault for rule in config.rules[-2:]] == [None, "code"]


def test_numbers_are_ranges() -> None:
    numbers = Numbers.read([2, "4-5", "8-"], "call")
    assert [number for number in range(1, 11) if number in numbers] == [2, 4, 5, 8, 9, 10]


def test_a_script_keeps_the_options_that_it_does_not_set() -> None:
    config = Config(port=5).with_script({"rate": 3}).with_script({"quota": 7})
    assert (config.port, config.rate, config.quota) == (5, 3.0, 7)
