"""What the project's commands have in common."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, ClassVar

from scrapy.commands import ScrapyCommand
from scrapy.settings import Settings

from xhs.reasons import ExitStatus

_INTERRUPTED = 130
"""What shells say of a command that SIGINT has ended."""


class ProjectCommand(ScrapyCommand):
    """A command that prints for pipes, reports errors on one line each and crawls nothing itself.

    A subclass implements :meth:`execute`; ``positional`` names the arguments that it takes.
    """

    settings: Settings  # which Scrapy sets before it uses the command
    requires_project = True
    requires_crawler_process = False
    default_settings: ClassVar[dict[str, Any]] = {"LOG_ENABLED": False}
    positional: ClassVar[tuple[str, ...]] = ()

    def syntax(self) -> str:
        """How it is called."""
        return " ".join(["[options]", *(f"<{name}>" for name in self.positional)])

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Refuse what is unknown, then do the work; ``exitcode`` says how it went."""
        if problem := unknown_words(args, self.positional):
            self.fail(problem)
            return
        self.attempt(args, opts)

    def attempt(self, args: list[str], opts: argparse.Namespace) -> None:
        """Do the work, which its user or the reader of its output may end."""
        try:
            self.execute(args, opts)
        except KeyboardInterrupt:
            self.exitcode = _INTERRUPTED
        except BrokenPipeError:
            # Whoever read the output has enough. Python would complain again as it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Do the work. ``args`` are as many as ``positional``."""
        raise NotImplementedError

    def fail(self, message: str, exitcode: int = ExitStatus.WRONG_INPUT) -> None:
        """Report an error on one line."""
        sys.stderr.write(f"error: {message}\n")
        self.exitcode = exitcode

    def print(self, text: str) -> None:
        """Print for the user, or for a pipe."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def unknown_words(args: list[str], positional: tuple[str, ...]) -> str | None:
    """What is wrong with a command's words: Scrapy hands on options that it does not know."""
    if options := [word for word in args if word.startswith("-") and word != "-"]:
        return f"no such option: {' '.join(word.partition('=')[0] for word in options)}"
    if len(args) > len(positional):
        # Not which: a share text without quotation marks is a person's words.
        extra = len(args) - len(positional)
        return f"too many arguments ({extra} more): a value with blanks needs quotation marks"
    if len(args) < len(positional):
        return f"missing: {' '.join(positional[len(args) :])}"
    return None
