"""What operators read: the structured log, the end of a run, monitors."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from support.canary import found_in
from support.crawl import TOKEN
from support.expected import expected_note

from xhs.settings import ITEM_PIPELINES
from xhs.simulator.notes import missing_note, sized_note

if TYPE_CHECKING:
    from support.crawl import Outcome, Project
    from support.simulator import Simulator

NOTE = sized_note(25)
JSON = {"XHS_LOG_FORMAT": "json"}
REJECTED = {"path": ["comments", 0, "like_count"], "value": "many"}


def entries(log: str) -> list[dict[str, Any]]:
    """Parse a structured log; each line must be an object."""
    found = [json.loads(line) for line in log.splitlines()]
    assert found
    assert all({"time", "level", "logger", "message"} <= set(entry) for entry in found)
    return found


def test_the_end_of_a_run_is_one_json_line(api: Simulator, project: Project) -> None:
    rules = [
        {"note": NOTE, "page": 1, "patch": [REJECTED]},
        {"note": NOTE, "page": 2, "page_call": 1, "code": 301},
        {"note": sized_note(3, 7), "code": 400},
    ]
    api.script({"rules": rules})
    done = project.crawl(notes=[NOTE, missing_note(), sized_note(3, 7)])
    assert done.status == 4, done
    folder = project.uri.removeprefix("embedded:")
    assert f"Storing in database {project.name} of the embedded store on {folder}" in done.errors
    run = done.run
    count = len(expected_note(NOTE).first_level) + len(expected_note(NOTE).inline_replies) - 1
    assert (run["exit_status"], run["close_reason"], run["resume"]) == (4, "finished", None)
    assert run["notes"] == {
        "asked": 3,
        "ended": 3,
        "left": 0,
        "stop_reasons": {"complete": 1, "not_found": 1, "refused": 1},
        "ended_before": {},
    }
    assert (run["items"]["comment"], run["items"]["note"]) == (count, 3)
    assert run["comments"] == {"new": count, "known": 0, "vanished": 0, "missing": 1}
    assert (run["rejected"], run["rejected_by_field"]) == (1, {"like_count": 1})
    assert run["calls"]["billed"] == api.call_log()["billed"]
    assert run["calls"]["refused"] == {"301": 1, "400": 1}
    written = [str(project.folder / "feed-1.json")]
    assert run["feeds"] == {"stored": 1, "failed": 0, "items_missed": 0, "written": written}
    assert run["stored_in"] == f"database {project.name} of the embedded store on {folder}"
    assert run["finished_at"] > run["started_at"]


def test_the_end_of_a_run_that_left_something_has_the_command(without_store: Project) -> None:
    done = without_store.crawl(notes=[NOTE], feed=False, env={"XHS_MAX_CALLS": "1"})
    run = done.run
    assert (run["exit_status"], run["close_reason"]) == (3, "budget_spent")
    assert run["notes"]["left"] == 1
    assert run["resume"] == f"scrapy crawl comments -a notes={NOTE}"
    assert run["resume"] in done.errors.splitlines()[-1], "the last line is for people"


def test_an_update_of_an_empty_ledger_is_reported(project: Project) -> None:
    done = project.crawl(mode="update", feed=False)
    assert done.status == 0, done
    assert any("scrapy enqueue" in line for line in done.lines("WARNING"))


def test_the_command_names_notes_by_their_ids(without_store: Project) -> None:
    text = f"9 【a name - 小红书】 https://www.xiaohongshu.com/explore/{NOTE}?xsec_token=a-key="
    done = without_store.crawl(notes=[text], feed=False, env={"XHS_MAX_CALLS": "1"})
    assert done.run["resume"] == f"scrapy crawl comments -a notes={NOTE}"
    assert "a-key" not in done.errors


def test_a_structured_log_is_json_from_its_first_line_to_its_last(
    api: Simulator, without_store: Project
) -> None:
    own = "import logging\nclass Own:\n def __init__(self):\n  try: 1 / 0\n  except Exception: "
    own += "logging.getLogger('own').exception('多\\n行')\n"
    done = without_store.crawl(*without_store.extension(own), notes=[NOTE], env=JSON)
    assert done.status == 0, done
    found = entries(done.errors)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}\+00:00", found[0]["time"])
    [broken] = [entry for entry in found if entry["logger"] == "own"]
    assert (broken["level"], broken["message"]) == ("ERROR", "多\n行")
    assert "ZeroDivisionError" in broken["exception"]
    [end] = [entry for entry in found if "run" in entry]
    assert end["run"]["calls"]["billed"] == api.call_log()["billed"]
    assert any(entry.get("spider") == "comments" for entry in found)
    assert not found_in(done.errors.encode(), TOKEN)


def test_a_structured_log_goes_where_the_log_goes(without_store: Project) -> None:
    log = without_store.folder / "job.log"
    words = ("--logfile", str(log), "-L", "INFO")
    for _ in range(2):
        done = without_store.crawl(*words, notes=[missing_note()], env=JSON)
        assert (done.status, done.errors) == (0, "")
    found = entries(log.read_text("utf-8"))
    assert len([entry for entry in found if "run" in entry]) == 2, "a file is added to"
    assert not [entry for entry in found if entry["level"] == "DEBUG"]


def test_wrong_arguments_are_lines_of_a_structured_log(
    api: Simulator, without_store: Project
) -> None:
    done = without_store.crawl(notes=["nonsense"], mode="all", env=JSON, feed=False)
    assert done.status == 2
    found = entries(done.errors)
    errors = [entry["message"] for entry in found if entry["level"] == "ERROR"]
    assert len(errors) == 2
    assert found[-1]["run"] == {
        "exit_status": 2,
        "close_reason": "wrong_input",
        "errors": errors,
    }
    assert api.call_log()["calls"] == 0


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_personal_data_is_in_a_log_of_everything(
    api: Simulator, project: Project, log_format: str
) -> None:
    personal = {"content": "words of mine", "id": "668336590000000004562d30"}
    author = {"nickname": "a name of mine", "userid": "5f0000000000000000000abc"}
    fields = [{"path": ["comments", 0, name], "value": value} for name, value in personal.items()]
    fields += [
        {"path": ["comments", 0, "user", name], "value": one} for name, one in author.items()
    ]
    broken = [{"path": ["comments", 1, "content"], "value": ["words of mine"]}]
    dropped = [{"path": ["comments", 2, "content"], "value": "words of mine: drop"}]
    api.script({"rules": [{"note": NOTE, "page": 1, "patch": fields + broken + dropped}]})
    own = "from scrapy.exceptions import DropItem\nclass Own:\n def process_item(self, item):\n"
    own += "  if 'drop' in str(item.get('content')): raise DropItem(f'not wanted: {item}')\n"
    own += "  {}[item['nickname']] if 'e of m' in str(item.get('nickname')) else 0\n"
    project.add_module(f"{own}  return item\n")
    done = project.crawl(
        *("-L", "DEBUG"),
        *("-s", f"ITEM_PIPELINES={json.dumps({**ITEM_PIPELINES, 'users_own.Own': 400})}"),
        notes=[NOTE],
        env={"XHS_LOG_FORMAT": log_format},
    )
    assert done.status == 0, done
    assert project.documents("rejected")
    assert project.documents("comments", content="words of mine")
    assert "not wanted" in done.errors
    assert "KeyError" in done.errors
    for secret in (*personal.values(), *author.values()):
        assert not found_in(done.errors.encode(), secret), [
            line for line in done.errors.splitlines() if secret in line
        ]


def monitors(done: Outcome) -> dict[str, str]:
    """Return Spidermon's verdict on each of its monitors."""
    pattern = re.compile(r"\[Spidermon\] (\w+)/test_\w+\.\.\. (OK|FAIL)")
    return {match[1]: match[2] for match in pattern.finditer(done.errors)}


