"""Escaping of CSV cells, so that a spreadsheet that opens the file keeps text as text."""

from __future__ import annotations

import re
from unicodedata import normalize

GUARD = "\t"
"""The prefix of a text that a spreadsheet would convert.

With it, Excel and LibreOffice keep the cell as text. Other readers of the file must strip it.
"""

_CONVERTED = re.compile(
    r"""
    [=+\-@] .*                                     # a formula
    | true | false | 真 | 假
    | (?= .* \d ) (?:                              # a number, a date, a time, an amount
        [\d\s.,:/'%()+\-$¥€£元]
        | [et] (?= \s* [+\-]? \d )                 # 12e34, 2026-11-25T10:30
        | (?<= [\d\s] ) [ap]m? (?! \w )
        | nt (?= \$ ) | [上下]午 | [年月日号时時分秒点點]
        | (?: jan | feb | mar | apr | may | jun | jul | aug | sep | oct | nov | dec
            | mon | tue | wed | thu | fri | sat | sun ) [a-z]*+
      )+
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def escape_cell(text: str) -> str:
    """Return a text, behind :data:`GUARD` if a spreadsheet might convert it.

    It would convert what looks like a formula, a number, a date or a truth value: a comment may be
    "+1", and an ID of 24 digits would end in zeros. Which texts those are depends on the
    spreadsheet and its language; an unnecessary guard does no harm.
    """
    plain = normalize("NFKC", text).strip()
    is_converted = text.startswith(("\t", "\r")) or _CONVERTED.fullmatch(plain)
    return GUARD + text if is_converted else text
