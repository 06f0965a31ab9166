"""Progress on the terminal: on standard error, never on standard output.

rich is imported only if something is displayed.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scrapy.settings import BaseSettings

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_AUTO = "auto"
_OFF = ("0", "False")
_VALUES = (_AUTO, "1", "True", *_OFF)

Advance = Callable[[int], Any]
"""Takes how many more are done."""

_BAR_WIDTH = 40


def check_setting(settings: BaseSettings) -> str | None:
    """Return what is wrong with ``XHS_PROGRESS``; None if nothing is."""
    value = str(settings.get("XHS_PROGRESS", _AUTO))
    return None if value in _VALUES else f"XHS_PROGRESS={value} must be auto, 1 or 0"


def is_off(settings: BaseSettings) -> bool:
    """True if ``XHS_PROGRESS`` is 0."""
    return str(settings["XHS_PROGRESS"]) in _OFF


def is_automatic(settings: BaseSettings) -> bool:
    """True if ``XHS_PROGRESS`` is neither 1 nor 0."""
    return str(settings["XHS_PROGRESS"]) == _AUTO


def can_display() -> bool:
    """True if standard error is a terminal whose cursor moves, and that displays nothing yet."""
    is_displaying = hasattr(sys.stderr, "rich_proxied_file")
    return is_terminal(sys.stderr) and not is_displaying and console().is_interactive


def is_terminal(stream: object) -> bool:
    """True if a stream is a terminal. It may be None, or an object that only has ``write``."""
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


def console() -> Console:
    """Return a console on standard error that does not break long lines."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False)


class Display:
    """Lines at the bottom of the terminal. What is logged or printed meanwhile stands above them.

    Log handlers keep the stream that they were made with, so theirs is replaced too.
    """

    def __init__(self) -> None:
        from rich.live import Live

        streams = (sys.stdout, sys.stderr)
        self._live = Live(
            console=console(),
            auto_refresh=False,
            transient=True,
            # What goes to a pipe or a file must not come to the terminal.
            redirect_stdout=is_terminal(sys.stdout),
            vertical_overflow="crop",
        )
        self._live.start()
        self._live.console.show_cursor(True)  # a process that is killed could not do it later
        self._redirected: list[tuple[logging.StreamHandler[Any], Any]] = []
        for before, now in zip(streams, (sys.stdout, sys.stderr), strict=True):
            for handler in _stream_handlers():
                if handler.stream is before and before is not now:
                    handler.setStream(now)
                    self._redirected.append((handler, before))

    def update(self, fraction: float | None, counts: Iterable[str], waits: Iterable[str]) -> None:
        """Display the share that is done (None if unknown), the counts and what is waited for."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        width = self._live.console.width - 1  # some terminals wrap a line that is full
        bar = Table.grid(padding=(0, 1))
        if fraction is None:
            bar.add_row(ProgressBar(total=None, width=min(_BAR_WIDTH, width)))
        else:
            known = ProgressBar(total=1.0, completed=fraction, width=min(_BAR_WIDTH, width - 5))
            bar.add_row(known, f"{fraction:.0%}")
        lines: list[RenderableType] = [Text(line) for line in pack(counts, width)]
        lines += [Text(line, style="yellow") for line in waits]
        self._live.update(Group(bar, *lines), refresh=True)

    def close(self) -> None:
        """Remove the display."""
        self._live.stop()
        for handler, stream in self._redirected:
            handler.setStream(stream)
        self._redirected.clear()


def _stream_handlers() -> Iterator[logging.StreamHandler[Any]]:
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", ()):  # a placeholder has none
            if isinstance(handler, logging.StreamHandler):
                yield handler


def pack(pieces: Iterable[str], width: int) -> list[str]:
    """Join pieces with commas into lines. Only a single piece may exceed ``width`` characters."""
    lines: list[str] = []
    for piece in pieces:
        joined = f"{lines[-1]}, {piece}" if lines else piece
        if lines and len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(piece)
    return lines


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
        redirect_stdout=is_terminal(sys.stdout),
    ) as shown:
        task = shown.add_task(description, total=total)
        yield lambda count: shown.advance(task, count)
