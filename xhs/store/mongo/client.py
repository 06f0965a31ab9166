"""The store: one object that a crawl or a command opens, uses and closes."""

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
from xhs.store.mongo.notes import Ledger
from xhs.store.mongo.rejected import Rejected
from xhs.store.mongo.replies import Threads
from xhs.store.mongo.retrying import FULL_DISK, describe
from xhs.store.mongo.writer import Writer
from xhs.store.spill.files import Spill, SpillFailed
from xhs.store.spill.restore import Restored, restore

_PATIENCE_MS = 5000
_GOODBYE_SECONDS = 1.0
"""How long a server may take to note that a client leaves: it would find out by itself."""
_NOT_VALID = (
    "MONGODB_URI is no valid connection string: it begins with mongodb:// or mongodb+srv://, and "
    "what is special in a password is written with %"
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

# At DEBUG, Scrapy's default level, pymongo writes whole documents to the log.
logging.getLogger("pymongo").setLevel(logging.INFO)


class StoreUnavailable(Exception):
    """The store cannot be opened; the message says which, why, and what to do."""


class Store:
    """A MongoDB database: its writer and what it knows, from :meth:`open` to :meth:`close`.

    Where it fails for good, ``on_failure`` is called, and what it would not take goes to ``spill``.
    """

    writer: Writer
    ledger: Ledger
    history: History
    threads: Threads
    rejected: Rejected
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
        """Connect, start the embedded server where that is asked for, and make the indexes.

        Raises:
            StoreUnavailable: if that does not work.
        """
        try:
            self._lease = await asyncio.to_thread(embedded.resolve, self._uri)
            await self._connect(self._lease.uri)
        except embedded.EmbeddedStoreError as error:
            raise StoreUnavailable(str(error)) from error
        except (PyMongoError, ValueError, OSError) as error:
            said = _explain(error, redact(self._uri))
            if self._lease and self._lease.disk_is_full:
                said = f"{self.place} cannot be opened: {FULL_DISK}"
            await self._disconnect()
            raise StoreUnavailable(said) from error

    @property
    def place(self) -> str:
        """Where an open store keeps what it is given, in words and without a password."""
        folder = self._lease.folder if self._lease else None
        hosts = self._uri.rpartition("@")[2].rpartition("://")[2].partition("/")[0]
        server = f"the embedded store on {folder}" if folder else f"MongoDB at {hosts}"
        return f"database {self._name} of {server}"

    def why(self, failure: StoreFailed) -> str:
        """Why it has failed, in one sentence that says what to do, where that is known."""
        if self._lease and self._lease.disk_is_full:
            return f"{self.place} takes no more: {FULL_DISK}"
        return str(failure)

    async def close(self) -> None:
        """Write all that waits, and let go of the server."""
        try:
            await self.writer.close()
        finally:
            if self._spill is not None:
                self._spill.close()
            await self._disconnect()

    async def abandon(self) -> None:
        """Let go of the server, however far the store is open, and write nothing more."""
        if self._client is not None and hasattr(self, "writer"):
            await self.writer.abandon()
        await self._disconnect()

    async def restore(self, folder: Path) -> Restored:
        """Store what waits in the spill files of a folder.

        Raises:
            StoreFailed: if the database does not answer.
        """
        return await restore(folder, self._name, self.writer, self.ledger)

    def keep(self, write: Write, error: Unstorable) -> Path | None:
        """Keep what the database refuses: in the spill, or in a file of what no database can hold;
        its path.

        Raises:
            SpillFailed: if that cannot be done.
        """
        if self._spill is None:
            raise SpillFailed("there is none")
        if error.permanent:
            return self._spill.set_aside(write, str(error))
        self._spill.keep([write], str(error))
        return None

    @property
    def failed(self) -> bool:
        """True if it takes no more writes."""
        return self.writer.failure is not None

    async def count(self, collection: str) -> int:
        """How many documents a collection has."""
        return await self._database[collection].count_documents({})

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
        named = "serverselectiontimeoutms=" in uri.lower()
        patience: dict[str, Any] = {} if named else {"serverSelectionTimeoutMS": _PATIENCE_MS}
        self._client = AsyncMongoClient(uri, tz_aware=True, appname="xhs", **patience)
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

    async def _disconnect(self) -> None:
        if self._client is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._client.close()
        if self._lease is not None:
            await asyncio.to_thread(self._lease.close)


# To the last @, whatever the name before it holds, and with no scheme or a broken one too: what was
# not written as it must be is a password all the same.
_USER_PASSWORD = re.compile(
    r"(://[^:]*:|^(?!embedded:|[a-z+]+://)[^:]*:)(.*)@", re.DOTALL | re.IGNORECASE
)
_OPTION_PASSWORD = re.compile(r"(password=|aws_session_token:)([^&,]*)", re.IGNORECASE)


def redact(uri: str) -> str:
    """A connection string that may be shown: its passwords are masked."""
    return _OPTION_PASSWORD.sub(r"\1***", _USER_PASSWORD.sub(r"\1***@", uri))


def passwords(uri: str) -> list[str]:
    """The passwords in a connection string, as they stand there and decoded."""
    found = [*_USER_PASSWORD.finditer(uri), *_OPTION_PASSWORD.finditer(uri)]
    return [form for match in found if match[2] for form in (match[2], unquote(match[2]))]


def check_uri(uri: str) -> str | None:
    """What is wrong with a connection string, or None. Looks no server up.

    A wrong one is not quoted: what stands where in it, and what is a password, nobody knows.
    """
    if uri.startswith("embedded:"):
        return None
    try:
        if uri.startswith("mongodb://"):
            parse_uri(uri)
        elif not uri.startswith("mongodb+srv://"):
            raise ValueError
    except OSError as error:
        return f"MONGODB_URI: a file that it names cannot be read: {error.strerror}"
    except (PyMongoError, ValueError):
        return _NOT_VALID
    return None


def has_password(uri: str) -> bool:
    """True if a connection string holds a password."""
    return redact(uri) != uri


def _explain(error: Exception, uri: str) -> str:
    if isinstance(error, ConfigurationError | ValueError):
        return f"{_NOT_VALID} ({type(error).__name__})"
    if (said := describe(error)) == FULL_DISK:
        return f"MongoDB at {uri} cannot be used: {said}"
    if isinstance(error, OperationFailure):
        return f"MongoDB at {uri} refuses to be used ({describe(error)}): check user and password"
    return (
        f"MongoDB at {uri} cannot be reached ({describe(error)}): start it, or correct MONGODB_URI"
    )
