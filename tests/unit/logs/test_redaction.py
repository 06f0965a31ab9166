"""No log line shows a secret, whichever code logs it."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from xhs.logs import redaction
from xhs.logs.redaction import MASK, keep_out_of_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "hidden/word \\1 'ü\""


@pytest.fixture(autouse=True)
def _restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_secrets", set())
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        "hidden%2Fword%20%5C1%20%27%C3%BC%22",
        "hidden%2Fword+%5C1+%27%C3%BC%22",
        repr(SECRET)[1:-1],
        json.dumps(SECRET)[1:-1],
    ],
)
def test_a_secret_is_masked_in_messages_arguments_and_tracebacks(form: str) -> None:
    stream = io.StringIO()
    logger = logging.getLogger("test of redaction")
    logger.addHandler(logging.StreamHandler(stream))
    logger.propagate = False
    keep_out_of_logs(SECRET)
    logger.warning("at %s", f"https://host/?token={form}&x=1")
    try:
        raise ValueError(form)
    except ValueError:
        logger.exception("failed")
    logger.warning("nothing to hide")
    text = stream.getvalue()
    assert form not in text
    assert text.count(MASK) == 2
    assert "ValueError" in text
    assert "nothing to hide" in text
    logger.handlers.clear()


def test_a_secret_is_masked_if_the_arguments_do_not_fit(capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logger = logging.getLogger("test of redaction")
    logger.addHandler(logging.StreamHandler(stream))
    keep_out_of_logs(SECRET)
    logger.warning("bad %s %s", f"at {SECRET}")
    assert "bad" in stream.getvalue()
    assert "hidden" not in stream.getvalue() + capfd.readouterr().err
    logger.handlers.clear()


def test_a_very_short_secret_is_not_masked() -> None:
    keep_out_of_logs("a")
    assert redaction._secrets == set()
