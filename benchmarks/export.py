"""Compare exports with what a script would do, in time and in memory.

    python benchmarks/export.py [COMMENTS]

A database of that many comments (by default a million), a fifth of them replies, is exported in
each format, all of it and a tenth. One note has a tenth of the comments, each other note has 1,000.
Beside that runs what a script does in the same format: ``find`` and ``csv.writer`` or ``json``, or
a DataFrame of pandas. A script joins no users and sorts nothing. The server's own time and memory
are not counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pace import PROJECT
from pymongo import MongoClient

from xhs.api.fields import COMMENT_FIELDS
from xhs.store.embedded.server import resolve

COMMENTS = 1_000_000
PER_NOTE = 1_000
BATCH = 10_000
DATABASE = "benchmark"
START = datetime(2024, 2, 9, tzinfo=UTC)

FIND = """
import sys
from pymongo import MongoClient
uri, out = sys.argv[1:]
found = MongoClient(uri, tz_aware=True)["benchmark"].comments.find()
"""
FRAME = "import pandas\nframe = pandas.DataFrame(list(found))\n"
SCRIPTS = {
    "csv": """
import csv
with open(out, "w", newline="", encoding="utf-8-sig") as file:
    writer = None
    for document in found:
        if writer is None:
            writer = csv.DictWriter(file, document.keys())
            writer.writeheader()
        writer.writerow(document)
""",
    "jsonl": """
import json
with open(out, "w", encoding="utf-8") as file:
    for document in found:
        file.write(json.dumps(document, ensure_ascii=False, default=str) + "\\n")
""",
    "xlsx": FRAME
    + """
for name in ("created_at", "scraped_at", "first_seen_at", "last_seen_at"):
    frame[name] = frame[name].dt.tz_localize(None)
frame.to_excel(out, index=False, engine="xlsxwriter")
""",
    "parquet": FRAME + "frame.to_parquet(out)\n",
}
FORMATS = ("csv", "jsonl", "parquet", "xlsx", "gexf", "ndjson")


class Cost(NamedTuple):
    """What a process has used."""

    seconds: float
    megabytes: float


def comments(number: int) -> Iterator[dict[str, Any]]:
    """Yield documents of comments."""
    empty = dict.fromkeys(name for name in COMMENT_FIELDS if name != "is_new")
    for index in range(number):
        written = START + timedelta(seconds=index)
        note_id = f"{0 if index < number // 10 else 1 + index // PER_NOTE:024x}"
        is_reply = index % 5 == 4
        yield {
            **empty,
            "_id": f"{index:024x}",
            "comment_id": f"{index:024x}",
            "note_id": note_id,
            "user_id": f"{index * 7919 % (number // 4 + 1):024x}",
            "parent_comment_id": f"{index - 1:024x}" if is_reply else None,
            "content": f"第{index}条评论，味道真的不错，下次还会再来[捂脸R]" * (1 + index % 3),
            "created_at": written,
            "like_count": index % 10,
            "sub_comment_count": 0,
            "ip_location": "上海",
            "pictures": [],
            "scraped_at": written,
            "first_seen_at": written,
            "last_seen_at": written,
            "vanished_at": None,
            "extra": {"track_id": "interaction-service.local", "score": 0, "liked": False},
        }


def fill(uri: str, number: int) -> None:
    """Fill the database."""
    database = MongoClient[dict[str, Any]](uri)[DATABASE]
    documents = comments(number)
    while batch := list(islice(documents, BATCH)):
        database.comments.insert_many(batch, ordered=False)
    users = (f"{index:024x}" for index in range(number // 4 + 1))
    while names := list(islice(users, BATCH)):
        database.users.insert_many(
            [{"_id": one, "user_id": one, "nickname": f"用户{one[-6:]}"} for one in names]
        )
    database.comments.create_index([("note_id", 1), ("parent_comment_id", 1), ("created_at", -1)])


def measure(command: list[str], env: dict[str, str]) -> Cost:
    """Run a command; return its time, and the most memory that it had."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=PROJECT, env=env, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, process.stderr.read().decode() if process.stderr else ""
    return Cost(time.monotonic() - began, usage.ru_maxrss / 1024)


def main() -> None:
    """Fill a database, and print the cost of each format and its ratio to that of a script."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else COMMENTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with resolve(f"embedded:{folder / 'db'}") as lease:
            fill(lease.uri, number)
            env = {
                **os.environ,
                "MONGODB_URI": lease.uri,
                "MONGODB_DATABASE": DATABASE,
                "PYTHONPATH": str(PROJECT),
                "XHS_PROGRESS": "0",
            }
            print(f"{number:,} comments: seconds, and MB at most (of a tenth of them)")
            for ending in FORMATS:
                compare(ending, folder, env, lease.uri)


def compare(ending: str, folder: Path, env: dict[str, str], uri: str) -> None:
    """Print the costs of one format."""
    out = folder / f"out.{ending}"
    export = [sys.executable, "-m", "scrapy", "export", str(out)]
    tenth = measure([*export, "--min-likes", "9"], env)
    ours = measure(export, env)
    line = f"{ending:8} {ours.seconds:7.1f} s {ours.megabytes:6.0f} MB ({tenth.megabytes:.0f} MB)"
    if ending in SCRIPTS:
        script = measure([sys.executable, "-c", FIND + SCRIPTS[ending], uri, str(out)], env)
        line += (
            f"   a script {script.seconds:7.1f} s {script.megabytes:6.0f} MB"
            f"   ratios {ours.seconds / script.seconds:.2f} in time,"
            f" {ours.megabytes / script.megabytes:.2f} in memory"
        )
    print(line, flush=True)


if __name__ == "__main__":
    main()
