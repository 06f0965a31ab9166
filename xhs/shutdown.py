"""Handling of SIGINT, SIGTERM and SIGHUP in every stage of a crawl's process.

Scrapy handles the first two only, and only while its reactor runs. Before that, they would kill the
process or print a traceback. If a store is being opened, or a finished spider is being closed,
Scrapy's stop would abandon that work. SIGHUP (a lost terminal) would kill the crawl.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any, NoReturn

from xhs.reasons import ExitStatus

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_SECONDS = 1.0
"""Seconds that a stopped process waits for its threads, or for the reactor, before it exits."""

Stop = Callable[[int], Any]
"""Takes the number of a signal."""


class Shutdown:
    """Stops the process: gracefully at the first signal, at once at the second.

    What the first signal does depends on the stage. Before :meth:`interrupting`, the process exits.
    In its block, KeyboardInterrupt is raised. After :meth:`deliver`, the crawl is stopped. After
    :meth:`finish`, the process exits with the status of the finished crawl.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        """Numbers of the signals received so far."""
        self._respond: Stop = _leave
        self._installed: list[int] = []

    def install(self) -> None:
        """Install the handlers. A SIGHUP that is ignored, as under nohup, stays ignored."""
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is None or number in self._installed:
                continue
            if name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)
                self._installed.append(number)

    def uninstall(self) -> None:
        """Restore the handlers that Python starts with."""
        for number in self._installed:
            python = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, python)
        self._installed.clear()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Raise KeyboardInterrupt in the block. After the block, signals are only recorded.

        Raises:
            KeyboardInterrupt: at the first signal. At the second, the process exits.
        """
        self._respond = self._interrupt
        try:
            yield
        finally:
            self.pause()

    def deliver(self, stop: Stop, force: Stop) -> None:
        """Call ``stop`` for the first signal, even an earlier one, and ``force`` for the second.

        Both must be safe to call at any point of the program, and twice.
        """
        delivered = 0

        def respond(_: int = 0) -> None:
            nonlocal delivered
            while delivered < min(2, len(self.received)):
                delivered += 1
                if delivered == 2:
                    _exit_in_time(ExitStatus.UNFINISHED)
                (stop if delivered == 1 else force)(self.received[delivered - 1])

        self._respond = respond
        respond()

    def pause(self) -> None:
        """Only record signals, until the next stage."""
        self._respond = _wait

    def finish(self, status: int) -> None:
        """End with this status, whatever signal comes; within a second if one was received."""
        self._respond = lambda _: _exit(status)
        atexit.register(self._ignore)
        if self.received:
            _exit_in_time(status)

    def _handle(self, number: int, _: object) -> None:
        self.received.append(number)
        self._respond(number)

    def _interrupt(self, _: int) -> None:
        if len(self.received) > 1:
            _exit(ExitStatus.UNFINISHED)
        raise KeyboardInterrupt

    def _ignore(self) -> None:
        """Ignore signals. At exit Python restores the default handlers, which would kill it."""
        for number in self._installed:
            signal.signal(number, signal.SIG_IGN)


def runs_crawl(argv: Sequence[str]) -> bool:
    """True if the arguments are those of ``scrapy crawl``, found as Scrapy finds its command."""
    return next((word for word in argv[1:] if not word.startswith("-")), None) == "crawl"


def _leave(number: int) -> NoReturn:
    # Modules are being imported. An exception may surface where it cannot propagate, such as in a
    # callback of the import system, which prints its traceback.
    name = signal.Signals(number).name
    os.write(2, f"error: received {name} before the crawl began: no note was begun\n".encode())
    os._exit(ExitStatus.UNFINISHED)


def _wait(_: int) -> None:
    pass


def _exit_in_time(status: int) -> None:
    """Exit in a second at the latest, even if a thread, or anything else, cannot be stopped."""
    timer = Timer(_SECONDS, _exit, [status])
    timer.daemon = True
    timer.start()


def _exit(status: int) -> NoReturn:
    with suppress(Exception):  # standard output may be closed, by its reader too
        sys.stdout.flush()
    os._exit(status)


shutdown = Shutdown()
"""The instance of this process, since signals are per process."""
