"""Item pipelines: an item is validated, then stored, then passed to the feeds."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from itemadapter import ItemAdapter
from scrapy.crawler import Crawler
from scrapy.exceptions import DropItem
from scrapy.pipelines import ItemPipelineManager
from scrapy_jsonschema import JsonSchemaItem

from xhs.crawl.storage import Problem, StoreFailed, Unstorable
from xhs.download._scrapy import close_pipelines
from xhs.extensions import CrawlState, NotStored, Rejections
from xhs.stats import Stat
from xhs.validation import problems


class ValidatePipeline:
    """Checks each item against the JSON Schema of its class.

    Only valid items pass. The others are kept in ``rejected``, with every reason.
    """

    def __init__(self, rejections: Rejections) -> None:
        self._rejections = rejections

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(Rejections.of(crawler))

    async def process_item(self, item: Any) -> Any:
        if not isinstance(item, JsonSchemaItem):
            return item
        adapter = ItemAdapter(item)
        errors = problems(type(item), dict(adapter))
        if not errors:
            return item
        await self._rejections.reject_item(item, errors)
        raise DropItem(f"invalid {adapter['item_type']}", log_level="DEBUG")


class StorePipeline:
    """Saves comments and users.

    An item is passed to the feeds only when its write is acknowledged and journaled, or spilled.
    """

    def __init__(self, state: CrawlState, rejections: Rejections) -> None:
        self._state = state
        self._rejections = rejections

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(CrawlState.of(crawler), Rejections.of(crawler))

    async def process_item(self, item: Any) -> Any:
        adapter, pages = ItemAdapter(item), self._state.pages
        kind = adapter.get("item_type")
        storage = self._state.storage
        if storage.is_null or kind not in {"comment", "user"}:
            return item
        provenance = pages.provenance(item)
        try:
            is_new = await storage.save_item(
                dict(adapter), provenance.listing if provenance else None
            )
        except StoreFailed as error:
            self._state.fail_store(error)
            raise NotStored from None
        except Unstorable as error:
            await self._rejections.reject_item(item, [Problem("", str(error))])
            raise DropItem(f"unstorable {kind}", log_level="DEBUG") from None
        if kind == "comment" and is_new is not None:
            adapter["is_new"] = is_new
            self._state.count(Stat.COMMENTS_NEW if is_new else Stat.COMMENTS_KNOWN)
        pages.stored(item)
        return item


class PipelineFailed(Exception):
    """Raised if a pipeline neither returned nor dropped its item."""


class ItemProcessor(ItemPipelineManager):
    """Scrapy's item processor, except that a user's pipeline cannot lose an item silently.

    A page is done when the outcome of each of its items is known. If one were lost, the crawl would
    wait forever.
    """

    crawler: Crawler  # set by :meth:`from_crawler`

    async def process_item_async(self, item: Any) -> Any:
        try:
            result = await super().process_item_async(item)
        except (asyncio.CancelledError, SystemExit) as error:
            task = asyncio.current_task()
            if task and task.cancelling():  # the crawl was cancelled, not the pipeline alone
                raise
            raise PipelineFailed(f"a pipeline raised {type(error).__name__}") from error
        if not ItemAdapter.is_item(result):
            raise PipelineFailed(f"a pipeline returned {type(result).__name__} in place of an item")
        return result

    async def close_spider_async(self) -> None:
        if errors := await close_pipelines(self):
            self.crawler.stats.inc_value(Stat.PIPELINES_UNCLOSED, len(errors))
            raise errors[0]
