"""GEXF for Gephi: who answers whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from xhs.export.tables import Rows, Table
from xhs.export.writer import Writer
from xhs.feeds.exporters import xml_text

_COUNTS = ("comments", "replies", "likes_received")


class GraphWriter(Writer):
    """Writes users as nodes, and an edge from each user to each whom that user has answered.

    An edge's weight is the number of these replies. Comments of unknown users are left out. Memory
    grows with the users and edges, not with the comments.
    """

    def __init__(self, file: BinaryIO, table: Table) -> None:
        super().__init__(file, table)
        self._nicknames: dict[str, str | None] = {}
        self._counts: dict[str, Counter[str]] = {}
        self._edges: Counter[tuple[str, str]] = Counter()

    def write(self, rows: Rows) -> int:
        for row in rows:
            user_id, answered_id = row.get("user_id"), row.get("answered_user_id")
            if user_id:
                self._add_user(user_id, row.get("nickname"))
                counts = self._counts.setdefault(user_id, Counter())
                counts["replies" if row["is_reply"] else "comments"] += 1
                counts["likes_received"] += row.get("like_count") or 0
            if answered_id:
                self._add_user(answered_id, row.get("answered_nickname"))
            if user_id and answered_id:
                self._edges[user_id, answered_id] += 1
        return len(rows)

    def finish(self) -> None:
        xml = XMLGenerator(self._file, "utf-8", short_empty_elements=True)
        xml.startDocument()
        with (
            _element(xml, "gexf", xmlns="http://gexf.net/1.3", version="1.3"),
            _element(xml, "graph", defaultedgetype="directed", mode="static"),
        ):
            with _element(xml, "attributes", **{"class": "node"}):
                for name in _COUNTS:
                    _empty(xml, "attribute", id=name, title=name, type="long")
            with _element(xml, "nodes"):
                for user_id, nickname in self._nicknames.items():
                    self._write_node(xml, user_id, nickname)
            with _element(xml, "edges"):
                for number, ((source, target), weight) in enumerate(self._edges.items()):
                    ids = {"source": xml_text(source), "target": xml_text(target)}
                    _empty(xml, "edge", id=number, **ids, weight=weight)
        xml.endDocument()

    def _write_node(self, xml: XMLGenerator, user_id: str, nickname: str | None) -> None:
        counts = self._counts.get(user_id, Counter())
        with (
            _element(xml, "node", id=xml_text(user_id), label=xml_text(nickname or user_id)),
            _element(xml, "attvalues"),
        ):
            for name in _COUNTS:
                _empty(xml, "attvalue", **{"for": name, "value": counts[name]})

    def _add_user(self, user_id: str, nickname: str | None) -> None:
        self._nicknames[user_id] = nickname or self._nicknames.get(user_id)


@contextmanager
def _element(xml: XMLGenerator, name: str, **attributes: Any) -> Iterator[None]:
    xml.startElement(name, AttributesImpl({key: str(one) for key, one in attributes.items()}))
    yield
    xml.endElement(name)


def _empty(xml: XMLGenerator, name: str, **attributes: Any) -> None:
    with _element(xml, name, **attributes):
        pass
