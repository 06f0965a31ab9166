"""The provider's documented example, ``note-comments-v4.sample.json``, unchanged.

It is page one of its note, sorted ``latest``. How the 143 replies that its counts speak of
spread over the comments it does not show is invented.
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
    """The documented answer's ``data``. The result is shared: change a copy."""
    data: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))["data"]
    return data


@cache
def shown() -> tuple[dict[str, Any], ...]:
    """The documented comments, oldest first."""
    return tuple(reversed(example()["comments"]))


@cache
def reply_counts() -> tuple[int, ...]:
    """How many replies each of the note's comments has, oldest first."""
    known = [comment["sub_comment_count"] for comment in shown()]
    hidden = [0] * (FIRST_LEVEL - len(known))
    rng = SeededRandom("documented replies")
    for _ in range(ALL_COMMENTS - FIRST_LEVEL - sum(known)):
        hidden[rng.below(len(hidden))] += 1
    return (*hidden, *known)
