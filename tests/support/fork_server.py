"""Helper process of :mod:`support.forks`.

It imports the modules that a crawl needs, except the settings, which read the environment. Then it
forks a process for each command, which runs ``python -m scrapy`` with the command's words.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pkgutil
import runpy
import select
import socket
import sys
import time
from importlib import import_module
from typing import Any

_LIBRARIES = """
    scrapy.cmdline scrapy.commands.check scrapy.commands.shell
    scrapy.core.downloader.handlers.ftp scrapy.core.downloader.handlers.http11
    scrapy.core.downloader.handlers.s3 scrapy.downloadermiddlewares.cookies
    scrapy.downloadermiddlewares.httpcache scrapy.downloadermiddlewares.offsite
    scrapy.downloadermiddlewares.robotstxt scrapy.extensions.feedexport
    scrapy.extensions.remote_control scrapy.extensions.telnet scrapy.squeues
    jsonschema_rs pymongo scrapy_jsonschema
"""
_NOT_NEEDED = ("settings", "simulator", "monitors")


def import_project() -> None:
    """Import the project's modules; leave the import path as it was."""
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))  # noqa: PTH100
    for module in pkgutil.walk_packages(import_module("xhs").__path__, "xhs."):
        _, name, *_ = module.name.split(".")
        if name not in _NOT_NEEDED and not module.name.endswith("._supervisor"):
            import_module(module.name)
    del sys.path[0]


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; return None after the last, the command in a forked process.

    A request is a connection and three streams. The connection brings the command. It takes back
    the process ID, and the wait status when the process has ended.
    """
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([requests.fileno(), *running], [], [])[0]:
            if ready in running:
                process, connection = running.pop(ready)
                os.close(ready)
                report(connection, os.waitpid(process, 0)[1])
                connection.close()
                continue
            data, received, *_ = socket.recv_fds(requests, 1, 4)
            if not data:
                return None
            connection, *streams = socket.socket(fileno=received[0]), *received[1:]
            with connection.makefile() as lines:
                command: dict[str, Any] = json.loads(lines.readline())
            process = os.fork()
            if not process:
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                for number in (*streams, *running):
                    os.close(number)
                for open_socket in (requests, connection, *(one for _, one in running.values())):
                    open_socket.close()
                return command
            for stream in streams:
                os.close(stream)
            report(connection, process)
            running[os.pidfd_open(process)] = process, connection


def report(connection: socket.socket, number: int) -> None:
    """Send a number, unless nobody waits for it any more."""
    with contextlib.suppress(OSError):
        connection.sendall(number.to_bytes(8, "big"))


def prepare(words: list[str], env: dict[str, str], cwd: str, new_session: bool) -> None:
    """Set arguments, environment, folder and path as if the process was started with them."""
    if new_session:
        os.setsid()
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)
    own = [os.path.abspath(path) for path in env["PYTHONPATH"].split(os.pathsep)]  # noqa: PTH100
    sys.path[:0] = [os.getcwd(), *own]  # noqa: PTH109
    sys.argv = ["scrapy", *words]
    sys.orig_argv = [sys.executable, "-m", *sys.argv]


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file
    for library in _LIBRARIES.split():
        import_module(library)
    import_project()
    assert not {"xhs.settings", "twisted.internet.reactor"} & sys.modules.keys()
    gc.freeze()
    if command := serve(socket.socket(fileno=os.dup(0))):
        prepare(**command)
        del command
        runpy.run_module("scrapy", run_name="__main__", alter_sys=True)
