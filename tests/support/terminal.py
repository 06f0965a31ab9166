"""A pseudo-terminal for commands, and what stands on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

from support.simulator import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_SECONDS = 60
_CODES = re.compile(r"\x1b\[(?P<numbers>[?\d;]*)(?P<code>[A-Za-z])|(?P<other>.)", re.DOTALL)


class Screen:
    """A screen without end that knows the control codes of rich, and wraps long lines."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rows: list[list[str]] = [[]]
        self._wrapped: set[int] = set()
        self._row = self._column = 0
        self.has_cursor = True

    def write(self, text: str) -> None:
        """Show a text."""
        for match in _CODES.finditer(text):
            if match["code"]:
                self._control(match["code"], match["numbers"])
            elif match["other"] == "\r":
                self._column = 0
            elif match["other"] == "\n":
                self._down()
            else:
                self._put(match["other"])

    @property
    def lines(self) -> list[str]:
        """The lines as they were written, whatever the width; without empty ones."""
        lines: list[str] = []
        for number, row in enumerate(self._rows):
            text = "".join(row)
            if number in self._wrapped:
                lines[-1] += text
            else:
                lines.append(text)
        return [line.rstrip() for line in lines if line.strip()]

    @property
    def widest(self) -> int:
        """The width of the widest row."""
        return max(map(len, self._rows))

    def _put(self, character: str) -> None:
        if self._column == self._columns:
            self._down()
            self._column = 0
            self._wrapped.add(self._row)
        row = self._rows[self._row]
        row += [" "] * (self._column + 1 - len(row))
        row[self._column] = character
        self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append([])

    def _control(self, code: str, numbers: str) -> None:
        match code:
            case "A":
                self._row -= int(numbers or 1)
                assert self._row >= 0
            case "K":
                assert numbers == "2"
                self._rows[self._row].clear()
                self._wrapped.discard(self._row)
            case "h" | "l":
                assert numbers == "?25"
                self.has_cursor = code == "h"
            case _:
                assert code == "m", code


class Terminal:
    """A command of Scrapy on a terminal of its own, as its standard error; read by a thread."""

    def __init__(
        self,
        *words: str,
        environment: Mapping[str, str],
        columns: int = 100,
        rows: int = 30,
        **options: Any,
    ) -> None:
        self._command = [sys.executable, "-m", "scrapy", *words]
        self._environment = {"TERM": "xterm-256color", **environment}
        self._columns = columns
        self._rows = rows
        self._options = options
        self._data = b""

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        size = struct.pack("HHHH", self._rows, self._columns, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        options: dict[str, Any] = {"cwd": PROJECT, "stdout": theirs, **self._options}
        try:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stderr=theirs,
                **options,
            )
        finally:
            os.close(theirs)
        self._reader = Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:  # on Linux: the command has ended
                return
            if not data:
                return
            self._data += data

    @property
    def text(self) -> str:
        """Everything that was written, with its control codes."""
        return self._data.decode(errors="replace")

    @property
    def screen(self) -> Screen:
        """The screen as it is now."""
        screen = Screen(self._columns)
        screen.write(self.text)
        return screen

    def wait_for(self, *texts: str) -> list[str]:
        """Wait until the screen shows all the texts at once; return its lines."""
        deadline = time.monotonic() + _SECONDS
        while True:
            lines = self.screen.lines
            shown = "\n".join(lines)
            if all(text in shown for text in texts):
                return lines
            assert time.monotonic() < deadline, shown
            assert self.process.poll() is None, shown
            time.sleep(0.05)

    def end(self) -> int:
        """Wait for the command's end; return its exit status."""
        status = self.process.wait(_SECONDS)
        self._reader.join()
        return status
