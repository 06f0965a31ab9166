"""The store that a crawl or a command opens, uses and closes."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from xhs.crawl.storage import StoreFailed, Unstorable
from xhs.logs.redaction import keep_out_of_logs
from xhs.store.embedded import server as embedded
from xhs.store.mongo.collections import COMMENTS, HISTORY, NOTES, REJECTED, USERS, Document, Write
from xhs.store.mongo.history import History
from xhs.store.mongo.joined import Joined
from xhs.store.mongo.notes import Ledger
from xhs.store.mongo.rejected import Rejected
from xhs.store.mongo.replies import Threads
from xhs.store.mongo.retrying import FULL_DISK, describe, retry_until_answered
from xhs.store.mongo.writer import Writer
from xhs.store.spill.files import Spill, SpillFailed
from xhs.store.spill.restore import Restored, restore

_SERVER_SELECTION_MS = 5000
_CLOSE_SECONDS = 1.0
"""Seconds to wait for the server when a client disconnects. It would notice by itself."""
_NOT_VALID = (
    "MONGODB_URI is not a valid connection string: it must begin with mongodb:// or "
    "mongodb+srv://, and special characters in a password must be percent-encoded"
)

_LAST_SEEN = IndexModel([("last_seen_at", 1)])
_INDEXES = {
    COMMENTS: [
        IndexModel([("note_id", 1), ("parent_comment_id", 1), ("created_at", -1)]),
        IndexModel([("user_id", 1)]),
        _LAST_SEEN,
    ],
    USERS: [_LAST_SEEN],
    NOTES: [IndexModel([("state", 1)]), IndexModel([("wanted.mode", 1)]), _LAST_SEEN],
    HISTORY: [IndexModel([("note_id", 1), ("began_at", -1)])],
    REJECTED: [IndexModel([("note_id", 1)]), _LAST_SEEN],
}

# At DEBUG, Scrapy's default level, pymongo logs whole documents.
logging.getLogger("pymongo").setLevel(logging.INFO)


class StoreUnavailable(Exception):
    """The store cannot be opened. The message says which one, why, and what to do."""


class Store:
    """A MongoDB database with its writer and readers, from :meth:`open` to :meth:`close`.

    If the database fails for good, ``on_failure`` is called, and writes that it did not acknowledge
    go to ``spill``.
    """

    writer: Writer
    ledger: Ledger
    history: History
    threads: Threads
    rejected: Rejected
    joined: Joined
    _database: AsyncDatabase[Document]

    def __init__(
        self,
        uri: str,
        database: str,
        spill: Spill | None = None,
        on_failure: Callable[[StoreFailed], None] | None = None,
    ) -> None:
        self._uri = uri
        self._name = database
        self._spill = spill
        self._on_failure = on_failure
        for password in passwords(uri):
            keep_out_of_logs(password)
        self._client: AsyncMongoClient[Document] | None = None
        self._lease: embedded.Lease | None = None

    async def open(self) -> None:
        """Start the embedded server if the URI asks for it, connect, and create the indexes.

        Raises:
            StoreUnavailable: if one of these fails.
        """
        try:
            self._lease = await asyncio.to_thread(embedded.resolve, self._uri)
            await self._connect(self._lease.uri)
        except embedded.EmbeddedStoreError as error:
            raise StoreUnavailable(str(error)) from error
        except (PyMongoError, ValueError, OSError) as error:
            message = _explain(error, redact(self._uri))
            if self._lease and self._lease.disk_is_full:
                message = f"{self.place} cannot be opened: {FULL_DISK}"
            await self._disconnect()
            raise StoreUnavailable(message) from error

    @property
    def place(self) -> str:
        """The database and server of an open store, for messages; without a password."""
        folder = self._lease.folder if self._lease else None
        hosts = self._uri.rpartition("@")[2].rpartition("://")[2].partition("/")[0]
        server = f"the embedded store on {folder}" if folder else f"MongoDB at {hosts}"
        return f"database {self._name} of {server}"

    def why(self, failure: StoreFailed) -> str:
        """Return why the store failed, and what to do if that is known, in one sentence."""
        if self._lease and self._lease.disk_is_full:
            return f"{self.place} accepts no more writes: {FULL_DISK}"
        return str(failure)

    async def close(self) -> None:
        """Carry out the pending writes, then disconnect."""
        try:
            await self.writer.close()
        finally:
            if self._spill is not None:
                self._spill.close()
            await self._disconnect()

    async def abandon(self) -> None:
        """Disconnect and drop the pending writes. The store may be only partly open."""
        if self._client is not None and hasattr(self, "writer"):
            await self.writer.abandon()
        await self._disconnect()

    async def restore(
        self, folder: Path, advance: Callable[[int], object] | None = None
    ) -> Restored:
        """Store the writes in a folder's spill files.

        ``advance`` is called with the number of writes tried since its last call.

        Raises:
            StoreFailed: if the database does not answer.
        """
        return await restore(folder, self._name, self.writer, self.ledger, advance)

    def keep_refused(self, write: Write, error: Unstorable) -> Path | None:
        """Keep a write that the database refused.

        If no database can hold it, set it aside and return the file's path. Otherwise add it to the
        spill and return None.

        Raises:
            SpillFailed: if it cannot be kept.
        """
        if self._spill is None:
            raise SpillFailed("there is none")
        if error.permanent:
            return self._spill.set_aside(write, str(error))
        self._spill.keep([write], str(error))
        return None

    @property
    def failed(self) -> bool:
        """True if the store accepts no more writes."""
        return self.writer.failure is not None

    async def count(self, collection: str) -> int:
        """Return the number of documents in a collection.

        Raises:
            StoreFailed: if the database does not answer.
        """
        documents = self._database[collection]
        return await retry_until_answered(lambda: documents.count_documents({}))

    async def __aenter__(self) -> Store:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _connect(self, uri: str) -> None:
        options: dict[str, Any] = {}
        if "serverselectiontimeoutms=" not in uri.lower():
            options["serverSelectionTimeoutMS"] = _SERVER_SELECTION_MS
        self._client = AsyncMongoClient(uri, tz_aware=True, appname="xhs", **options)
        concern = WriteConcern(**{**self._client.write_concern.document, "j": True})
        database = self._client.get_database(self._name, write_concern=concern)
        await database.command("ping")
        for collection, indexes in _INDEXES.items():
            await database[collection].create_indexes(indexes)
        self._database = database
        self.writer = Writer(database, self._spill, self._on_failure)
        self.ledger = Ledger(database)
        self.history = History(database)
        self.threads = Threads(database)
        self.rejected = Rejected(database)
        self.joined = Joined(database)

    async def _disconnect(self) -> None:
        if self._client is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._client.close()
        if self._lease is not None:
            await asyncio.to_thread(self._lease.close)


# Match up to the last @, and also without a scheme or with a broken one: a password in a malformed
# URI must be masked too.
_USER_PASSWORD = re.compile(
    r"(://[^:]*:|^(?!embedded:|[a-z+]+://)[^:]*:)(.*)@", re.DOTALL | re.IGNORECASE
)
_OPTION_PASSWORD = re.compile(r"(password=|aws_session_token:)([^&,]*)", re.IGNORECASE)


def redact(uri: str) -> str:
    """Return a connection string with its passwords masked."""
    return _OPTION_PASSWORD.sub(r"\1***", _USER_PASSWORD.sub(r"\1***@", uri))


def passwords(uri: str) -> list[str]:
    """Return the passwords in a connection string, each as written and percent-decoded."""
    matches = [*_USER_PASSWORD.finditer(uri), *_OPTION_PASSWORD.finditer(uri)]
    return [form for match in matches if match[2] for form in (match[2], unquote(match[2]))]


def check_uri(uri: str) -> str | None:
    """Return what is wrong with a connection string, or None. Contacts no server.

    The message does not quote the string: in a malformed one, any part may be a password.
    """
    if uri.startswith("embedded:"):
        return None
    try:
        if uri.startswith("mongodb://"):
            parse_uri(uri)
        elif not uri.startswith("mongodb+srv://"):
            raise ValueError
    except OSError as error:
        return f"MONGODB_URI: a file that it refers to cannot be read: {error.strerror}"
    except (PyMongoError, ValueError):
        return _NOT_VALID
    return None


def has_password(uri: str) -> bool:
    """True if a connection string holds a password."""
    return redact(uri) != uri


def _explain(error: Exception, uri: str) -> str:
    if isinstance(error, ConfigurationError | ValueError):
        return f"{_NOT_VALID} ({type(error).__name__})"
    if (cause := describe(error)) == FULL_DISK:
        return f"MongoDB at {uri} cannot be used: {cause}"
    if isinstance(error, OperationFailure):
        return f"MongoDB at {uri} refused access ({cause}): check user and password"
    return f"MongoDB at {uri} cannot be reached ({cause}): start it, or correct MONGODB_URI"
