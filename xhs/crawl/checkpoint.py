"""The saved progress of a pass. Pure.

A pass is one reading of a note, from its first page to its end, by one or more runs.
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
"""The arguments that limit what a pass reads of a note. The sort is stored beside the cursor."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Progress of one pass over a note.

    ``next_page``: the page to request next; without meaning once the note's own pages have ended.
    ``mode``: the kind of pass, ``full`` or ``update``. ``began``: its start, which also identifies
    it. ``watermark``: that of its first page. ``kept``: the first-level comments it has kept.
    ``calls``: the calls billed for it. ``arguments``: its values of :data:`PASS_ARGUMENTS`.
    ``stop_reason``: why the note's own pages ended, if only replies are left.
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
        """True if a database accepts it: a cursor with a lone surrogate cannot be stored."""
        return is_storable(self.next_page.cursor or "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A requested pass that has stored no page yet: its mode and its arguments."""

    mode: str
    arguments: Mapping[str, str] = field(default_factory=dict)


def pass_arguments(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the arguments that a pass keeps, whichever run finishes it."""
    return {name: str(given[name]) for name in PASS_ARGUMENTS if name in given}
