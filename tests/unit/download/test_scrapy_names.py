"""Everything that the project uses of Scrapy beyond its documentation exists and is called.

Most of it would fail silently if Scrapy changed: an override that is not called, or an attribute
that is not read.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scrapy import Request, Spider, signals
from scrapy.commands import ScrapyCommand
from scrapy.commands.parse import Command as ParseCommand
from scrapy.core.downloader import Downloader, Slot
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.core.downloader.middleware import DownloaderMiddlewareManager
from scrapy.core.engine import ExecutionEngine, _Slot
from scrapy.crawler import Crawler, CrawlerProcess
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import DownloadTimeoutError
from scrapy.exporters import CsvItemExporter, JsonItemExporter, JsonLinesItemExporter
from scrapy.extensions import feedexport
from scrapy.extensions.logstats import LogStats
from scrapy.extensions.postprocessing import GzipPlugin
from scrapy.extensions.throttle import AutoThrottle
from scrapy.http import Response
from scrapy.pipelines import ItemPipelineManager
from scrapy.settings import Settings
from scrapy.statscollectors import MemoryStatsCollector
from scrapy.utils.misc import load_object
from twisted.web.client import HTTPConnectionPool

from xhs.download import _scrapy
from xhs.download.retry import REASON, WAIT, BackoffRetryMiddleware
from xhs.download.throttle import RefusalThrottle
from xhs.feeds.isolation import FeedExporter, S3FeedStorage
from xhs.pipelines import ItemProcessor
from xhs.stats import Stat

USED: dict[type, str] = {
    ExecutionEngine: "_slot running downloader crawl close_spider_async",
    _Slot: "closing inprogress scheduler",
    Downloader: "_process_queue active slots",
    Slot: "close delay transferring",
    HTTP11DownloadHandler: "_pool _fail_on_dataloss_warned",
    HTTPConnectionPool: "retryAutomatically",
    ItemPipelineManager: "get_awaitable methods",
    LogStats: "interval stats task",
    AutoThrottle: "crawler maxdelay mindelay",
    RetryMiddleware: "crawler max_retry_times",
    feedexport.FeedExporter: "_get_file crawler feeds slots",
    feedexport.FeedSlot: "filter finish_exporting storage uri",
    feedexport.FileFeedStorage: "path write_mode",
    feedexport.S3FeedStorage: "keyname",
    CsvItemExporter: "csv_writer fields_to_export include_headers_line stream",
    JsonLinesItemExporter: "encoder file",
    GzipPlugin: "gzipfile",
    CrawlerProcess: "bootstrap_failed crawlers create_crawler",
    ParseCommand: "first_response pcrawler spidercls",
}
"""Attributes that Scrapy or Twisted does not document, or that we set on an object of theirs."""

CALLED: dict[Callable[..., Any], str] = {
    Downloader._process_queue: "self slot",
    ItemPipelineManager.get_awaitable: "self method",
    feedexport.FeedExporter._get_file: "slot_",
}
"""The private methods that we call, with their parameters."""

OVERRIDDEN = {
    "xhs.display.ProgressDisplay": "from_crawler log spider_opened",
    "xhs.download.cache.PaidPolicy": "should_cache_response",
    "xhs.download.handler.JustOneApiDownloadHandler": "close download_request",
    "xhs.download.retry.BackoffRetryMiddleware": "process_exception process_response",
    "xhs.download.scheduler.WaitingScheduler": "__len__ close enqueue_request next_request",
    "xhs.download.throttle.RefusalThrottle": "_adjust_delay",
    "xhs.feeds.exporters.CsvExporter": "export_item serialize_field start_exporting",
    "xhs.feeds.exporters.JsonLinesExporter": "export_item",
    "xhs.feeds.exporters.ReadableGzip": "write",
    "xhs.feeds.exporters.XmlExporter": "export_item serialize_field",
    "xhs.feeds.isolation.FeedExporter": "_close_slot item_scraped open_spider",
    "xhs.feeds.isolation.FileFeedStorage": "open",
    "xhs.feeds.isolation.S3FeedStorage": "open store",
    "xhs.logs.formatter.PrivateLogFormatter": "dropped item_error scraped",
    "xhs.pipelines.ItemProcessor": "close_spider_async process_item_async",
    "xhs.spiders.comments.CommentsSpider": "from_crawler start",
    "xhs.commands.crawl.Command": "process_options run",
    "xhs.commands.parse.Command": (
        "handle_exception prepare_request print_results run start_parsing"
    ),
}
"""Every method of Scrapy that a class of ours overrides, except those of ``ScrapyCommand``."""


@cache
def our_modules() -> list[Any]:
    root = Path(__file__).parents[3]
    paths = [path.relative_to(root).with_suffix("") for path in root.glob("xhs/**/*.py")]
    names = [".".join(path.parts) for path in paths if not path.name.startswith("__")]
    umask = os.umask(0o077)
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        os.umask(umask)  # xhs.commands sets its own


def our_classes() -> Iterator[type]:
    for module in our_modules():
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                yield value


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")


def own_names(cls: type) -> set[str]:
    """Return the names that a class defines or uses of ``self``, ``cls`` and ``super()``."""
    names = set()
    for node in ast.walk(tree(cls)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute):
            owner = node.value.func if isinstance(node.value, ast.Call) else node.value
            if isinstance(owner, ast.Name) and owner.id in {"self", "cls", "super"}:
                names.add(node.attr)
    return names


@cache
def tree(cls: type) -> ast.AST:
    try:
        return ast.parse(dedent(inspect.getsource(cls)))
    except (OSError, TypeError):  # written in C, or created by a function
        return ast.Module([], [])


def foreign_bases(cls: type) -> list[type]:
    """Return the bases of a class that are not ours, Python's own included."""
    return [base for base in cls.__mro__[1:] if base.__module__.partition(".")[0] != "xhs"]


