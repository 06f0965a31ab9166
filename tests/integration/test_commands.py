"""Commands of the project and of Scrapy: their output, and what they refuse.

Each command runs in a new process at least once, as a user's does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.crawl import TOKEN, Outcome, Project, environment, scrapy
from support.documents import README, blocks
from support.expected import expected_note
from support.simulator import COMMENTS, PROJECT

from xhs.simulator.notes import DOCUMENTED_NOTE, missing_note, sized_note

if TYPE_CHECKING:
    from pathlib import Path

    from support.simulator import Simulator

fresh = pytest.mark.usefixtures("fresh_process")

LATE = sized_note(25)
WHOLE = sized_note(11)
GONE = missing_note()


@fresh
def test_the_demo_needs_nothing(tmp_path: Path) -> None:
    variables = environment(tmp_path, SCRAPY_SETTINGS_MODULE="xhs.settings")
    done = scrapy("demo", environment=variables, cwd=tmp_path)
    assert (done.status, done.errors) == (0, ""), done
    printed = next(block.text for block in blocks(README) if block.language == "text")
    assert sorted(printed.splitlines()) == sorted(
        done.output.splitlines()
    )  # notes end in any order
    feed = json.loads((tmp_path / "demo" / "comments.json").read_text(encoding="utf-8"))
    comments = {item["comment_id"] for item in feed if item["item_type"] == "comment"}
    assert comments >= set(expected_note(DOCUMENTED_NOTE).first_level)
    row = next(line for line in done.output.splitlines() if line.startswith(DOCUMENTED_NOTE))
    assert row.split()[1:] == ["801", "0", "801", "complete"]
    assert f"{len(comments)} comments" in done.output
    assert "scrapy status" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@fresh
def test_status_of_an_empty_store(project: Project) -> None:
    done = project.command("status", "--json", env={"JUSTONEAPI_TOKEN": None})
    assert (done.status, done.output, done.errors) == (0, "", "")
    for more in ([], ["--incomplete"]):
        done = project.command("status", *more)
        assert (done.status, done.errors) == (0, "")
        assert "no notes yet" in done.output
        assert "scrapy crawl comments -a notes=" in done.output


def test_status_shows_the_ledger(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"note": LATE, "page": 2, "code": 999}]})
    crawl = project.crawl(notes=[LATE, WHOLE, GONE])
    assert crawl.status == 3, crawl

    done = project.command("status", "--json", env={"JUSTONEAPI_TOKEN": None})
    assert (done.status, done.errors) == (0, "")
    found = {note["note_id"]: note for note in map(json.loads, done.output.splitlines())}
    assert found.keys() == {LATE, WHOLE, GONE}
    late, whole = found[LATE], found[WHOLE]
    assert (late["state"], late["stop_reason"]) == ("unfinished", "unknown_code")
    assert (late["comments_collected"], late["missing"], late["billed_calls"]) == (10, 15, 1)
    assert late["checkpoint"]["version"] == "v4"
    assert (whole["state"], whole["complete"], whole["checkpoint"]) == ("ended", True, None)
    assert whole["first_seen_at"].endswith("Z")
    assert found[GONE]["stop_reason"] == "not_found"

    def rows(*words: str) -> list[str]:
        done = project.command("status", *words)
        assert (done.status, done.errors) == (0, ""), done
        return done.output.splitlines()

    lines = rows()
    assert lines[0] == "3 notes: 2 ended, 1 unfinished; 1 complete"
    links = [line.split()[0] for line in lines if line.startswith("  https://")]
    assert sorted(link.rpartition("/")[2] for link in links) == sorted(found)
    (row,) = (line for line in lines if LATE in line)
    assert row.split(maxsplit=1)[1] == "unknown_code, 10 of 25 comments"
    one = rows("--note", LATE)
    assert "  state         unfinished (unknown_code)" in one
    assert "    scrapy crawl comments -a mode=resume" in one
    incomplete = {json.loads(line)["note_id"] for line in rows("--incomplete", "--json")}
    assert incomplete >= {LATE}
    assert WHOLE not in incomplete
    link = f"https://www.xiaohongshu.com/explore/{WHOLE}?xsec_token=x"
    assert [json.loads(line)["note_id"] for line in rows("--note", link, "--json")] == [WHOLE]


def test_status_of_a_note_that_is_not_shown_says_why(project: Project) -> None:
    assert project.crawl(notes=[WHOLE]).status == 0
    for more in ([], ["--json"]):
        done = project.command("status", "--note", LATE, *more)
        assert (done.status, done.output) == (1, ""), done
        assert done.errors == f"error: note {LATE} is not in the ledger\n"
        done = project.command("status", "--incomplete", "--note", LATE, *more)
        assert (done.status, done.output) == (1, ""), done
        done = project.command("status", "--incomplete", "--note", WHOLE, *more)
        assert (done.status, done.output) == (0, ""), done
        assert done.errors.startswith(f"note {WHOLE} is complete: ")
        assert len(done.errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["status", "--bogus"], "--bogus"),
        (["status", "more"], "more"),
        (["status", "--note", "nonsense"], "--note: neither a note ID"),
        (["status", "--note", f"{WHOLE},{LATE}"], "--note"),
        (["status", "--note"], "--note"),
        (["demo", "--bogus"], "--bogus"),
        (["demo", "more"], "more"),
        (["simulate", "--bogus"], "--bogus"),
        (["simulate", "more"], "more"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    without_store: Project, words: list[str], named: str
) -> None:
    done = without_store.command(*words, env={"MONGODB_URI": "mongodb://127.0.0.1:1"})
    assert (done.status, done.output) == (2, ""), done
    assert named in done.errors
    if words != ["status", "--note"]:  # argparse adds its usage
        assert len(done.errors.splitlines()) == 1


def test_status_refuses_a_price_that_is_none(without_store: Project) -> None:
    """Before it looks for the store."""
    env = {"MONGODB_URI": "mongodb://127.0.0.1:1", "XHS_CALL_PRICE": "cheap"}
    done = without_store.command("status", env=env)
    assert (done.status, done.output) == (2, ""), done
    assert done.errors.startswith("error: XHS_CALL_PRICE=cheap: an amount above 0")
    assert len(done.errors.splitlines()) == 1


def test_status_without_a_store_or_of_one_that_cannot_be_reached(without_store: Project) -> None:
    done = without_store.command("status")
    assert (done.status, len(done.errors.splitlines())) == (2, 1)
    uri = "mongodb://me:hunter2secret@127.0.0.1:1/?serverSelectionTimeoutMS=100"
    done = without_store.command("status", env={"MONGODB_URI": uri})
    assert (done.status, len(done.errors.splitlines())) == (1, 1), done
    assert "127.0.0.1:1" in done.errors
    assert "hunter2secret" not in done.errors
    assert done.output == ""


@fresh
@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["list"], "comments\n"),
        (["settings", "--get", "MONGODB_URI"], "embedded:\n"),
        (["settings", "--get", "CONCURRENT_REQUESTS"], "16\n"),
        (["check"], ""),
    ],
)
def test_scrapys_own_commands_need_no_token_and_no_store(
    tmp_path: Path, words: list[str], printed: str
) -> None:
    variables = environment(tmp_path, SCRAPY_SETTINGS_MODULE="xhs.settings")
    done = scrapy(*words, environment=variables, cwd=tmp_path)
    assert (done.status, done.output) == (0, printed), done
    assert "Traceback" not in done.errors
    assert list(tmp_path.iterdir()) == []


@fresh
def test_parse_takes_a_page_and_bills_one_call(api: Simulator, without_store: Project) -> None:
    base = without_store.environment["JUSTONEAPI_BASE_URL"]
    url = f"{base}/api/xiaohongshu/get-note-comment/v4?noteId={LATE}"
    words = ("-L", "DEBUG", "--spider=comments", "-c", "parse_page", "--nocolour", url)
    done = without_store.command("parse", *words)
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    assert all(comment in done.output for comment in expected_note(LATE).first_level[:10])
    call_log = api.call_log()
    assert (call_log["calls"], call_log["billed"]) == (1, 1)
    assert done.stats["xhs/calls/billed"] == 1
    assert TOKEN not in done.output + done.errors


@pytest.mark.parametrize(("note", "depth"), [(sized_note(5), "1"), (LATE, "3")])
def test_parse_takes_the_last_page_too(
    api: Simulator, without_store: Project, note: str, depth: str
) -> None:
    """``parse`` does not count its items, so nothing may wait for them."""
    base = without_store.environment["JUSTONEAPI_BASE_URL"]
    url = f"{base}/api/xiaohongshu/get-note-comment/v4?noteId={note}"
    words = ("--spider=comments", "-c", "parse_page", "-d", depth, "--nocolour", url)
    done = without_store.command("parse", *words)
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    assert all(comment in done.output for comment in expected_note(note).first_level)
    assert "'stop_reason': 'complete'" in done.output
    assert api.call_log()["calls"] == expected_note(note).pages


SCRIPT = """
import json, sys
from scrapy.crawler import {kind}
from scrapy.utils.project import get_project_settings

