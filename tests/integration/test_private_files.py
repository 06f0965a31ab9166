"""Only their owner can read the files that a crawl creates, whatever the umask."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.crawl import environment, scrapy
from support.simulator import PROJECT

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.crawl import Project

pytestmark = [
    pytest.mark.usefixtures("fresh_process"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes"),
]

NOTE = sized_note(25)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Set the umask that most users have."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return the modes of all files and folders in a folder, by their path in it."""
    return {str(path.relative_to(folder)): mode(path) for path in folder.rglob("*")}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def assert_private(folder: Path, *expected: str) -> None:
    """Check that a folder holds these files, among others, and that nobody else can read them."""
    found = modes(folder)
    for pattern in expected:
        assert list(folder.glob(pattern)), (pattern, found)
    assert [name for name, bits in found.items() if bits & 0o077] == []


@pytest.mark.parametrize(
    ("words", "env", "expected"),
    [
        ("-O {}/a/b/out.json -O {}/out.xml", {}, ["a/b/out.json", "out.xml"]),
        ("-o {}/out.jsonl -o file://{}/a/out.csv", {}, ["out.jsonl", "a/out.csv"]),
        ("", {"XHS_FEEDS": "jsonl,csv.gz"}, ["data/users-*.jsonl", "data/notes-*.csv.gz"]),
        (
            "-s FEED_EXPORT_BATCH_ITEM_COUNT=10",
            {"XHS_FEEDS": "jsonl"},
            ["data/comments-*-00002.jsonl"],
        ),
        ("--logfile {}/a.log --pidfile {}/pid", {}, ["a.log", "pid"]),
        ("-s LOG_FILE={}/a.log", {"XHS_LOG_FORMAT": "json"}, ["a.log"]),
        (
            "-s HTTPCACHE_ENABLED=1 -s HTTPCACHE_DIR={}/cache -s JOBDIR={}/a/job",
            {},
            ["cache/comments/*/*/response_body", "a/job/xhs.begun"],
        ),
        ("", {"MONGODB_URI": "embedded:{}/a/db"}, ["a/db/*"]),
    ],
)
def test_what_a_crawl_creates_is_its_owners(
    without_store: Project, words: str, env: dict[str, str], expected: list[str]
) -> None:
    folder = without_store.folder / "all"
    folder.mkdir(0o700)
    env = {"XHS_FEEDS_URI": f"{folder}/data", **env}
    env = {name: value.replace("{}", str(folder)) for name, value in env.items()}
    given = words.replace("{}", str(folder)).split()
    done = without_store.crawl(*given, notes=[NOTE], feed=False, env=env)
    assert done.status == 0, done
    assert_private(folder, *expected)


@pytest.mark.parametrize("option", ["-o", "-O"])
def test_a_file_that_is_there_keeps_its_mode(without_store: Project, option: str) -> None:
    feed, log = without_store.folder / "shared.jsonl", without_store.folder / "shared.log"
    for path in (feed, log):
        path.touch()
        path.chmod(0o644)
    words = (option, str(feed), "--logfile", str(log))
    assert without_store.crawl(*words, notes=[NOTE], feed=False).status == 0
    assert feed.stat().st_size
    assert log.stat().st_size
    assert [mode(path) for path in (feed, log)] == [0o644, 0o644]


def test_what_the_demo_creates_is_its_owners(tmp_path: Path) -> None:
    variables = environment(tmp_path, SCRAPY_SETTINGS_MODULE="xhs.settings")
    done = scrapy("demo", environment=variables, cwd=tmp_path)
    assert done.status == 0, done
    assert_private(tmp_path, "demo/comments.json", "demo/crawl.log", "demo/mongodb")
    assert "-O data/comments.json" in done.output


SCRIPT = """
import os, sys
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.utils.project import get_project_settings

settings = get_project_settings()
settings.set("FEEDS", {sys.argv[2]: {"format": "jsonl"}})
process = AsyncCrawlerProcess(settings)
process.crawl("comments", notes=sys.argv[1])
process.start()
print(oct(os.umask(0)))
"""


def test_a_feed_from_a_script_is_its_owners_and_the_umask_stays_the_scripts(
    without_store: Project,
) -> None:
    path = without_store.folder / "feeds" / "out.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, NOTE, str(path)],
        env={**without_store.environment, "SCRAPY_SETTINGS_MODULE": "xhs.settings"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (mode(path.parent), mode(path)) == (0o700, 0o600), done.stderr
    assert path.stat().st_size
    assert done.stdout == "0o22\n"
