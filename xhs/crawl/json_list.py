"""Streaming reader of a JSON list, which may be larger than memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import IO, Any

ReadObject = Callable[[list[tuple[str, Any]]], Any]
"""Receives the names and values of a JSON object."""

BLOCK = 1 << 16
"""Characters to read at once."""
_LONGEST_LITERAL = 16
"""Characters of the longest indivisible token, rounded up: an escape pair has 12, -Infinity 9."""
_SPACE = frozenset(" \t\r\n")
_AFTER_VALUE = _SPACE | {",", "]"}


def entries(file: IO[str], read_object: ReadObject | None = None) -> Iterator[Any]:
    """Yield the entries of the list in a file; ``read_object`` converts each JSON object.

    Raises:
        ValueError: if the file is not a JSON list, as soon as that is known.
    """
    text = _Text(file, read_object)
    if text.next_character() != "[":
        raise ValueError("a JSON list of notes is needed")
    text.skip()
    if text.next_character() == "]":
        text.skip()
    else:
        yield from _values(text)
    if text.next_character():
        raise ValueError("not JSON: text follows the list")


def _values(text: _Text) -> Iterator[Any]:
    """Yield the values between the brackets, and consume the closing bracket."""
    for number in count(1):
        try:
            yield text.value()
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise ValueError(f"entry {number}: not JSON: {error}") from None
        character = text.next_character()
        text.skip()
        if character == "]":
            return
        if character != ",":
            raise ValueError(f"not JSON: a comma or ] is needed after entry {number}")


class _Text:
    """The text of a file, of which at most one JSON value and a block are in memory."""

    def __init__(self, file: IO[str], read_object: ReadObject | None) -> None:
        self._file = file
        self._text, self._position = "", 0
        self._decoder = json.JSONDecoder(object_pairs_hook=read_object)

    def next_character(self) -> str:
        """Return the next character that is not white space; empty at the end of the file."""
        while True:
            while self._text[self._position : self._position + 1] in _SPACE:
                self._position += 1
            if self._position < len(self._text) or not self._read_block():
                return self._text[self._position : self._position + 1]

    def skip(self) -> None:
        """Consume one character."""
        self._position += 1

    def value(self) -> Any:
        """Consume the next JSON value, and return it.

        Raises:
            ValueError: if there is none.
        """
        self.next_character()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if not (self._may_be_cut(error) and self._read_block()):
                    raise
                continue
            # A number may continue in the next block.
            if self._text[end : end + 1] in _AFTER_VALUE or not self._read_block():
                self._position = end
                return value

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """False if more text cannot fix the error, so that the rest of the file is not read."""
        near_end = len(self._text) - error.pos < _LONGEST_LITERAL
        return near_end or error.msg.startswith("Unterminated string")

    def _read_block(self) -> bool:
        """Read on; False at the end of the file."""
        rest = self._text[self._position :]
        block = self._file.read(max(BLOCK, len(rest)))
        self._text, self._position = rest + block, 0
        return bool(block)
