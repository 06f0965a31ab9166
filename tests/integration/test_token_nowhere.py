"""The token is in the process's memory and on the wire, and nowhere else."""

from __future__ import annotations

import base64
import contextlib
import gzip
import importlib.util
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import TOKEN, Outcome, Site, database
from support.simulator import PROJECT, Simulator

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("secantus") is None, reason="SecantusDB is not installed"
)

NOTE = sized_note(25)
LARGE = "600"  # bytes; an answer has more
COMMAND_LINES = Path("/proc")


def forms(secret: str) -> list[bytes]:
    """How a secret may be written down."""
    plain = secret.encode()
    coded = {base64.b64encode(b"x" * skip + plain)[4:-4] for skip in range(3)}
    return [plain, plain.hex().encode(), plain.decode().encode("utf-16-le"), *coded]


def found_in(data: bytes, secret: str = TOKEN) -> bool:
    """Whether data holds the secret, also where it is compressed."""
    with contextlib.suppress(OSError, EOFError):
        data += gzip.decompress(data)
    return any(form in data for form in forms(secret))


def files_with(folder: Path, secret: str = TOKEN) -> list[Path]:
    """The files below a folder that hold the secret, in name or content."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if secret in str(path) or found_in(path.read_bytes(), secret)]


def command_lines() -> Iterator[bytes]:
    """The command line of every process there is."""
    for entry in COMMAND_LINES.glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield entry.read_bytes()


class Watched:
    """A place to crawl from in which everything that is written stays below one folder."""

    def __init__(self, site: Site) -> None:
        self.folder = site.folder
        self.site = site
        self.logs = site.folder / "logs"
        self.logs.mkdir()

    def crawl(self, *words: str, env: dict[str, str | None] | None = None) -> Outcome:
        """Crawl with everything on that Scrapy can write, watching the process list."""
        options = ["-s", "HTTPCACHE_ENABLED=1", "-s", f"HTTPCACHE_DIR={self.folder / 'cache'}"]
        options += ["-s", f"JOBDIR={self.folder / 'job'}", "-L", "DEBUG", *words]
        command = [sys.executable, "-m", "scrapy", "crawl", "comments", "-a", f"notes={NOTE}"]
        command += ["-O", str(self.folder / "feed.json"), *options]
        changed = {**self.site.environment, **(env or {})}
        there = {name: value for name, value in changed.items() if value is not None}
        with (self.logs / "out").open("wb") as out, (self.logs / "err").open("wb") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, env=there, cwd=PROJECT)
            seen = 0
            while True:
                lines = list(command_lines())
                seen += any(NOTE.encode() in line for line in lines)
                assert not any(found_in(line) for line in lines)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
                    break
        assert seen or sys.platform != "linux"
        return Outcome(
            process.returncode,
            (self.logs / "out").read_text(),
            (self.logs / "err").read_text(),
        )

    def check(self) -> None:
        """The token is in no file below the folder, and in no document of the database."""
        assert files_with(self.folder) == []
        # What masks secrets in the log is the second line of defence: it had nothing to do.
        for log in (*self.logs.iterdir(), *self.folder.glob("*.log")):
            assert "***" not in log.read_text()
        with database(self.site.uri, self.site.name) as there:
            for name in there.list_collection_names():
                for document in there[name].find():
                    assert not found_in(repr(document).encode())
        assert files_with(self.folder) == []


@pytest.fixture
def watched(site: Site) -> Watched:
    """On the server that all tests share; its files are elsewhere."""
    return Watched(site)


@pytest.fixture
def apart(api: Simulator, tmp_path: Path) -> Watched:
    """With the database's own files below the folder too."""
    return Watched(Site(api.url, tmp_path, f"embedded:{tmp_path / 'db'}", "xhs"))


