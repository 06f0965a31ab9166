"""IDs alone, one a line: what a researcher may publish, and what ``scrapy enqueue`` reads."""

from __future__ import annotations

from xhs.export.tables import Rows
from xhs.export.writer import Writer


class IdListWriter(Writer):
    """Writes the key of each row on a line."""

    def write(self, rows: Rows) -> int:
        key = self._table.key
        self._file.writelines(f"{row[key]}\n".encode() for row in rows)
        return len(rows)
