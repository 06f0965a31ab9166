"""Retries of a database that does not answer: for two minutes, then it has failed for good."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.errors import PyMongoError

from xhs.crawl.storage import StoreFailed

T = TypeVar("T")

RETRY_SECONDS = 120.0
"""Seconds without an answer after which the database has failed for good."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0

FULL_DISK = "the disk of the database is full: free space there"
_OUT_OF_DISK_SPACE = 14031

_SHORT_RETRY_SECONDS = 5.0
"""The limit after :func:`shorten_retries`: enough for a database that is slow but works."""

_limit_seconds = RETRY_SECONDS
_waiting: dict[asyncio.Timeout, float] = {}
"""The operations in progress: the limit of each and when it began, on the event loop's clock."""


async def retry_until_answered(
    operation: Callable[[], Awaitable[T]], seconds: float = RETRY_SECONDS
) -> T:
    """Await ``operation``, and repeat it while the database does not answer or returns an error.

    The operation must be idempotent: a failed attempt may have been carried out.

    Raises:
        StoreFailed: after ``seconds``, or sooner after :func:`shorten_retries`.
    """
    clock = asyncio.get_running_loop().time
    wait, last_error, began = _FIRST_WAIT, "no answer", clock()
    limit = asyncio.timeout(min(seconds, _limit_seconds))
    _waiting[limit] = began
    try:
        async with limit:
            while True:
                try:
                    return await operation()
                except PyMongoError as error:
                    last_error = describe(error)
                if clock() + wait >= (limit.when() or math.inf):
                    raise TimeoutError
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
    except TimeoutError:
        waited = clock() - began if _limit_seconds < seconds else seconds
        raise StoreFailed(
            f"the database has not answered for {waited:.0f} seconds: {last_error}"
        ) from None
    finally:
        del _waiting[limit]


def longest_silence() -> tuple[float, float] | None:
    """Return for how many seconds the oldest operation has had no answer, and their limit.

    None if no operation is in progress.
    """
    if not _waiting:
        return None
    limit, began = min(_waiting.items(), key=lambda operation: operation[1])
    now = asyncio.get_running_loop().time()
    return now - began, (limit.when() or math.inf) - began


def shorten_retries() -> None:
    """Limit retries to 5 seconds, since the process must stop.

    An operation that has already taken longer gets one more second.
    """
    global _limit_seconds
    _limit_seconds = _SHORT_RETRY_SECONDS
    now = asyncio.get_running_loop().time()
    for limit, began in _waiting.items():
        deadline = max(now + 1, began + _SHORT_RETRY_SECONDS)
        if not limit.expired() and deadline < (limit.when() or math.inf):
            limit.reschedule(deadline)


def describe(error: Exception) -> str:
    """Return a database error on one line, without the documents and addresses it may quote."""
    code = getattr(error, "code", None)
    if code == _OUT_OF_DISK_SPACE:
        return FULL_DISK
    return type(error).__name__ + (f" (code {code})" if code is not None else "")
