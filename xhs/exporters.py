"""CSV and XML without Python's own spelling: nested values and truth values are JSON."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import Any

from itemadapter import ItemAdapter
from scrapy.exporters import CsvItemExporter, XmlItemExporter

from xhs.schemas import COLUMNS

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class CsvExporter(CsvItemExporter):
    """Fixed columns: the union of the item types' fields, unless the feed names its own."""

    def __init__(self, file: BytesIO, **kwargs: Any) -> None:
        super().__init__(file, **kwargs)
        self.fields_to_export = self.fields_to_export or COLUMNS

    def serialize_field(self, field: Any, name: str, value: Any) -> Any:
        return _flat(value)


class XmlExporter(XmlItemExporter):
    """Null values are left out; characters that XML cannot hold are replaced by U+FFFD."""

    def export_item(self, item: Any) -> None:
        fields = {name: value for name, value in ItemAdapter(item).items() if value is not None}
        super().export_item(fields)

    def serialize_field(self, field: Any, name: str, value: Any) -> Any:
        return _NOT_IN_XML.sub("\ufffd", str(_flat(value)))


def _flat(value: Any) -> Any:
    if isinstance(value, dict | list | tuple | bool):
        return json.dumps(value, ensure_ascii=False)
    return value
