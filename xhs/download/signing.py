"""Adding the token to calls, hidden from all code that sees the call."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.signalmanager import SignalManager

from xhs.api.endpoints import TOKEN_PARAMETER
from xhs.download.token import Token


class SignedRequest(Request):
    """A request with the token in its address. Its ``repr`` is that of the unsigned request."""

    unsigned: Request

    def __str__(self) -> str:
        return str(self.unsigned)

    __repr__ = __str__


def signed_url(url: str, token: Token) -> str:
    """Return an address of the API with the token added."""
    separator = "&" if urlsplit(url).query else "?"
    return f"{url}{separator}{urlencode({TOKEN_PARAMETER: token.reveal()})}"


def sign(request: Request, token: Token) -> SignedRequest:
    """Return a copy of ``request`` with the token added."""
    signed = request.replace(cls=SignedRequest, url=signed_url(request.url, token))
    signed.unsigned = request
    return signed


class UnsigningCrawler:
    """A proxy of the crawler, for Scrapy's own download handler.

    That handler sends the signals ``headers_received`` and ``bytes_received`` with the request that
    it was given; their receivers get the request without the token.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self.signals = _UnsigningSignals(crawler.signals)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crawler, name)


class _UnsigningSignals:
    def __init__(self, signals: SignalManager) -> None:
        self._signals = signals

    def send_catch_log(self, signal: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        request = kwargs.get("request")
        if isinstance(request, SignedRequest):
            kwargs["request"] = request.unsigned
        return self._signals.send_catch_log(signal, **kwargs)
