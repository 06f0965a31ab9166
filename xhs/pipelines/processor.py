"""Scrapy's item processor, but no pipeline of a user's can lose an item without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from itemadapter import ItemAdapter
from scrapy.pipelines import ItemPipelineManager


class PipelineFailed(Exception):
    """A pipeline has neither returned nor dropped the item that it was given."""


class ItemProcessor(ItemPipelineManager):
    """Makes an error of what Scrapy would not notice, or tell in a way that cannot be counted.

    A page is settled when the outcome of each of its items is known: a crawl would wait for ever.
    """

    async def process_item_async(self, item: Any) -> Any:
        try:
            found = await super().process_item_async(item)
        except (asyncio.CancelledError, SystemExit) as error:
            task = asyncio.current_task()
            if task and task.cancelling():  # the crawl's own end, and no pipeline's
                raise
            raise PipelineFailed(f"a pipeline raised {type(error).__name__}") from error
        if not ItemAdapter.is_item(found):
            raise PipelineFailed(f"a pipeline returned {type(found).__name__} in place of an item")
        return found

    async def close_spider_async(self) -> None:
        closed = await asyncio.gather(
            *map(self._closed, self.methods["close_spider"]), return_exceptions=True
        )
        if errors := [error for error in closed if error is not None]:
            assert self.crawler is not None  # noqa: S101 (Scrapy gives it)
            self.crawler.stats.inc_value("xhs/pipelines/unclosed", len(errors))
            raise errors[0]

    async def _closed(self, method: Callable[..., Any] | None) -> None:
        assert method is not None  # noqa: S101 (only spider middlewares have none)
        await self.get_awaitable(method)
