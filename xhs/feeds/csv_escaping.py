"""Text that stays text when a spreadsheet opens a CSV file by itself."""

from __future__ import annotations

import re
from unicodedata import normalize

GUARD = "\t"
"""What goes before a text that a spreadsheet would not leave as it is. Excel and LibreOffice then
take the cell for text; whoever reads the file otherwise strips it.
"""

_TAKEN = re.compile(
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
    """A text as it is, or behind :data:`GUARD` where it would be taken for a formula, a number, a
    date or a truth value: a comment may be "+1", and an ID of 24 digits would end in zeros. Which
    texts those are depends on the spreadsheet and its language; a guard too many does no harm.
    """
    taken = text.startswith(("\t", "\r")) or _TAKEN.fullmatch(normalize("NFKC", text).strip())
    return GUARD + text if taken else text
