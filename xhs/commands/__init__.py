"""The project's commands: each refuses what it does not know, and exits 2 for wrong usage."""

import sys

from xhs.shutdown import runs_crawl, shutdown

if runs_crawl(sys.argv):  # before the commands, which take half a second to import
    shutdown.install()