def code_of(module: Any) -> ast.AST:
    return ast.parse(Path(module.__file__).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("cls", "name"),
    [(cls, name) for cls, names in USED.items() for name in names.split()],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_used_attribute_exists(cls: type, name: str) -> None:
    assert any(name in own_names(base) | vars(base).keys() for base in cls.__mro__)


@pytest.mark.parametrize(
    ("method", "parameters"), CALLED.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_a_called_method_has_its_parameters(method: Callable[..., Any], parameters: str) -> None:
    assert list(inspect.signature(method).parameters) == parameters.split()


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path, names in OVERRIDDEN.items() for name in names.split()],
)
def test_an_overridden_method_exists_and_has_the_same_parameters(path: str, name: str) -> None:
    cls = cast("type", load_object(path))
    theirs = next(vars(base)[name] for base in foreign_bases(cls) if name in vars(base))
    theirs, ours = (getattr(method, "__func__", method) for method in (theirs, vars(cls)[name]))
    assert inspect.signature(ours).parameters.keys() == inspect.signature(theirs).parameters.keys()
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


def test_every_override_is_listed() -> None:
    overrides: dict[str, set[str]] = {}
    for cls in our_classes():
        for base in foreign_bases(cls):
            if base.__module__.startswith("scrapy.") and base is not ScrapyCommand:
                theirs = {name for name, value in vars(base).items() if is_method(value)}
                if names := {name for name in theirs & vars(cls).keys() if name[:2] != "__"}:
                    overrides.setdefault(f"{cls.__module__}.{cls.__qualname__}", set()).update(
                        names
                    )
    listed = {path: set(names.split()) - {"__len__"} for path, names in OVERRIDDEN.items()}
    assert overrides == listed


def is_method(value: object) -> bool:
    return inspect.isfunction(value) or isinstance(value, classmethod | staticmethod | property)


def test_private_names_of_bases_are_used_only_if_listed() -> None:
    """Ruff reports those of other objects (SLF001), but not those of bases."""
    private_names = {
        f"{base.__module__}.{base.__qualname__}.{name}"
        for cls in our_classes()
        for base in foreign_bases(cls)
        if base is not object
        for name in own_names(cls) & own_names(base)
        if is_private(name)
    }
    assert private_names == _scrapy.OVERRIDDEN.keys()


def test_every_private_name_in_the_scrapy_module_is_checked() -> None:
    used = {node.attr for node in ast.walk(code_of(_scrapy)) if isinstance(node, ast.Attribute)}
    checked = {name for names in USED.values() for name in names.split()}
    assert {name for name in used if is_private(name)} == {
        name for name in checked if is_private(name)
    }


def test_only_the_scrapy_module_uses_attributes_of_the_engine() -> None:
    attributes = {
        node.attr
        for module in our_modules()
        if module is not _scrapy
        for node in ast.walk(code_of(module))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "engine"
    }
    assert attributes == {"crawl", "close_spider_async"}


@pytest.mark.parametrize("name", ["scrapy.core.scraper", "scrapy.extensions.feedexport"])
def test_a_filtered_logger_has_that_name(name: str) -> None:
    assert importlib.import_module(name).logger.name == name


class AnySpider(Spider):
    name = "any"


def make_crawler(**settings: Any) -> Crawler:
    """Return a crawler that has started, with the project's settings."""
    project_settings = Settings()
    project_settings.setmodule("xhs.settings")
    project_settings.update(settings)
    crawler = Crawler(AnySpider, project_settings)
    crawler.stats = MemoryStatsCollector(crawler)
    crawler.spider = AnySpider.from_crawler(crawler)
    crawler.engine = cast(
        "ExecutionEngine",
        SimpleNamespace(
            running=True,
            _slot=SimpleNamespace(closing=None),
            downloader=SimpleNamespace(slots={"api": Slot(16, 0.0, 0.0)}),
        ),
    )
    return crawler


