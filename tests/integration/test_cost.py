"""Estimates of a crawl's cost in calls and money, before it begins and while it runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from support.expected import expected_note

from xhs.simulator.notes import sized_note, threaded_note

if TYPE_CHECKING:
    from support.crawl import Outcome, Project
    from support.simulator import Simulator

PRICED = {"XHS_CALL_PRICE": "0.05 CNY"}
NEW = [sized_note(45, 1), sized_note(117, 2), sized_note(5, 3)]
PAGES = 5 + 12 + 1


def expected(done: Outcome) -> list[str]:
    """Return the log lines' total of expected calls."""
    assert done.status == 0, done
    return [line for line in done.lines("INFO") if line.startswith("Calls expected in all: ")]


def test_a_dry_run_says_that_the_cost_of_new_notes_is_unknown(project: Project) -> None:
    lines = ["3 notes: 3 full", "calls: unknown for 3 notes never read: 3 calls at least"]
    done = project.crawl(notes=NEW, dry_run="1")
    assert done.output.splitlines() == lines
    logged = [line for line in done.lines("INFO") if line.startswith("Dry run: ")]
    assert logged == [f"Dry run: {line}" for line in lines]

    assert project.crawl(notes=NEW[:2], feed=False).status == 0
    done = project.crawl(notes=NEW, dry_run="1", env=PRICED)
    assert done.output.splitlines() == [
        "3 notes: 3 full",
        "calls: 17 at least (0.85 CNY), 17 likely (0.85 CNY) for 2 notes read before; "
        "unknown for 1 note never read: 1 call at least (0.05 CNY)",
        "reading a whole note has cost 8.5 calls on average",
    ]


def test_a_dry_run_knows_notes_whose_answers_name_no_count(
    api: Simulator, project: Project
) -> None:
    names = ("comment_count", "comment_count_l1")
    patch = [{"path": [name], "remove": True} for name in names]
    api.script({"rules": [{"endpoint": "comments", "patch": patch}]})
    assert project.crawl(notes=NEW[:2], feed=False).status == 0
    done = project.crawl(notes=NEW, dry_run="1", mode="update")
    assert done.output.splitlines()[1] == (
        "calls: 2 at least, 2 likely for 2 notes read before; "
        "unknown for 1 note never read: 1 call at least"
    )
    done = project.crawl(notes=NEW[:2], dry_run="1")
    assert done.output.splitlines()[1] == "calls: 17 at least, 17 likely"
    done = project.crawl("-s", "CONCURRENT_REQUESTS=1", notes=[NEW[1]], env={"XHS_MAX_CALLS": "1"})
    assert done.status == 3, done
    done = project.crawl(notes=NEW[1:2], dry_run="1", mode="resume", sort="like_count")
    assert done.output.splitlines()[1] == (
        "calls: unknown for 1 note whose answers name no count: 1 call at least"
    )


def test_the_estimate_is_logged_when_every_first_page_has_come(
    api: Simulator, project: Project
) -> None:
    done = project.crawl(notes=NEW, feed=False, env=PRICED)
    assert expected(done) == [f"Calls expected in all: about {PAGES} (0.90 CNY)"]
    assert api.call_log()["billed"] == PAGES
    assert done.run["calls"]["cost"] == "0.90 CNY"
    assert f"Calls      {PAGES} billed (0.90 CNY)" in done.lines("INFO")


@pytest.mark.parametrize(
    ("arguments", "expectation"),
    [
        ({"max_comments": "30"}, "about 7"),
        ({"since": "2014-01-01"}, f"at most {PAGES}"),
        ({"mode": "update"}, f"about {PAGES}"),
    ],
)
def test_the_estimate_follows_the_arguments(
    api: Simulator, project: Project, arguments: dict[str, Any], expectation: str
) -> None:
    done = project.crawl(notes=NEW, feed=False, **arguments)
    assert expected(done) == [f"Calls expected in all: {expectation}"]
    assert api.call_log()["billed"] == int(expectation.split()[-1])


def test_an_update_that_reads_on_says_at_least(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=NEW, feed=False, mode="update").status == 0
    quiet = project.crawl(feed=False, mode="update")
    assert expected(quiet) == []
    api.change(NEW[0], grow=25)
    done = project.crawl(feed=False, mode="update")
    assert expected(done) == ["Calls expected in all: at least 4"]


