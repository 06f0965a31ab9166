"""What the ledger knows: passes and what each cost, what is not shown, what is to be done."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.passes import (
    assert_stored,
    billed,
    cut_short,
    history,
    ledger_rows,
    pages_of,
)

from xhs.simulator.notes import missing_note, sized_note, threaded_note
from xhs.simulator.truth import Truth, truth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from support.crawl import Document, Outcome, Project
    from support.simulator import Simulator

NOTE = sized_note(45, 3000)
PAGES = 5


def leave_at_page_three(api: Simulator, site: Project, *notes: str, **arguments: Any) -> None:
    """Crawl these up to their third page, which is not paid for."""
    api.script({"rules": [{"note": notes, "page": 3, "code": 999}]})
    assert site.crawl(notes=notes, feed=False, **arguments).status == 3
    api.script({})
    api.reset_books()


def times(passed: Document) -> tuple[datetime, datetime]:
    """Take a pass's times out of its document, once its name is found to agree with them."""
    name, _, began = passed.pop("_id").partition("/")
    assert name == passed["note_id"]
    assert datetime.fromisoformat(began) == passed["began_at"]
    return passed.pop("began_at"), passed.pop("ended_at")


def test_each_pass_leaves_one_document(api: Simulator, site: Project) -> None:
    started = datetime.now(UTC).replace(microsecond=0)
    assert site.crawl(notes=[NOTE], feed=False).status == 0
    api.change(NOTE, grow=12)
    assert site.crawl(notes=[NOTE], feed=False, mode="update").status == 0
    ended = datetime.now(UTC)
    full, update = history(site, NOTE)
    assert started <= times(full)[0] <= ended
    began, done = times(update)
    assert began <= done <= ended
    was, now = truth(NOTE), truth(NOTE, 12)
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
        "comments_met": 45,
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
        "comments_met": 20,
        "comments_collected": 57,
        "replies_collected": len(now.inline_replies),
        "comments_new": 12,
        "replies_new": len(now.inline_replies) - len(was.inline_replies),
        "billed_calls": 2,
    }


def replies_of(note: Truth) -> int:
    return note.comment_count - note.comment_count_l1


def missing_of(note: Truth) -> int:
    return replies_of(note) - len(note.inline_replies)


def test_a_pass_of_several_runs_is_one_pass(api: Simulator, site: Project) -> None:
    leave_at_page_three(api, site, NOTE)
    assert history(site, NOTE) == []
    stopped = site.crawl(notes=[NOTE], feed=False, mode="resume", env={"XHS_MAX_CALLS": "1"})
    assert stopped.status == 3, stopped
    assert history(site, NOTE) == []
    assert site.crawl(notes=[NOTE], feed=False, mode="resume").status == 0
    (one,) = history(site, NOTE)
    wanted = {"mode": "full", "stop_reason": "complete", "complete": True, "billed_calls": PAGES}
    wanted |= {"pages": PAGES, "comments_met": 45, "comments_new": 45, "comments_collected": 45}
    assert {name: one[name] for name in wanted} == wanted
    assert site.note(NOTE)["billed_calls"] == PAGES


def test_an_update_that_finishes_another_leaves_two(api: Simulator, site: Project) -> None:
    assert site.crawl(notes=[NOTE], feed=False).status == 0
    api.change(NOTE, grow=50)
    leave_at_page_three(api, site, NOTE, mode="update")
    api.change(NOTE, grow=11)
    assert site.crawl(notes=[NOTE], feed=False, mode="update").status == 0
    names = ("mode", "stop_reason", "pages", "comments_met", "comments_new", "billed_calls")
    assert [tuple(one[name] for name in names) for one in history(site, NOTE)] == [
        ("full", "complete", PAGES, 45, 45, PAGES),
        ("update", "up_to_date", 6, 60, 50, 6),
        ("update", "up_to_date", 2, 20, 11, 2),
    ]
    assert site.note(NOTE)["billed_calls"] == PAGES + 6 + 2


