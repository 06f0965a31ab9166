"""Failed calls: sent or not, billed or not, and never with an address."""

from __future__ import annotations

from typing import Any

import pytest
from OpenSSL.SSL import Error as TlsError
from scrapy.core.downloader.handlers.http11 import TunnelError
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    ResponseDataLossError,
)
from service_identity import VerificationError
from twisted.internet import error as internet
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed

from xhs.download.failures import may_be_billed, was_sent, without_address

SECRET = "https://api.example/?token=canary"
UNTRUSTED = TlsError([("SSL routines", "", "certificate verify failed")])


def untyped(cls: Any, argument: Any = SECRET) -> Any:
    """Return an object of Twisted's, whose constructors have no types."""
    return cls(argument)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def failed(reason: Exception) -> Exception:
    return caused(DownloadFailedError(SECRET), untyped(ResponseFailed, [untyped(Failure, reason)]))


NOT_SENT = [
    caused(CannotResolveHostError(SECRET), untyped(internet.DNSLookupError)),
    caused(DownloadConnectionRefusedError(SECRET), untyped(internet.ConnectionRefusedError)),
    caused(DownloadTimeoutError(SECRET), untyped(internet.TimeoutError)),
    untyped(internet.NoRouteError),
    untyped(internet.TCPTimedOutError),
    TunnelError(SECRET),
    failed(UNTRUSTED),
    failed(VerificationError(errors=[])),
]
SENT = [
    DownloadTimeoutError(SECRET),
    ResponseDataLossError(SECRET),
    DownloadCancelledError(SECRET),
    failed(untyped(internet.ConnectionLost)),
    failed(TlsError([("SSL routines", "", "decryption failed")])),
    OSError(SECRET),
    UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
]


@pytest.mark.parametrize("error", NOT_SENT, ids=repr)
def test_a_call_without_a_connection_was_not_sent(error: Exception) -> None:
    assert not was_sent(error)
    assert "billed" not in str(without_address(error, "api.example", 1000))


@pytest.mark.parametrize("error", SENT, ids=repr)
def test_any_other_call_may_be_billed(error: Exception) -> None:
    assert was_sent(error)
    assert "may be billed" in str(without_address(error, "api.example", 1000))


@pytest.mark.parametrize("error", [*NOT_SENT, *SENT], ids=repr)
def test_no_address_is_in_the_error(error: Exception) -> None:
    safe = without_address(error, "api.example", 1000)
    assert "canary" not in f"{safe!r} {safe} {safe.__cause__!r} {safe.__context__!r}"


def test_an_untrusted_certificate_is_named() -> None:
    assert "certificate" in str(without_address(failed(UNTRUSTED), "api.example", 1000))


@pytest.mark.parametrize(
    ("status", "body", "billed"),
    [
        (200, b"<html>please wait</html>", False),
        (200, b'{"code": null}', False),
        (200, b"[]", False),
        (502, b"", False),
        (503, b"<html>", False),
        (429, b"", False),
        (200, b"", True),
        (200, b" \r\n", True),
        (200, b'{"code": 0, "da', True),
        (500, b'{"code": 0, "da', True),
        (200, b'\n {"code": 0, "da', True),
        (200, b'{"a":' * 100_000, True),
        (504, b"<html>", True),
        (524, b"", True),
    ],
)
def test_a_truncated_answer_may_be_billed(status: int, body: bytes, billed: bool) -> None:
    assert may_be_billed(status, body) is billed
