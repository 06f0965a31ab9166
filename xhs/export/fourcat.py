"""NDJSON that 4CAT imports as RedNote comments.

4CAT reads what the browser extension Zeeschuimer collects: one object a line, and in its ``data``
what the web page of the app received. Of a comment it needs ``id``, ``note_id``, ``content``,
``create_time`` (a number of milliseconds), ``like_count``, ``sub_comment_count``, ``ip_location``,
and the author as ``user_info`` with ``nickname`` and ``image``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, BinaryIO

from xhs.crawl.note_ids import NOTE_URL
from xhs.export.json_lines import json_line
from xhs.export.tables import Rows, Table
from xhs.export.writer import Writer

PLATFORM = "xiaohongshu-comments"
"""The name by which 4CAT knows this kind of data."""


class FourCatWriter(Writer):
    """Writes comments and replies. Those without a time are left out: 4CAT cannot read them."""

    def __init__(self, file: BinaryIO, table: Table) -> None:
        super().__init__(file, table)
        self._written = 0

    def write(self, rows: Rows) -> int:
        dated = [row for row in rows if row.get("created_at") is not None]
        for row in dated:
            self._file.write(json_line(_record(row, self._written)))
            self._written += 1
        return len(dated)


def _record(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    note_id = row["note_id"] or ""
    url = f"{NOTE_URL}{note_id}"
    collected_at = _milliseconds(row["scraped_at"] or row["created_at"])
    return {
        "nav_index": str(number),
        "item_id": row["comment_id"],
        "timestamp_collected": collected_at,
        "last_updated": collected_at,
        "source_platform": PLATFORM,
        "source_platform_url": url,
        "source_url": url,
        "user_agent": "xhs",
        "data": {
            "id": row["comment_id"],
            "note_id": note_id,
            "content": row.get("content") or "",
            "create_time": _milliseconds(row["created_at"]),
            "ip_location": row.get("ip_location") or "",
            "like_count": row.get("like_count"),
            "sub_comment_count": row.get("sub_comment_count"),
            "user_info": {
                "user_id": row.get("user_id") or "",
                "nickname": row.get("nickname") or "",
                "image": row.get("avatar_url") or "",
            },
            "root_comment_id": row["root_comment_id"],
            "target_comment_id": row.get("answered_comment_id"),
        },
    }


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