def test_only_what_has_ended_is_history(api: Simulator, site: Project) -> None:
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
    done = site.crawl(*words, notes=[*notes.values(), gone], feed=False, max_comments="40")
    assert done.status == 3, done
    found = site.documents("note_history").values()
    assert {(one["note_id"], one["stop_reason"], one["complete"]) for one in found} == {
        (notes["refused"], "refused", False),
        (notes["cursor_missing"], "cursor_missing", False),
        (gone, "not_found", False),
    }


def advice(site: Project, *words: str) -> dict[str, str | None]:
    """What ``scrapy status`` says should be done about each note; the table says the same."""
    done = site.command("status", "--json", *words)
    assert (done.status, done.errors) == (0, ""), done
    found = {one["note_id"]: one.get("advice") for one in map(json.loads, done.output.splitlines())}
    rows = dict(ledger_rows(site, *words))
    assert rows.keys() == found.keys()
    for note, said in found.items():
        assert rows[note].endswith(said or ""), rows[note]
    return found


def test_what_a_chain_did_not_show_may_be_there_in_another_order(
    api: Simulator, site: Project
) -> None:
    note, whole = (sized_note(*size, replies=False) for size in ((117, 3020), (25, 3021)))
    rule = cut_short(note, 1, 7)
    api.script({"rules": [rule]})
    done = site.crawl(notes=[note, whole])
    assert done.status == 0, done
    end = next(item for item in done.items("note") if item["note_id"] == note)
    assert (end["stop_reason"], end["complete"]) == ("complete", True)
    assert (end["comment_count_l1"], end["comments_collected"], end["missing"]) == (117, 7, 110)
    told = [line for level in ("INFO", "WARNING") for line in done.lines(level) if note in line]
    assert [line for line in told if "110" in line], done
    assert not [
        line for level in ("INFO", "WARNING") for line in done.lines(level) if whole in line
    ]
    said = advice(site)
    assert said.keys() == {note, whole}
    assert said[whole] is None
    assert re.fullmatch("110 .*not shown: try -a sort=normal", said[note] or "")
    assert advice(site, "--incomplete").keys() == {note}

    there = truth(note)
    held = set(there.first_level[:7])
    orders = ["normal", "like_count"]
    for sort in orders:
        assert site.crawl(notes=[note], sort=sort).status == 0
        held |= set(there.sorted_by(sort)[:7])
        missing = 117 - len(held)
        document = site.note(note)
        assert (document["comments_collected"], document["missing"]) == (len(held), missing)
        assert site.comment_ids(note)[0] == held
        told_now = advice(site)[note] or ""
        assert str(missing) in told_now
        assert ("sort=like_count" in told_now) == (sort == "normal"), told_now
        assert "sort=normal" not in told_now

    api.script({})
    assert site.crawl(notes=[note], sort="like_count").status == 0
    assert site.note(note)["missing"] == 0
    assert advice(site) == {note: None, whole: None}
    assert advice(site, "--incomplete") == {}


def test_a_note_that_is_not_there_is_told_from_an_empty_one(api: Simulator, site: Project) -> None:
    empty, gone = sized_note(0, 3030), missing_note(3031)
    assert site.crawl(notes=[empty, gone], feed=False).status == 0
    assert advice(site) == {empty: None, gone: "does not exist, or is hidden"}
    rows = dict(ledger_rows(site))
    assert rows[empty].split()[:2] == ["ended", "complete"]
    assert rows[gone].split()[:2] == ["ended", "not_found"]
    assert advice(site, "--incomplete").keys() == {gone}


def test_incomplete_is_what_is_not_complete_or_misses_something(
    api: Simulator, site: Project
) -> None:
    whole, short, late, limited, waiting = (
        sized_note(45, serial, replies=False) for serial in range(3040, 3045)
    )
    api.script({"rules": [cut_short(short, 2), {"note": late, "page": 2, "code": 999}]})
    assert site.crawl(notes=[whole, short, late], feed=False).status == 3
    api.script({})
    assert site.crawl(notes=[limited], feed=False, max_comments="10").status == 0
    enqueue(site, [waiting])
    assert advice(site, "--incomplete").keys() == {short, late, limited, waiting}
    assert site.crawl(mode="resume", feed=False).status == 0
    assert advice(site, "--incomplete").keys() == {short, limited}


