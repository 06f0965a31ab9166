"""Parquet for DuckDB, pandas and the like: typed columns, in row groups."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from xhs.api.schema import Schema
from xhs.export.json_lines import as_text
from xhs.export.tables import Rows, Table, json_type
from xhs.export.writer import Writer

_ROW_GROUP = 10_000
_TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
}
_TIME = pa.timestamp("ms", "UTC")


class ParquetWriter(Writer):
    """Writes the fields for programs. Memory is bounded by one row group."""

    def __init__(self, file: BinaryIO, table: Table) -> None:
        super().__init__(file, table)
        columns = [(name, *_column(form)) for name, form in table.fields.items()]
        self._schema = pa.schema([(name, kind) for name, kind, _ in columns])
        self._columns = [(name, convert) for name, _, convert in columns]
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[Mapping[str, Any]] = []

    def write(self, rows: Rows) -> int:
        self._rows += rows
        if len(self._rows) >= _ROW_GROUP:
            self._write_group()
        return len(rows)

    def finish(self) -> None:
        if self._rows:
            self._write_group()
        self._writer.close()

    def abandon(self) -> None:
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._writer.is_open = False  # otherwise it tries again, and prints, when it is deleted

    def _write_group(self) -> None:
        arrays = [
            pa.array([convert(row.get(name)) for row in self._rows], self._schema.field(name).type)
            for name, convert in self._columns
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []


def _column(form: Schema) -> tuple[pa.DataType, Callable[[Any], Any]]:
    """Return the type of a field's column, and the function that converts its values.

    A list of objects with known fields stays one; other nested values become JSON text, because
    their fields are not known.
    """
    kind = json_type(form)
    if kind == "array" and "items" in form:
        properties = form["items"]["properties"]
        struct = pa.struct([(name, _column(one)[0]) for name, one in properties.items()])
        return pa.list_(struct), _same
    if kind in {"array", "object"}:
        return pa.string(), _json_text
    return (_TIME if form.get("format") == "date-time" else _TYPES[kind]), _same


def _same(value: Any) -> Any:
    return value


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=as_text)
