"""Feeds: presets, exporters, checks before a crawl, and isolation of feeds that fail."""
