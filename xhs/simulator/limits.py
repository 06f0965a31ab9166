"""Limits of the account: rate, quota and money."""

from __future__ import annotations

import time
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from xhs.simulator.config import Config

RATE_LIMITED = 302
QUOTA_EXCEEDED = 303
BALANCE_EMPTY = 601
SPENDING_LIMIT = 602

_DEFAULT_BALANCE = Decimal("123.45")
_FOUR_DECIMALS = Decimal("0.0001")


class Limits:
    """Counts of what was used, compared with the limits of the configuration."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._calls = 0
        self.billed = 0
        self._recent: deque[float] = deque()

    @property
    def spent(self) -> Decimal:
        """Cost of the billed calls."""
        return self._config.price * self.billed

    @property
    def balance(self) -> str:
        """Remaining money, in the format of the balance endpoint."""
        start = self._config.balance
        remaining = _DEFAULT_BALANCE if start is None else max(Decimal(0), start - self.spent)
        return str(remaining.quantize(_FOUR_DECIMALS))

    def revoked(self) -> bool:
        """Count a call, and return True if the token no longer works."""
        self._calls += 1
        last = self._config.revoke_after
        return last is not None and self._calls > last

    def refusal(self) -> int | None:
        """Return the code of the limit that a call breaks, or None.

        A call that breaks another limit than the rate still counts for the rate.
        """
        config = self._config
        if self._too_fast():
            return RATE_LIMITED
        if config.quota is not None and self.billed >= config.quota:
            return QUOTA_EXCEEDED
        cost = self.spent + config.price
        if config.balance is not None and cost > config.balance:
            return BALANCE_EMPTY
        if config.spending_limit is not None and cost > config.spending_limit:
            return SPENDING_LIMIT
        return None

    def bill(self) -> None:
        """Charge a call."""
        self.billed += 1

    def _too_fast(self) -> bool:
        rate = self._config.rate
        if rate is None:
            return False
        window = max(1.0, 1 / rate)
        now = self._clock()
        while self._recent and now - self._recent[0] >= window:
            self._recent.popleft()
        if len(self._recent) >= max(1, int(rate * window)):
            return True
        self._recent.append(now)
        return False
