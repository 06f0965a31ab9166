"""The fields that 4CAT's importer of RedNote comments reads, and how it reads them.

From its `datasources/xiaohongshu_comments` and the import of Zeeschuimer files, as of 2026.
"""

from __future__ import annotations

import json
from typing import Any


def mapped(line: str) -> dict[str, Any]:
    """Return what 4CAT makes of a line; a field that it needs and that is missing is an error."""
    collected = json.loads(line)
    comment = collected["data"]
    author = comment["user_info"]
    return {
        "id": comment["id"],
        "thread_id": comment["note_id"],
        "body": comment.get("content", ""),
        "author": author["nickname"],
        "author_avatar_url": author["image"],
        "ip_location": comment.get("ip_location") or "",
        "likes": comment["like_count"],
        "replies": comment["sub_comment_count"],
        "unix_timestamp": int(comment["create_time"] / 1000),
    }
