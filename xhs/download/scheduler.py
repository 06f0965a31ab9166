"""Scrapy's scheduler, without its queue on disk."""

from __future__ import annotations

from typing import Any

from scrapy.core.scheduler import Scheduler


class MemoryScheduler(Scheduler):
    """Requests wait in memory alone, also with ``JOBDIR``: how far a note is, the ledger knows.

    Requests that came back from disk would be asked, and paid for, beside those that the spider
    makes anew.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "jobdir": None})
