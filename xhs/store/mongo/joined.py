"""Stored comments with their users and notes, in the order in which a person reads them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from xhs.api.fields import target_user
from xhs.crawl.storage import StoreFailed
from xhs.store.mongo.collections import COMMENTS, NOTES, USERS, Document
from xhs.store.mongo.paging import batches_by_id
from xhs.store.mongo.retrying import describe, retry_until_answered

_BATCH = 500
_NOTES = 10_000
_USERS = 100
_LOOKUP = 50
"""The most IDs in one look-up: the embedded server's time grows with their square."""
_AT_ONCE = 10
"""The most look-ups at the same time."""
_READ_WHOLE = 2000
"""The comments of a note up to which they are read in one query."""
_CURSOR_BATCH = 2000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Selection:
    """The comments to read: those that match every condition that is given.

    ``note_ids`` are read in this order; None means every note, in the order of their IDs. ``since``
    and ``until`` bound ``created_at``, which must be before ``until``. ``first_seen_since``: when
    the comment was first received. ``contains``: a literal text, in upper or lower case.
    """

    note_ids: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    first_seen_since: datetime | None = None
    contains: str | None = None
    min_likes: int | None = None

    @property
    def period(self) -> Document:
        """The condition on a time from ``since`` until before ``until``; empty without both."""
        bounds = {"$gte": self.since, "$lt": self.until}
        return {bound: time for bound, time in bounds.items() if time is not None}

    @property
    def query(self) -> Document:
        """The conditions as a query, without the notes."""
        query: Document = {"created_at": self.period} if self.period else {}
        if self.first_seen_since is not None:
            query["first_seen_at"] = {"$gte": self.first_seen_since}
        if self.contains is not None:
            query["content"] = {"$regex": re.escape(self.contains), "$options": "i"}
        if self.min_likes is not None:
            query["like_count"] = {"$gte": self.min_likes}
        return query


@dataclass(frozen=True, slots=True)
class JoinedComment:
    """A comment with the documents that belong to it; None for those that are not stored.

    For a reply, ``answered_comment_id`` is the reply or the first-level comment that it answers,
    and ``answered_user_id`` and ``answered_nickname`` are the author of that.
    """

    comment: Document
    user: Document | None = None
    note: Document | None = None
    answered_comment_id: str | None = None
    answered_user_id: str | None = None
    answered_nickname: str | None = None

    @property
    def is_reply(self) -> bool:
        """True for a reply to a first-level comment."""
        return _text(self.comment.get("parent_comment_id")) is not None


class CommentKey(NamedTuple):
    """The fields of a comment that decide its place among the others of its note."""

    comment_id: str
    parent_id: str | None
    created_at: datetime | None


def reading_order(
    keys: Iterable[CommentKey], roots: Mapping[str, datetime | None] | None = None
) -> list[str]:
    """Return the IDs of a note's comments in the order in which a person reads them.

    Threads stand newest first, by the time of their first-level comment. In a thread, the replies
    follow their comment, oldest first. ``roots``: times of first-level comments that are not among
    ``keys``. If such a time is unknown, the oldest reply's is used. What has no time comes last.
    """
    tops: dict[str, datetime | None] = {}
    replies: dict[str, list[CommentKey]] = {}
    for key in keys:
        if key.parent_id is None:
            tops[key.comment_id] = key.created_at
        else:
            replies.setdefault(key.parent_id, []).append(key)
    times = {**{root: _oldest(thread) for root, thread in replies.items()}, **(roots or {}), **tops}
    threads = sorted(
        {*tops, *replies}, key=lambda root: (times[root] or _LONG_AGO, root), reverse=True
    )
    order: list[str] = []
    for root in threads:
        if root in tops:
            order.append(root)
        thread = sorted(replies.get(root, ()), key=_oldest_first)
        order += [reply.comment_id for reply in thread]
    return order


