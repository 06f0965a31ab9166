"""Columns of tables for people: the preset ``csv`` and the export share them.

What is read first stands first, identifiers stand last. What only a program can use has no column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, NamedTuple

from xhs.crawl.note_ids import NOTE_URL

Row = Mapping[str, Any]
"""The fields of an item or of a document, with those joined to it."""

BEIJING = timezone(timedelta(hours=8))
_USER_URL = "https://www.xiaohongshu.com/user/profile/"
_HAS_PROFILE = re.compile(r"[0-9a-f]{24}", re.ASCII)


class Column(NamedTuple):
    """A column: its name, how its value is read from a row, and its width in characters.

    A value is a text, a number, a time without a zone, or None.
    """

    name: str
    read: Callable[[Row], Any]
    width: int = 10


def _field(name: str, source: str | None = None, width: int = 10) -> Column:
    return Column(name, lambda row: row.get(source or name), width)


def _yes_no(name: str, source: str) -> Column:
    words: dict[Any, str] = {True: "yes", False: "no"}
    return Column(name, lambda row: words.get(row.get(source)))


def _time(name: str, source: str, zone: tzinfo = BEIJING) -> Column:
    return Column(name, lambda row: _local_time(row.get(source), zone), 19)


def _local_time(value: Any, zone: tzinfo) -> datetime | None:
    """Return a time as the clocks of a zone show it, to the second; None if it is unknown."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(time, datetime):
        return None
    with suppress(OverflowError):  # at the ends of the calendar
        time = time.astimezone(zone)
    return time.replace(tzinfo=None, microsecond=0)


def _level(row: Row) -> str:
    return "comment" if row.get("parent_comment_id") is None else "reply"


def _picture_links(row: Row) -> str | None:
    pictures = row.get("pictures") or ()
    links = (one.get("origin_url") or one.get("url") for one in pictures)
    return "\n".join(filter(None, links)) or None


def _answered_comment_id(row: Row) -> str | None:
    return row.get("target_comment_id") or row.get("parent_comment_id")


def _note_url(row: Row) -> str | None:
    return f"{NOTE_URL}{row['note_id']}" if row.get("note_id") else None


def _profile_url(row: Row) -> str | None:
    user_id = row.get("user_id") or ""
    return f"{_USER_URL}{user_id}" if _HAS_PROFILE.fullmatch(user_id) else None


_NOTE_URL = Column("note_url", _note_url, 60)
_NICKNAME = _field("nickname", width=18)

COMMENT_COLUMNS: tuple[Column, ...] = (
    _NICKNAME,
    _field("text", "content", 60),
    _time("time", "created_at"),
    _field("likes", "like_count"),
    _field("replies", "sub_comment_count"),
    Column("level", _level),
    _field("place", "ip_location"),
    _NOTE_URL,
    _field("answers", "answered_nickname", 18),
    _yes_no("by_author", "is_author"),
    _yes_no("liked_by_author", "is_liked_by_author"),
    _yes_no("pinned", "is_pinned"),
    Column("pictures", _picture_links, 30),
    _yes_no("new", "is_new"),
    _time("vanished", "vanished_at"),
    _field("comment_id", width=26),
    _field("note_id", width=26),
    _field("user_id", width=26),
    _field("parent_comment_id", width=26),
    Column("answered_comment_id", _answered_comment_id, 26),
    _field("answered_user_id", width=26),
    _time("time_utc", "created_at", UTC),
    _time("first_seen_utc", "first_seen_at", UTC),
    _time("last_seen_utc", "last_seen_at", UTC),
)

USER_COLUMNS: tuple[Column, ...] = (
    _NICKNAME,
    _field("comments"),
    _field("replies"),
    _field("likes_received"),
    _field("notes"),
    _time("first_comment", "first_comment_at"),
    _time("last_comment", "last_comment_at"),
    _field("red_id", width=14),
    Column("profile_url", _profile_url, 60),
    _field("avatar_url", width=30),
    _field("user_id", width=32),
    _time("first_comment_utc", "first_comment_at", UTC),
    _time("last_comment_utc", "last_comment_at", UTC),
    _time("first_seen_utc", "first_seen_at", UTC),
    _time("last_seen_utc", "last_seen_at", UTC),
)

NOTE_COLUMNS: tuple[Column, ...] = (
    _NOTE_URL,
    _field("author", "nickname", 18),
    _field("comments_reported", "comment_count_l1"),
    _field("comments_held", "comments_collected"),
    _field("comments_missing", "missing"),
    _field("replies_reported"),
    _field("replies_held", "replies_collected"),
    _field("replies_missing"),
    _field("reported_in_total", "comment_count"),
    _yes_no("complete", "complete"),
    _field("state"),
    _field("ended", "stop_reason", 17),
    _field("sort"),
    _field("pages"),
    _field("billed_calls"),
    _time("last_answer", "scraped_at"),
    _field("note_id", width=26),
    _field("user_id", width=26),
    _time("last_answer_utc", "scraped_at", UTC),
    _time("first_seen_utc", "first_seen_at", UTC),
)

HISTORY_COLUMNS: tuple[Column, ...] = (
    _NOTE_URL,
    _time("began", "began_at"),
    _time("ended", "ended_at"),
    _field("comments_reported", "comment_count_l1"),
    _field("comments_listed"),
    _field("comments_new"),
    _field("replies_new"),
    _field("comments_held", "comments_collected"),
    _field("comments_missing", "missing"),
    _field("replies_reported"),
    _field("replies_held", "replies_collected"),
    _field("replies_missing"),
    _field("reported_in_total", "comment_count"),
    _field("mode"),
    _field("sort"),
    _yes_no("complete", "complete"),
    _field("stop_reason", width=17),
    _field("pages"),
    _field("billed_calls"),
    _field("note_id", width=26),
    _time("began_utc", "began_at", UTC),
    _time("ended_utc", "ended_at", UTC),
)


def without(columns: Sequence[Column], *names: str) -> tuple[Column, ...]:
    """Return the columns without those of these names."""
    return tuple(column for column in columns if column.name not in names)


_SEEN = ("first_seen_utc", "last_seen_utc")

FEED_COLUMNS: dict[str, tuple[Column, ...]] = {
    "comment": without(COMMENT_COLUMNS, "vanished", "time_utc", *_SEEN),
    "user": without(
        USER_COLUMNS,
        "comments",
        "replies",
        "likes_received",
        "notes",
        "first_comment",
        "last_comment",
        "first_comment_utc",
        "last_comment_utc",
        *_SEEN,
    ),
    "note": without(NOTE_COLUMNS, "author", "state", "billed_calls", "last_answer_utc", *_SEEN),
}
"""The columns of a feed, by item type: without what only the store knows."""


def time_text(time: datetime) -> str:
    """Return a time in the form in which every spreadsheet takes it as a time."""
    return time.isoformat(" ")
