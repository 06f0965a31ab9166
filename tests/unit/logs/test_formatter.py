"""Log lines about items: type and reason, but no content."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from scrapy import Spider
from scrapy.exceptions import DropItem

from xhs.logs.formatter import PrivateLogFormatter
from xhs.pipelines import PipelineFailed

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


def test_a_dropped_item_is_logged_with_type_and_reason() -> None:
    assert dropped(ITEM, "fewer than 10 likes") == "Dropped a comment: fewer than 10 likes"


@pytest.mark.parametrize(
    "message", [f"no: {ITEM}", str(ITEM["content"]), "by nick-name: comment-id"]
)
def test_item_content_is_masked_in_the_reason(message: str) -> None:
    line = dropped(ITEM, message)
    assert not any(part in line for part in ("第一行", "quoted", "nick-name", "comment-id"))


@dataclass(frozen=True)
class Unchangeable(Exception):
    """An exception as attrs and dataclasses create them; its text quotes its subject."""

    subject: str

    def __str__(self) -> str:
        return f"no {self.subject}"


class Speechless(Exception):
    def __str__(self) -> str:
        raise ValueError


def failed(error: Exception, item: Any = ITEM, cause: Exception | None = None) -> str:
    """Return the log of a pipeline that raises, logged as Scrapy does it."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("scrapy.core.scraper")
    logger.addHandler(handler)
    try:
        if cause is None:
            raise error
        cause.__context__ = error
        raise error from cause
    except type(error) as caught:
        result = PrivateLogFormatter().item_error(item, caught, None, SPIDER)
        logger.log(result["level"], result["msg"], result["args"], exc_info=True)
    finally:
        logger.removeHandler(handler)
    return stream.getvalue()


def test_an_item_on_which_a_pipeline_fails_is_logged_with_its_type() -> None:
    text = failed(ValueError("too few"))
    assert text.startswith("An item pipeline failed on a comment\nTraceback")
    assert text.endswith("\nValueError\n")
    assert "raise error" in text


def test_messages_that_cannot_quote_an_item_are_logged() -> None:
    assert failed(PipelineFailed("it returned None")).endswith("PipelineFailed: it returned None\n")
    assert failed(OSError(28, "No space left")).endswith("OSError: No space left\n")


@pytest.mark.parametrize(
    "error",
    [
        KeyError("nick-name"),
        ValueError(f"bad: {ITEM}"),
        ValueError("bad", ITEM),
        ValueError("begins with " + str(ITEM["content"])[:3]),
        Unchangeable("nick-name"),
        Speechless("nick-name"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_of_a_pipeline_are_logged_without_the_item(error: Exception) -> None:
    text = failed(error, cause=KeyError("comment-id"))
    assert type(error).__name__ in text
    assert "KeyError" in text
    assert not any(part in text for part in ("第一行", "quoted", "nick-name", "comment-id"))


def test_a_text_that_cannot_be_encoded_is_masked() -> None:
    assert dropped({**ITEM, "content": "\ud83d!"}, "no \ud83d!") == "Dropped a comment: no ***"


def test_a_scraped_item_is_not_logged() -> None:
    assert PrivateLogFormatter().scraped(ITEM, None, SPIDER) is None