class Joined:
    """Reads the stored comments with their users and notes."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._database = database

    async def count(self, selection: Selection) -> int:
        """Count the comments of a selection.

        Raises:
            StoreFailed: if the database does not answer.
        """
        query = self._conditions(selection)
        return await retry_until_answered(lambda: self._database[COMMENTS].count_documents(query))

    async def comments(
        self, selection: Selection, fields: Sequence[str] | None = None
    ) -> AsyncIterator[list[JoinedComment]]:
        """Yield the comments of a selection in batches, note by note, in :func:`reading_order`.

        Vanished comments are among them, those whose ID is no text are not. A reply whose comment
        is not selected, or not stored, stands in that comment's place. A batch has comments of one
        note. Memory is bounded by the keys of the largest note.

        ``fields``: the fields of comments to read; all if None.

        Raises:
            StoreFailed: if the database does not answer.
        """
        async for note_id in self._note_ids(selection):
            query, projection = {**selection.query, "note_id": note_id}, _projection(fields)
            held = await self._whole_note(query, projection)
            keys = await self._keys(query) if held is None else list(map(_key, held.values()))
            if not keys:
                continue
            note = await retry_until_answered(
                lambda: self._database[NOTES].find_one({"_id": note_id})  # noqa: B023 (awaited here)
            )
            order = reading_order(keys, await self._roots(keys))
            for start in range(0, len(order), _BATCH):
                ids = order[start : start + _BATCH]
                found = await self._by_id(COMMENTS, ids, projection) if held is None else held
                comments = [found[one] for one in ids if one in found]  # one may be gone since
                yield await self._join(comments, note, found)

    async def unordered(
        self, selection: Selection, fields: Sequence[str]
    ) -> AsyncIterator[list[Document]]:
        """Yield the comments of a selection in batches, in no order and joined with nothing.

        It is for figures, which need each comment once. A cursor that fails is not repeated.

        Raises:
            StoreFailed: if the database does not answer.
        """
        queries = [selection.query]
        if (note_ids := selection.note_ids) is not None:
            queries = [
                {**selection.query, "note_id": {"$in": list(note_ids[start : start + _BATCH])}}
                for start in range(0, len(note_ids), _BATCH)
            ]
        try:
            for query in queries:
                cursor = self._database[COMMENTS].find(query, dict.fromkeys(fields, 1))
                cursor.batch_size(_CURSOR_BATCH)
                while batch := await cursor.to_list(_CURSOR_BATCH):
                    yield batch
        except PyMongoError as error:
            raise StoreFailed(f"the database does not answer: {describe(error)}") from error

    async def by_id(
        self, comment_ids: Iterable[str], fields: Sequence[str]
    ) -> dict[str, JoinedComment]:
        """Return comments by their IDs, with their users and without their notes.

        Raises:
            StoreFailed: if the database does not answer.
        """
        found = await self._by_id(COMMENTS, list(comment_ids), _projection(fields))
        joined = await self._join(list(found.values()), None, found)
        return {one.comment["_id"]: one for one in joined}

    async def users(self, selection: Selection) -> AsyncIterator[list[Document]]:
        """Yield the users who wrote a comment of a selection in batches, in the order of their IDs.

        Each has counts over all notes beside its own fields: ``comments`` (first level),
        ``replies``, ``likes_received``, ``notes``, ``first_comment_at`` and ``last_comment_at``.

        Raises:
            StoreFailed: if the database does not answer.
        """
        conditions, users = self._conditions(selection), self._database[USERS]

        async def fetch(ids: Document) -> list[Document]:
            return await users.find({"_id": ids}).sort("_id").limit(_USERS).to_list()

        async for batch in batches_by_id(fetch, _USERS):
            ids = {user["_id"] for user in batch}
            if conditions:
                ids = await self._authors(ids, conditions)
            counts = await self._counts(ids)
            selected = [user for user in batch if user["_id"] in ids]
            if selected:
                yield [{**user, **counts.get(user["_id"], _NO_COUNTS)} for user in selected]

    async def nicknames(self, user_ids: Sequence[str]) -> dict[str, str | None]:
        """Return the nicknames of those of these users who are stored, by user ID.

        Raises:
            StoreFailed: if the database does not answer.
        """
        users = await self._by_id(USERS, user_ids, {"nickname": 1})
        return {user_id: _text(user.get("nickname")) for user_id, user in users.items()}

    async def _authors(self, user_ids: Collection[str], conditions: Document) -> set[str]:
        query = {**conditions, "user_id": {"$in": list(user_ids)}}
        comments = self._database[COMMENTS]
        found = await retry_until_answered(lambda: comments.distinct("user_id", query))
        return {user_id for user_id in found if isinstance(user_id, str)}

    async def _counts(self, user_ids: Collection[str]) -> dict[str, Document]:
        """Return what each of these users has written, over all notes."""
        stages: list[Document] = [
            {"$match": {"user_id": {"$in": list(user_ids)}}},
            # Its values of the wrong type count as missing.
            {
                "$addFields": {
                    "like_count": _if_of_type("$like_count", "int", "long"),
                    "created_at": _if_of_type("$created_at", "date"),
                }
            },
            {
                "$group": {
                    "_id": {"user": "$user_id", "note": "$note_id"},
                    "written": {"$sum": 1},
                    "comments": {"$sum": {"$cond": [{"$eq": ["$parent_comment_id", None]}, 1, 0]}},
                    "likes_received": {"$sum": "$like_count"},
                    "first_comment_at": {"$min": "$created_at"},
                    "last_comment_at": {"$max": "$created_at"},
                }
            },
        ]

        async def fetch() -> list[Document]:
            cursor = await self._database[COMMENTS].aggregate(stages)
            return await cursor.to_list()

        counts: dict[str, Document] = {}
        for group in await retry_until_answered(fetch) if user_ids else ():
            user_id = _text(group["_id"].get("user")) or ""
            counts[user_id] = _added(counts.get(user_id, _NO_COUNTS), group)
        return counts

    def _conditions(self, selection: Selection) -> Document:
        """Return a selection as one query, with its notes."""
        query = dict(selection.query)
        if selection.note_ids is not None:
            query["note_id"] = {"$in": list(selection.note_ids)}
        return query

    async def _note_ids(self, selection: Selection) -> AsyncIterator[str]:
        """Yield the selected notes; without a choice, those that have selected comments."""
        if selection.note_ids is not None:
            for note_id in dict.fromkeys(selection.note_ids):
                yield note_id
            return

        async def fetch(ids: Document) -> list[Document]:
            cursor = await self._database[COMMENTS].aggregate(
                [
                    {"$match": {**selection.query, "note_id": ids}},
                    {"$group": {"_id": "$note_id"}},
                    {"$sort": {"_id": 1}},
                    {"$limit": _NOTES},
                ]
            )
            return await cursor.to_list()

        async for batch in batches_by_id(fetch, _NOTES):
            for note in batch:
                if isinstance(note["_id"], str):
                    yield note["_id"]

    async def _whole_note(
        self, query: Document, projection: Mapping[str, int] | None
    ) -> dict[str, Document] | None:
        """Return the comments of a note by ID; None if there are too many to hold."""
        limit = _READ_WHOLE + 1
        found = await retry_until_answered(
            lambda: self._database[COMMENTS].find(query, projection).limit(limit).to_list()
        )
        return _by_their_ids(found) if len(found) < limit else None

    async def _keys(self, query: Document) -> list[CommentKey]:
        async def fetch() -> list[CommentKey]:
            found = self._database[COMMENTS].find(query, {"parent_comment_id": 1, "created_at": 1})
            return [_key(one) async for one in found if isinstance(one["_id"], str)]

        return await retry_until_answered(fetch)

    async def _roots(self, keys: Sequence[CommentKey]) -> dict[str, datetime | None]:
        """Return the times of the first-level comments that are stored but not selected."""
        selected = {key.comment_id for key in keys if key.parent_id is None}
        missing = list({key.parent_id for key in keys if key.parent_id} - selected)
        found = await self._by_id(COMMENTS, missing, {"created_at": 1})
        return {root: _time(document.get("created_at")) for root, document in found.items()}

    async def _join(
        self, comments: Sequence[Document], note: Document | None, found: Mapping[str, Document]
    ) -> list[JoinedComment]:
        """Join users to comments. ``found``: the comments of the note that have been read."""
        answered_ids = {key for one in comments if (key := _answered_id(one))}
        unknown = list(answered_ids - found.keys())
        answered = {**found, **await self._by_id(COMMENTS, unknown, {"user_id": 1})}
        user_ids = {
            user_id
            for one in (*comments, *(answered[key] for key in answered_ids & answered.keys()))
            if (user_id := _text(one.get("user_id")))
        }
        users = await self._by_id(USERS, list(user_ids), None)
        return [_joined(one, note, answered, users) for one in comments]

    async def _by_id(
        self, collection: str, ids: Sequence[str], fields: Mapping[str, int] | None
    ) -> dict[str, Document]:
        documents = self._database[collection]

        async def look_up(some: Sequence[str]) -> list[Document]:
            query = {"_id": {"$in": list(some)}}
            return await retry_until_answered(lambda: documents.find(query, fields).to_list())

        parts = [ids[start : start + _LOOKUP] for start in range(0, len(ids), _LOOKUP)]
        found: dict[str, Document] = {}
        for some in range(0, len(parts), _AT_ONCE):
            for batch in await asyncio.gather(*map(look_up, parts[some : some + _AT_ONCE])):
                found |= _by_their_ids(batch)
        return found


_JOINED_BY = (
    "created_at",
    "note_id",
    "user_id",
    "parent_comment_id",
    "target_comment_id",
    "extra.target_comment",
)
"""The fields of a comment by which it is sorted, and other documents are joined to it."""


_TIMES = ("first_comment_at", "last_comment_at")
_NO_COUNTS: Document = {
    **dict.fromkeys(("comments", "replies", "likes_received", "notes"), 0),
    **dict.fromkeys(_TIMES),
}


def _added(counts: Document, of_note: Document) -> Document:
    """Return a user's counts with those of one more note."""
    comments = of_note["comments"]
    times = [[counts[name], of_note[name]] for name in _TIMES]
    return {
        "comments": counts["comments"] + comments,
        "replies": counts["replies"] + of_note["written"] - comments,
        "likes_received": counts["likes_received"] + of_note["likes_received"],
        "notes": counts["notes"] + 1,
        "first_comment_at": min(filter(None, times[0]), default=None),
        "last_comment_at": max(filter(None, times[1]), default=None),
    }


