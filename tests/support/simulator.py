"""The stand-in of the API in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

PROJECT = Path(__file__).parents[2]
COMMENTS = "/api/xiaohongshu/get-note-comment/v4"
REPLIES = "/api/xiaohongshu/get-note-sub-comment/v2"
TOKEN = "a-token-of-the-tests"

_SECONDS = 60
_OPENER = build_opener(ProxyHandler({}))


class Simulator:
    """A stand-in that runs while the ``with`` block lasts; options as for ``scrapy simulate``."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "xhs.simulator", *self._options],
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, "the stand-in did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def call_log(self) -> dict[str, Any]:
        """Return what was called, billed and delivered; see `xhs.simulator.call_log`."""
        return self._control("/_call_log")

    def wait_for_calls(self, calls: int, crawl: subprocess.Popen[bytes]) -> None:
        """Wait until there were ``calls`` calls; fail if the crawl ends before."""
        while self.call_log()["calls"] < calls:
            assert crawl.poll() is None
            time.sleep(0.02)

    def reset_call_log(self) -> None:
        """Empty the call log. Script and data set stay; the counts of its rules restart."""
        self._control("/_call_log/reset", {})

    def script(self, script: dict[str, Any]) -> None:
        """Replace the script; see `xhs.simulator.schemas`.

        Raises:
            ValueError: if the script is invalid.
        """
        self._control("/_script", script)

    def change(
        self, note: str, *, grow: int = 0, vanish: int | Iterable[str] = 0, likes: int = 0
    ) -> dict[str, Any]:
        """Let a note grow, lose comments or gain likes; return all changes of it so far."""
        vanish = vanish if isinstance(vanish, int) else list(vanish)
        wanted = {"note": note, "grow": grow, "vanish": vanish, "likes": likes}
        return self._control("/_dataset", wanted)

    def reset(self) -> None:
        """Restore call log, script and data set as at the start."""
        self._control("/_reset", {})

    def call(self, path: str = COMMENTS, **query: str) -> dict[str, Any]:
        """Make a call, with a token unless one is given; return the envelope."""
        status, body = self.fetch(path, **query)
        assert status == 200
        envelope: dict[str, Any] = json.loads(body)
        return envelope

    def fetch(self, path: str = COMMENTS, **query: str) -> tuple[int, bytes]:
        """Make a call; return HTTP status and body."""
        return self._send(path + "?" + urlencode({"token": TOKEN, **query}), None)

    def _control(self, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        body = None if document is None else json.dumps(document).encode()
        status, answer = self._send(path, body)
        found: dict[str, Any] = json.loads(answer)
        if status != 200:
            raise ValueError(found["error"])
        return found

    def _send(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        request = Request(self.url + path, data=body)  # noqa: S310 (its own address)
        try:
            with _OPENER.open(request, timeout=_SECONDS) as response:
                return response.status, response.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()
