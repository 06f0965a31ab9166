"""What goes wrong at the API: what is retried, what ends a note, what ends the crawl."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from xhs.simulator.notes import sized_note
from xhs.simulator.truth import truth

if TYPE_CHECKING:
    from support.crawl import Document, Outcome, Site
    from support.simulator import Simulator

GOOD = sized_note(11, 99)


def ends(done: Outcome) -> dict[str, str]:
    """Each note's stop reason, as the feed has it."""
    return {item["note_id"]: item["stop_reason"] for item in done.items("note")}


def is_stored(site: Site, note: str, pages: int | None = None) -> bool:
    """Whether exactly the comments of a note's first pages are stored, or of all of them."""
    first_level = truth(note).first_level
    shown = first_level if pages is None else first_level[: 10 * pages]
    return site.comment_ids(note)[0] == set(shown)


def index_of(document: Document) -> int:
    """The number of the page that a checkpoint speaks of."""
    cursor = document["checkpoint"]["cursor"]
    return 1 if cursor is None else int(json.loads(cursor)["index"])


REFUSED: list[dict[str, Any]] = [
    {"code": 301},
    {"code": 302},
    {"code": 500},
    {"status": 429, "envelope": True},
    {"status": 200, "envelope": True, "code": 301},
]
NO_ENVELOPE: dict[str, dict[str, Any]] = {
    "http_502": {"status": 502},
    "http_401": {"status": 401},
    "http_402": {"status": 402},
    "http_403": {"status": 403},
    "http_429": {"status": 429},
    "http_200": {"html": True},
}
CUT: list[dict[str, Any]] = [
    {"truncate": True},
    {"reset": "before"},
    {"reset": "after"},
    {"status": 504, "billed": True},
    {"body": '{"code": 0, "data": {', "billed": True},
    {"body": "", "billed": True},
]


def test_what_passes_is_retried_and_everything_arrives(api: Simulator, site: Site) -> None:
    faults = [*REFUSED, *NO_ENVELOPE.values(), *CUT]
    notes = [sized_note(25, serial) for serial in range(len(faults))]
    # The second page of each note is refused once, and answered when it is asked again.
    rules = [
        {**fault, "note": note, "page": 2, "page_call": 1}
        for note, fault in zip(notes, faults, strict=True)
    ]
    api.script({"rules": rules})
    done = site.crawl(notes=notes)
    assert done.status == 0, done
    assert "Traceback" not in done.errors
    assert ends(done) == dict.fromkeys(notes, "complete")
    assert all(is_stored(site, note) for note in notes)

    pages = 3 * len(notes)
    books = api.books()
    assert books["calls"] == pages + len(faults)
    assert books["billed"] == pages + len(CUT)
    stats = done.stats
    assert stats["xhs/calls/billed"] == pages
    assert stats["xhs/calls/unknown"] == len(CUT)
    refusals = {name: n for name, n in stats.items() if name.startswith("xhs/calls/refused/")}
    assert refusals == {
        "xhs/calls/refused/301": 2,
        "xhs/calls/refused/302": 2,
        "xhs/calls/refused/500": 1,
        **{f"xhs/calls/refused/{name}": 1 for name in NO_ENVELOPE},
    }
    billed = [site.note(note)["billed_calls"] for note in notes]
    assert billed == [3] * (len(REFUSED) + len(NO_ENVELOPE)) + [4] * len(CUT)


def test_refused_parameters_end_their_note_alone(api: Simulator, site: Site) -> None:
    bad, later = sized_note(25, 1), sized_note(25, 2)
    rules = [{"note": bad, "code": 400}, {"note": later, "page": 2, "code": 400}]
    api.script({"rules": rules})
    done = site.crawl(notes=[bad, later, GOOD])
    assert done.status == 4, done
    assert done.reason == "finished"
    assert ends(done) == {bad: "refused", later: "refused", GOOD: "complete"}
    assert is_stored(site, GOOD)
    assert is_stored(site, later, pages=1)
    for note, billed in ((bad, 0), (later, 1)):
        document = site.note(note)
        assert (document["state"], document["complete"]) == ("ended", False)
        assert (document["checkpoint"], document["billed_calls"]) == (None, billed)
    assert api.books()["calls"] == 1 + 2 + 2
    assert done.stats["xhs/notes/left"] == 0


def test_an_unknown_code_is_an_error_with_the_providers_words(api: Simulator, site: Site) -> None:
    odd = sized_note(25)
    message = "余额 is frozen, call 12345"
    api.script({"rules": [{"note": odd, "page": 2, "code": 999, "message": message}]})
    done = site.crawl(notes=[odd, GOOD])
    assert done.status == 3, done
    assert ends(done) == {odd: "unknown_code", GOOD: "complete"}
    said = [line for line in done.lines("ERROR") if "999" in line]
    assert len(said) == 1
    assert message in said[0]
    assert "requestId" in said[0]
    assert len(said[0].rpartition("requestId ")[2].strip()) == 32
    document = site.note(odd)
    assert (document["state"], document["stop_reason"]) == ("unfinished", "unknown_code")
    assert index_of(document) == 2
    assert is_stored(site, odd, pages=1)
    assert api.books()["notes"][odd] == {"calls": 2, "billed": 1}
    assert done.stats["xhs/notes/left"] == 1


FATAL = {
    100: "token_rejected",
    600: "permission_denied",
    601: "balance_exhausted",
    602: "balance_exhausted",
    303: "quota_exhausted",
}


