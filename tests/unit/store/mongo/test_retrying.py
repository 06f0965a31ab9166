"""How long a database that is away is waited for, and what is said of it."""

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
from xhs.store.mongo import retrying as patience
from xhs.store.mongo.retrying import FULL_DISK, describe, retry_until_answered, shorten_retries


async def silent() -> None:
    await asyncio.Event().wait()


async def away() -> None:
    raise AutoReconnect("away")


@pytest.mark.parametrize("operation", [silent, away])
def test_a_process_that_is_told_to_stop_waits_no_longer(
    operation: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_SLOW", 0.01)
    monkeypatch.setattr(patience, "_most", patience.RETRY_SECONDS)

    async def run() -> None:
        waiting = asyncio.ensure_future(retry_until_answered(operation, 10**9))
        await asyncio.sleep(0)
        shorten_retries()
        with pytest.raises(StoreFailed, match="has not answered"):
            await waiting
        with pytest.raises(StoreFailed, match="has not answered"):
            await retry_until_answered(operation, 10**9)

    asyncio.run(run())


def test_a_full_disk_is_named() -> None:
    assert describe(OperationFailure("no room", 14031)) == FULL_DISK
    assert describe(OperationFailure("something", 1)) == "OperationFailure (code 1)"


@pytest.mark.parametrize(
    ("said", "full"),
    [(f"pwrite: {os.strerror(errno.ENOSPC)}\nWT_PANIC", True), ("WT_PANIC", False)],
)
def test_the_log_of_an_embedded_server_tells_that_its_disk_is_full(
    said: str, full: bool, tmp_path: Path
) -> None:
    lease = Lease("mongodb://127.0.0.1/")
    assert not lease.disk_is_full
    lease.folder = tmp_path
    (tmp_path / _supervisor.LOG).write_text(said)
    assert lease.disk_is_full is full
