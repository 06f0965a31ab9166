"""Reproducible pseudo-random values.

All data of the stand-in are derived from hashes of names. So they are the same in every process,
on every platform and in any order of calls. Only integers are used, because the last digit of a
floating-point result may differ between C libraries.
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
    """Stream of small integers that depends on its name only."""

    __slots__ = ("_bits", "_bits_left", "_name", "_round")

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._round = 0
        self._bits = 0
        self._bits_left = 0
        self._refill()

    def _refill(self) -> None:
        digest = blake2b(
            self._name, digest_size=_DIGEST_BYTES, salt=self._round.to_bytes(16, "big")
        ).digest()
        self._bits = int.from_bytes(digest, "big")
        self._bits_left = _DIGEST_BYTES * 8
        self._round += 1

    def below(self, limit: int) -> int:
        """Return an integer from 0 to ``limit`` - 1."""
        if self._bits_left < _RESERVE_BITS:
            self._refill()
        self._bits_left -= limit.bit_length()
        self._bits, drawn = divmod(self._bits, limit)
        return drawn

    def chance(self, permille: int) -> bool:
        """Return True with a probability of ``permille`` / 1000."""
        return self.below(1000) < permille

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of ``choices``."""
        return choices[self.below(len(choices))]

    def hexadecimal(self, digits: int) -> str:
        """Return a string of ``digits`` hexadecimal digits."""
        return "".join(f"{self.below(16):x}" for _ in range(digits))

    def token(self, alphabet: str, length: int) -> str:
        """Return a string of ``length`` characters of ``alphabet``."""
        return "".join(self.pick(alphabet) for _ in range(length))

    def quantile(self, table: Sequence[tuple[int, int]]) -> int:
        """Return a value of the distribution that ``table`` describes; see `interpolate`."""
        return interpolate(table, self.below(table[-1][0]))


def interpolate(table: Sequence[tuple[int, int]], rank: int) -> int:
    """Return the value at ``rank``, between the ascending ``(rank, value)`` pairs of ``table``."""
    low_rank, low = table[0]
    for high_rank, high in table[1:]:
        if rank <= high_rank:
            return low + (high - low) * (rank - low_rank) // (high_rank - low_rank)
        low_rank, low = high_rank, high
    return low


def stream(name: str, length: int) -> bytes:
    """Return bytes that depend on ``name`` only. A shorter stream is a prefix of a longer one."""
    return shake_128(name.encode()).digest(length)


def fraction(name: str) -> float:
    """Return a number in [0, 1) that depends on ``name`` only."""
    return int.from_bytes(blake2b(name.encode(), digest_size=6).digest(), "big") / 2**48
