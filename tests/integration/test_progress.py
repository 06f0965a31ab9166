"""The default log, and the progress of crawls and commands on a terminal and elsewhere."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from threading import Event
from typing import TYPE_CHECKING

import pytest
from support.crawl import TOKEN, Outcome, Project, crawl_words
from support.marks import posix
from support.pages import page_count
from support.proxy import Proxy
from support.relay import Answer, relay
from support.simulator import COMMENTS

from xhs.simulator.notes import sized_note
from xhs.store.embedded.server import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.simulator import Simulator
    from support.terminal import Terminal

NOTES = [sized_note(25, serial, replies=False) for serial in range(2)]
SLOW = {"rules": [{"note": NOTES[1], "page": 2, "delay": 2}]}
"""One call that takes longer than the interval between two lines."""
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(?P<logger>\S+)\] (?P<level>[A-Z]+): (.*)")
PROGRESS = re.compile(r"\d+ of 2 notes, \d+ comments, \d+ calls billed.*")
SCRAPYS = (
    "Scrapy 2",
    "Versions:",
    "Enabled extensions:",
    "Overridden settings:",
    "Spider opened",
    "Closing spider (finished)",
    "Stored json feed",
    "Dumping Scrapy stats:",
    "Spider closed (finished)",
)

OWN = f"""
import logging
import sys

from scrapy import signals

logger = logging.getLogger("own")
own = logging.getLogger("own.handler")
own.addHandler(logging.StreamHandler())
own.propagate = False


class Own:
    @classmethod
    def from_crawler(cls, crawler):
        extension = cls()
        crawler.signals.connect(extension.received, signals.response_received)
        return extension

    def received(self):
        logger.warning("a long line %s and its end, {TOKEN}", "x" * 300)
        own.warning("a line of a handler of its own")
        print("a printed line", file=sys.stderr)
        print("a line on standard output", flush=True)
"""


NO_RICH = """
import logging
import sys

from scrapy import signals


class Own:
    @classmethod
    def from_crawler(cls, crawler):
        extension = cls()
        crawler.signals.connect(extension.closed, signals.spider_closed)
        return extension

    def closed(self):
        if "rich" in sys.modules:
            logging.getLogger("own").error("rich was imported")
