"""The request for a page: how it is made, and which page it asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scrapy import Request

from xhs.api.endpoints import PageRef, page_url, read_page_ref

_PAGE = "page_ref"
"""The key of ``Request.cb_kwargs`` that says which page a request asks for."""


def page_request(
    base_url: str,
    version: str,
    page: PageRef,
    *,
    callback: Callable[..., Any],
    errback: Callable[..., Any],
    priority: int,
) -> Request:
    """Return the request for a page. ``callback`` gets the page as ``page_ref``."""
    # A repeated cursor is the paginator's business, and the filter's memory grows with the work.
    return Request(
        page_url(base_url, version, page),
        callback=callback,
        errback=errback,
        cb_kwargs={_PAGE: page},
        dont_filter=True,
        priority=priority,
    )


def page_of(request: Request) -> PageRef | None:
    """Return the page that a request asks for; None if it asks for none.

    A request that a user made, as with ``scrapy parse``, says it in its address alone.
    """
    page = request.cb_kwargs.get(_PAGE)
    return page if isinstance(page, PageRef) else read_page_ref(request.url)