def enqueue(site: Project, notes: Iterable[str], *words: str) -> Outcome:
    """Queue these, from a file."""
    file = site.folder / "queue.txt"
    file.write_text("".join(f"{note}\n" for note in notes))
    done = site.command("enqueue", str(file), *words, env={"JUSTONEAPI_TOKEN": None})
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
def test_a_list_is_queued_and_done_by_resume(api: Simulator, site: Project, name: str) -> None:
    file, stdin = name, LISTS[name]
    if name != "-":
        file, stdin = str(site.folder / name), ""
        (site.folder / name).write_text(LISTS[name])
    done = site.command("enqueue", file, stdin=stdin, env={"JUSTONEAPI_TOKEN": None})
    assert (done.status, done.output, done.errors) == (0, queued(3, 0), ""), done
    ledger = site.documents("notes")
    assert {note: one["state"] for note, one in ledger.items()} == dict.fromkeys(QUEUE, "queued")
    assert all(one["first_seen_at"] for one in ledger.values())
    if name != "list.txt":
        return
    assert {row.split()[0] for _, row in ledger_rows(site)} == {"queued"}
    again = site.command("enqueue", file)
    assert (again.status, again.output) == (0, queued(0, 3)), again
    assert site.documents("notes") == ledger
    assert api.books()["calls"] == 0

    done = site.crawl(mode="resume")
    assert done.status == 0, done
    assert billed(api) == dict.fromkeys(QUEUE, 3)
    assert set(done.ids("note")) == set(QUEUE)
    for note in QUEUE:
        assert_stored(site, note)
        assert site.note(note)["state"] == "ended"


def test_an_update_without_a_list_takes_what_is_queued_too(api: Simulator, site: Project) -> None:
    assert site.crawl(notes=[NOTE], feed=False).status == 0
    api.change(NOTE, grow=3)
    enqueue(site, QUEUE)
    api.reset_books()
    done = site.crawl(mode="update")
    assert done.status == 0, done
    assert billed(api) == {NOTE: 1, **dict.fromkeys(QUEUE, 3)}
    assert_stored(site, NOTE, 3)
    for note in QUEUE:
        assert_stored(site, note)


def test_all_that_is_wrong_is_said_and_nothing_is_queued(site: Project) -> None:
    file = site.folder / "list.txt"
    file.write_text(f"{QUEUE[0]}\nnonsense\n{QUEUE[1]}\n{NOTE[:-1]}\n")
    done = site.command("enqueue", str(file))
    assert (done.status, done.output) == (2, ""), done
    first, second = done.errors.splitlines()
    for line, wrong in ((first, ("line 2: neither", "a note ID")), (second, ("line 4", NOTE[:-1]))):
        assert line.startswith("error: ")
        assert all(part in line for part in wrong), line
    assert site.documents("notes") == {}


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
def test_wrong_usage_queues_nothing(site: Project, name: str) -> None:
    words, named = WRONG[name]
    file = site.folder / "file.txt"
    file.write_text(QUEUE[0])
    given = [word.format(file=file, folder=site.folder) for word in words]
    done = site.command("enqueue", *given)
    assert (done.status, done.output) == (2, ""), done
    assert named in done.errors
    assert "Traceback" not in done.errors
    assert site.documents("notes") == {}


def test_without_a_store_nothing_can_be_queued(without_store: Project) -> None:
    file = without_store.folder / "file.txt"
    file.write_text(QUEUE[0])
    for words in ([str(file)], ["--unfinished"]):
        done = without_store.command("enqueue", *words)
        assert (done.status, done.output) == (2, ""), done
        (line,) = done.errors.splitlines()
        assert "MONGODB_URI" in line


