"""The provider's documented example, ``note-comments-v4.sample.json``, unchanged.

It is the first page of its note, sorted ``latest``. Its counts imply 143 replies; their
distribution over the comments that are not on this page is invented.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from xhs.simulator.seeded_random import SeededRandom

FIRST_LEVEL = 801
ALL_COMMENTS = 944

_FILE = Path(__file__).with_name("note-comments-v4.sample.json")


@cache
def example() -> dict[str, Any]:
    """Return the ``data`` of the documented answer. The result is shared: change only a copy."""
    data: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))["data"]
    return data


@cache
def example_comments() -> tuple[dict[str, Any], ...]:
    """Return the documented comments, oldest first."""
    return tuple(reversed(example()["comments"]))


@cache
def reply_counts() -> tuple[int, ...]:
    """Return the number of replies to each comment of the note, oldest first."""
    shown = [comment["sub_comment_count"] for comment in example_comments()]
    hidden = [0] * (FIRST_LEVEL - len(shown))
    rng = SeededRandom("documented replies")
    for _ in range(ALL_COMMENTS - FIRST_LEVEL - sum(shown)):
        hidden[rng.below(len(hidden))] += 1
    return (*hidden, *shown)
