"""The project's commands: each refuses what it does not know, and exits 2 for wrong usage.

Scrapy imports this package as any of its commands starts in this project, a job of Scrapyd's too,
and before it opens the log. From here on, the files that the process creates are for their owner
alone: feeds and cached answers are people's data. Files that are there keep their mode.
"""

import os
import sys

from xhs.shutdown import runs_crawl, shutdown

os.umask(0o077)
if runs_crawl(sys.argv):  # before the commands, which take half a second to import
    shutdown.install()
