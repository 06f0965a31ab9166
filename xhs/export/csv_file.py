"""CSV for spreadsheets: UTF-8 with the mark that Excel needs, and guarded cells."""

from __future__ import annotations

import csv
from datetime import datetime
from io import TextIOWrapper
from typing import Any, BinaryIO

from xhs.export.tables import Rows, Table
from xhs.export.writer import Writer
from xhs.feeds.csv_escaping import escape_cell
from xhs.feeds.exporters import clean_text
from xhs.feeds.readable import time_text


class CsvWriter(Writer):
    """Writes the columns for people, as the feed preset ``csv`` does."""

    def __init__(self, file: BinaryIO, table: Table) -> None:
        super().__init__(file, table)
        self._columns = table.columns
        self._text = TextIOWrapper(file, "utf-8-sig", newline="")
        self._csv = csv.writer(self._text)
        self._csv.writerow([column.name for column in self._columns])

    def write(self, rows: Rows) -> int:
        self._csv.writerows([_cell(column.read(row)) for column in self._columns] for row in rows)
        return len(rows)

    def finish(self) -> None:
        self._text.detach()  # flushes


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return escape_cell(clean_text(value))
    return time_text(value) if isinstance(value, datetime) else value
