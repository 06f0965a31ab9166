"""A server that speaks S3, as a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "canary-s3-0c9d41e7b2a85f36"
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
}


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
