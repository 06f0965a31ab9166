"""What a failed call means: whether it left, whether it may be billed; told without its address."""

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
_HANDSHAKE = (
    "certificate",
    "wrong version",
    "unsupported protocol",
    "handshake",
    "protocol version",
)
"""What the errors of a TLS handshake say; the call leaves after it."""
GATEWAY_TIMEOUTS = frozenset({504, 524})
_NO_CONNECTION = (ConnectError, DNSLookupError, TunnelError)


class NoEnvelope(DownloadFailedError):
    """An answer that is no whole envelope: the call failed."""


def was_sent(error: Exception) -> bool:
    """True if the server may have got the call, and billed it."""
    return not isinstance(_cause(error), _NO_CONNECTION) and not _has_no_tls(error)


def may_be_billed(status: int, body: bytes) -> bool:
    """True if an answer without an envelope may stand for one that was billed.

    So may what is left of an answer, and a gateway's word that it did not wait for one. Any other
    page of a gateway is no answer with code 0, and nothing else is billed.
    """
    text = body.strip()
    cut = text.startswith(b"{") and not _is_json(text)
    return cut or (not text and status == _OK) or status in GATEWAY_TIMEOUTS


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def without_address(error: Exception, host: str, max_size: int) -> Exception:
    """The same error in other words: those of Scrapy quote the address, and with it the token.

    ``max_size`` is ``DOWNLOAD_MAXSIZE``. An answer above it is never retried: each time may be
    billed, and the next answer would be as large.
    """
    if isinstance(error, NoEnvelope):
        return error
    if not was_sent(error):
        return _not_sent(error, host)
    if isinstance(error, DownloadTimeoutError):
        return DownloadTimeoutError("no answer in time (DOWNLOAD_TIMEOUT); it may be billed")
    # What is too large once it is decompressed, Scrapy's middleware ignores.
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
            f"{host} shows a certificate that is not trusted, or is another server's: nothing was "
            "sent; check JUSTONEAPI_BASE_URL and this machine's certificates"
        )
    if _has_no_tls(error):
        return DownloadFailedError(
            f"{host}: no encrypted connection; check JUSTONEAPI_BASE_URL: does it mean https, and "
            "this port?"
        )
    if isinstance(error, CannotResolveHostError):
        return CannotResolveHostError(f"{host}: the name cannot be resolved")
    if isinstance(error, DownloadConnectionRefusedError):
        return DownloadConnectionRefusedError(f"{host} refuses connections")
    return DownloadFailedError(f"{host}: no connection ({type(_cause(error)).__name__})")


def _cause(error: Exception) -> BaseException:
    """Twisted's error, where Scrapy has wrapped it."""
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


def _has_no_tls(error: Exception) -> bool:
    """True if it did not come to an encrypted connection."""
    return _is_untrusted(error) or any(
        sign in str(tls) for tls in _tls_errors(error) for sign in _HANDSHAKE
    )
