"""What is said of an item in the log, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from scrapy import Spider
from scrapy.exceptions import DropItem

from xhs.extensions.log_formatter import PrivateLogFormatter

SPIDER = Spider("any")
ITEM: dict[str, Any] = {
    "item_type": "comment",
    "comment_id": "comment-id",
    "content": "第一行\n'quoted'",
    "at_users": [{"nickname": "nick-name"}],
    "like_count": 7,
}


def dropped(item: Any, message: str) -> str:
    result = PrivateLogFormatter().dropped(item, DropItem(message, log_level="INFO"), None, SPIDER)
    return str(result["msg"]) % result["args"]


def test_an_item_that_is_dropped_is_named_by_its_type_and_the_reason() -> None:
    assert dropped(ITEM, "fewer than 10 likes") == "Dropped a comment: fewer than 10 likes"


@pytest.mark.parametrize(
    "message", [f"no: {ITEM}", str(ITEM["content"]), "by nick-name: comment-id"]
)
def test_what_an_item_holds_is_masked_in_the_reason(message: str) -> None:
    said = dropped(ITEM, message)
    assert not any(part in said for part in ("第一行", "quoted", "nick-name", "comment-id"))


def test_an_item_on_which_a_pipeline_fails_is_named_by_its_type_alone() -> None:
    cause = KeyError("nick-name")
    error = ValueError(f"bad: {ITEM}", ITEM, 7)
    error.__cause__ = cause
    result = PrivateLogFormatter().item_error(ITEM, error, None, SPIDER)
    assert str(result["msg"]) % result["args"] == "An item pipeline failed on a comment"
    assert (error.args, cause.args) == (("bad:", "", 7), ("***",))


def test_an_item_that_is_delivered_is_not_logged() -> None:
    assert PrivateLogFormatter().scraped(ITEM, None, SPIDER) is None
