"""The token is in the process's memory and on the wire only."""

from __future__ import annotations

import base64
import gzip
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from support.canary import NOTE, Watched, files_with, found_in
from support.crawl import TOKEN, Outcome, Project
from support.marks import needs_embedded
from support.simulator import COMMENTS

if TYPE_CHECKING:
    from pathlib import Path

    from support.simulator import Simulator

pytestmark = needs_embedded

LARGE = "600"  # bytes; answers are larger
ODD_TOKEN = "canary/7f3a+9b52=c1d8&4e60"
"""A token that looks different in a URL."""


@pytest.fixture
def with_database(own_server: Project) -> Watched:
    """A watched project whose folder also holds the files of its database."""
    return Watched(own_server)


def test_the_search_would_find_it(api: Simulator, with_database: Watched, tmp_path: Path) -> None:
    """The same search finds the note's ID, which a crawl writes to each of the places."""
    done = with_database.crawl()
    assert done.status == 0, done
    places = {path.relative_to(tmp_path).parts[0] for path in files_with(tmp_path, NOTE)}
    assert {"cache", "feed.json", "logs", "db"} <= places
    assert found_in(gzip.compress(f"?token={TOKEN}&".encode()))
    assert any(found_in(line, NOTE) for line in [f"-a\0notes={NOTE}".encode()])
    for skip in range(3):
        assert found_in(base64.b64encode(b"?" * skip + TOKEN.encode() + b"&noteId=1"))
    assert api.call_log()["log"][0]["params"] == ["noteId", "token"]


def test_after_success(with_database: Watched) -> None:
    done = with_database.crawl()
    assert done.status == 0, done
    assert "DEBUG: Crawled (200)" in done.errors
    with_database.check()


def test_in_a_log_file(watched: Watched) -> None:
    log = watched.folder / "crawl.log"
    done = watched.crawl("--logfile", str(log))
    assert done.status == 0, done
    assert "DEBUG: Crawled (200)" in log.read_text()
    watched.check()


HANGS: dict[str, Any] = {"rules": [{"hang": True}]}
BRIEFLY = ["-s", "DOWNLOAD_TIMEOUT=1"]
TRUNCATED = {"rules": [{"truncate": True}]}
FAILURES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "time-out": (HANGS, BRIEFLY),
    "too large": ({}, ["-s", f"DOWNLOAD_MAXSIZE={LARGE}"]),
    "too large, compressed": ({"rules": [{"gzip": True}]}, ["-s", f"DOWNLOAD_MAXSIZE={LARGE}"]),
    "large": ({}, ["-s", "DOWNLOAD_WARNSIZE=100"]),
    "large, compressed": ({"rules": [{"gzip": True}]}, ["-s", "DOWNLOAD_WARNSIZE=100"]),
    "truncated": (TRUNCATED, []),
    "truncated, not failed on": (TRUNCATED, ["-s", "DOWNLOAD_FAIL_ON_DATALOSS=0"]),
    "reset before the headers": ({"rules": [{"reset": "before"}]}, []),
    "reset after the headers": ({"rules": [{"reset": "after"}]}, []),
    "HTML": ({"rules": [{"html": True}]}, []),
    "HTTP 502": ({"rules": [{"status": 502}]}, []),
    "a redirect": ({"rules": [{"status": 302, "headers": {"Location": "/elsewhere"}}]}, []),
    "token refused": ({"revoke_after": 0}, []),
    "unknown code": ({"rules": [{"code": 999}]}, []),
    "parameters refused": ({"rules": [{"code": 400}]}, []),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_after_a_failure(api: Simulator, watched: Watched, failure: str) -> None:
    script, options = FAILURES[failure]
    api.script(script)
    done = watched.crawl("-s", "RETRY_TIMES=0", *options)
    assert done.status == {"large": 0, "large, compressed": 0, "parameters refused": 4}.get(
        failure, 3
    ), done
    assert "Traceback" not in done.errors
    watched.check()


