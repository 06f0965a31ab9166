"""Answers that are too large, compressed or not: their cost, and the bound of memory."""

from __future__ import annotations

import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import brotli  # type: ignore[import-untyped]
import pytest
from support.expected import expected_note
from support.relay import Answer, relay
from support.simulator import PROJECT

from xhs.simulator.notes import sized_note

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from support.crawl import Outcome, Project
    from support.simulator import Simulator

ABOVE = 40_000_000
"""More bytes than ``DOWNLOAD_MAXSIZE`` allows."""
MAX_SIZE = 32 * 1024 * 1024
GOOD = sized_note(11, 99)


def messages(done: Outcome, note: str) -> list[str]:
    """Return the error lines about a note."""
    return [line for line in done.lines("ERROR") if note in line]


def assert_ended(project: Project, done: Outcome, note: str, reason: str, pages: int) -> None:
    ends = {item["note_id"]: item["stop_reason"] for item in done.items("note")}
    assert ends[note] == reason
    assert project.comment_ids(note)[0] == set(expected_note(note).first_level[: 10 * pages])


def test_an_answer_that_is_too_large_is_billed_once_and_named(
    api: Simulator, project: Project
) -> None:
    faults: list[dict[str, Any]] = [
        {"gzip": True, "blanks": ABOVE},
        {"body": "", "blanks": ABOVE, "billed": True},
        {"body": "", "blanks": ABOVE, "billed": True, "chunked": True},
    ]
    notes = [sized_note(25, serial) for serial in range(len(faults))]
    rules = [{**fault, "note": note, "page": 2} for note, fault in zip(notes, faults, strict=True)]
    api.script({"rules": rules})
    done = project.crawl(notes=[*notes, GOOD])
    assert (done.status, done.reason) == (3, "finished"), done
    assert "Traceback" not in done.errors
    assert "token=" not in done.errors
    for note in notes:
        assert api.call_log()["notes"][note] == {"calls": 2, "billed": 2}
        assert project.note(note)["billed_calls"] == 2
        assert_ended(project, done, note, "retries_exhausted", 1)
        [message] = messages(done, note)
        assert f"larger than DOWNLOAD_MAXSIZE ({MAX_SIZE} bytes)" in message
    assert_ended(project, done, GOOD, "complete", 2)
    assert done.stats["xhs/calls/unknown"] == len(faults)
    assert done.stats["xhs/calls/billed"] == len(notes) + 2
    api.script({})
    again = project.crawl(notes=notes, mode="resume")
    assert again.status == 0, again
    for note in notes:
        assert_ended(project, again, note, "complete", 3)


def test_an_answer_that_is_merely_large_is_read_with_a_warning(
    api: Simulator, project: Project
) -> None:
    note, larger = sized_note(25, 1), sized_note(25, 2)
    rules = [
        {"note": note, "page": 2, "gzip": True, "blanks": 9_000_000},
        {"note": larger, "page": 2, "gzip": True, "blanks": ABOVE},
    ]
    api.script({"rules": rules})
    done = project.crawl("-s", "DOWNLOAD_MAXSIZE=50000000", notes=[note, larger])
    assert done.status == 0, done
    for note_id in (note, larger):
        assert_ended(project, done, note_id, "complete", 3)
        [warning] = [line for line in done.lines("WARNING") if note_id in line]
        assert "larger than the download warning size" in warning
    assert "token=" not in done.errors


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


Change = tuple[str, "Callable[[bytes], bytes]"]
"""Name of a compression, and the function that applies it to a body."""


def changed(
    changes: dict[str, Change],
) -> Callable[[Mapping[str, str], bytes], Answer]:
    """Change all answers about these notes except their first pages."""

    def change(query: Mapping[str, str], body: bytes) -> Answer:
        if "lastCursor" not in query:
            return Answer(body)
        encoding, encode = changes[query["noteId"]]
        return Answer(encode(body), encoding=encoding)

    return change


