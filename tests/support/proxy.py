"""A proxy between a crawl and its database that fails on demand."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Proxy:
    """A proxy between a crawl and its database; its methods disturb the connections."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0
        self.delay = 0.0
        """Seconds by which each answer is delayed."""
        self.lose = 0
        """Number of acknowledgements of writes still to be cut off."""

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self.thaw()
        for thread in self._threads:
            thread.join()

    def freeze(self) -> None:
        """Stop forwarding; keep the connections."""
        self._flows.clear()

    def thaw(self) -> None:
        """Forward again, first what has waited."""
        self._flows.set()

    def cut(self) -> None:
        """Cut all connections, and refuse new ones."""
        with self._lock:
            if self._listener is not None:
                _close(self._listener)
                self._listener = None
            for connection in self._sockets:
                _close(connection)

    def mend(self) -> None:
        """Accept connections, on the same port as before."""
        with self._lock:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
            self._run(self._accept, self._listener)

    def _run(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with self._lock:
                    if self._listener is not listener:
                        client.close()
                        return
                    server = socket.create_connection(self._target)
                    self._sockets |= {client, server}
                    writes: list[bool] = []
                    self._run(self._ask, client, server, writes)
                    self._run(self._answer, server, client, writes)

    def _ask(self, client: socket.socket, server: socket.socket, writes: list[bool]) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                self._flows.wait()
                if b"\x02insert\0" in data or b"\x02update\0" in data:
                    writes.append(True)
                server.sendall(data)
        self._end(client, server)

    def _answer(self, server: socket.socket, client: socket.socket, writes: list[bool]) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                self._flows.wait()
                if writes and self.lose:
                    self.lose -= 1
                    break
                writes.clear()
                time.sleep(self.delay)
                client.sendall(data)
        self._end(client, server)

    def _end(self, *sockets: socket.socket) -> None:
        with self._lock:
            for connection in sockets:
                _close(connection)
                self._sockets.discard(connection)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
