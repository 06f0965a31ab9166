"""Retries of a database that does not answer, and descriptions of its errors."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from xhs.crawl.storage import StoreFailed
from xhs.store.embedded import _supervisor
from xhs.store.embedded.server import Lease
from xhs.store.mongo import retrying
from xhs.store.mongo.retrying import FULL_DISK, describe, retry_until_answered, shorten_retries


async def no_answer() -> None:
    await asyncio.Event().wait()


async def error() -> None:
    raise AutoReconnect("gone")


@pytest.mark.anyio
@pytest.mark.parametrize("operation", [no_answer, error])
async def test_retries_are_shorter_once_the_process_must_stop(
    operation: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_SHORT_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(retrying, "_limit_seconds", retrying.RETRY_SECONDS)
    pending = asyncio.ensure_future(retry_until_answered(operation, 10**9))
    await asyncio.sleep(0)
    shorten_retries()
    with pytest.raises(StoreFailed, match="has not answered"):
        await pending
    with pytest.raises(StoreFailed, match="has not answered"):
        await retry_until_answered(operation, 10**9)


def test_describe_names_a_full_disk() -> None:
    assert describe(OperationFailure("no room", 14031)) == FULL_DISK
    assert describe(OperationFailure("something", 1)) == "OperationFailure (code 1)"


@pytest.mark.parametrize(
    ("logged", "full"),
    [(f"pwrite: {os.strerror(errno.ENOSPC)}\nWT_PANIC", True), ("WT_PANIC", False)],
)
def test_the_log_of_an_embedded_server_says_that_its_disk_is_full(
    logged: str, full: bool, tmp_path: Path
) -> None:
    lease = Lease("mongodb://127.0.0.1/")
    assert not lease.disk_is_full
    lease.folder = tmp_path
    (tmp_path / _supervisor.LOG).write_text(logged)
    assert lease.disk_is_full is full