def test_a_note_that_names_no_count_says_at_least(api: Simulator, project: Project) -> None:
    patch = [{"path": ["comment_count_l1"], "remove": True}]
    api.script({"rules": [{"endpoint": "comments", "note": NEW[1], "patch": patch}]})
    assert expected(project.crawl(notes=NEW, feed=False)) == ["Calls expected in all: at least 8"]


def test_a_resumed_crawl_counts_what_is_left(api: Simulator, project: Project) -> None:
    words = ("-s", "CONCURRENT_REQUESTS=1")
    done = project.crawl(*words, notes=[NEW[1]], feed=False, env={"XHS_MAX_CALLS": "4"})
    assert done.status == 3, done
    done = project.crawl(mode="resume", feed=False)
    assert expected(done) == ["Calls expected in all: about 8"]
    assert api.call_log()["billed"] == 12


def test_an_update_that_first_finishes_what_was_left(api: Simulator, project: Project) -> None:
    words = ("-s", "CONCURRENT_REQUESTS=1")
    done = project.crawl(*words, notes=[NEW[1]], mode="update", env={"XHS_MAX_CALLS": "4"})
    assert done.status == 3, done
    done = project.crawl(mode="update", feed=False)
    assert expected(done) == ["Calls expected in all: at least 9"]
    assert api.call_log()["billed"] == 4 + 9


def test_replies_alone_that_are_left_are_expected_at_most(api: Simulator, project: Project) -> None:
    note = threaded_note(5, 13, 2)
    words = ("-s", "CONCURRENT_REQUESTS=1")
    done = project.crawl(*words, notes=[note], replies="all", env={"XHS_MAX_CALLS": "2"})
    assert done.status == 3, done
    left = expected_note(note).reply_pages - 1
    [line] = expected(project.crawl(mode="resume", feed=False))
    match = re.fullmatch(r"Calls expected in all: at most (\d+) for replies", line)
    assert match, line
    assert left <= int(match[1]) <= left + 1
    assert api.call_log()["billed"] == 2 + left


def test_replies_are_expected_as_on_the_pages_that_came(api: Simulator, project: Project) -> None:
    note = threaded_note(25, 13, 1)
    done = project.crawl(notes=[note], feed=False, replies="all", env=PRICED)
    calls = expected_note(note).reply_pages
    (line,) = expected(done)
    found = re.fullmatch(
        r"Calls expected in all: about 3 \(0.15 CNY\), and about (\d+) more for replies "
        r"\((\d+\.\d\d) CNY\)",
        line,
    )
    assert found, line
    guess = int(found[1])
    assert 0.8 * calls <= guess <= 1.2 * calls
    assert found[2] == f"{guess * 5 / 100:.2f}"
    assert api.call_log()["billed"] == 3 + calls


def test_a_note_that_fails_holds_nothing_up(api: Simulator, project: Project) -> None:
    api.script({"rules": [{"note": NEW[0], "code": 400}]})
    done = project.crawl(notes=NEW, feed=False)
    assert done.status == 4, done
    lines = [line for line in done.lines("INFO") if line.startswith("Calls expected in all")]
    assert lines == ["Calls expected in all: about 13"]


def test_a_long_list_is_reported_before_its_last_note(api: Simulator, project: Project) -> None:
    notes = [sized_note(15, serial) for serial in range(230)]
    lines = expected(project.crawl(notes=notes, feed=False, env=PRICED))
    first, second, last = lines
    for line, come in ((first, 100), (second, 200)):
        assert line == (
            "Calls expected in all: about 460 (23.00 CNY); this assumes that "
            f"the {230 - come} notes without a first page are like the {come} others"
        )
    assert last == "Calls expected in all: about 460 (23.00 CNY)"


def test_a_wrong_price_is_refused_before_the_first_call(api: Simulator, project: Project) -> None:
    done = project.crawl(notes=NEW, env={"XHS_CALL_PRICE": "0.05"})
    assert done.status == 2, done
    [line] = done.lines("ERROR")
    assert line == (
        "XHS_CALL_PRICE=0.05: an amount above 0 and its currency are needed, such as 0.05 CNY"
    )
    assert api.call_log()["calls"] == 0
