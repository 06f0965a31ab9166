"""``scrapy simulate``: the stand-in of the API alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

from scrapy.commands import ScrapyCommand

from xhs.simulator.options import WRONG_USAGE, add_options, run

if TYPE_CHECKING:
    import argparse


class Command(ScrapyCommand):
    """Serves the stand-in on the loopback interface, and prints its address."""

    requires_project = True
    requires_crawler_process = False
    default_settings: ClassVar[dict[str, Any]] = {"LOG_ENABLED": False}

    def syntax(self) -> str:
        """How it is called."""
        return "[options]"

    def short_desc(self) -> str:
        """What it does."""
        return "Run a stand-in of the API on this machine, free of charge"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the stand-in's options to Scrapy's own."""
        super().add_options(parser)
        add_options(parser)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        if args:
            sys.stderr.write(f"error: unrecognized arguments: {' '.join(args)}\n")
            self.exitcode = WRONG_USAGE
            return
        self.exitcode = run(opts)
