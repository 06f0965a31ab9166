"""A JSON list, read entry by entry: it may be longer than memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import IO, Any

ReadObject = Callable[[list[tuple[str, Any]]], Any]
"""Takes the names and values of a JSON object."""

BLOCK = 1 << 16
"""Characters that are read at once."""
_LONGEST_LITERAL = 16
"""Characters of what is read in one piece, at most: a pair of escapes has 12, -Infinity 9."""
_SPACE = frozenset(" \t\r\n")
_AFTER_VALUE = _SPACE | {",", "]"}


def entries(file: IO[str], read_object: ReadObject | None = None) -> Iterator[Any]:
    """Yield the entries of the list that a file holds; ``read_object`` makes something of objects.

    Raises:
        ValueError: if the file is no such list, as soon as that shows.
    """
    text = _Text(file, read_object)
    if text.next_sign() != "[":
        raise ValueError("a JSON list of notes is needed")
    text.skip()
    if text.next_sign() == "]":
        text.skip()
    else:
        yield from _values(text)
    if text.next_sign():
        raise ValueError("no JSON: something follows the list")


def _values(text: _Text) -> Iterator[Any]:
    """What stands between the brackets, the second of them included."""
    for number in count(1):
        try:
            yield text.value()
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise ValueError(f"entry {number}: no JSON: {error}") from None
        sign = text.next_sign()
        text.skip()
        if sign == "]":
            return
        if sign != ",":
            raise ValueError(f"no JSON: after entry {number} a comma or ] is needed")


class _Text:
    """The text of a file, of which no more is held than one JSON value and a block need."""

    def __init__(self, file: IO[str], read_object: ReadObject | None) -> None:
        self._file = file
        self._text, self._at = "", 0
        self._decoder = json.JSONDecoder(object_pairs_hook=read_object)

    def next_sign(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            while self._text[self._at : self._at + 1] in _SPACE:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def skip(self) -> None:
        """Go on after a character."""
        self._at += 1

    def value(self) -> Any:
        """The next JSON value.

        Raises:
            ValueError: if there is none.
        """
        self.next_sign()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not (self._may_be_cut(error) and self._more()):
                    raise
                continue
            # A number may go on in the next block.
            if self._text[end : end + 1] in _AFTER_VALUE or not self._more():
                self._at = end
                return value

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """False if no further text can mend it: then no more of the file is read."""
        near_end = len(self._text) - error.pos < _LONGEST_LITERAL
        return near_end or error.msg.startswith("Unterminated string")

    def _more(self) -> bool:
        rest = self._text[self._at :]
        block = self._file.read(max(BLOCK, len(rest)))
        self._text, self._at = rest + block, 0
        return bool(block)
