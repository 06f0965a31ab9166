"""Local servers that speak S3."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "canary-s3-0c9d41e7b2a85f36"
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",  # else a client asks the network for keys
}
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Bucket:
    """A bucket, and the environment that leads a crawl to its server."""

    def __init__(self, url: str, name: str) -> None:
        self.environment: dict[str, str | None] = {**KEYS, "AWS_ENDPOINT_URL": url}
        self.name = name
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=url,
            region_name=KEYS["AWS_DEFAULT_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=SECRET,
        )
        self._client.create_bucket(Bucket=name)

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        self._client.put_object(Bucket=self.name, Key=key, Body=data)

    def objects(self) -> dict[str, bytes]:
        """Return the contents by key."""
        entries = self._client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {
            entry["Key"]: self._client.get_object(Bucket=self.name, Key=entry["Key"])["Body"].read()
            for entry in entries
        }


@contextmanager
def bucket(name: str) -> Iterator[Bucket]:
    """Yield an empty bucket on a server that runs while the block lasts."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Bucket(_address(process), name)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    output = ""
    for line in process.stderr:
        output += line
        if found := re.search(r"Running on (http://\S+)", line):
            return found[1]
    raise AssertionError(output)


class Guarded:
    """A server that grants some requests (by method and end of the path) and refuses all others.

    ``requests`` are all that it has received.
    """

    def __init__(self, url: str, *granted: tuple[str, str]) -> None:
        self.environment: dict[str, str | None] = {**KEYS, "AWS_ENDPOINT_URL": url}
        self.granted = granted
        self.requests: list[tuple[str, str]] = []


@contextmanager
def guarded(*granted: tuple[str, str]) -> Iterator[Guarded]:
    """Run a :class:`Guarded` server while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            guard.requests.append((self.command, self.path.partition("?")[0]))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            method, path = guard.requests[-1]
            grants = any(method == name and path.endswith(end) for name, end in guard.granted)
            body = b"" if grants or method == "HEAD" else DENIED
            self.send_response(200 if grants else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_DELETE = do_HEAD = do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        guard = Guarded(f"http://127.0.0.1:{server.server_address[1]}", *granted)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield guard
        finally:
            server.shutdown()