process = {kind}(get_project_settings())
crawler = process.create_crawler("comments")
arguments = json.loads(sys.argv[1])
ended = process.crawl(crawler, **arguments)
process.start()
stats = crawler.stats.get_stats()
names = ("finish_reason", "xhs/notes/left", "xhs/calls/billed")
print(json.dumps({{name: stats.get(name) for name in names}}))
"""


def from_a_script(
    project: Project, kind: str, arguments: dict[str, str], *, token: bool = True
) -> Outcome:
    variables = {**project.environment, "SCRAPY_SETTINGS_MODULE": "xhs.settings"}
    if not token:
        del variables["JUSTONEAPI_TOKEN"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(kind=kind), json.dumps(arguments)],
        env=variables,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("kind", ["CrawlerProcess", "AsyncCrawlerProcess"])
def test_a_crawl_from_a_script(api: Simulator, without_store: Project, kind: str) -> None:
    done = from_a_script(without_store, kind, {"notes": WHOLE})
    assert json.loads(done.output) == {
        "finish_reason": "finished",
        "xhs/notes/left": 0,
        "xhs/calls/billed": 2,
    }
    assert api.call_log()["calls"] == 2


@pytest.mark.parametrize("kind", ["CrawlerProcess", "AsyncCrawlerProcess"])
def test_wrong_arguments_from_a_script_are_a_value_error(
    api: Simulator, without_store: Project, kind: str
) -> None:
    done = from_a_script(without_store, kind, {"notes": WHOLE, "sort": "newest"})
    assert "WrongArguments: sort='newest' is none of latest, normal, like_count" in done.errors
    assert api.call_log()["calls"] == 0


@pytest.mark.parametrize(
    ("arguments", "token", "message"),
    [
        ({"notes": WHOLE}, False, "no token"),
        ({"notes": "nonsense"}, True, "notes: neither a note ID"),
        ({}, True, "no notes"),
    ],
)
def test_wrong_input_from_a_script_closes_the_crawl(
    api: Simulator, without_store: Project, arguments: dict[str, str], token: bool, message: str
) -> None:
    done = from_a_script(without_store, "AsyncCrawlerProcess", arguments, token=token)
    assert json.loads(done.output)["finish_reason"] == "wrong_input", done
    assert sum(message in line for line in done.lines("ERROR")) == 1, done
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 0


def test_a_share_text_from_a_script_is_not_quoted(api: Simulator, without_store: Project) -> None:
    profile = "https://www.xiaohongshu.com/user/profile/5b0e1a2c4eacab3f1d2e3f40"
    share = f"81 Zhang 张三 发布了一篇小红书笔记，快来看吧！ {profile}?xsec_token=hunter2 复制"
    done = from_a_script(without_store, "AsyncCrawlerProcess", {"notes": share})
    assert json.loads(done.output)["finish_reason"] == "wrong_input", done
    assert sum(f"notes: '{profile}' " in line for line in done.lines("ERROR")) == 1, done
    assert not any(word in done.errors for word in ("Zhang", "张三", "hunter2"))


def test_parse_without_a_token_says_so_and_calls_nothing(
    api: Simulator, without_store: Project
) -> None:
    url = f"{api.url}{COMMENTS}?noteId={sized_note(15)}"
    words = ("parse", "--spider=comments", "-c", "parse_page", url)
    done = without_store.command(*words, env={"JUSTONEAPI_TOKEN": None})
    assert any(line.startswith("no token") for line in done.lines("ERROR")), done
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 0


@pytest.mark.parametrize(
    ("rule", "env", "why"),
    [
        ({"code": 301}, {}, "code 301"),
        ({"code": 400}, {}, "code 400"),
        ({"code": 601}, {}, "code 601"),
        ({"reset": "before"}, {}, "the connection failed"),
        ({}, {"JUSTONEAPI_TOKEN": None}, "no token"),
        ({}, {"JUSTONEAPI_BASE_URL": "http://127.0.0.1:1"}, "refuses connections"),
        ({}, {"MONGODB_URI": "mongodb://127.0.0.1:1/"}, "the errors above say why"),
        ({"html": True}, {}, "and no envelope"),
    ],
)
def test_parse_says_why_no_page_came(
    api: Simulator,
    without_store: Project,
    rule: dict[str, Any],
    env: dict[str, str | None],
    why: str,
) -> None:
    api.script({"rules": [rule] if rule else []})
    address = f"{env.get('JUSTONEAPI_BASE_URL', api.url)}{COMMENTS}?noteId={LATE}"
    words = ("parse", "--spider=comments", "-c", "parse_page", "-s", "RETRY_TIMES=1", address)
    done = without_store.command(*words, env=env)
    assert done.status == 1, done
    last = done.lines("ERROR")[-1]
    assert last.startswith("No page came: ")
    assert why in last
    assert "Traceback" not in done.errors
    assert done.output == ""
    retried = rule.get("code") == 301 or "reset" in rule or "html" in rule or "BASE_URL" in str(env)
    lines = [line for line in done.lines("INFO") if line.startswith("No page yet (")]
    assert len(lines) == retried


def test_parse_of_an_address_that_is_no_page_fails(without_store: Project, api: Simulator) -> None:
    address = f"{api.url}/api/unknown?noteId={LATE}"
    words = ("parse", "--spider=comments", "-c", "parse_page", "-s", "RETRY_TIMES=0", address)
    done = without_store.command(*words)
    assert done.status == 1, done
    assert done.lines("ERROR")[-1].startswith("No page came: ")


def test_parse_without_its_spider_fails(without_store: Project, api: Simulator) -> None:
    done = without_store.command("parse", "-c", "parse_page", f"{api.url}{COMMENTS}?noteId={LATE}")
    assert done.status == 2, done
    assert "Unable to find spider" in done.errors


@fresh
def test_elsewhere_two_variables_name_the_project(
    api: Simulator, without_store: Project, tmp_path: Path
) -> None:
    """Without them Scrapy finds no project; with them, relative paths start in that folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    words = ("crawl", "comments", "-a", f"notes={LATE}", "-O", "comments.json")
    variables = {**without_store.environment, "XHS_SPILL_DIR": ".xhs/spill"}
    lost = scrapy(*words, environment=variables, cwd=folder)
    assert lost.status == 2, lost
    assert "only available from within a project" in lost.output
    variables["SCRAPY_SETTINGS_MODULE"] = (
        "xhs.settings"  # PYTHONPATH is the project's folder already
    )
    done = scrapy(*words, environment=variables, cwd=folder)
    assert done.status == 0, done
    items = json.loads((folder / "comments.json").read_text())
    assert items[-1]["stop_reason"] == "complete"
