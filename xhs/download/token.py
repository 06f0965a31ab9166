"""The access token: read from the environment only, added to calls, and shown nowhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.signalmanager import SignalManager

from xhs.api.endpoints import TOKEN_PARAMETER
from xhs.component import Component
from xhs.logs.redaction import keep_out_of_logs

TOKEN, TOKEN_FILE = "JUSTONEAPI_TOKEN", "JUSTONEAPI_TOKEN_FILE"


class NoToken(Exception):
    """There is no usable token; the message says what to do."""


class Token:
    """A secret that neither ``repr`` nor a log shows. :meth:`reveal` is for sending only."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret
        keep_out_of_logs(secret)

    def reveal(self) -> str:
        return self._secret

    def __repr__(self) -> str:
        return "<Token>"

    def __reduce__(self) -> str:
        raise TypeError("a token cannot be pickled")


class AccessToken(Component):
    """The token of a crawl, read when it is first needed.

    If the environment holds one, it is read and masked in logs as soon as the crawl is made.
    """

    def __init__(self) -> None:
        self._token: Token | None = None
        with suppress(NoToken):  # get() raises it if the token is needed
            self._token = read_token(os.environ)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls()

    def get(self) -> Token:
        """Return the token.

        Raises:
            NoToken: if there is none.
        """
        if self._token is None:
            self._token = read_token(os.environ)
        return self._token

    def set(self, token: Token) -> None:
        """Use a token that was read when the input was checked."""
        self._token = token


def read_token(environment: Mapping[str, str]) -> Token:
    """Return the token from the environment, or from the file that it names.

    Raises:
        NoToken: if there is none, if both are set, or if it cannot be used.
    """
    secret, path = environment.get(TOKEN), environment.get(TOKEN_FILE)
    if secret and path:
        raise NoToken(f"{TOKEN} and {TOKEN_FILE} are both set: keep one of them")
    if path:
        try:
            secret = Path(path).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise NoToken(f"{TOKEN_FILE}{_shown(path)}: cannot be read: {reason}") from None
        if not secret:
            raise NoToken(f"{TOKEN_FILE}={path}: the file is empty; put the token in it")
    secret = (secret or "").strip()
    if not secret:
        raise NoToken(f"no token: set {TOKEN}, or {TOKEN_FILE} to a file that holds it")
    if not secret.isprintable() or " " in secret:
        raise NoToken(f"{TOKEN}: a token is one word of printable characters")
    return Token(secret)


def _shown(path: str) -> str:
    """Return a path for a message; a bare name is hidden, as it may be the token itself."""
    if "/" in path or "\\" in path:
        return f"={path}"
    return f" (its value is not shown, in case it is the token; looked for in {Path.cwd()})"


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
