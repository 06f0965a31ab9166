"""Reproducible chance.

Everything the stand-in shows is drawn from hashes of names, so that two processes, on any
platform and in any order of calls, see the same dataset. Only integers are used: floating point
differs in its last digit from one C library to the next.
"""

from __future__ import annotations

from hashlib import blake2b, shake_128
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_DIGEST_BYTES = 64
_RESERVE_BITS = 80


class SeededRandom:
    """A stream of small whole numbers that depends on its name alone."""

    __slots__ = ("_bits", "_left", "_name", "_round")

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._round = 0
        self._bits = 0
        self._left = 0
        self._refill()

    def _refill(self) -> None:
        digest = blake2b(
            self._name, digest_size=_DIGEST_BYTES, salt=self._round.to_bytes(16, "big")
        ).digest()
        self._bits = int.from_bytes(digest, "big")
        self._left = _DIGEST_BYTES * 8
        self._round += 1

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        if self._left < _RESERVE_BITS:
            self._refill()
        self._left -= limit.bit_length()
        self._bits, drawn = divmod(self._bits, limit)
        return drawn

    def chance(self, permille: int) -> bool:
        """True ``permille`` times in a thousand."""
        return self.below(1000) < permille

    def pick(self, choices: Sequence[T]) -> T:
        """One of ``choices``."""
        return choices[self.below(len(choices))]

    def hexadecimal(self, digits: int) -> str:
        """A string of ``digits`` hexadecimal digits."""
        return "".join(f"{self.below(16):x}" for _ in range(digits))

    def token(self, alphabet: str, length: int) -> str:
        """A string of ``length`` characters of ``alphabet``."""
        return "".join(self.pick(alphabet) for _ in range(length))

    def quantile(self, table: Sequence[tuple[int, int]]) -> int:
        """A value of the distribution that ``table`` describes; see `interpolate`."""
        return interpolate(table, self.below(table[-1][0]))


def interpolate(table: Sequence[tuple[int, int]], rank: int) -> int:
    """The value at ``rank``, between the ascending ``(rank, value)`` pairs of ``table``."""
    low_rank, low = table[0]
    for high_rank, high in table[1:]:
        if rank <= high_rank:
            return low + (high - low) * (rank - low_rank) // (high_rank - low_rank)
        low_rank, low = high_rank, high
    return low


def stream(name: str, length: int) -> bytes:
    """``length`` bytes that depend on ``name`` alone; a longer stream begins with a shorter one."""
    return shake_128(name.encode()).digest(length)


def fraction(name: str) -> float:
    """A number in [0, 1) that depends on ``name`` alone."""
    return int.from_bytes(blake2b(name.encode(), digest_size=6).digest(), "big") / 2**48
