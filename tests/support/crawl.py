"""Crawls in processes of their own, and their results: status, log, stats, feed, database."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient
from support.forks import helper
from support.simulator import PROJECT

from xhs.settings import EXTENSIONS
from xhs.store.embedded.server import resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from pymongo.database import Database

Document = dict[str, Any]

TOKEN = "canary-7f3a9b52c1d84e60"
"""Token of every crawl here; the text occurs nowhere else."""

_PATIENCE = 120
_STAT = re.compile(r"^[ {]'(?P<name>[^']+)': (?:(?P<number>-?[\d.]+)|'(?P<text>[^']*)')[,}]", re.M)
_LINE = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(?P<logger>[^\]]+)\] (?P<level>[A-Z]+): (?P<text>.*)$", re.M
)


@dataclass(frozen=True)
class Outcome:
    """Result of a command: its exit status, its output and its feed."""

    status: int
    output: str
    errors: str
    feed: list[Document] = field(default_factory=list)

    @property
    def stats(self) -> Document:
        """The numbers and texts of the stats that Scrapy logs at the end of a crawl."""
        _, found, dump = self.errors.partition("Dumping Scrapy stats:\n")
        assert found, self.errors
        return {
            match["name"]: match["text"] if match["number"] is None else float(match["number"])
            for match in _STAT.finditer(dump.partition("}\n")[0] + "}")
        }

    @property
    def reason(self) -> str:
        """The close reason."""
        return str(self.stats["finish_reason"])

    @property
    def run(self) -> Document:
        """The JSON object at the end of a text log."""
        [line] = [text for text in self.lines("INFO") if text.startswith('{"exit_status"')]
        result: Document = json.loads(line)
        return result

    def lines(self, level: str) -> list[str]:
        """Return the log lines of a level, without time and logger."""
        return [match["text"] for match in _LINE.finditer(self.errors) if match["level"] == level]

    def items(self, item_type: str) -> list[Document]:
        """Return the feed's items of one type."""
        return [item for item in self.feed if item["item_type"] == item_type]

    def ids(self, item_type: str) -> list[str]:
        """Return the IDs of the feed's items of one type."""
        return [item[f"{item_type}_id"] for item in self.items(item_type)]

    def __str__(self) -> str:
        return f"exit status {self.status}\n{self.output}\n{self.errors}"


def environment(home: Path, **more: str | None) -> dict[str, str]:
    """Return an environment without the developer's own settings."""
    inherited = {
        name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR") if name in os.environ
    }
    clean = {**inherited, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(PROJECT)}
    return clean | {name: value for name, value in more.items() if value is not None}


def scrapy(
    *words: str,
    environment: Mapping[str, str],
    cwd: Path = PROJECT,
    stdin: str | bytes = b"",
) -> Outcome:
    """Run a command of Scrapy in the project."""
    stdin = stdin.encode() if isinstance(stdin, str) else stdin
    env = dict(environment)
    if fork := helper(env, PROJECT):
        done = fork.run([*words], env, cwd, stdin, _PATIENCE)
    else:
        done = subprocess.run(
            [sys.executable, "-m", "scrapy", *words],
            env=env,
            cwd=cwd,
            input=stdin,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def database(uri: str, name: str) -> Iterator[Database[Document]]:
    """Open a database while the block lasts."""
    with resolve(uri) as lease, MongoClient[Document](lease.uri, tz_aware=True) as client:
        yield client[name]


def crawl_words(notes: Collection[str], arguments: Mapping[str, str]) -> list[str]:
    """Return the command line of a crawl, with a log of everything."""
    given = {**arguments, "notes": ",".join(notes)} if notes else arguments
    words = (word for name, value in given.items() for word in ("-a", f"{name}={value}"))
    return ["crawl", "comments", "-L", "DEBUG", *words]


class Project:
    """Environment and folder of a user's crawls, with the stand-in's address and a database."""

    def __init__(self, url: str, folder: Path, uri: str, database: str) -> None:
        self.folder = folder
        self.uri = uri
        self.name = database
        self.environment = environment(
            folder,
            JUSTONEAPI_TOKEN=TOKEN,
            JUSTONEAPI_BASE_URL=url,
            MONGODB_URI=uri,
            MONGODB_DATABASE=database,
            XHS_SPILL_DIR=str(folder / "spill"),
        )
        self._feeds = 0

    def add_module(self, code: str) -> None:
        """Let commands import a user's code as ``users_own``."""
        (self.folder / "users_own.py").write_text(code)
        self.environment["PYTHONPATH"] = f"{self.folder}{os.pathsep}{PROJECT}"

    def extension(self, code: str, name: str = "Own", order: int = 1) -> list[str]:
        """Add a module with a user's extension; return the options that enable it."""
        self.add_module(code)
        return ["-s", f"EXTENSIONS={json.dumps({**EXTENSIONS, f'users_own.{name}': order})}"]

    def command(
        self, *words: str, stdin: str | bytes = b"", env: Mapping[str, str | None] | None = None
    ) -> Outcome:
        """Run a command of Scrapy; ``env`` adds variables, or removes them if they are None."""
        changed: dict[str, str | None] = {**self.environment, **(env or {})}
        variables = {name: value for name, value in changed.items() if value is not None}
        return scrapy(*words, environment=variables, stdin=stdin)

    def crawl(
        self,
        *words: str,
        notes: Sequence[str] = (),
        feed: bool = True,
        stdin: str | bytes = b"",
        env: Mapping[str, str | None] | None = None,
        **arguments: str,
    ) -> Outcome:
        """Crawl ``notes``; keyword arguments are the spider's, words are options."""
        given = crawl_words(notes, arguments)
        self._feeds += 1
        path = self.folder / f"feed-{self._feeds}.json"
        output = ["-O", str(path)] if feed else []
        done = self.command(*given, *output, *words, stdin=stdin, env=env)
        items = json.loads(path.read_text() or "[]") if path.exists() else []
        return Outcome(done.status, done.output, done.errors, items)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command of Scrapy, with ``options`` of `subprocess.Popen`."""
        options = {"env": self.environment, "stderr": subprocess.PIPE, **options}
        command = [sys.executable, "-m", "scrapy", *words]
        return subprocess.Popen(command, cwd=PROJECT, **options)

    def start_crawl(
        self, *words: str, notes: Collection[str] = (), **arguments: str
    ) -> subprocess.Popen[bytes]:
        """Start a crawl of ``notes``; arguments as in :meth:`crawl`."""
        return self.start(*crawl_words(notes, arguments), *words)

    def documents(self, collection: str, **query: Any) -> dict[str, Document]:
        """Return the documents of a collection by ID."""
        with database(self.uri, self.name) as stored:
            return {document["_id"]: document for document in stored[collection].find(query)}

    def note(self, note_id: str) -> Document:
        """Return a note's ledger document."""
        return self.documents("notes", _id=note_id)[note_id]

    def comment_ids(self, note_id: str) -> tuple[set[str], set[str]]:
        """Return the IDs of a note's stored comments: first level, and replies."""
        stored = self.documents("comments", note_id=note_id)
        first = {key for key, comment in stored.items() if comment["parent_comment_id"] is None}
        return first, stored.keys() - first