def test_the_search_would_find_it(api: Simulator, apart: Watched, tmp_path: Path) -> None:
    """The same search, for what a crawl does write: the note's ID, in each of the places."""
    done = apart.crawl()
    assert done.status == 0, done
    places = {path.relative_to(tmp_path).parts[0] for path in files_with(tmp_path, NOTE)}
    assert {"cache", "feed.json", "logs", "db"} <= places
    assert found_in(gzip.compress(f"?token={TOKEN}&".encode()))
    assert any(found_in(line, NOTE) for line in [f"-a\0notes={NOTE}".encode()])
    for skip in range(3):
        assert found_in(base64.b64encode(b"?" * skip + TOKEN.encode() + b"&noteId=1"))
    assert api.books()["log"][0]["params"] == ["noteId", "token"]


def test_after_success(apart: Watched) -> None:
    done = apart.crawl()
    assert done.status == 0, done
    assert "DEBUG: Crawled (200)" in done.errors
    apart.check()


def test_in_a_log_file(watched: Watched) -> None:
    log = watched.folder / "crawl.log"
    done = watched.crawl("--logfile", str(log))
    assert done.status == 0, done
    assert "DEBUG: Crawled (200)" in log.read_text()
    watched.check()


TRUNCATED = {"rules": [{"truncate": True}]}
FAILURES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "time-out": ({"rules": [{"hang": True}]}, ["-s", "DOWNLOAD_TIMEOUT=1"]),
    "too large": ({}, ["-s", f"DOWNLOAD_MAXSIZE={LARGE}"]),
    "too large, compressed": ({"rules": [{"gzip": True}]}, ["-s", f"DOWNLOAD_MAXSIZE={LARGE}"]),
    "large": ({}, ["-s", "DOWNLOAD_WARNSIZE=100"]),
    "large, compressed": ({"rules": [{"gzip": True}]}, ["-s", "DOWNLOAD_WARNSIZE=100"]),
    "truncated": (TRUNCATED, []),
    "truncated, not failed on": (TRUNCATED, ["-s", "DOWNLOAD_FAIL_ON_DATALOSS=0"]),
    "reset before the headers": ({"rules": [{"reset": "before"}]}, []),
    "reset after the headers": ({"rules": [{"reset": "after"}]}, []),
    "HTML": ({"rules": [{"html": True}]}, []),
    "HTTP 502": ({"rules": [{"status": 502}]}, []),
    "a redirect": ({"rules": [{"status": 302, "headers": {"Location": "/elsewhere"}}]}, []),
    "token refused": ({"revoke_after": 0}, []),
    "unknown code": ({"rules": [{"code": 999}]}, []),
    "parameters refused": ({"rules": [{"code": 400}]}, []),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_after_a_failure(api: Simulator, watched: Watched, failure: str) -> None:
    script, options = FAILURES[failure]
    api.script(script)
    done = watched.crawl("-s", "RETRY_TIMES=0", *options)
    assert done.status == {"large": 0, "large, compressed": 0, "parameters refused": 4}.get(
        failure, 3
    ), done
    assert "Traceback" not in done.errors
    watched.check()


def test_after_a_refused_connection(watched: Watched) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{one.getsockname()[1]}"
    done = watched.crawl("-s", "RETRY_TIMES=1", env={"JUSTONEAPI_BASE_URL": url})
    assert done.status == 3, done
    assert "xhs/calls/unknown" not in done.stats
    assert "Traceback" not in done.errors
    watched.check()


def test_in_rejected_objects(api: Simulator, watched: Watched) -> None:
    api.script({"rules": [{"page": 1, "patch": [{"path": ["comments", 0, "id"], "remove": True}]}]})
    done = watched.crawl()
    assert done.status == 0, done
    assert done.stats["xhs/rejected"] == 1
    watched.check()


def test_other_servers_never_get_it(api: Simulator, watched: Watched) -> None:
    """A redirect to another server is not followed, so nothing is sent there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        location = f"http://127.0.0.1:{other.getsockname()[1]}/"
        api.script({"rules": [{"status": 302, "headers": {"Location": location}}]})
        done = watched.crawl("-s", "RETRY_TIMES=0")
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert done.status == 3, done


def test_scrapy_settings_does_not_show_it(storeless: Site) -> None:
    for name in ("JUSTONEAPI_TOKEN", "JUSTONEAPI_TOKEN_FILE"):
        done = storeless.command("settings", "--get", name)
        assert not found_in((done.output + done.errors).encode())
        assert done.output.strip() in ("", "None")
