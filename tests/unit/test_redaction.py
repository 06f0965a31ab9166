"""No log line shows a secret, whoever writes it."""

from __future__ import annotations

import io
import logging

import pytest

from xhs.redaction import MASK, Redaction

SECRET = "hidden/word 1"


@pytest.mark.parametrize("form", [SECRET, "hidden%2Fword%201", "hidden%2Fword+1"])
def test_in_messages_arguments_and_tracebacks(form: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    redaction = Redaction()
    redaction.add(SECRET)
    handler.addFilter(redaction)
    logger = logging.getLogger("test of redaction")
    logger.addHandler(handler)
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
