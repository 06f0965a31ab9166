"""The tables that can be exported: their columns for people, and their fields for programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from xhs.api import schema
from xhs.api.schema import Schema, nullable
from xhs.feeds.readable import (
    COMMENT_COLUMNS,
    HISTORY_COLUMNS,
    NOTE_COLUMNS,
    USER_COLUMNS,
    Column,
    without,
)
from xhs.items import COMMENT, NOTE, USER
from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import Document
from xhs.store.mongo.joined import JoinedComment, Selection

Rows = Sequence[Mapping[str, Any]]
"""Rows of a table: documents of the store, with the fields that are joined to them."""

_SEEN = {
    "first_seen_at": nullable(schema.time("When it was first received.")),
    "last_seen_at": nullable(schema.time("When it was last received.")),
}
_USER_OF_COMMENT = ("nickname", "red_id", "avatar_url")
_NOTE_OF_COMMENT = ("user_id", "comment_count", "comment_count_l1", "complete", "stop_reason")
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name, key, columns for people, fields for programs, filters and reader.

    ``fields``: the JSON Schema of each field. ``read`` yields its rows in batches; a reader leaves
    out the field ``extra`` if it is told to.
    """

    name: str
    key: str
    columns: tuple[Column, ...]
    fields: Mapping[str, Schema]
    filters: frozenset[str]
    read: Callable[[Store, Selection, bool], AsyncIterator[Rows]]

    def checked(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Return a row's fields, and whether a value was of the wrong type: it counts as missing.

        Anything may have written to the store, so no reader or writer relies on the types in it.
        """
        fields: dict[str, Any] = {}
        wrong = False
        for name, form in self.fields.items():
            value = row.get(name)
            if value is not None and not has_type(value, form):
                value, wrong = None, True
            fields[name] = value
        return fields, wrong

    def of_ids(self) -> Table:
        """Return the table with its IDs alone."""
        column = Column(self.key, lambda row: row[self.key], 26)
        return replace(self, columns=(column,), fields={self.key: self.fields[self.key]})


_PYTHON_TYPES: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}


def has_type(value: Any, form: Schema) -> bool:
    """True if a value of the store that is not null has the type of a schema.

    In a list of objects with known fields, these are checked too.
    """
    kind = json_type(form)
    expected = datetime if form.get("format") == "date-time" else _PYTHON_TYPES[kind]
    if not isinstance(value, expected) or (kind == "integer" and isinstance(value, bool)):
        return False
    if not isinstance(value, list) or "items" not in form:
        return True
    known: Mapping[str, Schema] = form["items"]["properties"]
    return all(
        isinstance(one, dict)
        and all(one.get(name) is None or has_type(one[name], part) for name, part in known.items())
        for one in value
    )


def json_type(form: Schema) -> str:
    """Return the JSON type of a field, apart from null."""
    given = form["type"]
    return given if isinstance(given, str) else next(one for one in given if one != "null")


def _item_fields(item: Schema) -> dict[str, Schema]:
    properties: dict[str, Schema] = item["properties"]
    return {
        name: field for name, field in properties.items() if name not in {"item_type", "is_new"}
    }


def _comment_fields() -> dict[str, Schema]:
    fields = _item_fields(COMMENT)
    extra = fields.pop("extra")
    users, notes = _item_fields(USER), _item_fields(NOTE)
    return {
        **fields,
        **_SEEN,
        "vanished_at": nullable(schema.time("When a full pass no longer listed it.")),
        "is_reply": schema.flag("True for a reply."),
        "root_comment_id": schema.identifier("The first-level comment of its thread."),
        "answered_comment_id": nullable(schema.identifier("The comment or reply it answers.")),
        "answered_user_id": nullable(schema.identifier("The author of that.")),
        "answered_nickname": nullable(schema.text("The nickname of that author.")),
        **{name: users[name] for name in _USER_OF_COMMENT},
        **{f"note_{name}": notes[name] for name in _NOTE_OF_COMMENT},
        "extra": extra,
    }


def comment_row(joined: JoinedComment) -> dict[str, Any]:
    """Return a joined comment as one row."""
    comment, user, note = joined.comment, joined.user or {}, joined.note or {}
    return {
        **comment,
        "comment_id": comment["_id"],
        "is_reply": joined.is_reply,
        "root_comment_id": comment["parent_comment_id"] if joined.is_reply else comment["_id"],
        "answered_comment_id": joined.answered_comment_id,
        "answered_user_id": joined.answered_user_id,
        "answered_nickname": joined.answered_nickname,
        **{name: user.get(name) for name in _USER_OF_COMMENT},
        **{f"note_{name}": note.get(name) for name in _NOTE_OF_COMMENT},
    }


async def _comments(store: Store, selection: Selection, without_extra: bool) -> AsyncIterator[Rows]:
    fields = [*_item_fields(COMMENT), "vanished_at", *_SEEN]
    if without_extra:
        fields.remove("extra")
    async for batch in store.joined.comments(selection, fields):
        yield [comment_row(joined) for joined in batch]


async def _users(store: Store, selection: Selection, _: bool) -> AsyncIterator[Rows]:
    async for batch in store.joined.users(selection):
        yield [{**user, "user_id": user["_id"]} for user in batch]


async def _notes(store: Store, selection: Selection, _: bool) -> AsyncIterator[Rows]:
    async for batch in _batches(store.ledger.notes(_note_query(selection))):
        author_ids = {
            note["_id"]: author for note in batch if isinstance(author := note.get("user_id"), str)
        }
        authors = await store.joined.nicknames(list(author_ids.values()))
        for note in batch:
            note["note_id"] = note["_id"]
            note["nickname"] = authors.get(author_ids.get(note["_id"], ""))
            await store.ledger.update_counts(note)
        yield batch


async def _history(store: Store, selection: Selection, _: bool) -> AsyncIterator[Rows]:
    query: Document = {"began_at": selection.period} if selection.period else {}
    if selection.note_ids is not None:
        query["note_id"] = {"$in": list(selection.note_ids)}
    async for batch in store.history.batches(query):
        yield batch


def _note_query(selection: Selection) -> Document:
    query: Document = {}
    if selection.note_ids is not None:
        query["_id"] = {"$in": list(selection.note_ids)}
    if selection.first_seen_since is not None:
        query["first_seen_at"] = {"$gte": selection.first_seen_since}
    return query


async def _batches(documents: AsyncIterator[Document]) -> AsyncIterator[list[Document]]:
    batch: list[Document] = []
    async for document in documents:
        batch.append(document)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


_COUNT = nullable(schema.count("As in the note's item, or counted by the pass."))
_TIME = nullable(schema.time("When the pass began, or ended."))
_PASS_COUNTS = (
    "pages",
    "billed_calls",
    "comment_count",
    "comment_count_l1",
    "comments_listed",
    "comments_new",
    "replies_new",
    "comments_collected",
    "replies_collected",
    "missing",
    "replies_reported",
    "replies_missing",
)
_ALL_FILTERS = frozenset({"note", "since", "until", "first_seen_since", "contains", "min_likes"})

COMMENTS = Table(
    "comments",
    "comment_id",
    without(COMMENT_COLUMNS, "new"),
    _comment_fields(),
    _ALL_FILTERS,
    _comments,
)
USERS = Table(
    "users",
    "user_id",
    USER_COLUMNS,
    {
        **_item_fields(USER),
        **_SEEN,
        "comments": schema.count("First-level comments of the user, over all notes."),
        "replies": schema.count("Replies of the user, over all notes."),
        "likes_received": schema.count("Likes of these comments and replies."),
        "notes": schema.count("Notes that the user has commented on."),
        "first_comment_at": nullable(schema.time("When the user wrote the first of them.")),
        "last_comment_at": nullable(schema.time("When the user wrote the last of them.")),
    },
    _ALL_FILTERS,
    _users,
)
NOTES = Table(
    "notes",
    "note_id",
    NOTE_COLUMNS,
    {
        **_item_fields(NOTE),
        "nickname": nullable(schema.text("The author's nickname, if the author has commented.")),
        "state": schema.text("Its state in the ledger."),
        "billed_calls": nullable(schema.count("Billed calls, all crawls together.")),
        "last_crawled_at": nullable(schema.time("When a crawl last wrote its state.")),
        **_SEEN,
    },
    frozenset({"note", "first_seen_since"}),
    _notes,
)
HISTORY = Table(
    "history",
    "note_id",
    HISTORY_COLUMNS,
    {
        "note_id": NOTE["properties"]["note_id"],
        "mode": nullable(schema.text("The mode of the pass.")),
        "sort": nullable(schema.text("The requested order.")),
        "began_at": _TIME,
        "ended_at": _TIME,
        "stop_reason": nullable(schema.text("Why the pages ended.")),
        "complete": nullable(schema.flag("As in the note's item.")),
        **dict.fromkeys(_PASS_COUNTS, _COUNT),
    },
    frozenset({"note", "since", "until"}),
    _history,
)

TABLES = {table.name: table for table in (COMMENTS, USERS, NOTES, HISTORY)}
"""The tables, by the values of ``--what``."""
