"""The ledger: passes and their cost, comments that are not shown, and advice."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.expected import ExpectedNote, expected_note
from support.passes import (
    assert_stored,
    billed,
    cut_short,
    history,
    leave_at_page_three,
    pages_of,
    status_sections,
)

from xhs.simulator.notes import missing_note, sized_note, threaded_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from support.crawl import Document, Outcome, Project
    from support.simulator import Simulator

NOTE = sized_note(45, 3000)
PAGES = 5


def times(passed: Document) -> tuple[datetime, datetime]:
    """Remove and return a pass's times, after checking that its ID agrees with them."""
    name, _, began = passed.pop("_id").partition("/")
    assert name == passed["note_id"]
    assert datetime.fromisoformat(began) == passed["began_at"]
    return passed.pop("began_at"), passed.pop("ended_at")


def test_each_pass_leaves_one_document(api: Simulator, project: Project) -> None:
    started = datetime.now(UTC).replace(microsecond=0)
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    api.change(NOTE, grow=12)
    assert project.crawl(notes=[NOTE], feed=False, mode="update").status == 0
    ended = datetime.now(UTC)
    full, update = history(project, NOTE)
    assert started <= times(full)[0] <= ended
    began, done = times(update)
    assert began <= done <= ended
    was, now = expected_note(NOTE), expected_note(NOTE, 12)
    both = {"note_id": NOTE, "sort": "latest", "complete": True, "missing": 0}
    reported = {"replies_reported": replies_of(was), "replies_missing": missing_of(was)}
    assert full == {
        **both,
        **reported,
        "mode": "full",
        "stop_reason": "complete",
        "pages": PAGES,
        "comment_count": was.comment_count,
        "comment_count_l1": 45,
        "comments_listed": 45,
        "comments_collected": 45,
        "replies_collected": len(was.inline_replies),
        "comments_new": 45,
        "replies_new": len(was.inline_replies),
        "billed_calls": PAGES,
    }
    reported = {"replies_reported": replies_of(now), "replies_missing": missing_of(now)}
    assert update == {
        **both,
        **reported,
        "mode": "update",
        "stop_reason": "up_to_date",
        "pages": 2,
        "comment_count": now.comment_count,
        "comment_count_l1": 57,
        "comments_listed": 20,
        "comments_collected": 57,
        "replies_collected": len(now.inline_replies),
        "comments_new": 12,
        "replies_new": len(now.inline_replies) - len(was.inline_replies),
        "billed_calls": 2,
    }


def replies_of(note: ExpectedNote) -> int:
    return note.comment_count - note.comment_count_l1


def missing_of(note: ExpectedNote) -> int:
    return replies_of(note) - len(note.inline_replies)


def test_a_pass_of_several_runs_is_one_pass(api: Simulator, project: Project) -> None:
    leave_at_page_three(api, project, NOTE)
    assert history(project, NOTE) == []
    stopped = project.crawl(notes=[NOTE], feed=False, mode="resume", env={"XHS_MAX_CALLS": "1"})
    assert stopped.status == 3, stopped
    assert history(project, NOTE) == []
    assert project.crawl(notes=[NOTE], feed=False, mode="resume").status == 0
    (document,) = history(project, NOTE)
    wanted = {"mode": "full", "stop_reason": "complete", "complete": True, "billed_calls": PAGES}
    wanted |= {"pages": PAGES, "comments_listed": 45, "comments_new": 45, "comments_collected": 45}
    assert {name: document[name] for name in wanted} == wanted
    assert project.note(NOTE)["billed_calls"] == PAGES


