"""``scrapy demo``: run a crawl without a token, a network or a database server."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from xhs.command import StoreCommand
from xhs.reasons import ExitStatus
from xhs.simulator.notes import DOCUMENTED_NOTE, missing_note, usual_note
from xhs.store.embedded import server as embedded
from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import COMMENTS, USERS

_FOLDER = Path("demo")
_NOTES = [DOCUMENTED_NOTE, *(usual_note(serial) for serial in range(4)), missing_note()]

_FOR_REAL_CRAWLS = re.compile("^(JUSTONEAPI|MONGODB|XHS)_(?!PROGRESS$)|_proxy$", re.IGNORECASE)
"""Names of environment variables that the demo does not pass on to its crawl."""


class Command(StoreCommand):
    """Crawls six notes of the stand-in into the embedded store and a JSON feed."""

    def short_desc(self) -> str:
        """Return the command's summary."""
        return "Run a crawl that needs no token, network or database server"

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Run the crawl, and print a summary of its feed and store."""
        try:
            _FOLDER.mkdir(exist_ok=True)
        except OSError as error:
            self.fail(f"cannot create the folder {_FOLDER}: {error.strerror}", ExitStatus.FAILED)
            return
        uri = f"embedded:{_FOLDER / 'mongodb'}"
        if not embedded.is_installed():
            self.print("The embedded store is not installed: the demo runs without a store.")
            uri = ""
        feed, log = _FOLDER / "comments.json", _FOLDER / "crawl.log"
        self.print(f"Crawling {len(_NOTES)} notes from a stand-in of the API …")
        with _stand_in() as url:
            status = _crawl(url, uri, feed, log)
        if status != ExitStatus.DONE:
            self.fail(f"the crawl ended with exit status {status}: see {log}", ExitStatus.FAILED)
            return
        self._summarise(feed, log, uri)

    def _summarise(self, feed: Path, log: Path, uri: str) -> None:
        items = json.loads(feed.read_text(encoding="utf-8"))
        count = Counter(item["item_type"] for item in items)
        self.print(f"\n{'note':26}{'first level':>12}{'replies':>9}{'reported':>10}  ended")
        for item in items:
            if item["item_type"] == "note":
                self.print(
                    f"{item['note_id']:26}{item['comments_collected']:>12}"
                    f"{item['replies_collected']:>9}{item['comment_count_l1'] or 0:>10}"
                    f"  {item['stop_reason']}"
                )
        self.print(
            f"\n{count['comment']} comments and {count['user']} users (one a page) in {feed}"
        )
        if uri:
            store = Store(uri, "xhs")
            self.run_on(store, self._count_stored(store, uri))
            if self.exitcode:
                return
        self.print(f"The log of the crawl is {log}\n\nNext:")
        if uri:
            self.print(f"  MONGODB_URI={uri} scrapy status")
        self.print("  export JUSTONEAPI_TOKEN=…")
        self.print("  scrapy crawl comments -a notes=NOTE_ID_OR_LINK -O data/comments.json")

    async def _count_stored(self, store: Store, uri: str) -> None:
        async with store:
            comments, users = await store.count(COMMENTS), await store.count(USERS)
        self.print(f"{comments} comments and {users} distinct users in MongoDB ({uri})")


@contextmanager
def _stand_in() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "xhs.simulator"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield cast("IO[str]", process.stdout).readline().strip()
        finally:
            process.terminate()


def _crawl(url: str, uri: str, feed: Path, log: Path) -> int:
    environment: dict[str, Any] = {
        **{name: value for name, value in os.environ.items() if not _FOR_REAL_CRAWLS.search(name)},
        "JUSTONEAPI_TOKEN": "demo",
        "JUSTONEAPI_BASE_URL": url,
        "MONGODB_URI": uri,
    }
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "scrapy", "crawl", "comments"]
    command += ["-a", f"notes={','.join(_NOTES)}", "-O", str(feed), "--logfile", str(log)]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 (ours)
