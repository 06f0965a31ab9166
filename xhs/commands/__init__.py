"""The project's commands. Each refuses unknown options and words, and exits 2 for wrong usage.

Scrapy imports this package when any of its commands starts in this project, in a Scrapyd job too,
and before it opens the log. So the umask set here applies to all files that the process creates:
only their owner may read them, since feeds and cached answers hold personal data. Existing files
keep their mode.
"""

import os
import sys

from xhs.shutdown import runs_crawl, shutdown

os.umask(0o077)
if runs_crawl(sys.argv):  # before the commands are imported, which takes half a second
    shutdown.install()
