"""The Chinese pages are equal to the English ones: commands, headings, links, names, numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support.documents import (
    CHINESE,
    DOCS,
    README,
    README_IN_CHINESE,
    blocks,
    codes,
    links,
    name_of,
    prose,
    read,
)

if TYPE_CHECKING:
    from pathlib import Path

TRANSLATED = (
    *("tutorial", "how-to/feeds-and-spreadsheets", "how-to/export", "how-to/report"),
    *("how-to/daily-update", "how-to/resume", "how-to/cost", "how-to/replies", "how-to/what-to-do"),
)
ORIGINALS = {
    README_IN_CHINESE: README,
    **{page: DOCS / page.relative_to(CHINESE) for page in sorted(CHINESE.rglob("*.md"))},
}
TRANSLATIONS = {english: chinese for chinese, english in ORIGINALS.items()}

each_page = pytest.mark.parametrize("page", ORIGINALS, ids=name_of)


def test_pages_that_are_in_both_languages() -> None:
    expected = {README, *(DOCS / f"{name}.md" for name in TRANSLATED)}
    assert set(TRANSLATIONS) == expected


@each_page
def test_code_is_the_same_but_for_comments(page: Path) -> None:
    assert code(page) == code(ORIGINALS[page])


@each_page
def test_headings_are_as_many(page: Path) -> None:
    assert levels(page) == levels(ORIGINALS[page])


@each_page
def test_tables_are_as_long(page: Path) -> None:
    assert columns(page) == columns(ORIGINALS[page])


@each_page
def test_links_lead_to_the_same_pages_in_chinese_if_there_are_any(page: Path) -> None:
    english = ORIGINALS[page]
    expected = {TRANSLATIONS.get(target, target) for target in linked(english)}
    if english == README:  # each leads to the other
        expected = expected - {page} | {english}
    assert linked(page) == expected


@each_page
def test_names_and_numbers_are_the_same(page: Path) -> None:
    english = ORIGINALS[page]
    assert names(page) == names(english)
    assert numbers(english) - numbers(page) == set()


def code(page: Path) -> list[str]:
    """Return a page's code without comments, and without the words of the map of the code."""
    fenced = [block.text for block in blocks(page)]
    indented = [line for _, line in prose(page) if line.startswith("    ")]
    without_comments = [re.sub(r"(?m)^# .*\n", "", text) for text in fenced]
    return [re.sub(r"(?m)^(xhs/\S+) .*$", r"\1", text) for text in without_comments] + indented


def levels(page: Path) -> list[int]:
    """Return the levels of a page's headings."""
    return [len(line.split()[0]) for _, line in prose(page) if line.startswith("#")]


def columns(page: Path) -> list[int]:
    """Return the number of columns of each row of a page's tables."""
    rows = [line for line in read(page).splitlines() if line.startswith("|")]
    return [line.replace(r"\|", "").count("|") for line in rows]


def linked(page: Path) -> set[Path]:
    """Return the files that a page links to."""
    paths = (link.partition("#")[0] for link in links(page))
    return {(page.parent / path).resolve() if path else page for path in paths}


def text(page: Path) -> str:
    """Return a page without fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", read(page))


def names(page: Path) -> set[str]:
    """Return what is code in a page's text."""
    return {" ".join(name.split()) for name in codes(text(page))}


def numbers(page: Path) -> set[str]:
    """Return the numbers in a page's text, without those in code and targets of links."""
    return set(re.findall(r"\d+(?:[.,]\d+)*", re.sub(r"`[^`]+`|\]\([^)]*\)", "", text(page))))
