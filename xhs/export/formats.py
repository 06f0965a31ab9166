"""The formats of an export, by the ending of the file's name.

Each is a module with a :class:`~xhs.export.writer.Writer`, and is imported only when it is used:
some need an optional package.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from xhs.export.tables import Table
from xhs.export.writer import Writer


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the writer's module and class, and what it needs.

    ``package``: the optional package that it imports. ``only_comments``: it can hold no other
    table. ``without_extra``: it leaves out the field ``extra``.
    """

    module: str
    name: str
    package: str | None = None
    only_comments: bool = False
    without_extra: bool = True

    def open(self, file: BinaryIO, table: Table) -> Writer:
        """Return a writer of a table to a file.

        Raises:
            ModuleNotFoundError: if the optional package is not installed.
        """
        writer: type[Writer] = getattr(importlib.import_module(self.module), self.name)
        return writer(file, table)

    @property
    def is_installed(self) -> bool:
        """True if the package that it needs is installed."""
        return self.package is None or importlib.util.find_spec(self.package) is not None


FORMATS: Mapping[str, Format] = {
    ".csv": Format("xhs.export.csv_file", "CsvWriter"),
    ".xlsx": Format("xhs.export.workbook", "WorkbookWriter", "xlsxwriter"),
    ".jsonl": Format("xhs.export.json_lines", "JsonLinesWriter", without_extra=False),
    ".parquet": Format("xhs.export.parquet", "ParquetWriter", "pyarrow", without_extra=False),
    ".gexf": Format("xhs.export.graph", "GraphWriter", only_comments=True),
    ".ndjson": Format("xhs.export.fourcat", "FourCatWriter", only_comments=True),
}
"""The formats of a table, by the ending of the file's name."""

ID_LIST = Format("xhs.export.id_list", "IdListWriter")
"""IDs alone, one a line: the format of ``.txt`` with ``--ids``."""
