"""``scrapy simulate``: run the stand-in of the API."""

from __future__ import annotations

import argparse

from xhs.command import ProjectCommand
from xhs.simulator.options import add_options, run


class Command(ProjectCommand):
    """Serves the stand-in on the loopback interface, and prints its address."""

    def short_desc(self) -> str:
        """Return the command's summary."""
        return "Run a stand-in of the API on this machine, free of charge"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the stand-in's options to Scrapy's own."""
        super().add_options(parser)
        add_options(parser)

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        self.exitcode = run(opts)
