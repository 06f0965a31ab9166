"""A base for the project's Scrapy extensions that other components of a crawl need."""

from __future__ import annotations

from typing import Self

from scrapy.crawler import Crawler


class Component:
    """An extension of which a crawl has one, made by Scrapy and found with :meth:`of`."""

    @classmethod
    def of(cls, crawler: Crawler) -> Self:
        """Return the one of this crawler.

        Raises:
            RuntimeError: if it was taken out of ``EXTENSIONS``.
        """
        found = crawler.get_extension(cls)
        if found is None:
            raise RuntimeError(f"EXTENSIONS must have {cls.__module__}.{cls.__name__}")
        return found
