"""Patience with a database that is away: it is asked again for two minutes, then given up."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.errors import PyMongoError

from xhs.crawl.storage import StoreFailed

T = TypeVar("T")

RETRY_SECONDS = 120.0
"""Seconds without an answer after which the database is taken to be gone for good."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0

FULL_DISK = "the disk of the database is full: free space there"
_OUT_OF_DISK_SPACE = 14031

_SLOW = 5.0
"""Seconds that a database which is merely slow may take."""

_most = RETRY_SECONDS
_waiting: dict[asyncio.Timeout, float] = {}
"""What is waited for, and since when."""


async def retry_until_answered(
    operation: Callable[[], Awaitable[T]], patience: float = RETRY_SECONDS
) -> T:
    """Do ``operation``, again and again while the database does not answer or refuses.

    So it must bear repetition: an attempt that failed may have been carried out all the same.

    Raises:
        StoreFailed: after ``patience`` seconds, or sooner after :func:`shorten_retries`.
    """
    clock = asyncio.get_running_loop().time
    wait, last, began = _FIRST_WAIT, "no answer", clock()
    limit = asyncio.timeout(min(patience, _most))
    _waiting[limit] = began
    try:
        async with limit:
            while True:
                try:
                    return await operation()
                except PyMongoError as error:
                    last = describe(error)
                if clock() + wait >= (limit.when() or math.inf):
                    raise TimeoutError
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
    except TimeoutError:
        was_hurried = _most < patience
        waited = f"{clock() - began if was_hurried else patience:.0f} seconds"
        raise StoreFailed(f"the database has not answered for {waited}: {last}") from None
    finally:
        del _waiting[limit]


def shorten_retries() -> None:
    """Wait for the database no longer than a slow one takes: the process was told to stop.

    What has been waited for so long already gets one second more.
    """
    global _most
    _most = _SLOW
    now = asyncio.get_running_loop().time()
    for limit, began in _waiting.items():
        wanted = max(now + 1, began + _SLOW)
        if not limit.expired() and wanted < (limit.when() or math.inf):
            limit.reschedule(wanted)


def describe(error: Exception) -> str:
    """A database error on one line, without the documents and addresses that it may quote."""
    code = getattr(error, "code", None)
    if code == _OUT_OF_DISK_SPACE:
        return FULL_DISK
    return type(error).__name__ + (f" (code {code})" if code is not None else "")
