"""A server between a crawl and the stand-in that changes its answers."""

from __future__ import annotations

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from support.simulator import Simulator


class Answer(NamedTuple):
    """The answer that the crawl receives."""

    body: bytes
    status: int = 200
    encoding: str = ""


@contextmanager
def relay(api: Simulator, change: Callable[[Mapping[str, str], bytes], Answer]) -> Iterator[str]:
    """Yield the address of the server. ``change``: a call's parameters and answer → the answer."""

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = dict(parse_qsl(address.query))
            _, body = api.fetch(address.path, **query)
            answer = change(query, body)
            self.send_response(answer.status)
            if answer.encoding:
                self.send_header("Content-Encoding", answer.encoding)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
