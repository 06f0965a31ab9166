"""Measure time, memory and size of a report, beside pandas and altair on the same comments.

    python benchmarks/report.py [COMMENTS]

Made-up comments (100,000 by default) are put into an embedded store. The peer is a script as an
analyst would write it: it reads them all into a DataFrame, counts places, words and days, and draws
these three with altair as SVG. It does far less: no completeness, growth, questions, same texts,
hours that stand out, or comments behind the figures. Memory is the largest resident set of the
process; the server is another.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pymongo import MongoClient

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from xhs.simulator.notes import sized_note  # noqa: E402 (needs the line above)
from xhs.simulator.seeded_random import SeededRandom  # noqa: E402
from xhs.simulator.text import content  # noqa: E402
from xhs.simulator.users import PLACES, user  # noqa: E402
from xhs.store.embedded.server import resolve  # noqa: E402
from xhs.store.mongo.client import Store  # noqa: E402

NOTES = 40
BATCH = 5000
START = datetime(2026, 1, 1, tzinfo=UTC)

PEER = """
import sys, altair, pandas, rjieba, vl_convert
from pymongo import MongoClient
uri, path = sys.argv[1:]
fields = {"content": 1, "created_at": 1, "ip_location": 1, "like_count": 1}
frame = pandas.DataFrame(MongoClient(uri)["xhs"]["comments"].find({}, fields))
frame["word"] = frame["content"].map(lambda text: {w for w in rjieba.cut(text) if len(w) > 1})
def chart(counts, kind):
    table = counts.rename_axis("name").reset_index(name="count")
    return vl_convert.vegalite_to_svg(
        getattr(altair.Chart(table), kind)().encode(x="count:Q", y="name:N").to_json()
    )
days = frame["created_at"].dt.floor("D").astype(str).value_counts().sort_index()
page = [
    chart(frame["ip_location"].value_counts().head(20), "mark_bar"),
    chart(frame["word"].explode().value_counts().head(30), "mark_bar"),
    chart(days, "mark_bar"),
    frame.nlargest(20, "like_count").to_html(),
]
open(path, "w").write("".join(page))
"""


class Measured(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    page_kilobytes: float


def comments(count: int) -> Iterator[dict[str, Any]]:
    """Yield made-up comments as the store has them."""
    for serial in range(count):
        rng = SeededRandom(f"benchmark/{serial}")
        at = START + timedelta(seconds=rng.below(90 * 86_400))
        parent = f"c{serial - serial % 5:08}" if serial % 5 else None
        yield {
            "_id": f"c{serial:08}",
            "note_id": sized_note(0, serial // 5 % NOTES),
            "user_id": user(f"benchmark/{rng.below(count)}")["userid"],
            "parent_comment_id": parent,
            "content": content(rng),
            "created_at": at,
            "like_count": rng.below(1000) if rng.chance(300) else 0,
            "sub_comment_count": 0 if parent else 4,
            "ip_location": rng.pick(PLACES),
            "is_author": rng.chance(40),
            "extra": {"track_id": "interaction-service.local", "score": 0, "liked": False},
            "vanished_at": None,
        }


async def create_indexes(uri: str) -> None:
    """Open the store once, as a crawl does before it writes."""
    async with Store(uri, "xhs"):
        pass


def fill(uri: str, count: int) -> None:
    """Put the comments, their users and their notes into the database."""
    asyncio.run(create_indexes(uri))
    with MongoClient[dict[str, Any]](uri) as client:
        database, batch = client["xhs"], []
        users = {}
        for comment in comments(count):
            batch.append(comment)
            users[comment["user_id"]] = "爱吃桃子"
            if len(batch) == BATCH:
                database["comments"].insert_many(batch)
                batch = []
        if batch:
            database["comments"].insert_many(batch)
        named = [{"_id": user_id, "nickname": name} for user_id, name in users.items()]
        for start in range(0, len(named), BATCH):
            database["users"].insert_many(named[start : start + BATCH])
        database["notes"].insert_many(
            {"_id": sized_note(0, serial), "state": "ended", "stop_reason": "complete"}
            for serial in range(NOTES)
        )


def measure(command: list[str], path: Path, environment: dict[str, str]) -> Measured:
    """Run a command that writes a page."""
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=PROJECT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, command
    seconds = time.monotonic() - start
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(seconds, cpu, usage.ru_maxrss / 1024, path.stat().st_size / 1024)


def main() -> None:
    """Print a line for the report, and one for its peer."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uri = f"embedded:{folder / 'mongodb'}"
        with resolve(uri) as lease:
            fill(lease.uri, count)
            page = folder / "page.html"
            environment = {**os.environ, "MONGODB_URI": uri, "MONGODB_DATABASE": "xhs"}
            report = [sys.executable, "-m", "scrapy", "report", str(page)]
            peer = [sys.executable, "-c", PEER, lease.uri, str(page)]
            print(f"{count:<16}    seconds  CPU seconds   MB in memory   kB of page")
            for what, command in (("scrapy report", report), ("pandas, altair", peer)):
                seconds, cpu, megabytes, kilobytes = measure(command, page, environment)
                print(f"{what:16}{seconds:11.1f}{cpu:13.1f}{megabytes:15.0f}{kilobytes:13.0f}")


if __name__ == "__main__":
    main()