def test_arguments_are_kept_with_a_note_and_obeyed(api: Simulator, site: Project) -> None:
    liked, limited, plain = QUEUE
    enqueue(site, [liked], "-a", "sort=like_count", "-a", "replies=none")
    enqueue(site, [limited], "-a", "max_comments=10")
    enqueue(site, [plain])
    kept = {note: one.get("arguments") or {} for note, one in site.documents("notes").items()}
    assert kept[liked] == {"sort": "like_count", "replies": "none"}
    assert kept[limited] == {"max_comments": "10"}
    assert kept[plain] == {}
    done = site.crawl(mode="resume")
    assert done.status == 0, done
    assert billed(api) == {liked: 3, limited: 1, plain: 3}
    sorts = {(call["note"], call["sort"]) for call in api.books()["log"]}
    assert sorts == {(liked, "like_count"), (limited, "latest"), (plain, "latest")}
    assert {item["note_id"]: item["sort"] for item in done.items("note")} == dict(sorts)
    assert site.comment_ids(liked) == (set(truth(liked).first_level), set())
    assert_stored(site, limited, first=10)
    assert site.note(limited)["stop_reason"] == "max_comments"
    assert_stored(site, plain)


def test_arguments_that_are_kept_hold_for_every_run_of_a_pass(
    api: Simulator, site: Project
) -> None:
    enqueue(site, [NOTE], "-a", "sort=normal", "-a", "max_comments=35")
    api.script({"rules": [{"page": 3, "code": 999}]})
    assert site.crawl(mode="resume", feed=False).status == 3
    api.script({})
    done = site.crawl(mode="resume")
    assert done.status == 0, done
    assert pages_of(api, NOTE) == [1, 2, 3, 3, 4]
    assert {call["sort"] for call in api.books()["log"]} == {"normal"}
    assert site.comment_ids(NOTE)[0] == set(truth(NOTE).sorted_by("normal")[:35])
    (one,) = history(site, NOTE)
    assert (one["sort"], one["stop_reason"], one["comments_met"]) == ("normal", "max_comments", 35)


def test_kept_arguments_that_a_crawl_cannot_obey_stop_no_other_note(
    api: Simulator, site: Project
) -> None:
    other, plain, _ = QUEUE
    enqueue(site, [other], "-a", "since=2020-01-01")
    enqueue(site, [plain])
    done = site.crawl(mode="resume", sort="normal")
    assert done.status == 3, done
    assert billed(api) == {plain: 3}
    assert [line for line in done.lines("ERROR") if other in line and "since" in line], done
    assert done.stats["xhs/notes/left"] == 1
    assert site.note(other)["state"] == "queued"


def test_what_a_crawl_names_itself_wins(api: Simulator, site: Project) -> None:
    one, other, _ = QUEUE
    enqueue(site, [one, other], "-a", "sort=like_count", "-a", "max_comments=10")
    done = site.crawl(mode="resume", notes=[one], sort="normal")
    assert done.status == 0, done
    assert {(call["note"], call["sort"]) for call in api.books()["log"]} == {(one, "normal")}
    assert billed(api) == {one: 1}
    done = site.crawl(mode="resume", max_comments="20")
    assert done.status == 0, done
    assert billed(api) == {one: 1, other: 2}
    assert {call["sort"] for call in api.books()["log"][1:]} == {"like_count"}


def test_an_ended_note_is_queued_again_and_keeps_what_is_known(
    api: Simulator, site: Project
) -> None:
    notes = [NOTE, sized_note(45, 3060)]
    assert site.crawl(notes=notes, feed=False).status == 0
    before = site.documents("notes")
    for note in notes:
        api.change(note, grow=11)
    api.reset_books()
    whole, updated = notes
    assert enqueue(site, [whole]).output == queued(1, 0)
    assert enqueue(site, [updated], "-a", "mode=update").output == queued(1, 0)
    for note, document in site.documents("notes").items():
        assert document["state"] == "queued"
        for name in (
            "watermark",
            "comments_collected",
            "billed_calls",
            "first_seen_at",
            "complete",
        ):
            assert document[name] == before[note][name], name
    done = site.crawl(mode="resume")
    assert done.status == 0, done
    assert billed(api) == {whole: 6, updated: 2}
    for note in notes:
        assert_stored(site, note, 11)
        assert site.note(note)["state"] == "ended"


