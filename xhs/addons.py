"""Scrapy add-ons: components that a setting switches on."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

from scrapy.settings import SETTINGS_PRIORITIES, BaseSettings
from scrapy.utils.misc import load_object

from xhs.feeds.presets import AWS_SECRETS, PRESETS, preset_base, preset_feeds, preset_names
from xhs.logs.redaction import keep_out_of_logs


class FeedPresets:
    """Adds the feeds of ``XHS_FEEDS`` to those of ``FEEDS``, whatever the priority of these.

    So ``-O`` and Scrapyd's ``items_dir`` do not replace them.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        """Add the feeds, and keep passwords in addresses out of the log."""
        feeds = settings.getdict("FEEDS")
        passwords = [urlsplit(str(uri)).password for uri in feeds]
        for secret in (*passwords, *(settings.get(name) for name in AWS_SECRETS)):
            keep_out_of_logs(secret or "")
        presets = [name for name in preset_names(settings) if name in PRESETS]
        if presets:
            batched = settings.getint("FEED_EXPORT_BATCH_ITEM_COUNT") > 0
            added = preset_feeds(presets, preset_base(settings), datetime.now(UTC), batched)
            priority = settings.getpriority("FEEDS") or SETTINGS_PRIORITIES["addon"]
            settings.set("FEEDS", {**feeds, **added}, priority)


class Monitors:
    """Adds Spidermon's extension if ``SPIDERMON_ENABLED`` is set, and imports it only then."""

    def update_settings(self, settings: BaseSettings) -> None:
        """Add the extension."""
        if settings.getbool("SPIDERMON_ENABLED"):
            extension = load_object("spidermon.contrib.scrapy.extensions.Spidermon")
            settings.setdefault_in_component_priority_dict("EXTENSIONS", extension, 500)
