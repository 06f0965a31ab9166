"""Started by :mod:`support.forks`: imports what a crawl imports that is not the project's, then
forks a process for each command, which becomes what ``python -m scrapy`` makes of its words.
"""

from __future__ import annotations

import gc
import json
import os
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
    assert not {"xhs", "twisted.internet.reactor"} & sys.modules.keys()
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as requests:
        forked = serve(requests)
    if forked:
        runpy.run_module("scrapy", run_name="__main__", alter_sys=True)
