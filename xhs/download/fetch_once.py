"""A single call outside of a crawl."""

from __future__ import annotations

import ssl
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPErrorProcessor, ProxyHandler, Request, build_opener

from xhs.api import envelope
from xhs.api.endpoints import is_loopback
from xhs.api.envelope import Envelope
from xhs.download.token import Token, signed_url

_MAX_SIZE = 1_000_000


class NoAnswer(Exception):
    """The answer is not an envelope, or none came; the message has the reason, not the address."""


class _AnyStatus(HTTPErrorProcessor):
    """Accepts answers of any status, and follows no redirect: the token would go with it."""

    def http_response(self, request: Request, response: Any) -> Any:
        return response

    https_response = http_response


def fetch_envelope(url: str, token: Token, timeout: float) -> Envelope:
    """Call an address of the API, and return the envelope whatever its code.

    Raises:
        NoAnswer: if no envelope came.
    """
    host = urlsplit(url).hostname or ""
    opener = build_opener(_AnyStatus, ProxyHandler({} if is_loopback(host) else None))
    try:
        with opener.open(signed_url(url, token), timeout=timeout) as response:
            status, body = response.status, response.read(_MAX_SIZE + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise NoAnswer(f"{host}: {_reason(error, timeout)}") from None
    if len(body) > _MAX_SIZE:
        raise NoAnswer(f"{host}: HTTP {status} with more than {_MAX_SIZE} bytes")
    answer = envelope.read(body)
    if answer is None:
        raise NoAnswer(f"{host}: HTTP {status} with {len(body)} bytes and no envelope")
    return answer


def _reason(error: Exception, timeout: float) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer in {timeout:g} seconds (DOWNLOAD_TIMEOUT)"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    return getattr(cause, "strerror", None) or f"the connection failed ({type(cause).__name__})"
