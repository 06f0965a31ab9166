"""All settings: the project's own, then Scrapy's, each with Scrapy's default and why ours differs.

The project's own settings are environment variables of the same name too. Precedence: ``-s``, the
spider's settings, the environment, this file.
"""

from __future__ import annotations

import logging
import os

from xhs.logs.levels import lower_levels

BOT_NAME = "xhs"
SPIDER_MODULES = ["xhs.spiders"]
NEWSPIDER_MODULE = "xhs.spiders"
COMMANDS_MODULE = "xhs.commands"


def _environment(name: str, default: str) -> str:
    return os.environ.get(name, default)


# The API. The token is not a setting: it is read from the environment when a crawl starts.
JUSTONEAPI_BASE_URL = _environment("JUSTONEAPI_BASE_URL", "https://api.justoneapi.com")
JUSTONEAPI_ALLOW_HTTP = _environment("JUSTONEAPI_ALLOW_HTTP", "0")
JUSTONEAPI_COMMENTS_VERSION = _environment("JUSTONEAPI_COMMENTS_VERSION", "v4")

XHS_MAX_CALLS = _environment("XHS_MAX_CALLS", "0")
XHS_CALL_PRICE = _environment("XHS_CALL_PRICE", "")

# The store.
MONGODB_URI = _environment("MONGODB_URI", "embedded:")
MONGODB_DATABASE = _environment("MONGODB_DATABASE", "xhs")
XHS_SPILL_DIR = _environment("XHS_SPILL_DIR", ".xhs/spill")

# Feeds by name, in a folder or under an address.
XHS_FEEDS = _environment("XHS_FEEDS", "")
XHS_FEEDS_URI = _environment("XHS_FEEDS_URI", "data/")

# The progress display on a terminal: auto, 1 or 0.
XHS_PROGRESS = _environment("XHS_PROGRESS", "auto")

# The log: text or json.
XHS_LOG_FORMAT = _environment("XHS_LOG_FORMAT", "text")

# Spidermon's monitors, which run when a crawl closes, and their thresholds.
SPIDERMON_ENABLED = _environment("SPIDERMON_ENABLED", "0")
SPIDERMON_SPIDER_CLOSE_MONITORS = ("xhs.monitors.CrawlMonitors",)
SPIDERMON_MAX_REJECTED_SHARE = 0.01
SPIDERMON_MAX_NOTES_LEFT = 0
SPIDERMON_MAX_REFUSED_SHARE = 0.2

# Components, in the order in which a request, its answer and its items pass them.
DOWNLOAD_HANDLERS = {
    "http": "xhs.download.handler.JustOneApiDownloadHandler",
    "https": "xhs.download.handler.JustOneApiDownloadHandler",
}
DOWNLOADER_MIDDLEWARES = {
    "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
    "xhs.download.retry.BackoffRetryMiddleware": 550,
}
SPIDER_MIDDLEWARES = {
    "xhs.middlewares.PageMiddleware": 1,
    # Of no use for an API, and each wraps every item in one more generator.
    "scrapy.spidermiddlewares.referer.RefererMiddleware": None,
    "scrapy.spidermiddlewares.urllength.UrlLengthMiddleware": None,
    "scrapy.spidermiddlewares.depth.DepthMiddleware": None,
    "scrapy.spidermiddlewares.metacopy.MetaCopyDetectionMiddleware": None,
}
ITEM_PIPELINES = {
    "xhs.pipelines.ValidatePipeline": 100,
    "xhs.pipelines.StorePipeline": 300,
}
ITEM_PROCESSOR = "xhs.pipelines.ItemProcessor"  # Scrapy's can leave a page waiting forever.
EXTENSIONS = {
    "scrapy.extensions.logstats.LogStats": None,
    "xhs.display.ProgressDisplay": 0,
    "xhs.download.token.AccessToken": 0,
    "xhs.download.budget.CallBudget": 0,
    "xhs.download.call_order.CallOrder": 0,
    "xhs.extensions.CrawlStore": 0,
    "xhs.extensions.CrawlState": 0,
    "xhs.extensions.Rejections": 0,
    "xhs.extensions.ItemOutcomes": 0,
    "scrapy.extensions.throttle.AutoThrottle": None,
    "xhs.download.throttle.RefusalThrottle": 0,
    # Switched off below, and its imports take a fifth of a second.
    "scrapy.extensions.remote_control.RemoteControl": None,
    "scrapy.extensions.feedexport.FeedExporter": None,
    "xhs.feeds.isolation.FeedExporter": 0,
}
ADDONS = {
    "xhs.addons.FeedPresets": 100,
    "xhs.addons.Monitors": 200,
}
SCHEDULER = "xhs.download.scheduler.WaitingScheduler"
SCHEDULER_MEMORY_QUEUE = "scrapy.squeues.FifoMemoryQueue"  # Scrapy: last in, first out.

