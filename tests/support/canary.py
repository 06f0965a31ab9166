"""Crawls with all of Scrapy's output turned on, and a search for secrets in what they leave."""

from __future__ import annotations

import base64
import contextlib
import gzip
import ipaddress
import json
import os
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from support.crawl import TOKEN, Outcome, Project, database
from support.simulator import PROJECT

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTE = sized_note(25)
PROCESSES = Path("/proc")

_WAITING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""State of a socket without a peer, by protocol: Linux's TCP_LISTEN and TCP_CLOSE."""


@cache
def forms(secret: str) -> frozenset[bytes]:
    """Return the encoded forms in which a secret may be written."""
    spelled = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    found = {spelling.encode("utf-16-le") for spelling in spelled}
    for plain in {spelling.encode() for spelling in spelled}:
        coded = {base64.b64encode(b"x" * skip + plain)[4:-4] for skip in range(3)}
        found |= {plain, plain.hex().encode(), *coded}
    return frozenset(found)


def found_in(data: bytes, *secrets: str) -> bool:
    """True if data, plain or compressed, holds a secret (by default the token)."""
    with contextlib.suppress(OSError, EOFError):
        data += gzip.decompress(data)
    return any(form in data for secret in secrets or (TOKEN,) for form in forms(secret))


def files_with(folder: Path, *secrets: str) -> list[Path]:
    """Return paths below a folder with a secret (by default the token) in name or content.

    A file that disappears during the search is skipped, as a database's own may.
    """
    found = []
    for path in folder.rglob("*"):
        data = os.fsencode(path)
        with contextlib.suppress(FileNotFoundError):
            data += path.read_bytes() if path.is_file() else b""
        if found_in(data, *secrets):
            found.append(path)
    return found


def command_lines() -> Iterator[bytes]:
    """Yield the command line of every process."""
    for entry in PROCESSES.glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield entry.read_bytes()


def children(process: int) -> list[int]:
    """Return the processes that a process has started, and theirs (Linux)."""
    found = []
    for entry in PROCESSES.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            if parent == process:
                child = int(entry.parent.name)
                found += [child, *children(child)]
    return found


def open_ports(process: int) -> set[tuple[str, int]]:
    """Return the hosts and ports at which a process accepts connections or datagrams (Linux)."""
    folder, sockets, found = PROCESSES / str(process), set(), set()
    for entry in (folder / "fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(str(entry.readlink()))
    for protocol, state in _WAITING.items():
        for line in (folder / "net" / protocol).read_text().splitlines()[1:]:
            _, address, _, socket_state, *_, inode = line.split()[:10]
            if socket_state == state and f"socket:[{inode}]" in sockets:
                host, port = address.split(":")
                found.add((_read_host(host), int(port, 16)))
    return found


def _read_host(digits: str) -> str:
    """Read an address as Linux writes it: 32 bits at a time, in the machine's byte order."""
    numbers = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    packed = struct.pack(f"={len(numbers)}I", *numbers)
    return str(ipaddress.ip_address(packed))


class Watched:
    """A project whose crawls write below one folder only.

    ``secrets`` must not be found there; by default that is the token.
    """

    def __init__(self, project: Project, *secrets: str) -> None:
        self.folder = project.folder
        self.project = project
        self.logs = project.folder / "logs"
        self._secrets = secrets or (TOKEN,)
        self._temporary = project.folder / "tmp"
        self.logs.mkdir()
        self._temporary.mkdir()

    def add_module(self, code: str) -> None:
        """Let commands import a user's code as ``users_own``."""
        self.project.add_module(code)

    def crawl(
        self, *words: str, spider: str = "comments", env: dict[str, str | None] | None = None
    ) -> Outcome:
        """Crawl with all of Scrapy's output turned on, and watch the process list."""
        feed = self.folder / "feed.json"
        if feed.exists():  # the job directory makes this a resume, which overwrites no feed
            feed = self.folder / "feed-2.json"
        given = ["-a", f"notes={NOTE}", "-O", str(feed)]
        given += ["-s", f"JOBDIR={self.folder / 'job'}"]
        return self.run("crawl", spider, *given, *words, env=env)

    def run(self, *words: str, env: dict[str, str | None] | None = None) -> Outcome:
        """Run a command of Scrapy to its end, and watch the process list."""
        with self.start(*words, env=env) as process:
            seen = 0
            while True:
                lines = list(command_lines())
                seen += any(os.fsencode(self.folder) in line for line in lines)
                assert not any(found_in(line, *self._secrets) for line in lines)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
                    break
        assert seen or sys.platform != "linux"
        return Outcome(
            process.returncode,
            (self.logs / "out").read_text(),
            (self.logs / "err").read_text(),
        )

    @contextlib.contextmanager
    def start(
        self, *words: str, env: dict[str, str | None] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command of Scrapy at DEBUG; kill it if it outlasts the block."""
        options = ["-s", "HTTPCACHE_ENABLED=1", "-s", f"HTTPCACHE_DIR={self.folder / 'cache'}"]
        command = [sys.executable, "-m", "scrapy", *words, *options, "-L", "DEBUG"]
        changed = {**self.project.environment, "TMPDIR": str(self._temporary), **(env or {})}
        variables = {name: value for name, value in changed.items() if value is not None}
        with (
            (self.logs / "out").open("wb") as out,
            (self.logs / "err").open("wb") as err,
            subprocess.Popen(
                command, stdout=out, stderr=err, env=variables, cwd=PROJECT
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def check(self, *, masked: bool | None = False) -> None:
        """Check that no secret is in a file below the folder or in a document of the database.

        ``masked``: True if a secret must have been masked in a log, which is rare because masking
        is the second line of defence. None: either will do.
        """
        found = files_with(self.folder, *self._secrets)
        assert not found, found
        if masked is not None:
            logs = (*self.logs.iterdir(), *self.folder.glob("*.log"))
            assert any("***" in log.read_text() for log in logs) == masked, logs
        with database(self.project.uri, self.project.name) as stored:
            for name in stored.list_collection_names():
                for document in stored[name].find():
                    assert not found_in(repr(document).encode(), *self._secrets), document
        found = files_with(self.folder, *self._secrets)
        assert not found, found
