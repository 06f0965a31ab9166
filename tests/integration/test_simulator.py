"""The stand-in as a process: the provider's client, faults on the network, start and end."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from justoneapi import JustOneAPIClient
from support.expected import expected_note
from support.simulator import COMMENTS, PROJECT, REPLIES, TOKEN, Simulator

from xhs.simulator import documented
from xhs.simulator.config import Config
from xhs.simulator.note_layout import SORTS
from xhs.simulator.notes import DOCUMENTED_NOTE, missing_note, sized_note, threaded_note, usual_note
from xhs.simulator.server import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTE = sized_note(25)
SCRAPY = [sys.executable, "-m", "scrapy", "simulate"]
PROGRAM = [sys.executable, "-m", "xhs.simulator"]


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def simulator(server: Simulator) -> Simulator:
    server.reset()
    return server


@pytest.fixture
def client(simulator: Simulator) -> Iterator[JustOneAPIClient]:
    with JustOneAPIClient(TOKEN, base_url=simulator.url) as client:
        yield client


def whole_note(client: JustOneAPIClient, note: str, sort: str = "latest") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = client.xiaohongshu.get_note_comment_v4(note_id=note, last_cursor=cursor, sort=sort)
        assert answer.success
        found += answer.data["comments"]
        if not answer.data["has_more"]:
            return found
        cursor = answer.data["cursor"]


def whole_thread(client: JustOneAPIClient, note: str, root: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = client.xiaohongshu.get_note_sub_comment_v2(
            note_id=note, comment_id=root, last_cursor=cursor
        )
        assert answer.success
        found += answer.data["comments"]
        if not answer.data["has_more"]:
            return found
        cursor = answer.data["cursor"]


def ids(objects: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in objects]


def settled(simulator: Simulator) -> dict[str, Any]:
    """Return the call log once no call is in flight: the server learns late that a client left."""
    while (call_log := simulator.call_log())["in_flight"]:
        time.sleep(0.01)
    return call_log


def test_the_providers_client_pages_through_the_documented_note(
    client: JustOneAPIClient, simulator: Simulator
) -> None:
    first = client.xiaohongshu.get_note_comment_v4(note_id=DOCUMENTED_NOTE)
    assert first.data == documented.example()
    found = whole_note(client, DOCUMENTED_NOTE)
    expected = expected_note(DOCUMENTED_NOTE)
    assert ids(found) == expected.first_level
    assert len(found) == 801
    assert found[:10] == documented.example()["comments"]
    replies = [
        reply
        for comment in found
        if comment["sub_comment_count"]
        for reply in whole_thread(client, DOCUMENTED_NOTE, comment["id"])
    ]
    assert set(ids(replies)) == expected.replies
    assert len(found) + len(replies) == 944
    call_log = simulator.call_log()
    assert call_log["billed"] == call_log["calls"] == 1 + 81 + len(expected.threads)
    assert (call_log["repeated"], call_log["undelivered"]) == (1, 0)


@pytest.mark.parametrize("sort", SORTS)
def test_the_providers_client_pages_through_a_generated_note(
    client: JustOneAPIClient, sort: str
) -> None:
    for note in (sized_note(137), usual_note(5)):
        assert ids(whole_note(client, note, sort)) == expected_note(note).sorted_by(sort)


def test_the_providers_client_follows_a_thread(client: JustOneAPIClient) -> None:
    note = threaded_note(2, 37)
    for root, thread in expected_note(note).threads.items():
        assert ids(whole_thread(client, note, root)) == thread


def test_all_versions_answer_alike(client: JustOneAPIClient) -> None:
    api = client.xiaohongshu
    answers = [
        method(note_id=NOTE).data
        for method in (api.get_note_comment_v2, api.get_note_comment_v3, api.get_note_comment_v4)
    ]
    assert answers[0] == answers[1] == answers[2]


def test_the_envelope_and_unknown_paths(simulator: Simulator) -> None:
    envelope = simulator.call(noteId=missing_note())
    assert set(envelope) == {"code", "message", "data", "recordTime", "requestId"}
    assert envelope["data"]["user_id"] == ""
    assert simulator.fetch("/api/xiaohongshu/get-note-comment/v9")[0] == 404
    assert simulator.call_log()["codes"] == {"0": 1, "http_404": 1}


def test_a_wrong_script_is_refused_and_the_one_before_stays(simulator: Simulator) -> None:
    simulator.script({"rules": [{"code": 301}]})
    with pytest.raises(ValueError, match=r"rules\[0\]: 'cod' is not one of"):
        simulator.script({"rules": [{"cod": 500}]})
    assert simulator.call(noteId=NOTE)["code"] == 301


def test_a_wrong_change_is_refused(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="note: 'x' does not match"):
        simulator.change("x", grow=1)
    with pytest.raises(ValueError, match="grow: -1 is less than the minimum of 0"):
        simulator.change(NOTE, grow=-1)
    changed = simulator.change(NOTE, grow=2, vanish=1)
    assert changed["grown"] == 2
    expected = expected_note(NOTE, grown=2, vanished=frozenset(changed["vanished"]))
    assert ids(simulator.call(noteId=NOTE)["data"]["comments"]) == expected.first_level[:10]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"reset": "before"}, ConnectionResetError),
        ({"reset": "after"}, http.client.IncompleteRead),
        ({"truncate": True}, http.client.IncompleteRead),
        ({"truncate": 7}, http.client.IncompleteRead),
    ],
)
def test_an_answer_that_is_cut_is_billed_and_undelivered(
    simulator: Simulator, fault: dict[str, Any], error: type[Exception]
) -> None:
    simulator.script({"rules": [{**fault, "call": 1}]})
    with pytest.raises(error):
        simulator.fetch(noteId=NOTE)
    call_log = settled(simulator)
    assert (call_log["billed"], call_log["undelivered"]) == (1, 1)
    assert simulator.call(noteId=NOTE)["code"] == 0
    call_log = simulator.call_log()
    assert (call_log["billed"], call_log["undelivered"], call_log["repeated"]) == (2, 1, 1)


@pytest.mark.parametrize("fault", [{"hang": True}, {"delay": 3600}])
def test_a_client_that_leaves_has_paid(simulator: Simulator, fault: dict[str, Any]) -> None:
    simulator.script({"rules": [fault]})
    address = urlsplit(simulator.url)
    query = urlencode({"token": TOKEN, "noteId": NOTE})
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(f"GET {COMMENTS}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while not simulator.call_log()["in_flight"]:
            time.sleep(0.01)
    call_log = settled(simulator)
    assert (call_log["billed"], call_log["undelivered"]) == (1, 1)
    assert call_log["log"][0]["delivered"] is False


def test_statuses_and_strange_bodies(simulator: Simulator) -> None:
    simulator.script(
        {
            "rules": [
                {"call": 1, "status": 503},
                {"call": 2, "status": 429, "envelope": True},
                {"call": 3, "html": True},
                {"call": 4, "body": "\x00", "content_type": "text/plain"},
            ]
        }
    )
    answers = [simulator.fetch(noteId=NOTE) for _ in range(4)]
    assert [status for status, _ in answers] == [503, 429, 200, 200]
    assert json.loads(answers[1][1])["code"] == 302
    assert answers[2][1].startswith(b"<!DOCTYPE html>")
    assert answers[3][1] == b"\x00"
    assert simulator.call_log()["billed"] == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_blanks_come_before_a_body(simulator: Simulator, *, chunked: bool) -> None:
    rule = {"body": "[]", "blanks": 200_000, "chunked": chunked, "billed": True}
    simulator.script({"rules": [rule]})
    assert simulator.fetch(noteId=NOTE) == (200, b" " * 200_000 + b"[]")
    assert settled(simulator)["undelivered"] == 0


def test_sending_stops_when_the_client_leaves(simulator: Simulator) -> None:
    simulator.script({"rules": [{"body": "", "blanks": 10**12, "chunked": True, "billed": True}]})
    address = urlsplit(simulator.url)
    query = urlencode({"token": TOKEN, "noteId": NOTE})
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(f"GET {COMMENTS}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert settled(simulator)["undelivered"] == 1


def test_calls_at_the_same_time_are_counted(simulator: Simulator) -> None:
    simulator.script({"rules": [{"hang": True}]})
    address = urlsplit(simulator.url)
    query = urlencode({"token": TOKEN, "noteId": NOTE})
    connections = []
    for _ in range(5):
        connection = socket.create_connection((address.hostname, address.port))
        connection.sendall(f"GET {COMMENTS}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connections.append(connection)
    while simulator.call_log()["in_flight"] < 5:
        time.sleep(0.01)
    for connection in connections:
        connection.close()
    assert settled(simulator)["max_concurrent"] == 5


def test_many_notes_at_once_are_paged_through_whole(simulator: Simulator) -> None:
    notes = [
        usual_note(serial)
        for serial in range(12)
        if len(expected_note(usual_note(serial)).pages * [0]) < 30
    ]
    found: dict[str, list[str]] = {}

    def crawl(note: str) -> None:
        with JustOneAPIClient(TOKEN, base_url=simulator.url) as client:
            found[note] = ids(whole_note(client, note))

    threads = [threading.Thread(target=crawl, args=(note,)) for note in notes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {note: expected_note(note).first_level for note in notes}
    call_log = simulator.call_log()
    assert call_log["notes"] == {
        note: {"calls": expected_note(note).pages, "billed": expected_note(note).pages}
        for note in notes
    }


def test_the_call_log_never_shows_the_token(simulator: Simulator) -> None:
    simulator.call(noteId=NOTE)
    simulator.call(noteId=TOKEN)
    simulator.call(REPLIES, noteId=NOTE, commentId=TOKEN, lastCursor=TOKEN)
    assert TOKEN not in json.dumps(simulator.call_log())


def test_options_of_the_program(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"rules": [{"call": 1, "code": 500}], "quota": 9}))
    options = ["--token", "right", "--quota", "1", "--script", str(script)]
    options += ["--rule", '{"call": 2, "code": 301}', "--rule", '{"call": "1-3", "code": 302}']
    with Simulator(*options) as simulator:
        codes = [
            simulator.call(noteId=NOTE, token=token)["code"] for token in ("wrong", *["right"] * 5)
        ]
        assert codes == [100, 500, 301, 302, 0, 303]
    assert simulator.status == 0


@pytest.mark.parametrize("command", [SCRAPY, PROGRAM])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_and_ends_cleanly_on_a_signal(
    command: list[str], number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [*command, "--latency", "3600"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    address = urlsplit(line.strip())
    assert line == f"http://127.0.0.1:{address.port}\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        query = urlencode({"token": TOKEN, "noteId": NOTE})
        connection.sendall(f"GET {COMMENTS}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        process.send_signal(number)
        out, errors = process.communicate()
    assert (process.returncode, out, errors) == (0, "", "")


@pytest.mark.parametrize("command", [SCRAPY, PROGRAM])
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["bogus"], "bogus"),
        (["--bogus"], "--bogus"),
        (["--rate", "fast"], "--rate"),
        (["--rate", "-1"], "rate"),
        (["--latency", "0.5-0.1"], "latency"),
        (["--port", "70000"], "--port"),
        (["--script", "does-not-exist.json"], "does-not-exist.json"),
        (["--token", ""], "--token"),
        (["--rule", "{"], "--rule: not JSON"),
        (["--rule", '{"hang": 3}'], "--rule[0].hang"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    command: list[str], options: list[str], word: str
) -> None:
    done = subprocess.run(
        [*command, *options], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert word in done.stderr


def test_a_malformed_script_file_is_refused_at_the_start(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"rules": [{"hang": 3}]}')
    done = subprocess.run(
        [*PROGRAM, "--script", str(script)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 2
    assert "rules[0].hang" in done.stderr


def test_a_port_in_use_is_an_error_of_one_line(simulator: Simulator) -> None:
    port = str(urlsplit(simulator.url).port)
    done = subprocess.run(
        [*PROGRAM, "--port", port], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_it_runs_inside_a_process() -> None:
    def ask(url: str) -> dict[str, Any]:
        with JustOneAPIClient("right", base_url=url) as client:
            answer: dict[str, Any] = client.xiaohongshu.get_note_comment_v4(note_id=NOTE).raw_json
            return answer

    async def main() -> None:
        async with running(Config(tokens=frozenset({"right"}))) as (url, service):
            answer = await asyncio.to_thread(ask, url)
            assert ids(answer["data"]["comments"]) == expected_note(NOTE).first_level[:10]
            assert service.call_log.billed == 1

    asyncio.run(main())
