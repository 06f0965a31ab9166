"""An item goes on to the feeds only when its write is acknowledged and journaled, or kept."""

from __future__ import annotations

from typing import Any, Self

from itemadapter import ItemAdapter
from scrapy.crawler import Crawler
from scrapy.exceptions import DropItem, NotConfigured

from xhs.extensions.run import NotStored, Run
from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import Problem, item_write
from xhs.store.mongo.retrying import StoreFailed
from xhs.store.mongo.writer import Unstorable


class StorePipeline:
    """Opens the crawl's store and writes comments and users to it."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        run = Run.of(crawler)
        if run.store is None:
            raise NotConfigured("MONGODB_URI is empty: there is no store")
        return cls(run)

    async def open_spider(self) -> None:
        await self._run.open_store()

    async def close_spider(self) -> None:
        await self._run.close_store()

    async def process_item(self, item: Any) -> Any:
        store = self._run.store
        adapter = ItemAdapter(item)
        kind = adapter.get("item_type")
        if store is None or kind not in {"comment", "user"}:
            return item
        try:
            await self._write(store, kind, adapter)
        except StoreFailed as error:
            self._run.fail_store(error)
            raise NotStored from None
        except Unstorable as error:
            await self._run.reject_item(item, [Problem("", str(error))])
            raise DropItem(f"unstorable {kind}", log_level="DEBUG") from None
        self._run.pages.stored(item)
        return item

    async def _write(self, store: Store, kind: str, adapter: ItemAdapter) -> None:
        origin = self._run.pages.origin(adapter.item)
        met = origin.met if origin else None
        is_new = await store.writer.put(item_write(dict(adapter), met))
        if kind == "comment" and is_new is not None:
            adapter["is_new"] = is_new
            self._run.count("xhs/comments/new" if is_new else "xhs/comments/known")
