"""Excel workbooks: texts stay texts, times are times, and rows are written as they come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import xlsxwriter

from xhs.export.tables import Rows, Table
from xhs.export.writer import Writer
from xhs.feeds.exporters import clean_text
from xhs.feeds.readable import time_text

MOST_ROWS = 1_048_576
"""The rows of a sheet, with the header; further rows go to another sheet."""

_FIRST_YEAR = 1900


class WorkbookWriter(Writer):
    """Writes the columns for people. Memory does not grow with the rows.

    Until the end, the rows are in temporary files beside the workbook. A text above 32,767
    characters, which no cell can hold, is cut off there.
    """

    def __init__(self, file: BinaryIO, table: Table, most_rows: int = MOST_ROWS) -> None:
        super().__init__(file, table)
        self._columns = table.columns
        self._most_rows = most_rows
        self._folder = TemporaryDirectory(dir=Path(file.name).parent, prefix=".xlsx-")
        options = {
            "constant_memory": True,
            "tmpdir": self._folder.name,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._workbook = xlsxwriter.Workbook(file, options)
        self._header = self._workbook.add_format({"bold": True})
        self._time = self._workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._sheets = 0
        self._add_sheet()

    def write(self, rows: Rows) -> int:
        for row in rows:
            if self._row == self._most_rows:
                self._finish_sheet()
                self._add_sheet()
            self._write_row(row)
        return len(rows)

    def finish(self) -> None:
        self._finish_sheet()
        self._workbook.close()
        self._folder.cleanup()

    def abandon(self) -> None:
        for sheet in self._workbook.worksheets():
            if sheet.row_data_fh is not None:
                sheet.row_data_fh.close()
        self._folder.cleanup()

    def _add_sheet(self) -> None:
        self._sheets += 1
        number = f" {self._sheets}" if self._sheets > 1 else ""
        self._sheet = self._workbook.add_worksheet(f"{self._table.name}{number}")
        self._sheet.freeze_panes(1, 0)
        for place, column in enumerate(self._columns):
            self._sheet.set_column(place, place, column.width)
            self._sheet.write_string(0, place, column.name, self._header)
        self._row = 1

    def _finish_sheet(self) -> None:
        self._sheet.autofilter(0, 0, self._row - 1, len(self._columns) - 1)

    def _write_row(self, row: Mapping[str, Any]) -> None:
        for place, column in enumerate(self._columns):
            value = column.read(row)
            if isinstance(value, datetime) and value.year < _FIRST_YEAR:
                value = time_text(value)  # no workbook can hold it as a time
            if isinstance(value, str):
                self._sheet.write_string(self._row, place, clean_text(value))
            elif isinstance(value, datetime):
                self._sheet.write_datetime(self._row, place, value, self._time)
            elif value is not None:
                self._sheet.write_number(self._row, place, value)
        self._row += 1