def test_the_limit_holds_for_every_compression(api: Simulator, project: Project) -> None:
    """Answers below the limit are read."""
    bombs: dict[str, Change] = {}
    small: dict[str, Change] = {}
    for serial, (name, compress) in enumerate(COMPRESSIONS.items()):
        bomb = compress(b" " * 2_000_000)
        bombs[sized_note(25, serial)] = (name, lambda _, bomb=bomb: bomb)  # type: ignore[misc]
        small[sized_note(25, 50 + serial)] = (name, compress)
    with relay(api, changed({**bombs, **small})) as url:
        project.environment["JUSTONEAPI_BASE_URL"] = url
        done = project.crawl("-s", "DOWNLOAD_MAXSIZE=1000000", notes=[*bombs, *small])
    assert done.status == 3, done
    assert "token=" not in done.errors
    for note in bombs:
        assert api.call_log()["notes"][note] == {"calls": 2, "billed": 2}
        assert_ended(project, done, note, "retries_exhausted", 1)
        [message] = messages(done, note)
        assert "DOWNLOAD_MAXSIZE (1000000 bytes)" in message
    for note in small:
        assert_ended(project, done, note, "complete", 3)
        assert api.call_log()["notes"][note] == {"calls": 3, "billed": 3}
    assert done.stats["xhs/calls/unknown"] == len(bombs)


def test_what_cannot_be_decompressed_is_retried_and_may_be_billed(
    api: Simulator, project: Project
) -> None:
    # The first is an empty gzip header before data that is no deflate stream.
    broken = {"gzip": b"\x1f\x8b\x08" + b"\0" * 7 + b"\xff" * 50}
    broken |= dict.fromkeys(COMPRESSIONS, b"\xff" * 100)
    notes = {sized_note(25, serial): name for serial, name in enumerate(broken)}
    changes: dict[str, Change] = {
        note: (name, lambda _, name=name: broken[name])  # type: ignore[misc]
        for note, name in notes.items()
    }
    with relay(api, changed(changes)) as url:
        project.environment["JUSTONEAPI_BASE_URL"] = url
        done = project.crawl("-s", "RETRY_TIMES=1", notes=list(notes))
    assert done.status == 3, done
    assert "token=" not in done.errors
    for note, name in notes.items():
        assert api.call_log()["notes"][note] == {"calls": 3, "billed": 3}, name
        assert project.note(note)["billed_calls"] == 3
        [message] = messages(done, note)
        assert "the answer cannot be decompressed" in message
    assert done.stats["xhs/calls/unknown"] == 2 * len(notes)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted otherwise")
def test_memory_is_bounded_whatever_comes(api: Simulator, project: Project) -> None:
    """500 MB of blanks, compressed to 0.5 MB."""
    api.script({"rules": [{"page": 2, "gzip": True, "blanks": 500_000_000}]})
    assert peak(project, "crawl", "comments", "-a", f"notes={sized_note(25)}") == (3, True)


@pytest.fixture
def large_spill(project: Project) -> Iterator[str]:
    """Create a spill file with a line of 300 MB; return its name."""
    folder = project.folder / "spill"
    folder.mkdir()
    path = folder / "old.jsonl"
    with path.open("wb") as file:
        file.write(
            b'{"database": "%s"}\n{"collection": "rejected", "update": "' % project.name.encode()
        )
        for _ in range(300):
            file.write(b"QUFB" * 250_000)
        file.write(b'"}\n')
    yield path.name
    for one in folder.iterdir():
        one.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted otherwise")
def test_a_spill_file_is_read_in_bounded_memory(project: Project, large_spill: str) -> None:
    assert peak(project, "recover") == (0, True)
    assert large_spill not in {path.name for path in (project.folder / "spill").iterdir()}


MEASURE = """
import resource, subprocess, sys

status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak(project: Project, *command: str) -> tuple[int, bool]:
    """Return a command's exit status, and True if it used less than 400 MB (150 MB is usual)."""
    # A process is charged with the memory of its parent, so the parent is small.
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, "-m", "scrapy", *command],
        env=project.environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    status, kilobytes = map(int, done.stdout.split())
    return status, kilobytes < 400_000
