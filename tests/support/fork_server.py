"""Helper process of :mod:`support.forks`.

It imports the modules that a crawl needs, except the settings, which read the environment. Then it
forks a process for each command, which runs ``python -m scrapy`` with the command's words.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import runpy
import socket
import sys
import time
from importlib import import_module

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


def serve(connection: socket.socket) -> bool:
    """Fork for each command received; return False at the end, True in a forked process."""
    while True:
        data, streams, *_ = socket.recv_fds(connection, 1, 3)
        if not data:
            return False
        with connection.makefile() as lines:
            command = json.loads(lines.readline())
        process = os.fork()
        if not process:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            prepare(**command)
            return True
        for stream in streams:
            os.close(stream)
        connection.sendall(b"%d\n" % process)
        _, status = os.waitpid(process, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def prepare(words: list[str], env: dict[str, str], cwd: str) -> None:
    """Set arguments, environment, folder and path as if the process was started with them."""
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
    with socket.socket(fileno=os.dup(0)) as requests:
        forked = serve(requests)
    if forked:
        runpy.run_module("scrapy", run_name="__main__", alter_sys=True)