def test_after_a_refused_connection(watched: Watched) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    done = watched.crawl("-s", "RETRY_TIMES=1", env={"JUSTONEAPI_BASE_URL": url})
    assert done.status == 3, done
    assert "xhs/calls/unknown" not in done.stats
    assert "Traceback" not in done.errors
    watched.check()


def test_in_rejected_objects(api: Simulator, watched: Watched) -> None:
    api.script({"rules": [{"page": 1, "patch": [{"path": ["comments", 0, "id"], "remove": True}]}]})
    done = watched.crawl()
    assert done.status == 0, done
    assert done.stats["xhs/rejected"] == 1
    watched.check()


REDIRECTS = {
    **{
        str(status): {"status": status, "headers": {"Location": "{}"}}
        for status in (301, 302, 303, 307, 308)
    },
    "a page that refreshes": {
        "body": '<html><head><meta http-equiv="refresh" content="0; url={}"></head></html>',
        "content_type": "text/html",
    },
}


@pytest.mark.parametrize(
    ("redirect", "allowed"),
    [*((redirect, "0") for redirect in REDIRECTS), ("302", "1"), ("a page that refreshes", "1")],
)
def test_other_servers_never_get_it(
    api: Simulator, watched: Watched, redirect: str, allowed: str
) -> None:
    """A redirect to another server is not followed, so nothing is sent there.

    Enabling redirects changes nothing: the answer to a call is an envelope or a failure.
    """
    with socket.create_server(("127.0.0.1", 0)) as other:
        location = f"http://127.0.0.1:{other.getsockname()[1]}/"
        rule = json.dumps(REDIRECTS[redirect]).replace("{}", location)
        api.script({"rules": [json.loads(rule)]})
        on = ["-s", f"REDIRECT_ENABLED={allowed}", "-s", f"METAREFRESH_ENABLED={allowed}"]
        done = watched.crawl("-s", "RETRY_TIMES=0", *on)
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert done.status == 3, done
    assert "Traceback" not in done.errors
    watched.check()


FAILING = """
import traceback
from pathlib import Path

from xhs.spiders.comments import CommentsSpider


class Failing(CommentsSpider):
    def tell(self, response):
        request = response.request
        told = [response, response.headers, response.meta, request, request.headers]
        return RuntimeError(" ".join(map(repr, [*told, request.to_dict(spider=self)])))


class Before(Failing):
    name = "before"

    async def parse_page(self, response):
        raise self.tell(response)
        yield


class After(Failing):
    name = "after"

    async def parse_page(self, response):
        async for output in super().parse_page(response):
            yield output
        raise self.tell(response)


class Errback(Failing):
    name = "errback"

    async def call_failed(self, failure):
        error = traceback.TracebackException.from_exception(failure.value, capture_locals=True)
        Path(REPORT).write_text("".join(error.format()) + failure.getTraceback())
        raise RuntimeError(repr(failure.request.to_dict(spider=self))) from failure.value
        yield


class Pipeline:
    def process_item(self, item):
        raise RuntimeError(repr(item))
"""


@pytest.mark.parametrize(("spider", "status"), [("before", 3), ("after", 0), ("errback", 3)])
def test_after_an_exception_in_a_callback(
    api: Simulator, watched: Watched, spider: str, status: int
) -> None:
    """Also if a user's code logs all of its arguments, with the variables of each frame."""
    hangs = spider == "errback"
    api.script(HANGS if hangs else {})
    report = watched.folder / "report"
    watched.add_module(FAILING.replace("REPORT", repr(str(report))))
    words = ["-s", "SPIDER_MODULES=users_own", "-s", "RETRY_TIMES=0", *(BRIEFLY if hangs else [])]
    done = watched.crawl(*words, spider=spider)
    assert done.status == status, done
    assert NOTE in done.errors.partition("RuntimeError: ")[2].partition("\n")[0]
    assert report.exists() == hangs
    watched.check()


