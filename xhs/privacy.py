"""The privacy seam: what the provider sent goes through here before anything else sees it."""

from __future__ import annotations

from collections.abc import Callable

from xhs.api.page import Raw

Protect = Callable[[Raw], Raw]
"""From the ``data`` of an answer to the ``data`` that is parsed, stored, rejected and exported."""


def as_sent(data: Raw) -> Raw:
    """Change nothing."""
    return data
