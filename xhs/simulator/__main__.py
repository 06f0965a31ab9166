"""``python -m xhs.simulator``: start the stand-in without Scrapy, which is faster."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from xhs.simulator.options import WRONG_USAGE, add_options, run


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"error: {message}\n")


def main() -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status."""
    parser = _Parser(prog="python -m xhs.simulator", description="A stand-in of the paid API.")
    add_options(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
