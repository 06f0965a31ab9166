"""Requests for pages: from a page to its request, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scrapy import Request

from xhs.api.endpoints import PageRef, page_url, read_page_ref

_PAGE = "page_ref"
"""The key of ``Request.cb_kwargs`` that holds the page of a request."""


def page_request(
    base_url: str,
    version: str,
    page: PageRef,
    *,
    callback: Callable[..., Any],
    errback: Callable[..., Any],
    priority: int,
) -> Request:
    """Return the request for a page. ``callback`` receives the page as ``page_ref``."""
    # The paginator finds repeated cursors, and the filter's memory would grow with the work.
    return Request(
        page_url(base_url, version, page),
        callback=callback,
        errback=errback,
        cb_kwargs={_PAGE: page},
        dont_filter=True,
        priority=priority,
    )


def page_of(request: Request) -> PageRef | None:
    """Return the page that a request is for; None if it is for none.

    A request that a user made, as with ``scrapy parse``, has the page in its address only.
    """
    page = request.cb_kwargs.get(_PAGE)
    return page if isinstance(page, PageRef) else read_page_ref(request.url)