def test_a_note_under_way_keeps_its_place(api: Simulator, site: Project) -> None:
    leave_at_page_three(api, site, NOTE)
    before = site.note(NOTE)
    assert enqueue(site, [NOTE, QUEUE[0]]).output == queued(1, 1)
    after = site.note(NOTE)
    assert {name: after[name] for name in ("state", "checkpoint", "pages")} == {
        name: before[name] for name in ("state", "checkpoint", "pages")
    }
    assert site.crawl(mode="resume").status == 0
    assert pages_of(api, NOTE) == [3, 4, 5]
    assert_stored(site, NOTE)


def test_unfinished_notes_can_be_queued_without_a_file(api: Simulator, site: Project) -> None:
    late, whole = NOTE, QUEUE[0]
    assert site.crawl(notes=[whole], feed=False).status == 0
    leave_at_page_three(api, site, late)
    enqueue(site, [QUEUE[1]])
    before = site.documents("notes")
    done = site.command("enqueue", "--unfinished", env={"JUSTONEAPI_TOKEN": None})
    assert (done.status, done.errors) == (0, ""), done
    assert re.match(r"\d notes queued", done.output)
    after = site.documents("notes")
    assert after[whole] == before[whole]
    assert after[late]["checkpoint"] == before[late]["checkpoint"]
    assert site.crawl(mode="resume").status == 0
    assert billed(api) == {late: 3, QUEUE[1]: 3}


class Plan:
    """What ``dry_run`` printed."""

    def __init__(self, output: str) -> None:
        found = re.search(r"^(\d+) notes?(?:: (.*))?$", output, re.M)
        calls = re.search(r"^calls: .*$", output, re.M)
        assert found, output
        assert calls, output
        self.notes = int(found[1])
        parts = re.findall(r"(\d+) (full|update|resume|needs? nothing)", found[2] or "")
        kinds = {"needs nothing": "nothing", "need nothing": "nothing"}
        self.kinds = {kinds.get(kind, kind): int(number) for number, kind in parts if int(number)}
        known = re.search(r"(\d+) at least, (\d+) likely", calls[0])
        unknown = re.search(r"unknown for (\d+) notes? never read: (\d+) calls? at least", calls[0])
        self.least, self.likely = (int(known[1]), int(known[2])) if known else (0, 0)
        self.unread = 0
        if unknown:
            assert unknown[1] == unknown[2]
            self.unread = int(unknown[1])
            self.least += self.unread


def dry_run(api: Simulator, site: Project, **arguments: Any) -> Plan:
    """Ask what a crawl would do: nothing is called, and nothing changes."""
    api.reset_books()
    names = ("notes", "comments", "note_history")
    before = {name: site.documents(name) for name in names}
    done = site.crawl(feed=False, dry_run="1", **arguments)
    assert done.status == 0, done
    assert "Traceback" not in done.errors, done
    assert api.books()["calls"] == 0
    assert {name: site.documents(name) for name in names} == before
    return Plan(done.output)


def cost(api: Simulator, site: Project, **arguments: Any) -> int:
    """What the same crawl does cost."""
    api.reset_books()
    done = site.crawl(feed=False, **arguments)
    assert done.status == 0, done
    return int(api.books()["billed"])


def test_a_dry_run_of_notes_that_nobody_knows(api: Simulator, site: Project) -> None:
    plan = dry_run(api, site, notes=QUEUE)
    assert (plan.notes, plan.kinds, plan.least, plan.likely) == (3, {"full": 3}, 3, 0)
    assert plan.unread == 3
    assert site.documents("notes") == {}


