"""How far a pass is: from where it continues, and what it has come to. Pure.

A pass is one reading of a note, from its first page until it ends, by however many runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from xhs.api.endpoints import PageRef
from xhs.api.values import is_storable
from xhs.crawl.paginator import Watermark
from xhs.reasons import StopReason

PASS_ARGUMENTS = ("replies", "max_comments", "since")
"""The arguments that say how much of a note a pass reads. The sort stands beside the cursor."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``next_page`` is requested next; it is of no use once the first-level comments have ended.

    ``mode``: ``full`` or ``update``, the kind of pass. ``began`` is its name, too. ``watermark`` is
    that of its first page, ``kept`` how many first-level comments it has kept, ``calls`` how many
    calls were billed for it. ``arguments``: those of :data:`PASS_ARGUMENTS` that it was given.
    ``stop_reason``: how its first-level comments ended, if only replies are left.
    """

    next_page: PageRef
    version: str
    mode: str
    began: datetime
    watermark: Watermark | None = None
    kept: int = 0
    calls: int = 0
    arguments: Mapping[str, str] = field(default_factory=dict)
    stop_reason: StopReason | None = None

    @property
    def is_storable(self) -> bool:
        """True if a database takes it: a cursor with a lone surrogate can only be sent back."""
        return is_storable(self.next_page.cursor or "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pass that was asked for and has stored no page yet: its mode and its arguments."""

    mode: str
    arguments: Mapping[str, str] = field(default_factory=dict)


def pass_arguments(given: Mapping[str, Any]) -> dict[str, str]:
    """Return those arguments that stay with a pass, whoever finishes it."""
    return {name: str(given[name]) for name in PASS_ARGUMENTS if name in given}
