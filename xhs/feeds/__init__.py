"""Feeds: presets by name, their formats, and feeds that fail alone."""