def stat(crawler: Crawler, name: str) -> int:
    return int(crawler.stats.get_value(name, 0))


@pytest.mark.anyio
@pytest.mark.parametrize("failure", [503, DownloadTimeoutError("no answer in time")])
async def test_scrapys_retry_waits(failure: int | Exception) -> None:
    crawler = make_crawler(RETRY_TIMES=1)
    middleware = BackoffRetryMiddleware.from_crawler(crawler)

    async def download(request: Request) -> Response:
        if isinstance(failure, Exception):
            raise failure
        return Response(request.url, failure)

    async def retry(request: Request) -> Any:
        manager = DownloaderMiddlewareManager(middleware, crawler=crawler)
        return await manager.download_async(download, request)

    request = await retry(Request("http://api.example/"))
    assert isinstance(request, Request)
    assert request.meta[WAIT] > 0
    assert request.meta[REASON] in {"503 Service Unavailable", "no answer in time"}
    assert stat(crawler, "retry/count") == 1
    if isinstance(failure, Exception):
        with pytest.raises(type(failure)):
            await retry(request)
    else:
        assert (await retry(request)).status == failure
    assert stat(crawler, "retry/max_reached") == 1


def test_scrapys_throttle_slows_down_for_refusals() -> None:
    crawler = make_crawler()
    slot = crawler.engine.downloader.slots["api"]
    throttle = RefusalThrottle.from_crawler(crawler)
    crawler.signals.send_catch_log(signals.spider_opened, spider=crawler.spider)
    assert crawler.engine.downloader._delay == throttle.mindelay == 0
    for status, slows_down in ((200, False), (429, True)):
        for _ in range(40):
            request = Request("http://api.example/")
            request.meta.update(download_slot="api", download_latency=0.01)
            slot.transferring = {request}
            crawler.signals.send_catch_log(
                signals.response_downloaded,
                response=Response(request.url, status),
                request=request,
                spider=crawler.spider,
            )
        assert (slot.delay > 0) is slows_down


class FailingAtTheEnd(JsonItemExporter):
    """An exporter that cannot write its last bytes."""

    def finish_exporting(self) -> None:
        self.file.close()
        raise OSError("No space left on device")


async def export(crawler: Crawler, s3_client: object = None) -> None:
    """Deliver one item to the feeds of a crawler, and close them."""
    exporter = FeedExporter.from_crawler(crawler)
    send, spider = crawler.signals.send_catch_log, crawler.spider
    send(signals.spider_opened, spider=spider)
    for slot in exporter.slots:
        if isinstance(slot.storage, S3FeedStorage):
            slot.storage.s3_client = s3_client
    send(signals.item_scraped, item={"item_type": "user"}, spider=spider, response=None)
    await crawler.signals.send_catch_log_async(
        signals.spider_closed, spider=spider, reason="finished"
    )


@pytest.mark.anyio
async def test_scrapy_does_not_count_a_broken_feed_as_stored(tmp_path: Path) -> None:
    feeds = {str(tmp_path / "a.json"): {"format": "json"}}
    crawler = make_crawler(FEEDS=feeds, FEED_EXPORTERS={"json": FailingAtTheEnd})
    await export(crawler)
    assert stat(crawler, f"{Stat.FEEDS_FAILED}FileFeedStorage") == 1
    assert stat(crawler, "feedexport/success_count/FileFeedStorage") == 0


@pytest.mark.anyio
@pytest.mark.parametrize("accepted", [True, False])
async def test_scrapy_keeps_a_feed_until_s3_has_it(tmp_path: Path, *, accepted: bool) -> None:
    class Client:
        def upload_fileobj(self, **_: Any) -> None:
            if not accepted:
                raise OSError("Access Denied")

    crawler = make_crawler(
        FEEDS={"s3://lake/a.jsonl": {"format": "jsonlines"}},
        AWS_REGION_NAME="us-east-1",
        XHS_SPILL_DIR=str(tmp_path),
    )
    await export(crawler, Client())
    assert len(list((tmp_path / "feeds").iterdir())) == (0 if accepted else 1)
    assert stat(crawler, "feedexport/success_count/S3FeedStorage") == accepted
    assert stat(crawler, f"{Stat.FEEDS_FAILED}S3FeedStorage") == (not accepted)


@pytest.mark.anyio
async def test_scrapys_pipelines_are_closed_whatever_one_raises() -> None:
    closed: list[str] = []

    class Slow:
        async def close_spider(self) -> None:
            await asyncio.sleep(0)
            closed.append("slow")

    class Broken:
        def close_spider(self) -> None:
            raise ValueError("cannot be closed")

    crawler = make_crawler()
    processor = ItemProcessor(Slow(), Broken(), crawler=crawler)
    with pytest.raises(ValueError, match="cannot be closed"):
        await processor.close_spider_async()
    assert closed == ["slow"]
    assert stat(crawler, "xhs/pipelines/unclosed") == 1
