"""The commands in README, tutorial and how-to pages work, pasted in order into one shell.

Each page runs in a copy of the project. Its API is the stand-in, and addresses of servers become
those of the tests; all else is as printed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import documented, scrapyd
from support.crawl import TOKEN, environment
from support.documents import (
    DOCS,
    HOW_TO,
    README,
    REFERENCE,
    Block,
    blocks,
    codes,
    name_of,
    read,
    rows,
)
from support.scrapyd import Scrapyd
from support.simulator import PROJECT

from xhs.simulator.notes import threaded_note
from xhs.store.embedded.server import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.crawl import Project
    from support.simulator import Simulator

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="the commands are for bash"
)

NOTE = threaded_note(6, 12)

TUTORIAL = DOCS / "tutorial.md"
PAGES = [README, TUTORIAL, *sorted(HOW_TO.glob("*.md"))]
SCRAPYD = HOW_TO / "scrapyd.md"

NETWORK = "installs packages from the network"
NOT_RUN = {
    "docs/tutorial.md": {
        "python3 -m venv .venv": NETWORK,
        'mongosh "mongodb://xhs:…@127.0.0.1:…/?directConnection=true"': "needs mongosh",
    },
    "docs/how-to/backups-and-retention.md": {
        'mongodump --uri "$MONGODB_URI" --db xhs --gzip --archive=xhs.archive': "needs mongodump"
    },
    "docs/how-to/cron-and-systemd.md": {
        "sudo useradd --system --create-home --home-dir /var/lib/xhs xhs": "needs root",
        "systemctl enable --now xhs.timer": "needs systemd and root",
        """grep -o '{"exit_status".*' /var/lib/xhs/update.log | tail -n 1""": "needs cron's log",
    },
    "docs/how-to/duckdb.md": {"pip install -r requirements-look.txt duckdb": NETWORK},
    "docs/how-to/export.md": {
        "pip install -r requirements-look.txt": NETWORK,
        "curl -H 'X-Zeeschuimer-Platform: xiaohongshu-comments' "
        "-H 'Authorization: your-4cat-token' \\": "needs a 4CAT server",
    },
    "docs/how-to/docker.md": {
        "docker build -t xhs .": "needs Docker: tests/integration/test_docker.py tries the steps",
        "echo your-token | sudo install -o 1000 -m 400 /dev/stdin /etc/xhs-token": "needs root",
        "docker compose up --detach --wait": "needs Docker",
    },
    "docs/how-to/feeds-and-spreadsheets.md": {"pip install boto3": f"{NETWORK}, and needs S3"},
    "docs/how-to/monitors.md": {"pip install spidermon": NETWORK},
    "docs/how-to/report.md": {"pip install -r requirements-look.txt": NETWORK},
    "docs/how-to/scrapyd.md": {
        "python3 -m venv ~/scrapyd/.venv": f"{NETWORK}: the test starts a Scrapyd instead",
        "pip install 'scrapyd-client>=2.0.3,<3'": NETWORK,
    },
}
"""Blocks that are not run, by page and first line, and why."""

_SECONDS = 300
_COPIED = ("scrapy.cfg", "setup.py", "pyproject.toml", "requirements.txt", "README.md", "xhs")
_API = '"https://api.justoneapi.com"'
_FILE = re.compile(r"^# (\w+\.py)\b")


@pytest.fixture
def folder(_api: Simulator, tmp_path: Path) -> Path:
    """A copy of the project, as set up, whose API is the stand-in."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in _COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, copy / name)
        elif source.exists():
            shutil.copy(source, copy)
    settings = copy / "xhs" / "settings.py"
    text = settings.read_text(encoding="utf-8")
    assert _API in text
    settings.write_text(text.replace(_API, f'"{_api.url}"'), encoding="utf-8")
    activate = copy / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.touch()
    for made_by_crawls in ("data", ".xhs/mongodb"):
        (copy / made_by_crawls).mkdir(parents=True)
    return copy


@pytest.fixture
def server(_server: str) -> Iterator[str]:
    """The address of a MongoDB server."""
    with resolve(_server) as lease:
        yield lease.uri


def test_blocks_that_are_not_run_are_on_their_pages() -> None:
    for page in PAGES:
        first_lines = [block.text.split("\n")[0] for block in blocks(page)]
        for line in NOT_RUN.get(name_of(page), ()):
            assert first_lines.count(line) == 1, f"{name_of(page)}: {line}"
    assert NOT_RUN.keys() <= {name_of(page) for page in PAGES}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in {SCRAPYD, TUTORIAL}], ids=name_of
)
def test_the_commands_of_a_page_work(page: Path, folder: Path, server: str) -> None:
    if page.stem == "monitors":
        pytest.importorskip("spidermon")
    if page.stem == "report":
        pytest.importorskip("rjieba")
    run(page, folder, server)


