"""Base of the project's commands."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from scrapy.commands import ScrapyCommand
from scrapy.settings import Settings

from xhs import terminal
from xhs.crawl.arguments import is_argument_name
from xhs.crawl.note_ids import is_word
from xhs.crawl.storage import StoreFailed
from xhs.reasons import ExitStatus
from xhs.store.mongo.client import Store, StoreUnavailable
from xhs.terminal import Advance

_ENDED_BY = 128
"""Added to a signal's number, the exit status that shells report for a command that it ended."""

_NO_OPTION = "no such option; a text that begins with - must follow a name, as in -a notes=TEXT"


class ProjectCommand(ScrapyCommand):
    """A command that does not crawl in this process, prints for pipes and reports one-line errors.

    A subclass implements :meth:`execute`. ``positional`` names its positional arguments.
    """

    settings: Settings  # set by Scrapy before it uses the command
    requires_project = True
    requires_crawler_process = False
    default_settings: ClassVar[dict[str, Any]] = {"LOG_ENABLED": False}
    positional: ClassVar[tuple[str, ...]] = ()

    def syntax(self) -> str:
        """Return the usage after the command's name."""
        return " ".join(["[options]", *(f"<{name}>" for name in self.positional)])

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Refuse unknown words, then do the work and set ``exitcode``."""
        if problem := unknown_words(args, self.positional):
            self.fail(problem)
            return
        self.attempt(args, opts)

    def attempt(self, args: list[str], opts: argparse.Namespace) -> None:
        """Do the work until it is done, interrupted, or nobody reads its output any more."""
        if problem := terminal.check_setting(self.settings):
            self.fail(problem)
            return
        ended_by = [signal.SIGINT]

        def interrupt(number: int, _: object) -> None:
            ended_by.append(signal.Signals(number))
            raise KeyboardInterrupt

        for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            one = getattr(signal, name, None)
            if one is not None and signal.getsignal(one) is signal.SIG_DFL:
                signal.signal(one, interrupt)
        try:
            self.execute(args, opts)
        except KeyboardInterrupt:
            self.exitcode = _ENDED_BY + ended_by[-1]
        except BrokenPipeError:
            # The reader has closed the pipe. Without this, Python would report it again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Do the work. ``args`` has one word for each of ``positional``."""
        raise NotImplementedError

    def fail(self, message: str, exitcode: int = ExitStatus.WRONG_INPUT) -> None:
        """Report an error on one line."""
        sys.stderr.write(f"error: {message}\n")
        self.exitcode = exitcode

    def print(self, text: str) -> None:
        """Print a line to standard output, and flush it."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    @contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """Display the progress of a loop on standard error, if that is a terminal.

        The block calls the value with the number of those that are done since its last call. With
        ``XHS_PROGRESS=0``, nothing is displayed.
        """
        if terminal.is_off(self.settings):
            yield lambda _: None
        else:
            with terminal.progress(description, total) as advance:
                yield advance


class StoreCommand(ProjectCommand):
    """A command that needs the store."""

    def store(self) -> Store | None:
        """Return the store, which is not open yet; report an error if there is none."""
        if uri := self.settings["MONGODB_URI"]:
            return Store(uri, self.settings["MONGODB_DATABASE"])
        self.fail("MONGODB_URI is empty: this command needs a store")
        return None

    def run_on(self, store: Store, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that uses a store, and report the store's failure."""
        try:
            asyncio.run(work)
        except StoreUnavailable as error:
            self.fail(str(error), ExitStatus.FAILED)
        except StoreFailed as error:
            self.fail(store.why(error), ExitStatus.FAILED)


def unknown_words(args: list[str], positional: tuple[str, ...], usage: str = "") -> str | None:
    """Return what is wrong with a command's positional words; None if nothing is.

    Unknown options are among them, since Scrapy passes these on. The words may be a share text
    without quotation marks, which is private, so a command that logs its errors quotes only what
    looks like an option. ``usage``: the usage of such a command, shown if a word is missing.
    """
    if options := [word for word in args if word.startswith("-") and word != "-"]:
        names = [word.partition("=")[0] for word in options]
        return f"no such option: {' '.join(names)}" if all(map(is_word, names)) else _NO_OPTION
    if len(args) > len(positional):
        extra = args[len(positional) :]
        quoted = not usage and all(map(is_word, extra))
        which = " ".join(extra) if quoted else f"{len(extra)} more"
        return (
            f"too many arguments ({which}): write -a NAME=VALUE without spaces around =, and a "
            "value with spaces in quotation marks"
        )
    if len(args) < len(positional):
        missing = " ".join(positional[len(args) :])
        return f"missing: {missing}" + (f"; write {usage}" if usage else "")
    return None


def read_arguments(given: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the ``-a`` options of a command by their names, and an error for each repeated name.

    Scrapy itself keeps the last value of a repeated name, and silently drops the others. A value
    without ``=`` gets the name ``""``, which no argument has.
    """
    parts = [option.partition("=") for option in given]
    pairs = [(name, value) if sign else ("", name) for name, sign, value in parts]
    counts = Counter(name for name, _ in pairs if is_argument_name(name))
    errors = [
        f"{name} is given {count} times: give it once"
        + (", with commas between the notes" if name == "notes" else "")
        for name, count in counts.items()
        if count > 1
    ]
    return dict(pairs), errors
