"""Calls go only to the API's server, passwords of databases stay hidden, no port is opened."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import socketserver
import ssl
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pymongo import MongoClient
from support.canary import NOTE, Watched, children, open_ports
from support.crawl import TOKEN, Document, Project
from support.marks import linux, needs_embedded

from xhs.simulator.answers import envelope
from xhs.store.embedded.server import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.simulator import Simulator

pytestmark = needs_embedded

LOOPBACK = "127.0.0.1"
EMPTY = envelope(0, {"comments": [], "has_more": False, "comment_count": 0})


class TlsServer(socketserver.TCPServer):
    """A stand-in of the API behind TLS that records requests and always gives the same answer."""

    def __init__(self, certificate: Path) -> None:
        super().__init__((LOOPBACK, 0), _Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://{LOOPBACK}:{self.server_address[1]}"
        self.callers = 0
        self.heard = b""

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        self.callers += 1  # also callers that break off the handshake, which comes later
        connection, address = super().get_request()
        assert isinstance(connection, socket.socket)
        return connection, address


class _Answer(socketserver.StreamRequestHandler):
    server: TlsServer

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while (line := self.rfile.readline()).strip():
                self.server.heard += line
            head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(EMPTY)}\r\n\r\n"
            self.wfile.write(head.encode() + EMPTY)


@contextlib.contextmanager
def tls_server(certificate: Path) -> Iterator[TlsServer]:
    with TlsServer(certificate) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Certificate(NamedTuple):
    """A certificate: its host, the year of its end, and whether this machine trusts it."""

    host: str = LOOPBACK
    until: int = 2100
    trusted: bool = True

    def write(self, path: Path) -> Path:
        """Write the self-signed certificate with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made for a test")])
        host: x509.GeneralName = x509.DNSName(self.host)
        if self.host == LOOPBACK:
            host = x509.IPAddress(ipaddress.ip_address(LOOPBACK))
        made = (
            x509.CertificateBuilder(named, named, key.public_key(), x509.random_serial_number())
            .not_valid_before(datetime(2001, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(self.until, 1, 1, tzinfo=UTC))
            .add_extension(x509.SubjectAlternativeName([host]), critical=False)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(made.public_bytes(Encoding.PEM) + private)
        return path

    def environment(self, path: Path, server: TlsServer) -> dict[str, str | None]:
        """Return the environment with the API's address and the trusted certificate."""
        trust = {"SSL_CERT_FILE": str(path)} if self.trusted else {}
        return {"JUSTONEAPI_BASE_URL": server.url, **trust}


WRONG = {
    "nobody has signed it": Certificate(trusted=False),
    "it is another server's": Certificate("api.example.com"),
    "it has expired": Certificate(until=2002),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_server_with_a_wrong_certificate_receives_nothing(
    watched: Watched, tmp_path: Path, case: str
) -> None:
    file = WRONG[case].write(tmp_path / "server.pem")
    with tls_server(file) as server:
        env = WRONG[case].environment(file, server)
        done = watched.crawl("-s", "RETRY_TIMES=1", env=env)
        assert done.status == 3, done
        assert "Traceback" not in done.errors
        assert not {"xhs/calls/billed", "xhs/calls/unknown"} & done.stats.keys()
        watched.check()
        assert (server.callers, server.heard) == (2, b"")
        done = watched.run("balance", env=env)
        assert (done.status, done.errors.count("\n")) == (1, 1), done
        watched.check()
        assert (server.callers, server.heard) == (3, b"")


@pytest.mark.parametrize(
    ("certificate", "verify"), [(Certificate(), "1"), (WRONG["nobody has signed it"], "0")]
)
def test_a_server_that_is_trusted_gets_the_token(
    watched: Watched, tmp_path: Path, certificate: Certificate, verify: str
) -> None:
    file = certificate.write(tmp_path / "server.pem")
    with tls_server(file) as server:
        env = certificate.environment(file, server)
        done = watched.crawl("-s", f"DOWNLOAD_VERIFY_CERTIFICATES={verify}", env=env)
        assert done.status == 0, done
        assert f"noteId={NOTE}&token={TOKEN}".encode() in server.heard
        watched.check()


def test_a_server_without_tls_receives_nothing(api: Simulator, watched: Watched) -> None:
    url = api.url.replace("http:", "https:")
    done = watched.crawl("-s", "RETRY_TIMES=0", env={"JUSTONEAPI_BASE_URL": url})
    assert done.status == 3, done
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 0
    watched.check()


PASSWORD = "canary-d4e1b7 ü%2B/?#@:'\"\\ canary-80c35a"
PARTS = re.findall(r"canary-\w+", PASSWORD)
"""Parts of the password that would still be visible if it was cut into pieces."""
QUOTED = quote(PASSWORD, safe="")


@pytest.fixture
def address(project: Project) -> Iterator[str]:
    """Host and port of a database server with a user who has that password."""
    with resolve(project.uri) as lease, MongoClient[Document](lease.uri) as client:
        client.admin.command("createUser", "somebody", pwd=PASSWORD, roles=["root"])
        yield urlsplit(lease.uri).netloc.partition("@")[2]
        client.admin.command("dropUser", "somebody")


def test_the_embedded_servers_password_is_shown_nowhere(project: Project) -> None:
    with resolve(project.uri) as lease:
        password = urlsplit(lease.uri).password
        assert password
        watched = Watched(project, TOKEN, password)
        for uri in (project.uri, lease.uri):
            done = watched.crawl(env={"MONGODB_URI": uri})
            assert done.status == 0, done
            watched.check()


def test_a_password_is_shown_nowhere(project: Project, address: str) -> None:
    watched = Watched(project, TOKEN, PASSWORD, *PARTS)
    done = watched.crawl(env={"MONGODB_URI": f"mongodb://somebody:{QUOTED}@{address}/"})
    assert done.status == 0, done
    assert done.stats["xhs/comments/new"] > 25
    watched.check()


FAILURES = {
    "wrong": f"mongodb://somebody:{QUOTED}0@{{}}/?directConnection=true",
    "nobody there": f"mongodb://somebody:{QUOTED}@127.0.0.1:1/?serverSelectionTimeoutMS=100",
    "not quoted": f"mongodb://somebody:{PASSWORD}@{{}}/",
    "quoted, with one %": f"mongodb://somebody:{QUOTED}%zz@{{}}/",
    "with a port that is none": f"mongodb://somebody:{QUOTED}@127.0.0.1:port/",
    "with a mechanism that is none": f"mongodb://somebody:{QUOTED}@{{}}/?authMechanism=None",
    "for SRV, which needs a name": f"mongodb+srv://somebody:{QUOTED}@127.0.0.1/",
    "quoted with its @": f"mongodb://somebody:{QUOTED}%40127.0.0.1/",
    "quoted with its @, for SRV": f"mongodb+srv://somebody:{QUOTED}%40127.0.0.1/",
    "without a host": f"mongodb://somebody:{QUOTED}",
    "of a key that is not there": f"mongodb://{{}}/?tls=true&tlsCertificateKeyFile=/not/there"
    f"&tlsCertificateKeyFilePassword={QUOTED}",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_password_that_fails_is_shown_nowhere(
    api: Simulator, project: Project, address: str, failure: str
) -> None:
    watched = Watched(project, TOKEN, PASSWORD, *PARTS)
    done = watched.crawl(env={"MONGODB_URI": FAILURES[failure].replace("{}", address)})
    watched.check(masked=None)  # the address may appear with its password masked
    assert done.status in (1, 2), done
    assert sum("mongodb" in line.lower() for line in done.lines("ERROR")) == 1, done
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 0


TALKING = """
import logging
from urllib.parse import unquote

from scrapy import signals


class Talking:
    @classmethod
    def from_crawler(cls, crawler):
        self = cls()
        self.uri = crawler.settings["MONGODB_URI"]
        crawler.signals.connect(self.say, signals.spider_opened)
        return self

    def say(self):
        logging.getLogger("users_own").debug("at %s or %s", self.uri, unquote(self.uri))
"""


def test_a_password_that_a_users_code_logs_is_masked(project: Project, address: str) -> None:
    watched = Watched(project, TOKEN, PASSWORD, *PARTS)
    own = project.extension(TALKING, "Talking", 500)
    uri = f"mongodb://somebody:{{}}@{address}/"
    done = watched.crawl(*own, env={"MONGODB_URI": uri.format(QUOTED)})
    assert done.status == 0, done
    assert f"[users_own] DEBUG: at {uri} or {uri}\n".replace("{}", "***") in done.errors
    watched.check(masked=True)


@contextlib.contextmanager
def crawling(api: Simulator, watched: Watched, *words: str) -> Iterator[int]:
    """Run a crawl whose second call hangs while the block lasts; yield its process ID."""
    api.script({"rules": [{"page": 2, "hang": True}]})
    with watched.start("crawl", "comments", "-a", f"notes={NOTE}", *words) as process:
        api.wait_for_calls(2, process)
        yield process.pid


def hosts(process: int) -> set[str]:
    return {host for host, _ in open_ports(process)}


@linux
def test_a_crawl_opens_no_port(api: Simulator, own_server: Project) -> None:
    """Only the embedded database's processes listen, and only to this machine."""
    with crawling(api, Watched(own_server)) as process:
        assert open_ports(process) == set()
        started = children(process)
        assert len(started) == 2
        for child in started:
            assert hosts(child) == {LOOPBACK}


@linux
def test_a_port_would_be_found(api: Simulator, without_store: Project) -> None:
    with crawling(api, Watched(without_store), "-s", "TELNETCONSOLE_ENABLED=1") as process:
        assert hosts(process) == {LOOPBACK}


@linux
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0", "::1"])  # noqa: S104
def test_a_port_of_any_kind_would_be_found(kind: socket.SocketKind, host: str) -> None:
    before = open_ports(os.getpid())
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        if kind == socket.SOCK_STREAM:
            assert open_ports(os.getpid()) == before
            listener.listen()
        assert open_ports(os.getpid()) - before == {listener.getsockname()[:2]}
