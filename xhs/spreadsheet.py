"""Text that stays text when a spreadsheet opens a CSV file by itself."""

from __future__ import annotations

import re

GUARD = "\t"
"""What goes before a text that a spreadsheet would not leave as it is. Excel and LibreOffice then
take the cell for text; whoever reads the file otherwise strips it.
"""

_MONTH = "(?: jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec ) [a-z]*"
_TAKEN = re.compile(
    rf"""
    [=+\-@＝＋－＠] .*                                    # a formula
    | [\d$¥￥€£(（.,] [\d\s.,:/'%％()（）+\-]*             # a number, a date, a time, an amount
      (?: e [+\-]? \d+ )?                                 # 12e34
    | \d [\d\s.,:/\-]* [ap]m?                             # 3:00 pm
    | (?: \d+ \s* [年月日号时時分秒点點] \s* )+ (?: \d+ )?   # 5月1日
    | \d [\d\s.,/\-]* {_MONTH} [\d\s.,:/\-]*              # 5 Jan 2026
    | {_MONTH} [\s.,/\-]* \d [\d\s.,:/\-]*                # Jan 5
    | true | false
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def guarded(text: str) -> str:
    """A text as it is, or behind :data:`GUARD` where it would be taken for a formula, a number, a
    date or a truth value: a comment may be "+1", and an ID of 24 digits would end in zeros.
    """
    taken = text.startswith(("\t", "\r")) or _TAKEN.fullmatch(text.strip())
    return GUARD + text if taken else text
