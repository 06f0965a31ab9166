"""HTTP server of the stand-in, on the loopback interface."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from xhs.simulator.config import HOST, Config, read_json
from xhs.simulator.schemas import CHANGE, ScriptError, check
from xhs.simulator.service import ENDPOINTS, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xhs.simulator.answers import Answer

_NO_LINGER = struct.pack("ii", 1, 0)
_SHUTDOWN_SECONDS = 0.2
_PIECE = 1 << 16


class Server:
    """Handlers of API calls, and of the controls under ``/_…``."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application()
        for path in ENDPOINTS:
            app.router.add_get(path, self.call, allow_head=False)
        app.router.add_get("/_call_log", self.show_call_log)
        app.router.add_post("/_call_log/reset", self.reset_call_log)
        app.router.add_post("/_script", self.load_script)
        app.router.add_post("/_dataset", self.change_note)
        app.router.add_post("/_reset", self.reset)
        app.router.add_route("*", "/{path:.*}", self.unknown_path)
        return app

    async def call(self, request: web.Request) -> web.StreamResponse:
        """Answer a call of the API, and log whether the whole answer was sent."""
        service = self.service
        query = request.query
        log = service.call_log
        call = log.open(request.path, tuple(sorted(query)))
        delivered = False
        try:
            compressed = "gzip" in request.headers.get("Accept-Encoding", "")
            answer = service.call(call, request.path, query, compressed=compressed)
            if answer.delay:
                await asyncio.sleep(answer.delay)
            if answer.cut is not None:
                return await _cut(request, answer)
            response = await _begin(request, answer)
            await response.write_eof()
            delivered = request.transport is not None
            return response
        finally:
            log.close(call, delivered=delivered)

    async def unknown_path(self, request: web.Request) -> web.StreamResponse:
        """Answer a path that the API does not have."""
        log = self.service.call_log
        if not request.path.startswith("/_"):
            call = log.open("other", ())
            call.status = 404
            log.record(call)
            log.close(call, delivered=True)
        return web.json_response({"error": "not found"}, status=404)

    async def show_call_log(self, request: web.Request) -> web.StreamResponse:
        """Return the call log; with ``?log=N`` only the last N calls."""
        length = request.query.get("log", "")
        log = self.service.call_log
        return web.json_response(log.summary(int(length)) if length.isdecimal() else log.summary())

    async def reset_call_log(self, _request: web.Request) -> web.StreamResponse:
        """Empty the call log."""
        self.service.reset_call_log()
        return web.json_response({})

    async def reset(self, _request: web.Request) -> web.StreamResponse:
        """Restore the state of the start."""
        self.service.reset()
        return web.json_response({})

    async def load_script(self, request: web.Request) -> web.StreamResponse:
        """Replace the script; if the new one is invalid, the old one stays."""
        try:
            self.service.load(read_json(await request.read()))
        except ScriptError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({})

    async def change_note(self, request: web.Request) -> web.StreamResponse:
        """Change a note: ``{"note": ID, "grow": n, "vanish": n or [IDs], "likes": n}``."""
        try:
            change = read_json(await request.read())
            check(change, CHANGE)
        except ScriptError as error:
            return web.json_response({"error": str(error)}, status=400)
        note = change.pop("note")
        changes = self.service.dataset.change(note, **change)
        return web.json_response(
            {
                "note": note,
                "grown": changes.grown,
                "vanished": sorted(changes.vanished),
                "likes": changes.likes,
            }
        )


async def _begin(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send all of an answer but its end."""
    headers = {"Content-Type": answer.content_type, **answer.headers}
    if not answer.blanks and not answer.chunked:
        whole = web.Response(body=answer.body, status=answer.status, headers=headers)
        await whole.prepare(request)
        return whole
    if not answer.chunked:
        headers["Content-Length"] = str(answer.blanks + len(answer.body))
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    for start in range(0, answer.blanks, _PIECE):
        await response.write(b" " * min(_PIECE, answer.blanks - start))
    await response.write(answer.body)
    return response


async def _cut(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send an answer that is cut."""
    if answer.cut == "hang":
        await asyncio.Event().wait()
    transport = request.transport
    if answer.cut == "before":
        if transport is not None:
            _reset(transport)
        return web.Response()
    response = web.StreamResponse(
        status=answer.status,
        headers={
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        },
    )
    await response.prepare(request)
    if answer.cut == "body" and answer.sent:
        await response.write(answer.body[: answer.sent])
    if transport is not None:
        transport.close()
    return response


def _reset(transport: asyncio.Transport) -> None:
    """Close a connection so that the client gets a reset."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


async def start(config: Config) -> tuple[web.AppRunner, str, Service]:
    """Start to listen. Return the runner, whose ``cleanup`` stops it, the URL and the service."""
    service = Service(config)
    runner = web.AppRunner(
        Server(service).application(),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        handle_signals=False,
    )
    await runner.setup()
    site = web.TCPSite(runner, HOST, config.port, backlog=512)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    port = runner.addresses[0][1]
    return runner, f"http://{HOST}:{port}", service


@asynccontextmanager
async def running(config: Config | None = None) -> AsyncIterator[tuple[str, Service]]:
    """Run a stand-in in this process while the block lasts."""
    runner, url, service = await start(config or Config())
    try:
        yield url, service
    finally:
        await runner.cleanup()
