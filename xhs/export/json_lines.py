"""JSON Lines for programs: every field, and times in ISO 8601 and UTC."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from xhs.api.values import format_time
from xhs.export.tables import Rows
from xhs.export.writer import Writer
from xhs.feeds.exporters import on_one_line


class JsonLinesWriter(Writer):
    """Writes the fields for programs."""

    def write(self, rows: Rows) -> int:
        for row in rows:
            fields = {name: row.get(name) for name in self._table.fields}
            self._file.write(json_line(fields))
        return len(rows)


def json_line(value: Any) -> bytes:
    """Return a value as one line of JSON, for any program's notion of a line."""
    return on_one_line(json.dumps(value, ensure_ascii=False, default=as_text)).encode() + b"\n"


def as_text(value: Any) -> str:
    """Return a value that JSON does not have as a text."""
    return format_time(value) if isinstance(value, datetime) else str(value)