@pytest.mark.parametrize("priority", [50, 200, 400])
def test_after_an_exception_in_a_pipeline(watched: Watched, priority: int) -> None:
    watched.add_module(FAILING)
    own = {
        "xhs.pipelines.ValidatePipeline": 100,
        "xhs.pipelines.StorePipeline": 300,
        "users_own.Pipeline": priority,
    }
    done = watched.crawl("-s", f"ITEM_PIPELINES={json.dumps(own)}")
    assert done.status == 0, done
    assert "RuntimeError" in done.errors
    watched.check()


TALKING = """
import logging
import os
import warnings
from urllib.parse import urlencode

from scrapy import signals


class Talking:
    @classmethod
    def from_crawler(cls, crawler):
        self = cls()
        if "MOMENT" == "from_crawler":
            self.say()
        else:
            crawler.signals.connect(self.say, signals.MOMENT)
        return self

    def say(self):
        token = os.environ["JUSTONEAPI_TOKEN"]
        url = "http://127.0.0.1/?" + urlencode({"noteId": 1, "token": token})
        logging.getLogger("users_own").debug("sent %s", url)
        warnings.warn("sent " + url)
        try:
            raise ValueError(token)
        except ValueError:
            logging.exception("failed at %(url)s", {"url": url})
"""


def talk(watched: Watched, moment: str, *words: str) -> Outcome:
    """Crawl with a user's extension that logs a signed URL at a given moment."""
    own = watched.project.extension(TALKING.replace("MOMENT", moment), "Talking", 500)
    env: dict[str, str | None] = {"JUSTONEAPI_TOKEN": ODD_TOKEN}
    done = watched.crawl(*own, *words, env=env)
    assert done.status == 0, done
    return done


def check_masked(watched: Watched, log: str) -> None:
    assert "[users_own] DEBUG: sent http://127.0.0.1/?noteId=1&token=***\n" in log
    assert "UserWarning: sent http://127.0.0.1/?noteId=1&token=***\n" in log
    assert "ERROR: failed at http://127.0.0.1/?noteId=1&token=***\nTraceback" in log
    assert "\nValueError: ***\n" in log
    watched.check(masked=True)


@pytest.mark.parametrize(
    "moment", ["from_crawler", "spider_opened", "response_received", "engine_stopped"]
)
def test_what_a_users_code_logs_is_masked(project: Project, moment: str) -> None:
    watched = Watched(project, ODD_TOKEN)
    check_masked(watched, talk(watched, moment).errors)


def test_what_a_users_code_logs_is_masked_in_a_log_file(project: Project) -> None:
    watched = Watched(project, ODD_TOKEN)
    log = watched.folder / "crawl.log"
    talk(watched, "response_received", "--logfile", str(log))
    check_masked(watched, log.read_text())


def test_an_answer_that_quotes_it_is_masked(api: Simulator, watched: Watched) -> None:
    api.script({"rules": [{"code": 999, "message": f"no such token: {TOKEN}"}]})
    done = watched.crawl()
    assert done.status == 3, done
    assert "no such token: ***" in done.errors
    watched.check(masked=True)


COMMANDS = {
    "parse": ["--spider=comments", "-c", "parse_page"],
    "fetch": ["--headers"],
    "shell": [
        "-c",
        "print(request, request.to_dict(), response, response.headers, settings.attributes)",
    ],
}


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("command", COMMANDS)
def test_in_other_commands(api: Simulator, watched: Watched, command: str, hangs: bool) -> None:
    api.script(HANGS if hangs else {})
    words = [*COMMANDS[command], f"{api.url}{COMMENTS}?noteId={NOTE}", "-s", "RETRY_TIMES=0"]
    done = watched.run(command, *words, *(BRIEFLY if hangs else []))
    assert hangs or (done.status == 0 and NOTE in done.output + done.errors), done
    assert [call["params"] for call in api.call_log()["log"]] == [["noteId", "token"]]
    watched.check()


def test_scrapy_settings_does_not_show_it(without_store: Project) -> None:
    for name in ("JUSTONEAPI_TOKEN", "JUSTONEAPI_TOKEN_FILE"):
        done = without_store.command("settings", "--get", name)
        assert not found_in((done.output + done.errors).encode())
        assert done.output.strip() in ("", "None")