@pytest.mark.parametrize(
    ("rules", "limits", "failed"),
    [
        ([], {}, set()),
        ([{"note": NOTE, "page": 1, "patch": [REJECTED]}], {}, {"RejectedItems"}),
        ([{"note": NOTE, "page": 1, "patch": [REJECTED]}], {"REJECTED_SHARE": "0.5"}, set()),
        ([{"note": NOTE, "page": 3, "code": 301}], {"REFUSED_SHARE": "1"}, {"NotesLeft"}),
        ([{"note": NOTE, "page_call": 1, "code": 301}], {}, {"RefusedCalls"}),
        ([{"code": 400}], {"REFUSED_SHARE": "1"}, {"SomeComments"}),
    ],
)
def test_monitors_look_at_what_matters(
    api: Simulator,
    without_store: Project,
    rules: list[dict[str, Any]],
    limits: dict[str, str],
    failed: set[str],
) -> None:
    api.script({"rules": rules})
    words = [
        word for name, most in limits.items() for word in ("-s", f"SPIDERMON_MAX_{name}={most}")
    ]
    done = without_store.crawl(
        "-s", "RETRY_TIMES=1", *words, notes=[NOTE], env={"SPIDERMON_ENABLED": "1"}
    )
    found = monitors(done)
    assert set(found) == {"RejectedItems", "NotesLeft", "RefusedCalls", "SomeComments"}
    assert {name for name, verdict in found.items() if verdict == "FAIL"} == failed, done


def test_monitors_are_off_unless_asked_for(without_store: Project) -> None:
    assert "[Spidermon]" not in without_store.crawl(notes=[missing_note()]).errors
