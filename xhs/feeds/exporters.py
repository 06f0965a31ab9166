"""Exporters of the feeds: values in CSV and XML are JSON, not ``repr``, and lines survive a kill.

Python's ``str.splitlines`` ends a line at ten characters, and ``openpyxl`` and Excel refuse control
characters. So JSON Lines escapes them, which does not change the value. CSV has no escapes: there
they become a newline or U+FFFD.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, BinaryIO

from itemadapter import ItemAdapter
from scrapy.exporters import CsvItemExporter, JsonLinesItemExporter, XmlItemExporter
from scrapy.extensions.postprocessing import GzipPlugin

from xhs.feeds.csv_escaping import escape_cell
from xhs.feeds.readable import FEED_COLUMNS, time_text
from xhs.items import COLUMNS, CommentItem

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_CSV = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile("[\v\f\x85\u2028\u2029]")
_RAW_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\ufffe\uffff]")  # others are escaped already
_FLUSH_EVERY = 1 << 16


class JsonLinesExporter(JsonLinesItemExporter):
    """Flushes each line, so that a killed crawl leaves whole lines."""

    def __init__(self, file: BytesIO, **kwargs: Any) -> None:
        super().__init__(file, **kwargs)
        self.encoder = _LineEncoder(self.encoder)

    def export_item(self, item: Any) -> None:
        super().export_item(item)
        self.file.flush()


class CsvExporter(CsvItemExporter):
    """Fixed columns: the union of the item types' fields, unless the feed names its own.

    With ``spreadsheet``, a spreadsheet that opens the file does not convert text to numbers, dates
    or formulas. With ``readable``, the columns are those for people. The header is written even
    without items, but not again when a file is appended to. Rows survive a kill.
    """

    def __init__(
        self, file: BytesIO, *, spreadsheet: bool = False, readable: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(file, **kwargs)
        self.fields_to_export = self.fields_to_export or COLUMNS
        self._spreadsheet = spreadsheet
        self._readable = readable

    def start_exporting(self) -> None:
        super().start_exporting()
        if self.include_headers_line and not (self.stream.seekable() and self.stream.tell()):
            fields = self.fields_to_export or COLUMNS
            self.csv_writer.writerow(fields.values() if isinstance(fields, Mapping) else fields)
        self.include_headers_line = False

    def export_item(self, item: Any) -> None:
        super().export_item(_readable_fields(item) if self._readable else item)
        self.stream.flush()

    def serialize_field(self, field: Any, name: str, value: Any) -> Any:
        if isinstance(value, datetime):
            return time_text(value)
        if not isinstance(value, str):
            return _flat(value)
        value = clean_text(value)
        return escape_cell(value) if self._spreadsheet else value


class XmlExporter(XmlItemExporter):
    """Leaves out null values, and replaces characters that XML cannot hold by U+FFFD."""

    def export_item(self, item: Any) -> None:
        fields = {name: value for name, value in ItemAdapter(item).items() if value is not None}
        super().export_item(fields)

    def serialize_field(self, field: Any, name: str, value: Any) -> Any:
        return xml_text(str(_flat(value)))


class ReadableGzip(GzipPlugin):
    """Compresses a feed; after a kill, ``zcat`` can read all of it but the last 64 KiB."""

    def __init__(self, file: BinaryIO, feed_options: dict[str, Any]) -> None:
        super().__init__(file, feed_options)
        self._unflushed = 0

    def write(self, data: bytes) -> int:
        written = super().write(data)
        self._unflushed += len(data)
        if self._unflushed >= _FLUSH_EVERY:
            self.gzipfile.flush()
            self._unflushed = 0
        return written


class _LineEncoder(json.JSONEncoder):
    """Wraps an encoder, and escapes every character that some program takes for a line end."""

    def __init__(self, encoder: json.JSONEncoder) -> None:
        super().__init__()
        self._encoder = encoder

    def encode(self, o: Any) -> str:
        return on_one_line(self._encoder.encode(o))


def xml_text(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)


def clean_text(text: str) -> str:
    """Return a text whose characters every program can read that opens CSV files or workbooks."""
    return _NOT_IN_CSV.sub("\ufffd", _LINE_BREAK.sub("\n", text))


def _readable_fields(item: Any) -> dict[str, Any]:
    """Return the columns for people of an item; its fields if it is of no known type."""
    row = ItemAdapter(item).asdict()
    if isinstance(item, CommentItem):
        row |= item.people._asdict()
    columns = FEED_COLUMNS.get(row.get("item_type", ""))
    return {column.name: column.read(row) for column in columns} if columns else row


def on_one_line(text: str) -> str:
    """Escape control characters and line ends in JSON; they can only stand within strings."""
    return _RAW_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _flat(value: Any) -> Any:
    if isinstance(value, dict | list | tuple | bool):
        return on_one_line(json.dumps(value, ensure_ascii=False))
    return value
