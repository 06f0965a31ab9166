"""Started by :mod:`support.forks`: imports what a crawl imports, except the settings (they read the
environment), then forks a process for each command, which becomes what ``python -m scrapy`` makes
of its words.
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


_NOT_OF_A_CRAWL = ("settings", "simulator", "monitors")


def import_project() -> None:
    """Import the project's modules, and forget where they are."""
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))  # noqa: PTH100
    for module in pkgutil.walk_packages(import_module("xhs").__path__, "xhs."):
        _, name, *_ = module.name.split(".")
        if name not in _NOT_OF_A_CRAWL and not module.name.endswith("._supervisor"):
            import_module(module.name)
    del sys.path[0]


def serve(door: socket.socket) -> bool:
    """Fork for each command that comes; False once none can come, True in a forked process."""
    while True:
        sign, streams, *_ = socket.recv_fds(door, 1, 3)
        if not sign:
            return False
        with door.makefile() as lines:
            asked = json.loads(lines.readline())
        process = os.fork()
        if not process:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            become(**asked)
            return True
        for stream in streams:
            os.close(stream)
        door.sendall(b"%d\n" % process)
        _, status = os.waitpid(process, 0)
        door.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def become(words: list[str], env: dict[str, str], cwd: str) -> None:
    """Have words, environment, folder and path as if started with them."""
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
