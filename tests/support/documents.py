"""The documents of the project: their tables, links, headings and blocks of commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.simulator import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = PROJECT / "README.md"
DOCS = PROJECT / "docs"
REFERENCE = DOCS / "reference"
HOW_TO = DOCS / "how-to"
README_IN_CHINESE = PROJECT / "README.zh-CN.md"
CHINESE = DOCS / "zh-CN"

_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NO_SLUG = re.compile(r"[^\w\- ]")


def pages() -> list[Path]:
    """Return README and every document, in both languages."""
    return [README, README_IN_CHINESE, *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return a page's path in the project, as ``docs/scale.md``."""
    return page.relative_to(PROJECT).as_posix()


def read(page: Path) -> str:
    """Return a page's text."""
    return page.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return a page's fenced blocks in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", read(page), re.DOTALL | re.MULTILINE)
    return [Block(*block) for block in found]


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines outside tables and fenced blocks."""
    in_block = False
    for number, line in enumerate(read(page).splitlines(), 1):
        if line.startswith("```"):
            in_block = not in_block
        elif not in_block and not line.startswith("|"):
            yield number, line


def links(page: Path) -> set[str]:
    """Return the targets of a page's links, without those to other sites."""
    text = "\n".join(line for line in read(page).splitlines())
    return {link for link in _LINK.findall(text) if "://" not in link}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = (line.lstrip("#").strip() for _, line in prose(page) if line.startswith("#"))
    return {_NO_SLUG.sub("", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """Return the text below a heading of a page, up to the next one of its level."""
    level = heading.partition(" ")[0]
    _, found, rest = f"\n{read(page)}".partition(f"\n{heading}\n")
    assert found, f"{name_of(page)} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str, first_column: str) -> list[list[str]]:
    """Return the rows, without the header, of the only table whose first column has this title."""
    tables = re.findall(rf"^\| {re.escape(first_column)} \|.*\n(?:\|.*\n?)*", text, re.MULTILINE)
    assert len(tables) == 1, f"{len(tables)} tables begin with the column {first_column!r}"
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in tables[0].splitlines()[2:]
    ]


def codes(cell: str) -> list[str]:
    """Return the texts between back-ticks in a cell."""
    return _CODE.findall(cell)


def names(table: list[list[str]]) -> list[str]:
    """Return the names in a table's first column; a row may have several."""
    return [name for row in table for name in codes(row[0])]
