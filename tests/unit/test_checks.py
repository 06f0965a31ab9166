"""Checks before the first call of a crawl: all errors are reported at once."""

from __future__ import annotations

from typing import Any

import pytest
from scrapy.settings import Settings

from xhs.checks import WrongInput, check_input, check_settings

NOTE = "65bf5360000000002c03f684"
GOOD: dict[str, Any] = {
    "JUSTONEAPI_BASE_URL": "https://api.justoneapi.com",
    "JUSTONEAPI_ALLOW_HTTP": "0",
    "JUSTONEAPI_COMMENTS_VERSION": "v4",
    "MONGODB_URI": "embedded:",
    "MONGODB_DATABASE": "xhs",
    "XHS_SPILL_DIR": "spill",
    "XHS_MAX_CALLS": "0",
    "XHS_CALL_PRICE": "0.05 CNY",
    "XHS_LOG_FORMAT": "text",
    "XHS_FEEDS": "",
    "XHS_FEEDS_URI": "data/",
    "XHS_METRICS_FILE": "",
}


def settings(**changed: Any) -> Settings:
    return Settings({**GOOD, **changed})


def test_good_settings_pass() -> None:
    assert check_settings(settings()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JUSTONEAPI_BASE_URL", "http://198.51.100.1"),
        ("JUSTONEAPI_BASE_URL", "https://me:word@host"),
        ("JUSTONEAPI_ALLOW_HTTP", "maybe"),
        ("JUSTONEAPI_COMMENTS_VERSION", "v5"),
        ("JUSTONEAPI_TOKEN", "hidden-word"),
        ("JUSTONEAPI_TOKEN_FILE", "hidden-word"),
        ("MONGODB_DATABASE", ""),
        ("XHS_SPILL_DIR", ""),
        ("XHS_SPILL_DIR", "/dev/null/spill"),
        ("MONGODB_DATABASE", "a b"),
        ("MONGODB_URI", "mongo://host"),
        ("MONGODB_URI", "mongodb://host:port"),
        ("XHS_MAX_CALLS", "-1"),
        ("XHS_CALL_PRICE", "0.05"),
        ("XHS_CALL_PRICE", 0.05),
        ("XHS_CALL_PRICE", "0 CNY"),
        ("XHS_LOG_FORMAT", "xml"),
        ("XHS_METRICS_FILE", "/nowhere/xhs.prom"),
        ("XHS_METRICS_FILE", "/dev/null/xhs.prom"),
        ("XHS_METRICS_FILE", "/"),
        ("FEED_EXPORT_BATCH_ITEM_COUNT", "abc"),
        ("XHS_FEEDS", "csv, xlsx"),
        ("SPIDERMON_ENABLED", "maybe"),
        ("CONCURRENT_REQUESTS", "abc"),
        ("RETRY_TIMES", None),
        ("DOWNLOAD_TIMEOUT", "soon"),
        ("DOWNLOAD_TIMEOUT", "nan"),
        ("DOWNLOAD_TIMEOUT", "-5"),
        ("CONCURRENT_ITEMS", "0"),
        ("AUTOTHROTTLE_MAX_DELAY", "x"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: object) -> None:
    [error] = check_settings(settings(**{name: value}))
    assert name in error
    assert "hidden-word" not in error
    assert ":word@" not in error


def test_plain_http_is_accepted_if_allowed() -> None:
    for changed in (
        {"JUSTONEAPI_BASE_URL": "http://127.0.0.1:1"},
        {"JUSTONEAPI_BASE_URL": "http://198.51.100.1", "JUSTONEAPI_ALLOW_HTTP": "1"},
    ):
        assert check_settings(settings(**changed)) == []


def test_a_password_is_refused_only_on_the_command_line() -> None:
    uri = "mongodb://me:hidden-word@host/"
    changed = settings(MONGODB_URI=uri)
    assert check_settings(changed) == []
    changed.set("MONGODB_URI", uri, priority="cmdline")
    [error] = check_settings(changed)
    assert "hidden-word" not in error


def test_all_errors_are_reported_at_once() -> None:
    given = {"notes": f"{NOTE},abc", "mode": "sideways", "colour": "red"}
    with pytest.raises(WrongInput) as caught:
        check_input(given, settings(XHS_MAX_CALLS="x"), {})
    text = "\n".join(caught.value.errors)
    for phrase in ("piece 2 of 2", "sideways", "colour", "XHS_MAX_CALLS", "no token"):
        assert phrase in text
    assert len(caught.value.errors) == 5


def test_correct_input_is_returned_parsed() -> None:
    checked = check_input({"notes": f"{NOTE} {NOTE}"}, settings(), {"JUSTONEAPI_TOKEN": "word"})
    assert checked.notes is not None
    assert list(checked.notes) == [NOTE]
    assert checked.token.reveal() == "word"
    assert checked.arguments.sort == "latest"
    assert checked.price is not None
    assert checked.price.of(3) == "0.15 CNY"
