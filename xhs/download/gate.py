"""The gate: what a call must pass before it is sent, and what its answer means for the others.

It knows whether the crawl was stopped and what the calls cost. It does not know Scrapy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, MutableMapping

from xhs.api import envelope
from xhs.endings import CloseReason


class Stopped(Exception):
    """The gate is closed: this call was not sent, and costs nothing."""


class Gate:
    """Lets calls out until the crawl is stopped, and keeps the books of what was billed.

    ``stats`` is counted in place; ``on_stop`` is called once, with the close reason.
    """

    def __init__(
        self, count: Callable[[str], None], on_stop: Callable[[CloseReason, str], None]
    ) -> None:
        self._count = count
        self._on_stop = on_stop
        self._unbooked: MutableMapping[str, int] = Counter()
        self.reason: CloseReason | None = None

    def enter(self) -> None:
        """Ask to send a call.

        Raises:
            Stopped: where no call may be sent any more.
        """
        if self.reason is not None:
            raise Stopped(f"the crawl is stopping ({self.reason})")

    def answered(self, note_id: str, answer: envelope.Envelope) -> None:
        """A call's envelope came: count what it cost, and stop the crawl at a fatal code."""
        if answer.code == envelope.SUCCESS:
            self._count("xhs/calls/billed")
            self._unbooked[note_id] += 1
            return
        self._count(f"xhs/calls/refused/{answer.code}")
        if fatal := envelope.FATAL.get(answer.code):
            reason, remedy = fatal
            self.stop(reason, f"code {answer.code}: {remedy}")

    def unknown(self, note_id: str) -> None:
        """A call was sent and no whole answer came: it counts as billed."""
        self._count("xhs/calls/unknown")
        self._unbooked[note_id] += 1

    def stop(self, reason: CloseReason, message: str) -> None:
        """Let no further call out. The first reason stands."""
        if self.reason is None:
            self.reason = reason
            self._on_stop(reason, message)

    def take_billed(self, note_id: str) -> int:
        """The billed calls for a note since this was last asked."""
        return self._unbooked.pop(note_id, 0)