# Pace.
CONCURRENT_REQUESTS = 16  # Scrapy: 16. The one concurrency knob.
CONCURRENT_REQUESTS_PER_DOMAIN = 1_000_000  # Scrapy: 8, which would halve the pace of 16.
CONCURRENT_ITEMS = 40  # Scrapy: 100, one task each. A page has 10 comments and their users.
SCRAPER_SLOT_MAX_ACTIVE_SIZE = 200_000  # Scrapy: 5 MB: 500 pages paid for and not stored.
DOWNLOAD_DELAY = 0  # Scrapy: 0.
DOWNLOAD_DELAY_JITTER = 0  # Scrapy: 0.5, which makes any delay longer than necessary.
AUTOTHROTTLE_ENABLED = True  # Scrapy: off. Ours slows down for refused calls only.
AUTOTHROTTLE_START_DELAY = 0  # Scrapy: 5. Nothing is held back until calls are refused.

# Time-outs and retries. A call that is given up may still be billed.
DOWNLOAD_TIMEOUT = 120  # Scrapy: 180. The provider advises 120, and at least 60.
DOWNLOAD_MAXSIZE = 32 * 1024 * 1024  # Scrapy: 1 GB. Decompressed too; a page has 10 to 20 kB.
DOWNLOAD_WARNSIZE = 8 * 1024 * 1024  # Scrapy: 32 MB.
RETRY_TIMES = 10  # Scrapy: 2. "Collection failed, please retry" is common.
RETRY_GIVE_UP_LOG_LEVEL = "DEBUG"  # Scrapy: ERROR. The end of the note is logged once, in full.
# Scrapy has 408, 502, 504, 522 and 524 too. These are the statuses that retryable business codes
# become. An answer without an envelope is a failed download, and retried as such.
RETRY_HTTP_CODES = [429, 500, 503]

# Off: an API client has no use for these, and some of them open ports or lose calls.
TELNETCONSOLE_ENABLED = False  # Scrapy: on. It opens a port.
REMOTE_CONTROL_ENABLED = False  # Scrapy: on. It lets others steer the crawl.
REDIRECT_ENABLED = False  # Scrapy: on. The token must not follow a redirect.
METAREFRESH_ENABLED = False  # Scrapy: on.
COOKIES_ENABLED = False  # Scrapy: on.
ROBOTSTXT_OBEY = False  # Scrapy: off. The API is there to be called.
URLLENGTH_LIMIT = 0  # Scrapy: 2083, which silently drops requests with long cursors.

# Security and privacy.
DOWNLOAD_VERIFY_CERTIFICATES = True  # Scrapy: off.
LOG_LEVEL = "INFO"  # Scrapy: DEBUG, which logs the address of each call, with IDs in it.
LOG_FORMATTER = "xhs.logs.formatter.PrivateLogFormatter"  # Scrapy's prints whole items.

# At DEBUG, these log each step of each request.
for _library in ("asyncio", "boto3", "botocore", "s3transfer", "urllib3"):
    logging.getLogger(_library).setLevel(logging.WARNING)

lower_levels()

# The HTTP cache, for development: no page is paid for twice.
HTTPCACHE_POLICY = "xhs.download.cache.PaidPolicy"  # Scrapy's keeps refusals too.

# Feeds.
FEED_EXPORT_ENCODING = "utf-8"  # Scrapy: JSON in ASCII.
FEED_EXPORTERS = {
    "jsonlines": "xhs.feeds.exporters.JsonLinesExporter",
    "jsonl": "xhs.feeds.exporters.JsonLinesExporter",
    "jl": "xhs.feeds.exporters.JsonLinesExporter",
    "csv": "xhs.feeds.exporters.CsvExporter",
    "xml": "xhs.feeds.exporters.XmlExporter",
}
FEED_STORAGES = {
    "": "xhs.feeds.isolation.FileFeedStorage",  # Scrapy's leaves the mode to the umask.
    "file": "xhs.feeds.isolation.FileFeedStorage",
    "s3": "xhs.feeds.isolation.S3FeedStorage",  # Scrapy's loses a feed that S3 refuses.
}
