"""SIGINT, SIGTERM and SIGHUP: each stops a crawl, at any moment of its process.

Scrapy handles the first two, and only while its reactor runs. Before that they would kill the
process or print a traceback. While a store is opened, or a spider that has finished is closed, a
stop by Scrapy would leave the work where it is; and a lost terminal (SIGHUP) would kill the crawl.
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
"""How long the end of a process that was told to stop waits for threads, or for the reactor."""

Stop = Callable[[int], Any]
"""Takes the number of a signal."""


class Shutdown:
    """The first signal stops the process as gently as its stage allows, the second at once.

    The stages, in order: until :meth:`interrupting` the process just ends; there KeyboardInterrupt
    is raised; from :meth:`deliver` on the crawl is told; after :meth:`finish` there is nothing left
    to stop.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        """The numbers of the signals that have come."""
        self._respond: Stop = _leave
        self._installed: list[int] = []

    def install(self) -> None:
        """Handle the signals from now on, except a SIGHUP that is ignored, as under nohup."""
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
        """Raise KeyboardInterrupt in the block; after it signals only count.

        Raises:
            KeyboardInterrupt: at the first signal; at the second the process ends.
        """
        self._respond = self._interrupt
        try:
            yield
        finally:
            self.pause()

    def deliver(self, stop: Stop, force: Stop) -> None:
        """Call ``stop`` for the first signal, also if it has come already, ``force`` for the next.

        They must bear to be called at any point of the program, and twice.
        """
        told = 0

        def tell(_: int = 0) -> None:
            nonlocal told
            while told < min(2, len(self.received)):
                told += 1
                if told == 2:
                    _exit_in_time(ExitStatus.UNFINISHED)
                (stop if told == 1 else force)(self.received[told - 1])

        self._respond = tell
        tell()

    def pause(self) -> None:
        """Only count signals, until the next stage."""
        self._respond = _wait

    def finish(self, status: int) -> None:
        """The work is done: end with this status, whatever comes; soon if a signal has come."""
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
        """Python is about to restore the default handlers, which would kill it as it ends."""
        for number in self._installed:
            signal.signal(number, signal.SIG_IGN)


def runs_crawl(argv: Sequence[str]) -> bool:
    """True if these are the words of ``scrapy crawl``, as Scrapy finds its command in them."""
    return next((word for word in argv[1:] if not word.startswith("-")), None) == "crawl"


def _leave(number: int) -> NoReturn:
    # Modules are being imported, and an exception might come up at a point that cannot pass it on,
    # such as a callback of the import system, which prints its traceback.
    name = signal.Signals(number).name
    os.write(2, f"error: {name} came before the crawl began: no note was begun\n".encode())
    os._exit(ExitStatus.UNFINISHED)


def _wait(_: int) -> None:
    pass


def _exit_in_time(status: int) -> None:
    """Let no thread, and nothing else that cannot be stopped, hold up the end of the process."""
    timer = Timer(_SECONDS, _exit, [status])
    timer.daemon = True
    timer.start()


def _exit(status: int) -> NoReturn:
    with suppress(Exception):  # there may be no reader, or no output
        sys.stdout.flush()
    os._exit(status)


shutdown = Shutdown()
"""That of this process: signals have no other scope."""
