"""A user's extension for crawls whose store is gone."""

from __future__ import annotations

HURRY = """
from xhs.store.mongo import retrying as patience
from xhs.store.mongo import writer

patience.retry_until_answered.__defaults__ = (2.0,)
writer.Writer.__init__.__defaults__ = (None, None, 2.0)


class Hurry:
    # Two seconds of patience, not two minutes.
    pass
"""