def test_the_tutorial_prints_what_it_shows(folder: Path, server: str) -> None:
    for package in ("rjieba", "xlsxwriter", "pandas"):
        pytest.importorskip(package)
    with resolve(f"embedded:{folder / '.xhs' / 'tutorial'}"):
        printed = run(TUTORIAL, folder, server)
    position = 0
    for block in blocks(TUTORIAL):
        for line in block.text.splitlines() if block.language == "text" else ():
            pattern = re.compile(re.escape(line).replace("…", ".+"))
            found = pattern.search(printed, position)
            assert found, f"{line}\nis not in\n{printed[position:]}"
            position = found.end()


@pytest.mark.skipif(
    bool(scrapyd.MISSING), reason="needs Scrapyd: pip install -r requirements-dev.txt"
)
def test_the_commands_for_scrapyd_work(folder: Path, server: str, tmp_path: Path) -> None:
    env = {"JUSTONEAPI_TOKEN": TOKEN, "MONGODB_URI": server, "MONGODB_DATABASE": "docs-scrapyd"}
    with Scrapyd(tmp_path / "scrapyd", env) as running:
        config = folder / "scrapy.cfg"
        printed = "http://127.0.0.1:6800/"
        config.write_text(config.read_text(encoding="utf-8").replace(printed, running.url))
        run(SCRAPYD, folder, server, {printed: running.url})
        jobs = [job["id"] for state in running.jobs().values() for job in state]
        assert len(jobs) == 2
        for done in running.wait(*jobs):
            assert (done.status, done.lines("ERROR")) == (0, []), done


def test_documents_have_the_fields_that_the_page_on_collections_lists(
    api: Simulator, project: Project
) -> None:
    """Nothing but what it lists, and all of that, if crawls of every kind have been there."""
    notes = project.folder / "notes.txt"
    notes.write_text(f"{NOTE}\n", encoding="utf-8")
    assert project.command("enqueue", str(notes), "-a", "max_comments=5").status == 0
    for sort in ("latest", "normal", "like_count"):
        strange = {"path": ["comments", 0, "like_count"], "value": -1}
        api.script({"rules": [{"note": NOTE, "page": 1, "patch": [strange]}]})
        project.crawl(notes=[NOTE], sort=sort, replies="all", max_comments="5", feed=False)
    found = {name: set().union(*project.documents(name).values()) for name in stored_fields()}
    assert found == stored_fields()


def stored_fields() -> dict[str, set[str]]:
    """Return the fields of each collection, as its page has them."""
    items = {"comments": "comment", "users": "user", "notes": "note"}
    found: dict[str, set[str]] = {}
    collection = ""
    for row in rows(read(REFERENCE / "collections.md"), "collection"):
        collection = row[0].strip("`") or collection
        found.setdefault(collection, set()).update(codes(row[1]))
    schemas = documented.schemas()
    return {
        name: fields
        | (schemas[items[name]]["properties"].keys() if name in items else set())
        - {"item_type", "is_new"}
        for name, fields in found.items()
    }


def run(page: Path, folder: Path, server: str, addresses: dict[str, str] | None = None) -> str:
    """Run a page's commands; each that is not part of a condition has to succeed.

    Return what they print.
    """
    not_run = NOT_RUN.get(name_of(page), {})
    wanted = [block for block in blocks(page) if block.text.split("\n")[0] not in not_run]
    for block in wanted:
        write_file(block, folder)
    script = "\n".join(["set -euo pipefail", *(one.text for one in wanted if one.language == "sh")])
    for printed, ours in {**servers(server), **(addresses or {})}.items():
        script = script.replace(printed, ours)
    env = environment(
        folder.parent / "home",
        PATH=os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"])),
        MONGODB_URI=None if page == TUTORIAL else server,
        MONGODB_DATABASE=None if page == TUTORIAL else f"docs-{page.stem}",
    )
    del env["PYTHONPATH"]
    Path(env["HOME"]).mkdir()
    log = folder.parent / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            status = process.wait(_SECONDS)
        finally:
            kill_group(process.pid)
    said = log.read_text(encoding="utf-8", errors="replace")
    assert status == 0, said
    assert "Traceback" not in said, said
    assert '"status": "error"' not in said, said  # Scrapyd's, with HTTP 200
    return said


def write_file(block: Block, folder: Path) -> None:
    """Write a file that a page shows, if it names it in its first line."""
    if block.language == "python" and (named := _FILE.match(block.text)):
        (folder / named[1]).write_text(block.text, encoding="utf-8")


def servers(uri: str) -> dict[str, str]:
    """Return what the addresses of servers in the documents stand for here."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        ports = [str(free.getsockname()[1]) for free in (one, other)]
    return {
        "8765": ports[0],
        "8766": ports[1],
        "embedded:.xhs/trial": f"'{uri}'",
        "mongodb://user:password@localhost:27017/?authSource=admin": uri,
        "mongodb://127.0.0.1:27017/": f"'{uri}'",
    }


def kill_group(leader: int) -> None:
    """End what a script has left running."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
