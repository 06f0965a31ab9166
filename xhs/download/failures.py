"""Failed calls: whether they were sent, whether they may be billed, errors without addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator

from OpenSSL.SSL import Error as TlsError
from scrapy.core.downloader.handlers.http11 import TunnelError
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
)
from service_identity import VerificationError
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.web.client import ResponseFailed

_OK = 200
_HANDSHAKE_PHRASES = (
    "certificate",
    "wrong version",
    "unsupported protocol",
    "handshake",
    "protocol version",
)
"""Phrases in the errors of a TLS handshake. The call is sent only after the handshake."""
GATEWAY_TIMEOUTS = frozenset({504, 524})
_NO_CONNECTION = (ConnectError, DNSLookupError, TunnelError)


class NoEnvelope(DownloadFailedError):
    """The answer is not a complete envelope."""


def was_sent(error: Exception) -> bool:
    """True if the server may have received the call, and billed it."""
    return not isinstance(_cause(error), _NO_CONNECTION) and not _failed_handshake(error)


def may_be_billed(status: int, body: bytes) -> bool:
    """True if an answer without an envelope may stand for a billed one.

    A truncated answer may, and a gateway's time-out. Any other page of a gateway is not an answer
    with code 0, and nothing else is billed.
    """
    text = body.strip()
    is_truncated = text.startswith(b"{") and not _is_json(text)
    return is_truncated or (not text and status == _OK) or status in GATEWAY_TIMEOUTS


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def without_address(error: Exception, host: str, max_size: int) -> Exception:
    """Return the error in words of our own: Scrapy's quote the address, and with it the token.

    ``max_size`` is ``DOWNLOAD_MAXSIZE``. A larger answer is never retried: each attempt may be
    billed, and the next answer would be as large.
    """
    if isinstance(error, NoEnvelope):
        return error
    if not was_sent(error):
        return _not_sent(error, host)
    if isinstance(error, DownloadTimeoutError):
        return DownloadTimeoutError("no answer in time (DOWNLOAD_TIMEOUT); it may be billed")
    # Scrapy's middleware raises IgnoreRequest if the decompressed answer is too large.
    if isinstance(error, DownloadCancelledError | IgnoreRequest):
        return DownloadCancelledError(
            f"the answer is larger than DOWNLOAD_MAXSIZE ({max_size} bytes) and was not read; it "
            "may be billed, so it is not requested again. If pages can be that large, raise "
            "DOWNLOAD_MAXSIZE and run mode=resume"
        )
    try:
        return type(error)("the connection failed; the call may be billed")
    except TypeError:
        return DownloadFailedError(f"{type(error).__name__}; the call may be billed")


def _not_sent(error: Exception, host: str) -> Exception:
    if _is_untrusted(error):
        return DownloadFailedError(
            f"{host}: its certificate is not trusted, or belongs to another server; nothing was "
            "sent: check JUSTONEAPI_BASE_URL and this machine's certificates"
        )
    if _failed_handshake(error):
        return DownloadFailedError(
            f"{host}: the TLS handshake failed: check scheme and port of JUSTONEAPI_BASE_URL"
        )
    if isinstance(error, CannotResolveHostError):
        return CannotResolveHostError(f"{host}: the name cannot be resolved")
    if isinstance(error, DownloadConnectionRefusedError):
        return DownloadConnectionRefusedError(f"{host} refuses connections")
    return DownloadFailedError(f"{host}: no connection ({type(_cause(error)).__name__})")


def _cause(error: Exception) -> BaseException:
    """Return Twisted's error if Scrapy has wrapped it, else the error itself."""
    return error.__cause__ or error


def _tls_errors(error: Exception) -> Iterator[BaseException]:
    cause = _cause(error)
    reasons = cause.reasons if isinstance(cause, ResponseFailed) else []
    for reason in reasons:
        if isinstance(reason.value, VerificationError | TlsError):
            yield reason.value


def _is_untrusted(error: Exception) -> bool:
    return any(
        isinstance(tls, VerificationError) or "certificate" in str(tls)
        for tls in _tls_errors(error)
    )


def _failed_handshake(error: Exception) -> bool:
    return _is_untrusted(error) or any(
        phrase in str(tls) for tls in _tls_errors(error) for phrase in _HANDSHAKE_PHRASES
    )
