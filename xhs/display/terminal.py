"""The terminal of the progress display: standard error, never standard output.

rich is imported only if something is displayed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scrapy.settings import BaseSettings

if TYPE_CHECKING:
    from rich.console import Console

_VALUES = ("auto", "1", "0", "True", "False")
_OFF = ("0", "False")

Advance = Callable[[int], Any]
"""Takes how many more are done."""

_CANNOT_MOVE_CURSOR = ("dumb", "unknown")


def check_setting(settings: BaseSettings) -> str | None:
    """Return what is wrong with ``XHS_PROGRESS``; None if nothing is."""
    value = str(settings["XHS_PROGRESS"])
    return None if value in _VALUES else f"XHS_PROGRESS={value} must be auto, 1 or 0"


def is_off(settings: BaseSettings) -> bool:
    """True if ``XHS_PROGRESS`` is 0."""
    return str(settings["XHS_PROGRESS"]) in _OFF


def can_display() -> bool:
    """True if standard error is a terminal whose cursor moves, and that displays nothing yet."""
    return (
        sys.stderr.isatty()
        and os.environ.get("TERM") not in _CANNOT_MOVE_CURSOR
        and not hasattr(sys.stderr, "rich_proxied_file")  # a display of rich redirects it
    )


def console() -> Console:
    """Return a console on standard error that does not break long lines."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Advance]:
    """Display the progress of a loop, and remove it at the end.

    Args:
        description: what is being done, such as ``Exporting``.
        total: how many there are to do, if that is known.
    """
    if not can_display():
        yield lambda _: None
        return
    from rich import progress as rich_progress

    columns: list[rich_progress.ProgressColumn] = [
        rich_progress.TextColumn("{task.description}", markup=False)
    ]
    if total is None:
        columns += [rich_progress.TextColumn("{task.completed:,.0f}")]
    else:
        columns += [
            rich_progress.BarColumn(),
            rich_progress.TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            rich_progress.TimeRemainingColumn(),
        ]
    with rich_progress.Progress(
        *columns,
        rich_progress.TimeElapsedColumn(),
        console=console(),
        transient=True,
        # What goes to a pipe or a file must not come to the terminal.
        redirect_stdout=sys.stdout.isatty(),
    ) as shown:
        task = shown.add_task(description, total=total)
        yield lambda count: shown.advance(task, count)