def mixed(api: Simulator, site: Project) -> Mapping[str, str]:
    """A ledger with a note in every state."""
    whole, late, waiting, gone, empty = (
        sized_note(45, 3070),
        sized_note(45, 3071),
        sized_note(25, 3072),
        missing_note(3073),
        sized_note(0, 3074),
    )
    assert site.crawl(notes=[whole, gone, empty], feed=False).status == 0
    leave_at_page_three(api, site, late)
    enqueue(site, [waiting])
    return {"whole": whole, "late": late, "waiting": waiting, "gone": gone, "empty": empty}


def test_a_dry_run_of_resume(api: Simulator, site: Project) -> None:
    notes = mixed(api, site)
    plan = dry_run(api, site, mode="resume")
    assert (plan.notes, plan.kinds, plan.unread) == (2, {"resume": 1, "full": 1}, 1)
    plan = dry_run(api, site, mode="resume", notes=list(notes.values()))
    assert (plan.notes, plan.kinds) == (5, {"resume": 1, "full": 1, "nothing": 3})
    assert plan.likely == 3
    assert 2 <= plan.least <= plan.likely + plan.unread
    assert plan.least <= cost(api, site, mode="resume") == 6

    plan = dry_run(api, site, mode="resume")
    assert (plan.notes, plan.kinds, plan.least, plan.likely) == (0, {}, 0, 0)


def test_a_dry_run_of_update(api: Simulator, site: Project) -> None:
    notes = mixed(api, site)
    plan = dry_run(api, site, mode="update")
    assert plan.notes == sum(plan.kinds.values()) == len(notes)
    assert plan.kinds == {"update": 3, "full": 1, "resume": 1}
    assert plan.unread == 1
    assert plan.least >= len(notes)
    assert plan.likely + plan.unread >= plan.least
    assert plan.least <= cost(api, site, mode="update") == 1 + 1 + 1 + 3 + 4

    plan = dry_run(api, site, mode="update")
    assert (plan.notes, plan.kinds) == (5, {"update": 5})
    assert plan.least == cost(api, site, mode="update") == 5
    assert plan.likely >= 5


def test_a_dry_run_of_full(api: Simulator, site: Project) -> None:
    whole, other = sized_note(45, 3080), sized_note(117, 3081)
    arguments = {"notes": [whole, other]}
    assert cost(api, site, **arguments) == 17
    plan = dry_run(api, site, **arguments)
    assert (plan.notes, plan.kinds, plan.likely) == (2, {"full": 2}, 17)
    assert 2 <= plan.least <= 17
    assert cost(api, site, **arguments) == plan.likely
    plan = dry_run(api, site, max_comments="20", **arguments)
    assert (plan.kinds, plan.likely) == ({"full": 2}, 4)
    assert cost(api, site, max_comments="20", **arguments) == plan.likely


def test_a_dry_run_of_replies_that_are_not_held(api: Simulator, site: Project) -> None:
    note = threaded_note(25, 13, 3090)
    assert site.crawl(notes=[note], feed=False).status == 0
    arguments = {"notes": [note], "replies": "all"}
    plan = dry_run(api, site, **arguments)
    assert plan.kinds == {"full": 1}
    assert plan.likely == 3 + truth(note).reply_pages
    assert cost(api, site, **arguments) == plan.likely

    plan = dry_run(api, site, **arguments)
    assert plan.likely == cost(api, site, **arguments) == 3


def test_a_dry_run_is_no_first_start_of_a_job(api: Simulator, site: Project) -> None:
    assert site.crawl(notes=[NOTE], feed=False).status == 0
    api.reset_books()
    job = ("-s", f"JOBDIR={site.folder / 'job'}")
    done = site.crawl(*job, notes=[NOTE], feed=False, dry_run="1")
    assert (done.status, Plan(done.output).kinds) == (0, {"full": 1}), done
    assert site.crawl(*job, notes=[NOTE], feed=False).status == 0
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
    api: Simulator, site: Project, arguments: dict[str, Any], named: str
) -> None:
    done = site.crawl(feed=False, **arguments)
    assert done.status == 2, done
    assert [line for line in done.lines("ERROR") if named in line], done
    assert not re.search(r"^calls: ", done.output, re.M)
    assert api.books()["calls"] == 0
    assert site.documents("notes") == {}