"""


def default_words(*words: str) -> list[str]:
    """Return a command line with the default log level."""
    return [*[word for word in crawl_words(NOTES, {}) if word not in {"-L", "DEBUG"}], *words]


def crawl(project: Project, *words: str, **env: str) -> Outcome:
    """Crawl with the default log level, and no terminal."""
    return project.command(*default_words(*words), env=env)


def on_terminal(
    project: Project, *words: str, columns: int = 100, env: Mapping[str, str] | None = None
) -> Terminal:
    """Return a crawl on a terminal, to be started."""
    from support.terminal import Terminal

    environment = {**project.environment, **(env or {})}
    return Terminal(*default_words(*words), environment=environment, columns=columns)


@pytest.fixture
def release(api: Simulator, project: Project) -> Iterator[Event]:
    """Hold the answer to the second page of the second note until the event is set."""
    released = Event()

    def change(query: Mapping[str, str], body: bytes) -> Answer:
        if query["noteId"] == NOTES[1] and len(query) > 2:
            assert released.wait(60)
        return Answer(body)

    with relay(api, change) as url:
        project.environment["JUSTONEAPI_BASE_URL"] = url
        yield released
        released.set()


def texts(lines: list[str]) -> list[str]:
    """Return the texts of log lines, all of which are whole."""
    found = [LINE.fullmatch(line) for line in lines]
    assert None not in found, lines
    return [match[3] for match in found if match]


def test_the_default_log_is_short(api: Simulator, project: Project) -> None:
    done = crawl(project, "-O", str(project.folder / "comments.json"))
    assert done.status == 0, done
    lines = done.errors.splitlines()
    assert len(lines) <= 12, done
    assert all(re.search(r"\[xhs[.\w]*\] INFO: ", line) for line in lines), done
    assert [text.split("  ")[0] for text in texts(lines)[-7:]] == [
        *("Notes", "Comments", "Users", "Calls", "Feeds", "Stored in", "Time")
    ]
    assert f"Feeds      {project.folder / 'comments.json'}" in texts(lines)
    assert done.run["calls"]["billed"] == page_count(NOTES), "for programs, in a pipe"


def test_at_debug_scrapys_lines_are_there(api: Simulator, project: Project) -> None:
    done = crawl(project, "-L", "DEBUG", "-O", str(project.folder / "comments.json"))
    lines = done.lines("DEBUG")
    assert [text for text in SCRAPYS if not any(line.startswith(text) for line in lines)] == []


def test_in_json_scrapys_lines_keep_their_level(api: Simulator, project: Project) -> None:
    feed = ("-O", str(project.folder / "comments.json"))
    done = crawl(project, *feed, XHS_LOG_FORMAT="json")
    entries = [json.loads(line) for line in done.errors.splitlines()]
    lines = [entry["message"] for entry in entries if entry["level"] == "INFO"]
    assert [text for text in SCRAPYS if not any(line.startswith(text) for line in lines)] == []
    assert [entry for entry in entries if "run" in entry]


@pytest.mark.parametrize("setting", ["auto", "0", "1"])
def test_where_there_is_no_terminal_progress_is_a_line_of_the_log(
    api: Simulator, project: Project, setting: str
) -> None:
    api.script(SLOW)
    words = ("-s", "LOGSTATS_INTERVAL=0.5", *project.extension(NO_RICH))
    done = crawl(project, *words, XHS_PROGRESS=setting)
    assert done.lines("ERROR") == []
    lines = texts(done.errors.splitlines())
    progress = [line for line in lines if PROGRESS.fullmatch(line)]
    assert progress, done
    assert "\x1b" not in done.errors


def test_a_log_file_has_the_lines_and_the_object(api: Simulator, project: Project) -> None:
    api.script(SLOW)
    log = project.folder / "crawl.log"
    done = crawl(project, "-s", "LOGSTATS_INTERVAL=0.5", "--logfile", str(log))
    assert (done.status, done.errors) == (0, "")
    lines = texts(log.read_text().splitlines())
    assert any(PROGRESS.fullmatch(line) for line in lines)
    assert any(line.startswith('{"exit_status"') for line in lines)


def test_no_interval_no_line(api: Simulator, project: Project) -> None:
    done = crawl(project, "-s", "LOGSTATS_INTERVAL=0")
    assert done.status == 0, done
    assert not any(PROGRESS.fullmatch(line) for line in texts(done.errors.splitlines()))


@posix
def test_no_interval_but_a_display(project: Project, release: Event) -> None:
    with on_terminal(project, "-s", "LOGSTATS_INTERVAL=0") as terminal:
        terminal.wait_for("1 of 2 notes, ", "waiting for 1 answer of the API")
        release.set()
        assert terminal.end() == 0


@posix
@pytest.mark.parametrize(
    "words",
    [["parse", "--spider=comments", "-c", "parse_page"], ["shell", "-c", "response.status"]],
)
def test_a_command_for_one_page_has_no_display(
    api: Simulator, project: Project, words: list[str]
) -> None:
    from support.terminal import Terminal

    url = f"{api.url}{COMMENTS}?noteId={NOTES[0]}"
    with Terminal(*words, url, environment={**project.environment, "MONGODB_URI": ""}) as terminal:
        assert terminal.end() == 0
    assert "\x1b[?25" not in terminal.text


def test_an_unknown_value_is_refused(api: Simulator, project: Project) -> None:
    done = crawl(project, XHS_PROGRESS="yes")
    assert done.status == 2, done
    assert done.lines("ERROR") == ["XHS_PROGRESS=yes must be auto, 1 or 0"]
    done = project.command("status", env={"XHS_PROGRESS": "yes"})
    assert (done.status, done.errors) == (2, "error: XHS_PROGRESS=yes must be auto, 1 or 0\n")


@posix
def test_a_display_stands_below_the_log_and_disappears(project: Project, release: Event) -> None:
    own = project.extension(OWN)
    with on_terminal(project, *own, env={"XHS_CALL_PRICE": "0.05 CNY"}) as terminal:
        shown = terminal.wait_for("1 of 2 notes, ", "waiting for 1 answer of the API")
        release.set()
        assert terminal.end() == 0
    assert re.fullmatch(r"[━╸╺]{40} 67%", shown[-3])
    assert re.match(r"1 of 2 notes, \d+ comments, \d calls billed \(0\.\d\d CNY\), ", shown[-2])
    screen = terminal.screen
    printed = {"a printed line", "a line on standard output", "a line of a handler of its own"}
    assert printed <= set(screen.lines)
    lines = texts([line for line in screen.lines if line not in printed])
    answers = page_count(NOTES)
    assert lines.count(f"a long line {'x' * 300} and its end, ***") == answers
    for line in printed:
        assert screen.lines.count(line) == answers
    assert lines[-1].startswith("Time ")
    assert not any(PROGRESS.fullmatch(line) for line in lines)
    assert not any('"exit_status"' in line for line in lines), "a person does not read JSON"
    assert TOKEN not in terminal.text
    assert screen.has_cursor


@posix
def test_with_a_log_file_the_terminal_has_the_display_only(
    project: Project, release: Event
) -> None:
    log = project.folder / "crawl.log"
    words = ("-s", "LOGSTATS_INTERVAL=0.5", "--logfile", str(log))
    with on_terminal(project, *words) as terminal:
        terminal.wait_for("1 of 2 notes, ", "waiting for 1 answer")
        release.set()
        assert terminal.end() == 0
    assert terminal.screen.lines == []
    lines = texts(log.read_text().splitlines())
    assert any(PROGRESS.fullmatch(line) for line in lines)
    assert any(line.startswith('{"exit_status"') for line in lines)


@posix
def test_what_goes_to_a_pipe_does_not_come_to_the_terminal(
    project: Project, release: Event
) -> None:
    from support.terminal import Terminal

    words = default_words(*project.extension(OWN))
    with Terminal(*words, environment=project.environment, stdout=subprocess.PIPE) as terminal:
        terminal.wait_for("1 of 2 notes, ")
        release.set()
        assert terminal.process.stdout is not None
        output = terminal.process.stdout.read().decode()
        terminal.process.stdout.close()
        assert terminal.end() == 0
    printed = "a line on standard output\n"
    assert output == printed * page_count(NOTES)
    assert printed.strip() not in terminal.text


@posix
@pytest.mark.parametrize(
    ("words", "env"),
    [
        ([], {"XHS_PROGRESS": "0"}),
        ([], {"TERM": "dumb"}),
        (["-O", "-:json"], {}),
    ],
)
def test_without_a_display_a_terminal_has_the_lines(
    api: Simulator, project: Project, words: list[str], env: dict[str, str]
) -> None:
    api.script(SLOW)
    with on_terminal(project, "-s", "LOGSTATS_INTERVAL=0.5", *words, env=env) as terminal:
        assert terminal.end() == 0
    assert "\x1b" not in terminal.text
    assert any(PROGRESS.search(line) for line in terminal.screen.lines)


@posix
def test_a_display_without_colours(project: Project, release: Event) -> None:
    with on_terminal(project, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("1 of 2 notes, ")
        release.set()
        assert terminal.end() == 0
    assert set(re.findall(r"\x1b\[([\d;]*)m", terminal.text)) <= {"0", "1", ""}


@posix
def test_a_narrow_terminal_that_is_told_of_a_rate_limit(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"note": NOTES[1], "note_call": "1-2", "code": 302}]})
    with on_terminal(project, "-L", "WARNING", columns=30) as terminal:
        lines = terminal.wait_for("rate limited, ", "1 of 2 notes")
        assert terminal.end() == 0
    assert terminal.screen.lines == []
    assert all(len(line) < 30 for line in lines)


@posix
def test_retries_are_counted(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"note_call": "1-2", "code": 301}]})
    with on_terminal(project) as terminal:
        terminal.wait_for("retrying 2 calls, next in ")
        assert terminal.end() == 0


@pytest.fixture
def server(_server: str) -> Iterator[Proxy]:
    """A proxy of the database server."""
    with resolve(_server) as lease:
        found = re.search(r":(\d+)/", lease.uri)
        assert found
        with Proxy(int(found[1])) as proxy:
            yield proxy


@posix
def test_a_store_that_is_away(api: Simulator, project: Project, server: Proxy) -> None:
    with resolve(project.uri) as lease:
        uri = re.sub(r":\d+/", f":{server.port}/", lease.uri)
    api.script({"rules": [{"page": "2-", "delay": 1}]})
    words = ("-s", "CONCURRENT_REQUESTS=1")
    with on_terminal(project, *words, env={"MONGODB_URI": uri}) as terminal:
        terminal.wait_for("of 2 notes")
        server.freeze()
        terminal.wait_for("waiting for the store")
        terminal.wait_for("the store is away, 3 s of 120")
        server.thaw()
        assert terminal.end() == 0
    texts(terminal.screen.lines)


@posix
@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_leaves_a_clean_screen(api: Simulator, project: Project, signals: int) -> None:
    api.script({"rules": [{"delay": 2}]})
    with on_terminal(project) as terminal:
        api.wait_for_calls(2, terminal.process)
        for _ in range(signals):
            terminal.process.send_signal(signal.SIGINT)
            terminal.wait_for("Received SIGINT")
        assert terminal.end() == 3
    lines = texts(terminal.screen.lines)
    assert "2 notes are left (shutdown)" in lines[-2]
    assert lines[-1].startswith("To continue: ")
    assert terminal.screen.has_cursor


@posix
def test_commands_display_theirs(project: Project, tmp_path: Path) -> None:
    from support.terminal import Terminal

    notes = tmp_path / "notes.txt"
    notes.write_text("\n".join(sized_note(0, serial) for serial in range(400)))
    with Terminal("enqueue", str(notes), environment=project.environment) as terminal:
        assert terminal.end() == 0
    assert "Queueing notes" in terminal.text
    queued = "400 notes queued, 0 were queued or under way already"
    assert terminal.screen.lines == [queued]
    assert terminal.screen.has_cursor
    with Terminal("recover", environment={**project.environment, "XHS_PROGRESS": "0"}) as terminal:
        assert terminal.end() == 0
    assert "\x1b" not in terminal.text
    with Terminal("recover", environment=project.environment) as terminal:
        assert terminal.end() == 0
    assert "Storing writes from spill files" in terminal.text
    assert "Retrying rejected objects" in terminal.text
    assert terminal.screen.lines == [
        "0 writes stored from spill files",
        "0 rejected objects stored",
    ]
