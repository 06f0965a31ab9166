"""What a setting turns on by name, as Scrapy's add-ons."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

from scrapy.settings import SETTINGS_PRIORITIES, BaseSettings
from scrapy.utils.misc import load_object

from xhs.feeds.presets import AWS_SECRETS, PRESETS, preset_base, preset_feeds, preset_names
from xhs.logs.redaction import keep_out_of_logs


class FeedPresets:
    """``XHS_FEEDS``: its feeds join those of ``FEEDS``, wherever these were set, so that neither
    ``-O`` nor Scrapyd's ``items_dir`` takes them away.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        """Add the feeds, and keep passwords in addresses out of the log."""
        feeds = settings.getdict("FEEDS")
        passwords = [urlsplit(str(uri)).password for uri in feeds]
        for secret in (*passwords, *(settings.get(name) for name in AWS_SECRETS)):
            keep_out_of_logs(secret or "")
        known = [name for name in preset_names(settings) if name in PRESETS]
        if known:
            batched = settings.getint("FEED_EXPORT_BATCH_ITEM_COUNT") > 0
            added = preset_feeds(known, preset_base(settings), datetime.now(UTC), batched)
            priority = settings.getpriority("FEEDS") or SETTINGS_PRIORITIES["addon"]
            settings.set("FEEDS", {**feeds, **added}, priority)


class Monitors:
    """``SPIDERMON_ENABLED``: Spidermon's extension, which is imported then alone."""

    def update_settings(self, settings: BaseSettings) -> None:
        """Add the extension."""
        if settings.getbool("SPIDERMON_ENABLED"):
            extension = load_object("spidermon.contrib.scrapy.extensions.Spidermon")
            settings.setdefault_in_component_priority_dict("EXTENSIONS", extension, 500)
