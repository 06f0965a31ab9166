"""Patience with a database that is away: it is asked again for two minutes, then given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.errors import PyMongoError

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds without an answer after which the database is taken to be gone for good."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


class StoreFailed(Exception):
    """The database is gone for good. What it has not acknowledged is not stored."""


async def patiently(operation: Callable[[], Awaitable[T]], patience: float = PATIENCE) -> T:
    """Do ``operation``, again and again while the database does not answer or refuses.

    So it must bear repetition: an attempt that failed may have been carried out all the same.

    Raises:
        StoreFailed: after ``patience`` seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    wait, last = _FIRST_WAIT, "no answer"
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                return await operation()
        except TimeoutError:
            raise _gone(patience, last) from None
        except PyMongoError as error:
            last = describe(error)
        if loop.time() + wait >= deadline:
            raise _gone(patience, last)
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


def describe(error: Exception) -> str:
    """A database error on one line, without the documents and addresses that it may quote."""
    code = getattr(error, "code", None)
    return type(error).__name__ + (f" (code {code})" if code is not None else "")


def _gone(patience: float, last: str) -> StoreFailed:
    return StoreFailed(f"the database has not answered for {patience:g} seconds: {last}")
