"""``scrapy status`` for a person: its commands, pasted into a shell, do what they say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.marks import posix
from support.passes import cut_short, status_sections
from support.simulator import PROJECT

from xhs.api.values import format_time
from xhs.simulator.notes import missing_note, sized_note, threaded_note
from xhs.status import NOTES_SHOWN, WIDTH

if TYPE_CHECKING:
    from support.crawl import Project
    from support.simulator import Simulator

LATE, SHORT, WHOLE = (sized_note(25, serial, replies=False) for serial in range(5000, 5003))
THREADED = threaded_note(5, 12)
GONE = missing_note(5004)
IGNORED = sized_note(25, 5005, replies=False)
REFUSED = [sized_note(5, 5010 + number, replies=False) for number in range(NOTES_SHOWN + 2)]
ALL = [LATE, SHORT, WHOLE, THREADED, GONE, IGNORED, *REFUSED]


def prepare(api: Simulator, project: Project) -> None:
    """Crawl notes that end in every way; after this, the API answers without faults."""
    faults: list[dict[str, Any]] = [
        {"note": LATE, "page": 2, "code": 999},
        {"note": IGNORED, "cursor": "ignored"},
        {"note": REFUSED, "code": 400},
        cut_short(SHORT, 1, 7),
    ]
    api.script({"rules": faults})
    assert project.crawl(notes=ALL, feed=False).status == 3
    api.script({})


def test_json_is_what_the_ledger_holds(api: Simulator, project: Project) -> None:
    prepare(api, project)
    done = project.command("status", "--json")
    assert (done.status, done.errors) == (0, ""), done
    printed = [json.loads(line) for line in done.output.splitlines()]
    assert [note["note_id"] for note in printed] == sorted(ALL)
    ledger = project.documents("notes")
    computed = {"advice", "replies_calls"}
    for note in printed:
        document = ledger[note["note_id"]]
        counted = computed if document["state"] == "ended" else {*computed, *note}
        same = [name for name in note if name not in counted]
        assert {name: note[name] for name in same} == {name: plain(document[name]) for name in same}
        assert list(note)[: len(document) - 1] == [name for name in document if name != "_id"]


def plain(value: Any) -> Any:
    """Return a value of a document as JSON has it."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return format_time(value) if isinstance(value, datetime) else value


@pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="the commands are for bash"
)
def test_the_commands_that_it_prints_mend_what_is_wrong(api: Simulator, project: Project) -> None:
    prepare(api, project)
    env = {"XHS_CALL_PRICE": "0.05 CNY"}
    lines = project.command("status", env=env).output.splitlines()
    assert [line for line in lines if len(line) > WIDTH or not line.isprintable()] == []
    assert lines[0] == f"{len(ALL)} notes: {len(ALL) - 1} ended, 1 unfinished; 3 complete"
    assert lines[2].endswith(" CNY)")
    named = ["-s", f"MONGODB_DATABASE={project.name}"]
    without = {"MONGODB_DATABASE": None}
    elsewhere = project.command("status", *named, "-s", "XHS_CALL_PRICE=1 CNY", env=without)
    resume = "    scrapy crawl comments -a mode=resume -s MONGODB_DATABASE="
    assert f"{resume}{project.name}" in elsewhere.output.splitlines()
    sections = status_sections(project)
    assert {note: set(found) for note, found in sections.items() if note not in REFUSED} == {
        LATE: {"Not finished"},
        IGNORED: {"Ended abnormally"},
        SHORT: {"Comments missing"},
        THREADED: {"Replies missing"},
        GONE: {"Not found"},
        WHOLE: {"Nothing to do"},
    }
    assert len(sections.keys() & set(REFUSED)) == NOTES_SHOWN
    assert "  … and 2 more; `scrapy status --json` lists all" in lines

    paste(project, lines)
    left = status_sections(project, "--incomplete")
    assert {note: list(found) for note, found in left.items()} == {GONE: ["Not found"]}
    assert api.call_log()["calls"] > 0
    assert all(note["complete"] for key, note in project.documents("notes").items() if key != GONE)

    project.command("status")
    with_gone = project.command("status", "--incomplete").output
    assert with_gone.startswith("1 incomplete note: 1 ended\n")


def test_nothing_to_do(project: Project) -> None:
    assert project.crawl(notes=[WHOLE], feed=False).status == 0
    done = project.command("status", "--incomplete")
    assert (done.status, done.output) == (0, "Nothing to do: no note is incomplete.\n"), done


@posix
def test_progress_through_a_long_ledger_is_shown_on_a_terminal_alone(project: Project) -> None:
    from support.terminal import Terminal

    notes = "\n".join(sized_note(5, 6000 + number) for number in range(150))
    assert project.command("enqueue", "-", stdin=notes).status == 0
    assert project.command("status").errors == ""
    for setting, is_shown in (("auto", True), ("0", False)):
        environment = {**project.environment, "XHS_PROGRESS": setting}
        with Terminal("status", environment=environment, stdout=subprocess.PIPE) as terminal:
            assert terminal.process.stdout is not None
            output = terminal.process.stdout.read().decode()
            terminal.process.stdout.close()
            assert terminal.end() == 0
        assert output.startswith("150 notes: 150 queued; 0 complete\n")
        assert ("Reading notes" in terminal.text) == is_shown
        assert terminal.screen.lines == []


def paste(project: Project, lines: list[str]) -> None:
    """Run the indented commands of ``scrapy status`` in a shell."""
    script = "\n".join(["set -euo pipefail", *(line for line in lines if line[:4] == "    ")])
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    variables = {**project.environment, "PATH": path, "SCRAPY_SETTINGS_MODULE": "xhs.settings"}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=project.folder,
        env={**variables, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (script, done.stdout, done.stderr)