def _projection(fields: Sequence[str] | None) -> dict[str, int] | None:
    """Return the projection that reads these fields of comments, and those to join by."""
    if fields is None:
        return None
    # MongoDB refuses a field together with a part of it.
    joined_by = [name for name in _JOINED_BY if name.partition(".")[0] not in fields]
    return dict.fromkeys([*fields, *joined_by], 1)


def _key(document: Document) -> CommentKey:
    parent_id, created = document.get("parent_comment_id"), document.get("created_at")
    return CommentKey(document["_id"], _text(parent_id), _time(created))


def _oldest(replies: Iterable[CommentKey]) -> datetime | None:
    return min((reply.created_at for reply in replies if reply.created_at), default=None)


def _oldest_first(key: CommentKey) -> tuple[bool, datetime, str]:
    return key.created_at is None, key.created_at or _LONG_AGO, key.comment_id


def _answered_id(comment: Document) -> str | None:
    return _text(comment.get("target_comment_id")) or _text(comment.get("parent_comment_id"))


def _by_their_ids(documents: Iterable[Document]) -> dict[str, Document]:
    """Return documents by their IDs, without those whose ID is no text."""
    return {one["_id"]: one for one in documents if isinstance(one["_id"], str)}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _if_of_type(value: str, *types: str) -> Document:
    return {"$cond": [{"$in": [{"$type": value}, list(types)]}, value, None]}


def _joined(
    comment: Document,
    note: Document | None,
    answered: Mapping[str, Document],
    users: Mapping[str, Document],
) -> JoinedComment:
    answered_id = _answered_id(comment)
    user_id = _text(answered.get(answered_id, {}).get("user_id")) if answered_id else None
    nickname = _text(users.get(user_id, {}).get("nickname")) if user_id else None
    if answered_id and nickname is None and (sent := target_user(comment.get("extra"))):
        sent_id = _text(sent["user_id"])
        if user_id in (None, sent_id):
            user_id, nickname = sent_id, _text(sent["nickname"])
    return JoinedComment(
        comment,
        users.get(_text(comment.get("user_id")) or ""),
        note,
        answered_id,
        user_id,
        nickname,
    )
