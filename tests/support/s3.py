"""A server that speaks S3, as a process of its own."""

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
    "AWS_EC2_METADATA_DISABLED": "true",  # else a client without keys asks the network for some
}
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Bucket:
    """A bucket, and the environment in which a crawl finds its server."""

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
        """The contents by their keys."""
        found = self._client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {
            one["Key"]: self._client.get_object(Bucket=self.name, Key=one["Key"])["Body"].read()
            for one in found
        }


@contextmanager
def bucket(name: str) -> Iterator[Bucket]:
    """An empty bucket on a server that runs while the block lasts."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Bucket(_address(process), name)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"Running on (http://\S+)", line):
            return found[1]
    raise AssertionError(said)


class Guarded:
    """A server that grants what is in ``granted`` (a method and the end of a path) and refuses all
    else; what was asked of it.
    """

    def __init__(self, url: str, *granted: tuple[str, str]) -> None:
        self.environment: dict[str, str | None] = {**KEYS, "AWS_ENDPOINT_URL": url}
        self.granted = granted
        self.asked: list[tuple[str, str]] = []


@contextmanager
def guarded(*granted: tuple[str, str]) -> Iterator[Guarded]:
    """A server as :class:`Guarded`, while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            found.asked.append((self.command, self.path.partition("?")[0]))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            method, path = found.asked[-1]
            grants = any(method == name and path.endswith(end) for name, end in found.granted)
            body = b"" if grants or method == "HEAD" else DENIED
            self.send_response(200 if grants else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_DELETE = do_HEAD = do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Guarded(f"http://127.0.0.1:{server.server_address[1]}", *granted)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield found
        finally:
            server.shutdown()