def test_an_update_that_finishes_another_leaves_two(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    api.change(NOTE, grow=50)
    leave_at_page_three(api, project, NOTE, mode="update")
    api.change(NOTE, grow=11)
    assert project.crawl(notes=[NOTE], feed=False, mode="update").status == 0
    names = ("mode", "stop_reason", "pages", "comments_listed", "comments_new", "billed_calls")
    assert [tuple(document[name] for name in names) for document in history(project, NOTE)] == [
        ("full", "complete", PAGES, 45, 45, PAGES),
        ("update", "up_to_date", 6, 60, 50, 6),
        ("update", "up_to_date", 2, 20, 11, 2),
    ]
    assert project.note(NOTE)["billed_calls"] == PAGES + 6 + 2


def test_only_what_has_ended_is_history(api: Simulator, project: Project) -> None:
    flaws: dict[str, Document] = {
        "refused": {"code": 400},
        "cursor_missing": {"cursor": "missing"},
        "retries_exhausted": {"code": 301},
        "unknown_code": {"code": 999},
    }
    notes = {reason: sized_note(45, 3010 + place) for place, reason in enumerate(flaws)}
    gone = missing_note(3019)
    api.script({"rules": [{"note": notes[name], "page": 3, **flaws[name]} for name in flaws]})
    words = ("-s", "RETRY_TIMES=1")
    done = project.crawl(*words, notes=[*notes.values(), gone], feed=False, max_comments="40")
    assert done.status == 3, done
    found = project.documents("note_history").values()
    assert {
        (document["note_id"], document["stop_reason"], document["complete"]) for document in found
    } == {
        (notes["refused"], "refused", False),
        (notes["cursor_missing"], "cursor_missing", False),
        (gone, "not_found", False),
    }


def advice(project: Project, *words: str) -> dict[str, str | None]:
    """Return the advice of ``scrapy status`` on each note; check that it is printed for people too:

    a command with the same options, in the section of the note.
    """
    done = project.command("status", "--json", *words)
    assert (done.status, done.errors) == (0, ""), done
    found = {
        line["note_id"]: line.get("advice") for line in map(json.loads, done.output.splitlines())
    }
    if not found:
        return found
    printed = status_sections(project, *words)
    assert printed.keys() == found.keys()
    for note, text in found.items():
        if text is None:
            assert printed[note].keys() <= {"Nothing to do", "Not finished"}
            continue
        sections = "\n".join(printed[note].values())
        assert "Nothing to do" not in printed[note]
        for option in re.findall(r"-a \w+=\w+", text):
            assert re.search(f"scrapy crawl comments .*{option}", sections), (text, sections)
    return found


def test_what_a_chain_did_not_show_may_be_there_in_another_order(
    api: Simulator, project: Project
) -> None:
    note, whole = (sized_note(*size, replies=False) for size in ((117, 3020), (25, 3021)))
    rule = cut_short(note, 1, 7)
    api.script({"rules": [rule]})
    done = project.crawl(notes=[note, whole])
    assert done.status == 0, done
    end = next(item for item in done.items("note") if item["note_id"] == note)
    assert (end["stop_reason"], end["complete"]) == ("complete", True)
    assert (end["comment_count_l1"], end["comments_collected"], end["missing"]) == (117, 7, 110)
    lines = [line for level in ("INFO", "WARNING") for line in done.lines(level) if note in line]
    assert [line for line in lines if "110" in line], done
    assert not [
        line for level in ("INFO", "WARNING") for line in done.lines(level) if whole in line
    ]
    advised = advice(project)
    assert advised.keys() == {note, whole}
    assert advised[whole] is None
    assert re.fullmatch("110 .*not shown: try -a sort=normal", advised[note] or "")
    assert advice(project, "--incomplete").keys() == {note}

    expected = expected_note(note)
    held = set(expected.first_level[:7])
    orders = ["normal", "like_count"]
    for sort in orders:
        assert project.crawl(notes=[note], sort=sort).status == 0
        held |= set(expected.sorted_by(sort)[:7])
        missing = 117 - len(held)
        document = project.note(note)
        assert (document["comments_collected"], document["missing"]) == (len(held), missing)
        assert project.comment_ids(note)[0] == held
        told_now = advice(project)[note] or ""
        assert str(missing) in told_now
        assert ("sort=like_count" in told_now) == (sort == "normal"), told_now
        assert "sort=normal" not in told_now

    api.script({})
    assert project.crawl(notes=[note], sort="like_count").status == 0
    assert project.note(note)["missing"] == 0
    assert advice(project) == {note: None, whole: None}
    assert advice(project, "--incomplete") == {}


def test_a_note_that_is_not_there_is_distinguished_from_an_empty_one(
    api: Simulator, project: Project
) -> None:
    empty, gone = sized_note(0, 3030), missing_note(3031)
    assert project.crawl(notes=[empty, gone], feed=False).status == 0
    assert advice(project) == {empty: None, gone: "does not exist, or is hidden"}
    printed = status_sections(project)
    assert printed[empty]["Nothing to do"].split()[-4:] == ["complete", "0", "0", "1"]
    assert "do not exist, or are hidden" in printed[gone]["Not found"]
    assert "scrapy crawl" not in printed[gone]["Not found"]
    assert advice(project, "--incomplete").keys() == {gone}


def test_incomplete_is_what_is_not_complete_or_misses_something(
    api: Simulator, project: Project
) -> None:
    whole, short, late, limited, waiting = (
        sized_note(45, serial, replies=False) for serial in range(3040, 3045)
    )
    api.script({"rules": [cut_short(short, 2), {"note": late, "page": 2, "code": 999}]})
    assert project.crawl(notes=[whole, short, late], feed=False).status == 3
    api.script({})
    assert project.crawl(notes=[limited], feed=False, max_comments="10").status == 0
    enqueue(project, [waiting])
    assert advice(project, "--incomplete").keys() == {short, late, limited, waiting}
    assert project.crawl(mode="resume", feed=False).status == 0
    assert advice(project, "--incomplete").keys() == {short, limited}


def enqueue(project: Project, notes: Iterable[str], *words: str) -> Outcome:
    """Queue these notes from a file."""
    file = project.folder / "queue.txt"
    file.write_text("".join(f"{note}\n" for note in notes))
    done = project.command("enqueue", str(file), *words, env={"JUSTONEAPI_TOKEN": None})
    assert (done.status, done.errors) == (0, ""), done
    return done


def queued(new: int, known: int) -> str:
    return f"{new} notes queued, {known} were queued or under way already\n"


QUEUE = [sized_note(25, serial) for serial in range(3050, 3053)]
LINK = f"https://www.xiaohongshu.com/explore/{QUEUE[1]}?xsec_token=AB"
LISTS = {
    "list.txt": f"# a list\n{QUEUE[0]}\n{LINK}\n\n{QUEUE[1]}\n{QUEUE[2]}\n{QUEUE[0]}\n",
    "list.csv": f"name,note_id\na,{QUEUE[0]}\nb,{LINK}\nc,{QUEUE[2]}\nd,{QUEUE[2]}\n",
    "list.jsonl": f'"{QUEUE[0]}"\n"{LINK}"\n"{QUEUE[2]}"\n',
    "-": f"{QUEUE[0]}\n{LINK}\n{QUEUE[1]}\n{QUEUE[2]}\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_queued_and_done_by_resume(api: Simulator, project: Project, name: str) -> None:
    file, stdin = name, LISTS[name]
    if name != "-":
        file, stdin = str(project.folder / name), ""
        (project.folder / name).write_text(LISTS[name])
    done = project.command("enqueue", file, stdin=stdin, env={"JUSTONEAPI_TOKEN": None})
    assert (done.status, done.output, done.errors) == (0, queued(3, 0), ""), done
    ledger = project.documents("notes")
    assert {note: document["state"] for note, document in ledger.items()} == dict.fromkeys(
        QUEUE, "queued"
    )
    assert all(document["first_seen_at"] for document in ledger.values())
    if name != "list.txt":
        return
    printed = status_sections(project).values()
    assert {sections["Not finished"].split()[-1] for sections in printed} == {"queued"}
    again = project.command("enqueue", file)
    assert (again.status, again.output) == (0, queued(0, 3)), again
    assert project.documents("notes") == ledger
    assert api.call_log()["calls"] == 0

    done = project.crawl(mode="resume")
    assert done.status == 0, done
    assert billed(api) == dict.fromkeys(QUEUE, 3)
    assert set(done.ids("note")) == set(QUEUE)
    for note in QUEUE:
        assert_stored(project, note)
        assert project.note(note)["state"] == "ended"


def test_an_update_without_a_list_takes_what_is_queued_too(
    api: Simulator, project: Project
) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    api.change(NOTE, grow=3)
    enqueue(project, QUEUE)
    api.reset_call_log()
    done = project.crawl(mode="update")
    assert done.status == 0, done
    assert billed(api) == {NOTE: 1, **dict.fromkeys(QUEUE, 3)}
    assert_stored(project, NOTE, 3)
    for note in QUEUE:
        assert_stored(project, note)


def test_all_that_is_wrong_is_said_and_nothing_is_queued(project: Project) -> None:
    file = project.folder / "list.txt"
    file.write_text(f"{QUEUE[0]}\nnonsense\n{QUEUE[1]}\n{NOTE[:-1]}\n")
    done = project.command("enqueue", str(file))
    assert (done.status, done.output) == (2, ""), done
    first, second = done.errors.splitlines()
    for line, wrong in ((first, ("line 2: neither", "a note ID")), (second, ("line 4", NOTE[:-1]))):
        assert line.startswith("error: ")
        assert all(part in line for part in wrong), line
    assert project.documents("notes") == {}


WRONG: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "file"),
    "both": (["{file}", "--unfinished"], "too many arguments"),
    "no file": (["{folder}/none.txt"], "none.txt"),
    "an option": (["{file}", "--bogus"], "--bogus"),
    "an argument": (["{file}", "-a", "bogus=1"], "bogus"),
    "a value": (["{file}", "-a", "sort=newest"], "newest"),
    "a combination": (["{file}", "-a", "sort=normal", "-a", "since=2026-01-01"], "since"),
    "a mode": (["{file}", "-a", "mode=resume"], "resume"),
    "notes": (["{file}", "-a", "notes=65bf5360000000002c03f684"], "notes"),
    "no pair": (["{file}", "-a", "sort"], "-a"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_queues_nothing(project: Project, name: str) -> None:
    words, named = WRONG[name]
    file = project.folder / "file.txt"
    file.write_text(QUEUE[0])
    given = [word.format(file=file, folder=project.folder) for word in words]
    done = project.command("enqueue", *given)
    assert (done.status, done.output) == (2, ""), done
    assert named in done.errors
    assert "Traceback" not in done.errors
    assert project.documents("notes") == {}


def test_without_a_store_nothing_can_be_queued(without_store: Project) -> None:
    file = without_store.folder / "file.txt"
    file.write_text(QUEUE[0])
    for words in ([str(file)], ["--unfinished"]):
        done = without_store.command("enqueue", *words)
        assert (done.status, done.output) == (2, ""), done
        (line,) = done.errors.splitlines()
        assert "MONGODB_URI" in line


def test_arguments_are_kept_with_a_note_and_obeyed(api: Simulator, project: Project) -> None:
    liked, limited, plain = QUEUE
    enqueue(project, [liked], "-a", "sort=like_count", "-a", "replies=none")
    enqueue(project, [limited], "-a", "max_comments=10")
    enqueue(project, [plain])
    kept = {
        note: document.get("arguments") or {}
        for note, document in project.documents("notes").items()
    }
    assert kept[liked] == {"sort": "like_count", "replies": "none"}
    assert kept[limited] == {"max_comments": "10"}
    assert kept[plain] == {}
    done = project.crawl(mode="resume")
    assert done.status == 0, done
    assert billed(api) == {liked: 3, limited: 1, plain: 3}
    sorts = {(call["note"], call["sort"]) for call in api.call_log()["log"]}
    assert sorts == {(liked, "like_count"), (limited, "latest"), (plain, "latest")}
    assert {item["note_id"]: item["sort"] for item in done.items("note")} == dict(sorts)
    assert project.comment_ids(liked) == (set(expected_note(liked).first_level), set())
    assert_stored(project, limited, first=10)
    assert project.note(limited)["stop_reason"] == "max_comments"
    assert_stored(project, plain)


def test_arguments_that_are_kept_hold_for_every_run_of_a_pass(
    api: Simulator, project: Project
) -> None:
    enqueue(project, [NOTE], "-a", "sort=normal", "-a", "max_comments=35")
    api.script({"rules": [{"page": 3, "code": 999}]})
    assert project.crawl(mode="resume", feed=False).status == 3
    api.script({})
    done = project.crawl(mode="resume")
    assert done.status == 0, done
    assert pages_of(api, NOTE) == [1, 2, 3, 3, 4]
    assert {call["sort"] for call in api.call_log()["log"]} == {"normal"}
    assert project.comment_ids(NOTE)[0] == set(expected_note(NOTE).sorted_by("normal")[:35])
    (document,) = history(project, NOTE)
    assert (document["sort"], document["stop_reason"], document["comments_listed"]) == (
        "normal",
        "max_comments",
        35,
    )


def test_kept_arguments_that_a_crawl_cannot_obey_stop_no_other_note(
    api: Simulator, project: Project
) -> None:
    other, plain, _ = QUEUE
    enqueue(project, [other], "-a", "since=2020-01-01")
    enqueue(project, [plain])
    done = project.crawl(mode="resume", sort="normal")
    assert done.status == 3, done
    assert billed(api) == {plain: 3}
    assert [line for line in done.lines("ERROR") if other in line and "since" in line], done
    assert done.stats["xhs/notes/left"] == 1
    assert project.note(other)["state"] == "queued"


def test_what_a_crawl_names_itself_wins(api: Simulator, project: Project) -> None:
    first, second, _ = QUEUE
    enqueue(project, [first, second], "-a", "sort=like_count", "-a", "max_comments=10")
    done = project.crawl(mode="resume", notes=[first], sort="normal")
    assert done.status == 0, done
    assert {(call["note"], call["sort"]) for call in api.call_log()["log"]} == {(first, "normal")}
    assert billed(api) == {first: 1}
    done = project.crawl(mode="resume", max_comments="20")
    assert done.status == 0, done
    assert billed(api) == {first: 1, second: 2}
    assert {call["sort"] for call in api.call_log()["log"][1:]} == {"like_count"}


def test_an_ended_note_is_queued_again_and_keeps_what_is_known(
    api: Simulator, project: Project
) -> None:
    notes = [NOTE, sized_note(45, 3060)]
    assert project.crawl(notes=notes, feed=False).status == 0
    before = project.documents("notes")
    for note in notes:
        api.change(note, grow=11)
    api.reset_call_log()
    whole, updated = notes
    assert enqueue(project, [whole]).output == queued(1, 0)
    assert enqueue(project, [updated], "-a", "mode=update").output == queued(1, 0)
    for note, document in project.documents("notes").items():
        assert document["state"] == "queued"
        for name in (
            "watermark",
            "comments_collected",
            "billed_calls",
            "first_seen_at",
            "complete",
        ):
            assert document[name] == before[note][name], name
    done = project.crawl(mode="resume")
    assert done.status == 0, done
    assert billed(api) == {whole: 6, updated: 2}
    for note in notes:
        assert_stored(project, note, 11)
        assert project.note(note)["state"] == "ended"


def test_a_note_under_way_keeps_its_place(api: Simulator, project: Project) -> None:
    leave_at_page_three(api, project, NOTE)
    before = project.note(NOTE)
    assert enqueue(project, [NOTE, QUEUE[0]]).output == queued(1, 1)
    after = project.note(NOTE)
    assert {name: after[name] for name in ("state", "checkpoint", "pages")} == {
        name: before[name] for name in ("state", "checkpoint", "pages")
    }
    assert project.crawl(mode="resume").status == 0
    assert pages_of(api, NOTE) == [3, 4, 5]
    assert_stored(project, NOTE)


def test_unfinished_notes_can_be_queued_without_a_file(api: Simulator, project: Project) -> None:
    late, whole = NOTE, QUEUE[0]
    assert project.crawl(notes=[whole], feed=False).status == 0
    leave_at_page_three(api, project, late)
    enqueue(project, [QUEUE[1]])
    before = project.documents("notes")
    done = project.command("enqueue", "--unfinished", env={"JUSTONEAPI_TOKEN": None})
    assert (done.status, done.errors) == (0, ""), done
    assert re.match(r"\d notes queued", done.output)
    after = project.documents("notes")
    assert after[whole] == before[whole]
    assert after[late]["checkpoint"] == before[late]["checkpoint"]
    assert project.crawl(mode="resume").status == 0
    assert billed(api) == {late: 3, QUEUE[1]: 3}


class Plan:
    """Output of ``dry_run``."""

    def __init__(self, output: str) -> None:
        found = re.search(r"^(\d+) notes?(?:: (.*))?$", output, re.M)
        calls = re.search(r"^calls: .*$", output, re.M)
        assert found, output
        assert calls, output
        self.notes = int(found[1])
        parts = re.findall(r"(\d+) (full|update|resume|needs? nothing)", found[2] or "")
        kinds = {"needs nothing": "nothing", "need nothing": "nothing"}
        self.kinds = {kinds.get(kind, kind): int(number) for number, kind in parts if int(number)}
        estimate = re.search(r"(\d+) at least, (\d+) likely", calls[0])
        unknown = re.search(r"unknown for (\d+) notes? never read: (\d+) calls? at least", calls[0])
        self.least, self.likely = (int(estimate[1]), int(estimate[2])) if estimate else (0, 0)
        self.unread = 0
        if unknown:
            assert unknown[1] == unknown[2]
            self.unread = int(unknown[1])
            self.least += self.unread


def dry_run(api: Simulator, project: Project, **arguments: Any) -> Plan:
    """Make a dry run; check that it calls and changes nothing."""
    api.reset_call_log()
    names = ("notes", "comments", "note_history")
    before = {name: project.documents(name) for name in names}
    done = project.crawl(feed=False, dry_run="1", **arguments)
    assert done.status == 0, done
    assert "Traceback" not in done.errors, done
    assert api.call_log()["calls"] == 0
    assert {name: project.documents(name) for name in names} == before
    return Plan(done.output)


def cost(api: Simulator, project: Project, **arguments: Any) -> int:
    """Return what the same crawl really costs."""
    api.reset_call_log()
    done = project.crawl(feed=False, **arguments)
    assert done.status == 0, done
    return int(api.call_log()["billed"])


def test_a_dry_run_of_notes_that_nobody_knows(api: Simulator, project: Project) -> None:
    plan = dry_run(api, project, notes=QUEUE)
    assert (plan.notes, plan.kinds, plan.least, plan.likely) == (3, {"full": 3}, 3, 0)
    assert plan.unread == 3
    assert project.documents("notes") == {}


def mixed(api: Simulator, project: Project) -> Mapping[str, str]:
    """Fill the ledger with a note in every state; return the notes."""
    whole, late, waiting, gone, empty = (
        sized_note(45, 3070),
        sized_note(45, 3071),
        sized_note(25, 3072),
        missing_note(3073),
        sized_note(0, 3074),
    )
    assert project.crawl(notes=[whole, gone, empty], feed=False).status == 0
    leave_at_page_three(api, project, late)
    enqueue(project, [waiting])
    return {"whole": whole, "late": late, "waiting": waiting, "gone": gone, "empty": empty}


def test_a_dry_run_of_resume(api: Simulator, project: Project) -> None:
    notes = mixed(api, project)
    plan = dry_run(api, project, mode="resume")
    assert (plan.notes, plan.kinds, plan.unread) == (2, {"resume": 1, "full": 1}, 1)
    plan = dry_run(api, project, mode="resume", notes=list(notes.values()))
    assert (plan.notes, plan.kinds) == (5, {"resume": 1, "full": 1, "nothing": 3})
    assert plan.likely == 3
    assert 2 <= plan.least <= plan.likely + plan.unread
    assert plan.least <= cost(api, project, mode="resume") == 6

    plan = dry_run(api, project, mode="resume")
    assert (plan.notes, plan.kinds, plan.least, plan.likely) == (0, {}, 0, 0)


def test_a_dry_run_of_update(api: Simulator, project: Project) -> None:
    notes = mixed(api, project)
    plan = dry_run(api, project, mode="update")
    assert plan.notes == sum(plan.kinds.values()) == len(notes)
    assert plan.kinds == {"update": 3, "full": 1, "resume": 1}
    assert plan.unread == 1
    assert plan.least >= len(notes)
    assert plan.likely + plan.unread >= plan.least
    assert plan.least <= cost(api, project, mode="update") == 1 + 1 + 1 + 3 + 4

    plan = dry_run(api, project, mode="update")
    assert (plan.notes, plan.kinds) == (5, {"update": 5})
    assert plan.least == cost(api, project, mode="update") == 5
    assert plan.likely >= 5


def test_a_dry_run_of_full(api: Simulator, project: Project) -> None:
    whole, other = sized_note(45, 3080), sized_note(117, 3081)
    arguments = {"notes": [whole, other]}
    assert cost(api, project, **arguments) == 17
    plan = dry_run(api, project, **arguments)
    assert (plan.notes, plan.kinds, plan.likely) == (2, {"full": 2}, 17)
    assert 2 <= plan.least <= 17
    assert cost(api, project, **arguments) == plan.likely
    plan = dry_run(api, project, max_comments="20", **arguments)
    assert (plan.kinds, plan.likely) == ({"full": 2}, 4)
    assert cost(api, project, max_comments="20", **arguments) == plan.likely


def test_a_dry_run_of_replies_that_are_not_held(api: Simulator, project: Project) -> None:
    note = threaded_note(25, 13, 3090)
    assert project.crawl(notes=[note], feed=False).status == 0
    arguments = {"notes": [note], "replies": "all"}
    plan = dry_run(api, project, **arguments)
    assert plan.kinds == {"full": 1}
    assert plan.likely == 3 + expected_note(note).reply_pages
    assert cost(api, project, **arguments) == plan.likely

    plan = dry_run(api, project, **arguments)
    assert plan.likely == cost(api, project, **arguments) == 3


def test_a_dry_run_is_no_first_start_of_a_job(api: Simulator, project: Project) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    api.reset_call_log()
    job = ("-s", f"JOBDIR={project.folder / 'job'}")
    done = project.crawl(*job, notes=[NOTE], feed=False, dry_run="1")
    assert (done.status, Plan(done.output).kinds) == (0, {"full": 1}), done
    assert project.crawl(*job, notes=[NOTE], feed=False).status == 0
    assert billed(api) == {NOTE: PAGES}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"notes": [NOTE, "nonsense"], "dry_run": "1"}, "notes: piece 2 of 2"),
        ({"notes": [NOTE], "dry_run": "2"}, "dry_run"),
        ({"dry_run": "1"}, "no notes"),
        ({"notes": [NOTE], "dry_run": "1", "sort": "newest"}, "newest"),
    ],
)
def test_a_dry_run_refuses_what_a_crawl_refuses(
    api: Simulator, project: Project, arguments: dict[str, Any], named: str
) -> None:
    done = project.crawl(feed=False, **arguments)
    assert done.status == 2, done
    assert [line for line in done.lines("ERROR") if named in line], done
    assert not re.search(r"^calls: ", done.output, re.M)
    assert api.call_log()["calls"] == 0
    assert project.documents("notes") == {}
