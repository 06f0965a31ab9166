"""The balance of the account, which independently confirms what was billed."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from decimal import Decimal
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from support.crawl import TOKEN

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Outcome, Project
    from support.simulator import Simulator


def balance(project: Project) -> Decimal:
    """Return the balance that the command prints, in CNY."""
    done = project.command("balance")
    assert (done.status, done.errors) == (0, ""), done
    amount, currency = done.output.split()
    assert currency == "CNY"
    return Decimal(amount)


def test_it_falls_by_the_calls_billed(api: Simulator, without_store: Project) -> None:
    script = {"balance": 10, "price": 0.02, "rules": [{"every": 4, "code": 301}]}
    api.script(script)
    assert balance(without_store) == 10
    done = without_store.crawl(notes=[sized_note(95)])
    assert done.status == 0, done
    assert done.stats["xhs/calls/billed"] == 10
    assert balance(without_store) == Decimal(10) - 10 * Decimal("0.02")
    assert api.call_log()["billed"] == 10


WRONG: list[tuple[dict[str, str | None], int, str]] = [
    ({"JUSTONEAPI_TOKEN": None}, 2, "JUSTONEAPI_TOKEN"),
    ({"JUSTONEAPI_TOKEN": "invalid"}, 1, "code 100"),
    ({"JUSTONEAPI_BASE_URL": "http://example.com"}, 2, "JUSTONEAPI_BASE_URL"),
    ({"JUSTONEAPI_BASE_URL": "http://127.0.0.1:1"}, 1, "127.0.0.1: Connection refused"),
]


@pytest.mark.parametrize(("env", "status", "message"), WRONG)
def test_what_is_wrong_is_one_line(
    without_store: Project, env: dict[str, str | None], status: int, message: str
) -> None:
    done = without_store.command("balance", env=env)
    assert (done.status, done.output) == (status, ""), done
    assert done.errors.startswith("error: ")
    assert message in done.errors
    assert done.errors.count("\n") == 1
    assert TOKEN not in done.errors


def test_the_store_is_of_no_concern(without_store: Project) -> None:
    done = without_store.command(
        "balance", env={"MONGODB_URI": "nonsense", "XHS_MAX_CALLS": "many"}
    )
    assert (done.status, done.output) == (0, "123.4500 CNY\n"), done


def answer(body: bytes, head: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body)


ODD: dict[str, tuple[bytes, str]] = {
    "HTML": (answer(b"<html>"), "HTTP 200 with 6 bytes and no envelope"),
    "a gateway's failure": (answer(b"", b"502 Bad Gateway"), "HTTP 502"),
    "an envelope wins": (answer(b'{"code":601}', b"500 Oops"), "code 601"),
    "an unknown code": (
        answer(b'{"code":101,"message":"bad token %s","requestId":"r1"}' % TOKEN.encode()),
        "code 101, 'bad token ***', requestId r1",
    ),
    "no balance": (answer(b'{"code":0,"data":{"currency":"CNY"}}'), "no balance"),
    "no data": (answer(b'{"code":0,"data":null}'), "no balance"),
    "cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "1 bytes and no envelope"),
    "endless": (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 30_000_000, "with more than 1000000 bytes"),
    "nothing": (b"", "the connection failed"),
    "no HTTP": (b"220 mail.example.com\r\n", "the connection failed"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_answer_is_one_line(without_store: Project, case: str) -> None:
    body, message = ODD[case]
    done = ask(without_store, body)
    assert (done.status, done.output) == (1, ""), done
    assert message in done.errors
    assert done.errors.count("\n") == 1
    assert TOKEN not in done.errors


def test_redirects_are_not_followed(without_store: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        head = b"302 Found\r\nLocation: http://127.0.0.1:%d/" % port
        done = ask(without_store, answer(b"", head))
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert done.status == 1
    assert "HTTP 302" in done.errors


def test_a_server_that_hangs_is_left(without_store: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = without_store.command(
            "balance", "-s", "DOWNLOAD_TIMEOUT=0.5", env={"JUSTONEAPI_BASE_URL": url}
        )
    assert done.status == 1
    assert "no answer in 0.5 seconds" in done.errors
    assert TOKEN not in done.errors


def ask(project: Project, body: bytes) -> Outcome:
    """Run the command against a server that sends this answer and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with closing(server.accept()[0]) as connection:
                connection.recv(65536)
                with suppress(ConnectionError):  # the server accepts no further connection
                    connection.sendall(body)

        thread = Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = project.command("balance", env={"JUSTONEAPI_BASE_URL": url})
        thread.join()
    return done