@pytest.mark.parametrize("code", FATAL)
def test_a_fatal_code_stops_the_crawl(api: Simulator, site: Site, code: int) -> None:
    note = sized_note(45)
    api.script({"rules": [{"page": 3, "code": code}]})
    done = site.crawl(notes=[note])
    assert done.status == 3, done
    assert done.reason == FATAL[code]
    assert "Traceback" not in done.errors
    assert api.books()["calls"] == 3
    assert is_stored(site, note, pages=2)
    document = site.note(note)
    assert (document["state"], document["complete"]) == ("unfinished", False)
    assert index_of(document) == 3
    assert document["billed_calls"] == 2
    assert done.stats["xhs/notes/left"] == 1
    assert ends(done) == {}
    assert any(str(code) in line for line in done.lines("ERROR"))


def test_after_a_fatal_code_nothing_more_is_sent(api: Simulator, site: Site) -> None:
    """Of many notes under way, those whose pages came are at their checkpoints."""
    notes = [sized_note(45, serial) for serial in range(30)]
    api.script({"rules": [{"after": 20, "code": 601}]})
    done = site.crawl(notes=notes)
    assert done.status == 3, done
    assert done.reason == "balance_exhausted"
    books = api.books()
    assert books["billed"] == 20
    assert 20 < books["calls"] <= 20 + 16
    documents = site.documents("notes")
    assert {document["state"] for document in documents.values()} == {"unfinished"}
    assert sum(document.get("billed_calls", 0) for document in documents.values()) == 20
    for note, document in documents.items():
        assert is_stored(site, note, pages=index_of(document) - 1)
    assert done.stats["xhs/notes/left"] == len(notes)


def test_retries_come_to_an_end(api: Simulator, site: Site) -> None:
    hopeless, cut = sized_note(25, 1), sized_note(25, 2)
    rules = [{"note": hopeless, "page": 2, "code": 301}, {"note": cut, "page": 2, "truncate": True}]
    api.script({"rules": rules})
    done = site.crawl("-s", "RETRY_TIMES=1", notes=[hopeless, cut, GOOD])
    assert done.status == 3, done
    assert done.reason == "finished"
    assert ends(done) == {
        hopeless: "retries_exhausted",
        cut: "retries_exhausted",
        GOOD: "complete",
    }
    for note, billed in ((hopeless, 1), (cut, 3)):
        document = site.note(note)
        assert (document["state"], document["stop_reason"]) == ("unfinished", "retries_exhausted")
        assert index_of(document) == 2
        assert document["billed_calls"] == billed
        assert is_stored(site, note, pages=1)
        assert api.books()["notes"][note] == {"calls": 3, "billed": billed}
    assert is_stored(site, GOOD)
    assert done.stats["xhs/notes/left"] == 2
    assert done.stats["xhs/notes/retries_exhausted"] == 2


def cursor_after(note: str, page: int, index: int) -> str:
    """A cursor in the API's form to what follows a page, with an index of its own."""
    last = truth(note).first_level[10 * page - 1]
    return json.dumps({"cursor": last, "index": index, "pageArea": "UNFOLDED"})


def test_cursors_that_lie(api: Simulator, site: Site) -> None:
    """Each lie has its name, and costs no more than it must."""
    names = ("ignored", "repeated", "missing", "empty", "endless", "no news", "late")
    note = {name: sized_note(45, serial) for serial, name in enumerate(names)}
    known = truth(note["no news"]).first_level[0]

    def nothing_new(page: int) -> dict[str, Any]:
        cursor = cursor_after(note["no news"], page, page + 1)
        return {
            "note": note["no news"],
            "page": page,
            "patch": [
                {"path": ["comments"], "value": [{"id": known}]},
                {"path": ["cursor"], "value": cursor},
            ],
        }

    api.script(
        {
            "rules": [
                {"note": note["ignored"], "page": "2-", "cursor": "ignored"},
                {"note": note["repeated"], "page": 3, "cursor": "repeated"},
                {"note": note["missing"], "page": 2, "cursor": "missing"},
                {"note": note["empty"], "page": 1, "cursor": "empty"},
                {"note": note["endless"], "cursor": "endless"},
                {"note": note["late"], "page": "5-", "cursor": "endless"},
                nothing_new(3),
                nothing_new(4),
            ]
        }
    )
    done = site.crawl(notes=list(note.values()))
    assert done.status == 4, done
    assert done.reason == "finished"
    expected = {
        "ignored": ("cursor_ignored", 2, 1),
        "repeated": ("cursor_repeated", 3, 3),
        "missing": ("cursor_missing", 2, 2),
        "empty": ("cursor_missing", 1, 1),
        "endless": ("cursor_ignored", 6, 5),
        "late": ("cursor_ignored", 6, 5),
        "no news": ("no_progress", 4, 2),
    }
    assert ends(done) == {note[name]: reason for name, (reason, _, _) in expected.items()}
    for name, (reason, calls, pages) in expected.items():
        document = site.note(note[name])
        assert (document["state"], document["stop_reason"]) == ("ended", reason), name
        assert (document["complete"], document["checkpoint"]) == (False, None), name
        assert document["billed_calls"] == calls, name
        assert api.books()["notes"][note[name]] == {"calls": calls, "billed": calls}, name
        assert is_stored(site, note[name], pages=pages), name
        assert document["missing"] == 45 - min(45, 10 * pages), name
        assert done.stats[f"xhs/notes/{reason}"] >= 1
    assert done.stats["xhs/notes/left"] == 0
