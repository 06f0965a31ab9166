"""S3 that does not answer, or without boto3."""

from __future__ import annotations

import socket
import sys

import pytest
from scrapy.settings import Settings

from xhs.feeds import s3


def test_a_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_READ_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.1)
        client = s3.S3(
            Settings(
                {
                    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
                    "AWS_ACCESS_KEY_ID": "testing",
                    "AWS_SECRET_ACCESS_KEY": "testing",
                    "AWS_REGION_NAME": "us-east-1",
                }
            )
        )
        with pytest.raises(s3.S3Refused, match="timeout"):
            client.try_writing("bucket", "folder")
        for _ in range(2):
            silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


def test_without_boto3_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    with pytest.raises(s3.S3Refused, match="pip install boto3"):
        s3.S3(Settings())
