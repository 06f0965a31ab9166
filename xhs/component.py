"""Base of the Scrapy extensions that other components of a crawl use."""

from __future__ import annotations

from typing import Self

from scrapy.crawler import Crawler


class Component:
    """An extension that a crawl has once. Scrapy makes it, and :meth:`of` finds it."""

    @classmethod
    def of(cls, crawler: Crawler) -> Self:
        """Return the crawler's extension of this class.

        Raises:
            RuntimeError: if it was removed from ``EXTENSIONS``.
        """
        extension = crawler.get_extension(cls)
        if extension is None:
            raise RuntimeError(f"EXTENSIONS must have {cls.__module__}.{cls.__name__}")
        return extension
