"""The download handler: it adds the token to calls, and turns business codes into HTTP statuses.

The API takes its token in the query string, and Scrapy writes addresses to logs, caches, job
directories and exceptions. So the request that Scrapy knows has no token; a signed copy is sent.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from scrapy import Request
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.httpcompression import HttpCompressionMiddleware
from scrapy.exceptions import DownloadTimeoutError, IgnoreRequest, NotConfigured
from scrapy.http import Response, TextResponse

from xhs.api import codes, envelope
from xhs.api.endpoints import is_loopback
from xhs.api.envelope import Envelope
from xhs.api.values import format_time
from xhs.download._scrapy import flush_slots, is_closing, keep_address_out_of_log, send_once
from xhs.download.budget import CallBudget, CallsStopped
from xhs.download.failures import (
    GATEWAY_TIMEOUTS,
    NoEnvelope,
    may_be_billed,
    was_sent,
    without_address,
)
from xhs.download.page_request import page_of
from xhs.download.token import AccessToken, NoToken, UnsigningCrawler, sign

logger = logging.getLogger(__name__)

RECEIVED_HEADER = "Xhs-Received"
"""The header with the time at which the answer came. The HTTP cache keeps it with the answer."""


class CallNotSent(IgnoreRequest):
    """The crawl is stopping, or there is no token: the call was not sent and costs nothing."""


class ApiResponse(TextResponse):
    """An answer of the API with its envelope, so that it is decoded only once."""

    attributes = (*TextResponse.attributes, "envelope")

    def __init__(self, *args: Any, envelope: Envelope | None = None, **kwargs: Any) -> None:
        self.envelope = envelope
        super().__init__(*args, **kwargs)


def envelope_of(response: Response) -> Envelope | None:
    """Return the envelope of an answer, cached ones included; None if it has none."""
    if isinstance(response, ApiResponse):
        return response.envelope
    return envelope.read(response.body)


class JustOneApiDownloadHandler(BaseDownloadHandler):
    """Sends calls to the API. Requests to other servers are sent unchanged, without the token."""

    lazy = False

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._budget = CallBudget.of(crawler)
        self._token = AccessToken.of(crawler)
        self._inner = HTTP11DownloadHandler(cast("Crawler", UnsigningCrawler(crawler)))
        send_once(self._inner)
        keep_address_out_of_log(self._inner)
        api = urlsplit(crawler.settings["JUSTONEAPI_BASE_URL"])
        self._host = api.hostname or ""
        self._server = _server(api)
        self._max_size = crawler.settings.getint("DOWNLOAD_MAXSIZE")
        self._may_use_proxy = not is_loopback(self._host)
        self._compression: HttpCompressionMiddleware | None
        try:
            self._compression = HttpCompressionMiddleware.from_crawler(crawler)
        except NotConfigured:
            self._compression = None

    async def close(self) -> None:
        await self._inner.close()

    async def download_request(self, request: Request) -> Response:
        if not self._is_call(request.url):
            return await self._inner.download_request(request)
        try:
            signed = sign(request, self._token.get())
        except NoToken as error:
            logger.error("%s", error)
            raise CallNotSent(str(error)) from None
        budget = self._budget
        try:
            await budget.reserve()
        except CallsStopped as stopped:
            flush_slots(self.crawler)
            raise CallNotSent(str(stopped)) from None
        if is_closing(self.crawler):
            budget.not_sent()
            flush_slots(self.crawler)
            raise CallNotSent("the crawl is closing")
        note_id = self._note_id(request)
        try:
            response = await self._send(request, signed)
        except Exception as error:
            if was_sent(error):
                budget.unknown(note_id)
            else:
                budget.not_sent()
            raise without_address(error, self._host, self._max_size) from None
        answer = envelope.read(response.body)
        if answer is None:
            if may_be_billed(response.status, response.body):
                budget.unknown(note_id)
            else:
                budget.refused(f"http_{response.status}")
            if response.status == codes.TOO_FAST:
                return response  # the throttle sees responses, not exceptions
            message = f"HTTP {response.status} with {len(response.body)} bytes and no envelope"
            if response.status in GATEWAY_TIMEOUTS:
                raise DownloadTimeoutError(message)
            raise NoEnvelope(message)
        budget.answered(note_id, answer)
        headers = response.headers.copy()
        headers[RECEIVED_HEADER] = format_time(datetime.now(UTC))
        return response.replace(
            cls=ApiResponse,
            status=codes.status_of(answer.code),
            headers=headers,
            envelope=answer,
        )

    async def _send(self, request: Request, signed: Request) -> Response:
        if not self._may_use_proxy:
            signed.meta.pop("proxy", None)  # a proxy would see the token in plain text
        try:
            response = await self._inner.download_request(signed)
        finally:
            latency = signed.meta.get("download_latency")
            if latency is not None:
                request.meta["download_latency"] = latency
        return self._decompressed(request, response.replace(url=request.url))

    def _decompressed(self, request: Request, response: Response) -> Response:
        if self._compression is None:
            return response
        try:
            return cast("Response", self._compression.process_response(request, response))
        except IgnoreRequest:
            raise
        except Exception as error:  # each compression raises errors of its own
            message = f"the answer cannot be decompressed ({type(error).__name__})"
            raise NoEnvelope(message) from None

    def _is_call(self, url: str) -> bool:
        return _server(urlsplit(url)) == self._server

    @staticmethod
    def _note_id(request: Request) -> str:
        page = page_of(request)
        return page.note_id if page else ""


def _server(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Return scheme and host in lower case, and the port or its default."""
    default_port = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default_port


def received_at(response: Response) -> str:
    """Return when an answer came, in ISO 8601 and UTC; for a cached one, when it first came."""
    stamp: Any = response.headers.get(RECEIVED_HEADER)
    return stamp.decode() if stamp else format_time(datetime.now(UTC))
