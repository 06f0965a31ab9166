"""How far a pass is, as the ledger keeps it: from where it goes on, and what it has come to. Pure.

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
from xhs.reasons import StopReason, read_reason

OF_A_PASS = ("replies", "max_comments", "since")
"""The arguments that say how much of a note a pass reads. The sort stands beside the cursor."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``call`` asks for the next page; of no use once the first-level comments have ended.

    ``mode``: ``full`` or ``update``, the kind of pass. ``began`` is its name, too. ``watermark`` is
    that of its first page, ``kept`` how many first-level comments it has kept, ``calls`` how many
    calls were billed for it. ``arguments``: those of :data:`OF_A_PASS` that it was given.
    ``stop_reason``: how its first-level comments ended, where only
    replies are left.
    """

    call: PageRef
    version: str
    mode: str
    began: datetime
    watermark: Watermark | None = None
    kept: int = 0
    calls: int = 0
    arguments: Mapping[str, str] = field(default_factory=dict)
    stop_reason: StopReason | None = None

    def document(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {
            "cursor": self.call.cursor if self.stop_reason is None else None,
            "sort": self.call.sort,
            "version": self.version,
            "watermark": watermark_document(self.watermark),
            "mode": self.mode,
            "began": self.began,
            "kept": self.kept,
            "calls": self.calls,
            "arguments": dict(self.arguments),
            "stop_reason": self.stop_reason,
        }

    @property
    def is_storable(self) -> bool:
        """Whether a database takes it: a cursor with a lone surrogate can only be sent back."""
        return is_storable(self.call.cursor or "")


def read_checkpoint(note_id: str, found: Any, now: datetime) -> Checkpoint | None:
    """What the ledger has; None where it is none. ``now`` is when a pass began whose beginning it
    does not know.
    """
    if not isinstance(found, Mapping):
        return None
    cursor, sort, version, began = (
        found.get(name) for name in ("cursor", "sort", "version", "began")
    )
    if not isinstance(sort, str) or not isinstance(version, str):
        return None
    if not isinstance(cursor, str | None):
        return None
    stop, mode = read_reason(found.get("stop_reason")), found.get("mode")
    return Checkpoint(
        PageRef(note_id, cursor, sort),
        version,
        mode if mode == "update" else "full",
        began if isinstance(began, datetime) else now,
        read_watermark(found.get("watermark")),
        _count(found.get("kept")),
        _count(found.get("calls")),
        of_a_pass(found.get("arguments")),
        stop if stop and stop.ended else None,
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pass that was asked for and has stored no page yet: its mode and its arguments."""

    mode: str
    arguments: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it as the ledger keeps it."""
        return {"mode": self.mode, "arguments": dict(self.arguments)}


def read_wanted(found: Any) -> Wanted | None:
    """Return what the ledger has; None if no pass is wanted."""
    if not isinstance(found, Mapping) or found.get("mode") not in ("full", "update"):
        return None
    given = found.get("arguments")
    given = given if isinstance(given, Mapping) else {}
    kept = {name: str(value) for name, value in given.items() if name in (*OF_A_PASS, "sort")}
    return Wanted(found["mode"], kept)


def of_a_pass(given: Any) -> dict[str, str]:
    """Those arguments that stay with a pass, whoever finishes it."""
    if not isinstance(given, Mapping):
        return {}
    return {name: str(given[name]) for name in OF_A_PASS if name in given}


def watermark_document(watermark: Watermark | None) -> dict[str, Any] | None:
    """A watermark as the ledger keeps it."""
    if watermark is None:
        return None
    return {
        "comment_ids": sorted(watermark.comment_ids),
        "newest": watermark.newest,
        "complete": watermark.complete,
    }


def read_watermark(found: Any) -> Watermark | None:
    """What the ledger has; None where it is no watermark."""
    if not isinstance(found, Mapping):
        return None
    ids, newest = found.get("comment_ids"), found.get("newest")
    if not isinstance(ids, list) or not isinstance(newest, datetime | None):
        return None
    return Watermark(
        frozenset(one for one in ids if isinstance(one, str)),
        newest,
        found.get("complete") is True,
    )


def _count(found: Any) -> int:
    return found if isinstance(found, int) and found > 0 else 0
