"""Compare the duration of a crawl with the shortest that its calls allow.

    python benchmarks/scheduling.py [RUNS]

A crawl fetches 600 notes at 200 ms a call with the default 16 concurrent calls into the embedded
store. The ideal is the greater of two times: all calls divided by 16, and, for any note, its place
in the file divided by 16 plus its pages. For comparison, a plain Scrapy spider follows the same
cursors and stores nothing. A run takes about four minutes.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pace import PROJECT, StandIn, stand_in

from xhs.simulator.notes import sized_note

CONCURRENCY = 16

PLAIN = """
import json, os
from urllib.parse import urlencode
import scrapy

class Plain(scrapy.Spider):
    name = "plain"
    custom_settings = {
        "CONCURRENT_REQUESTS": 16, "CONCURRENT_REQUESTS_PER_DOMAIN": 16, "DOWNLOAD_DELAY": 0,
        "ROBOTSTXT_OBEY": False, "LOG_LEVEL": "ERROR", "TELNETCONSOLE_ENABLED": False,
        "AUTOTHROTTLE_ENABLED": False,
    }

    async def start(self):
        for note in open(self.notes):
            yield self.page(note.strip())

    def page(self, note, cursor=None):
        query = {"token": "benchmark", "noteId": note}
        if cursor:
            query["lastCursor"] = cursor
        url = os.environ["JUSTONEAPI_BASE_URL"] + "/api/xiaohongshu/get-note-comment/v4?"
        return scrapy.Request(url + urlencode(query), cb_kwargs={"note": note}, dont_filter=True)

    def parse(self, response, note):
        data = json.loads(response.body)["data"]
        for comment in data["comments"]:
            yield {"comment_id": comment["id"], "content": comment["content"]}
        if data["has_more"]:
            yield self.page(note, data["cursor"])
"""


def heavy_tailed() -> list[int]:
    """Return the pages of 600 notes of at most 400 comments, from a fixed seed."""
    seeded_random = random.Random(3)
    return [min(40, max(1, int(seeded_random.paretovariate(0.9)))) for _ in range(600)]


def with_a_late_long_note() -> list[int]:
    """Return the same pages, with a note of 1,490 comments near the end of the file."""
    pages = heavy_tailed()
    pages[585] = 149
    return pages


SCENARIOS: dict[str, tuple[list[int], tuple[float, float]]] = {
    "600 notes of heavy-tailed sizes": (heavy_tailed(), (0.2, 0.2)),
    "one of 1,490 comments near the end": (with_a_late_long_note(), (0.2, 0.2)),
    "latency between 0.2 and 0.5 s": (heavy_tailed(), (0.2, 0.5)),
}


def ideal(pages: Sequence[int], latency: tuple[float, float]) -> float:
    """Return the least seconds that the calls take."""
    mean = sum(latency) / 2
    by_calls = sum(pages) / CONCURRENCY
    by_the_longest = max(place / CONCURRENCY + count for place, count in enumerate(pages))
    return mean * max(by_calls, by_the_longest)


def measure(api: StandIn, command: list[str], **environment: str) -> float:
    """Run a crawl; return the seconds from its first call to its last answer."""
    subprocess.run(
        [sys.executable, "-m", "scrapy", *command],
        cwd=PROJECT,
        env={**os.environ, "JUSTONEAPI_TOKEN": "benchmark", **environment},
        stderr=subprocess.DEVNULL,
        check=True,
    )
    call_log = api.call_log()
    return float(call_log["last_answer"] - call_log["first_call"])


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with stand_in() as api, tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain.py")
        plain.write_text(PLAIN)
        for title, (pages, latency) in SCENARIOS.items():
            best = ideal(pages, latency)
            print(f"{title}: {sum(pages)} calls, ideal {best:.1f} s", flush=True)
            notes = Path(folder, "notes.txt")
            notes.write_text("\n".join(sized_note(10 * n - 5, i) for i, n in enumerate(pages)))
            for run in range(runs):
                store = f"embedded:{folder}/{len(title)}-{run}"
                commands: dict[str, list[str]] = {
                    "ours": ["crawl", "comments", "-L", "ERROR", "-a", f"notes_file={notes}"],
                    "plain spider": ["runspider", str(plain), "-a", f"notes={notes}"],
                }
                for name, command in commands.items():
                    api.reset()
                    api.script({"latency": list(latency)})
                    seconds = measure(api, command, JUSTONEAPI_BASE_URL=api.url, MONGODB_URI=store)
                    print(f"  {name:14}{seconds:7.1f} s{seconds / best:7.3f} x ideal", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
