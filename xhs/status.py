"""Output of ``scrapy status`` about the notes of the ledger, from their documents.

Each note has :class:`Finding` objects: what is wrong with it, and the :class:`Remedy`. Notes with
the same remedy form a group with one command. :class:`Overview` collects the groups in one pass
over the ledger, and keeps only the notes that it shows.
"""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from xhs.api.endpoints import SORTS, VERSIONS
from xhs.crawl.note_ids import NOTE_URL
from xhs.crawl.price import Price, in_money
from xhs.reasons import ADVICE, StopReason, read_reason
from xhs.store.mongo.notes import read_wanted

WIDTH = 100
"""Characters of the longest line."""
NOTES_SHOWN = 10
"""The most notes that are listed of each group with something to do."""
ROWS_SHOWN = 20
"""The most notes that are listed of those that need nothing."""

READ = (StopReason.COMPLETE, StopReason.UP_TO_DATE)
"""Stop reasons of notes that were read to their end: a missing comment was not shown."""
EMPTY = (
    "The ledger has no notes yet. To crawl some:",
    "    scrapy crawl comments -a notes=NOTE_ID_OR_LINK",
)
"""The lines about an empty ledger."""

_STATES_NOT_ENDED = ("queued", "running", "unfinished")
_KNOWN_WORDS = {*StopReason, *_STATES_NOT_ENDED, "ended"}
_LONGEST_UNKNOWN = 30
_IDS_A_LINE = 3
_COLUMNS = "  {:60}  {:12} {:>8}  {:>7} {:>5}"


class Remedy(NamedTuple):
    """Remedy for a group of notes. Groups are printed in the order of ``rank``.

    ``command``: without ``scrapy``; empty if nothing can be done. ``takes_notes``: it
    must name the notes. ``advice``: a text by which the notes are found in the output of
    ``scrapy status --json``; empty if they are found by their stop reasons.
    """

    rank: int
    title: str
    hint: str
    command: str = ""
    takes_notes: bool = False
    advice: str = ""


class Finding(NamedTuple):
    """Something that is wrong with a note: a sentence for ``--json``, the remedy, and the facts.

    Sentence and facts may be empty. ``calls``: the most calls that the remedy costs, if known.
    """

    sentence: str
    remedy: Remedy
    facts: str
    calls: int = 0


_ABNORMALLY = "Ended abnormally"
_RESUME = Remedy(
    0,
    "Not finished",
    "To continue them, unless a crawl is at work on them now:",
    "crawl comments -a mode=resume",
)
_REJECTED = Remedy(
    2,
    "Comments rejected",
    "They are in `rejected`, with the reasons. To store them once the schemas allow it:",
    "recover",
)
_WITH_REASONS = (_RESUME.title, _ABNORMALLY)


def findings(
    note: Mapping[str, Any],
    orders: Collection[str],
    price: Price | None = None,
    rejected: int = 0,
    version: str = VERSIONS[0],
) -> Iterator[Finding]:
    """Yield what is wrong with a note: it is incomplete, or did not end as requested.

    ``orders``: sort orders in which the note has been read to its end. ``rejected``: comments and
    replies of it that are in the collection ``rejected``. ``version``: that of the endpoint.
    """
    wanted = read_wanted(note.get("wanted"))
    stop, state = read_reason(note.get("stop_reason")), note.get("state")
    missing = note.get("missing")
    if wanted:
        sentence = f"mode={wanted.mode} was asked for and has not begun: -a mode=resume"
        yield Finding(sentence, _RESUME, f"mode={wanted.mode} has not begun")
    if state in _STATES_NOT_ENDED:
        sentence = "not finished: -a mode=resume" if state == "unfinished" else ""
        yield Finding(sentence, _RESUME, _held(note))
    elif state == "ended" and stop in ADVICE:
        yield Finding(ADVICE[stop].sentence, _remedy_of(stop, version), _held(note))
    elif state == "ended" and stop in READ and isinstance(missing, int) and missing:
        yield _missing_comments(note, missing, orders, rejected)
    if stop != StopReason.NOT_FOUND and note.get("replies_missing"):
        yield _missing_replies(note, price)


def advice(found: Sequence[Finding]) -> str | None:
    """Return what is wrong with a note in one sentence; None if nothing is."""
    return "; ".join(finding.sentence for finding in found if finding.sentence) or None


def _remedy_of(stop: StopReason, version: str) -> Remedy:
    """Return the remedy for notes that ended for a reason that has advice."""
    if stop == StopReason.NOT_FOUND:
        return Remedy(9, "Not found", "These notes do not exist, or are hidden.")
    other = next(each for each in VERSIONS if each != version)
    sentence, command = ADVICE[stop]
    hint = f"{sentence[0].upper()}{sentence[1:]}."
    return Remedy(1, _ABNORMALLY, hint, command.format(other), command.startswith("crawl"))


def _missing_comments(
    note: Mapping[str, Any], missing: int, orders: Collection[str], rejected: int
) -> Finding:
    which = f"{missing} of {_number(note.get('comment_count_l1'))}"
    facts = f"{which} comments missing"
    if rejected:
        sentence = f"{which} not held, {rejected} in `rejected`: see there, and `scrapy recover`"
        return Finding(sentence, _REJECTED, f"{facts}, {rejected} in `rejected`")
    untried = [order for order in SORTS if order not in orders]
    title = "Comments missing"
    if orders and not untried:
        hint = "The API does not show them in any sort order."
        return Finding(f"{which} not shown in any sort order", Remedy(8, title, hint), facts)
    option = f"-a sort={untried[0]}" if orders else "-a mode=full"
    hint = "Another sort order may show them:" if orders else "Read the notes again:"
    tried = f"not shown: try {option}"
    remedy = Remedy(3, title, hint, f"crawl comments {option}", True, tried)
    return Finding(f"{which} {tried}", remedy, facts)


def _missing_replies(note: Mapping[str, Any], price: Price | None) -> Finding:
    missing, reported = (_number(note.get(f"replies_{name}")) for name in ("missing", "reported"))
    which = f"{missing} of {reported} replies"
    calls = note.get("replies_calls")
    if not calls:
        sentence = f"{which} not held: the API does not show them"
        hint = "The API does not show them."
        return Finding(sentence, Remedy(8, "Replies missing", hint), f"{which} missing")
    cost = f"at most {calls} calls{in_money(price, calls)}"
    options = "-a mode=full -a replies=all"
    if note.get("state") == "unfinished":
        return Finding(f"{which} not held: then {options}, {cost}", _RESUME, "")
    command, found_by = f"crawl comments {options}", f"not held: {options}"
    remedy = Remedy(4, "Replies missing", "To get them:", command, True, found_by)
    return Finding(f"{which} not held: {options}, {cost}", remedy, f"{which} missing", calls)


@dataclass(slots=True)
class _Group:
    """Notes with the same remedy: their number, and the first of them with their facts."""

    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    shown: dict[str, str] = field(default_factory=dict)


class Overview:
    """The notes of the ledger in groups, what is wrong first.

    ``options``: the ``-s`` options by which the printed commands find the same ledger.
    """

    def __init__(self, price: Price | None = None, options: Sequence[str] = ()) -> None:
        self.price = price
        self._options = list(options)
        self._states: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._groups: dict[Remedy, _Group] = {}
        self._rows: list[str] = []

    @property
    def count(self) -> int:
        """The number of notes."""
        return self._states.total()

    def add(self, note: Mapping[str, Any], found: Sequence[Finding]) -> None:
        """Add a note, with what is wrong with it."""
        self._states[_word(note.get("state"))] += 1
        self._sums["complete"] += note.get("complete") is True
        for name in (*_HELD, *_MISSING, "billed_calls"):
            self._sums[name] += _number(note.get(name))
        for remedy in dict.fromkeys(finding.remedy for finding in found):
            self._group(note, remedy, [each for each in found if each.remedy == remedy])
        if not found:
            self._sums["needs nothing"] += 1
            if len(self._rows) < ROWS_SHOWN:
                self._rows.append(_row(note))

    def _group(self, note: Mapping[str, Any], remedy: Remedy, found: Sequence[Finding]) -> None:
        group = self._groups.setdefault(remedy, _Group())
        group.count += 1
        group.calls += sum(each.calls for each in found)
        state, stop = _word(note.get("state")), note.get("stop_reason")
        reason = _word(stop) if stop and state in ("ended", "unfinished") else state
        facts = [each.facts for each in found if each.facts]
        if remedy == _RESUME:
            reason = "ended before" if state == "ended" else reason
            facts = [reason, *facts]
        group.reasons[reason] += 1
        if len(group.shown) < NOTES_SHOWN:
            group.shown[_safe_id(note["_id"])] = ", ".join(facts)

    def lines(self, *, only_incomplete: bool = False) -> Iterator[str]:
        """Yield the lines: the sums, each group with its command, and the notes that need nothing.

        ``only_incomplete``: the notes that are complete were left out.
        """
        sums = self._sums
        states = _list(self._states)
        complete = "" if only_incomplete else f"; {sums['complete']} complete"
        yield f"{_notes(self.count, 'incomplete ' * only_incomplete)}: {states}{complete}"
        held, missing = (
            f"{sums[comments]} comments and {sums[replies]} replies"
            for comments, replies in (_HELD, _MISSING)
        )
        yield f"{held} held; {missing} missing"
        calls = sums["billed_calls"]
        yield f"{calls} calls billed{in_money(self.price, calls)}"
        yield from self.group_lines()
        if number := sums["needs nothing"]:
            yield ""
            yield f"Nothing to do: {_notes(number)}"
            yield _COLUMNS.format("note", "ended", "comments", "replies", "calls")
            yield from self._rows
            yield from _more(number - len(self._rows))

    def group_lines(self, *, with_notes: bool = True) -> Iterator[str]:
        """Yield the lines of each group. ``with_notes``: list its notes."""
        for remedy, group in sorted(self._groups.items(), key=lambda item: item[0]):
            yield ""
            reasons = f" ({_list(group.reasons)})" if remedy.title in _WITH_REASONS else ""
            yield from _wrap(f"{remedy.title}: {_notes(group.count)}{reasons}", "")
            for reason in group.reasons if remedy == _RESUME else ():
                if (stop := read_reason(reason)) in ADVICE:
                    yield from _wrap(f"{reason}: {ADVICE[stop].sentence}", "  ")
            calls = f"At most {group.calls} calls{in_money(self.price, group.calls)}. "
            yield from _wrap((calls if group.calls else "") + remedy.hint, "  ")
            yield from self._command(remedy, group)
            if with_notes:
                for note_id, facts in group.shown.items():
                    yield from _entry(note_id, facts)
                yield from _more(group.count - len(group.shown))

    def _command(self, remedy: Remedy, group: _Group) -> Iterator[str]:
        """Yield the lines of a group's command, which can be pasted into a shell."""
        if not remedy.command:
            return
        words = [*re.split(" (?=-)", remedy.command), *self._options]
        if not remedy.takes_notes:
            yield from _command(words)
        elif group.count > len(group.shown):
            found = _selection(remedy, group)
            yield from _command(["status", *self._options, "--incomplete", "--json", *found])
            yield from _command([*words, "-a notes_file=notes.jsonl"])
        else:
            yield from _command(words, list(group.shown))


def _selection(remedy: Remedy, group: _Group) -> list[str]:
    """Return the words that select a group's notes from the output of ``--json``.

    A note that is crawled again keeps its stop reason until it ends again.
    """
    if remedy.advice:
        return [f"| grep -F {shlex.quote(remedy.advice)} > notes.jsonl"]
    reasons = [f"-e {shlex.quote(_pair('stop_reason', reason))}" for reason in group.reasons]
    ended = shlex.quote(_pair("state", "ended"))
    return [f"| grep -F {ended}", "| grep -F", *reasons, "> notes.jsonl"]


def _pair(name: str, text: str) -> str:
    """Return a field as ``--json`` prints it."""
    return json.dumps({name: text})[1:-1]


_HELD = ("comments_collected", "replies_collected")
_MISSING = ("missing", "replies_missing")


def note_lines(note: Mapping[str, Any], price: Price | None = None) -> Iterator[str]:
    """Yield what the ledger knows of one note."""
    yield link(note["_id"])
    stop, calls = note.get("stop_reason"), _number(note.get("billed_calls"))
    replies, reported = (_number(note.get(f"replies_{name}")) for name in ("collected", "reported"))
    facts = {
        "state": _word(note.get("state")) + (f" ({_word(stop)})" if stop else ""),
        "complete": "yes" if note.get("complete") is True else "no",
        "comments": f"{_held(note) or '0 comments'} held",
        "replies": f"{replies} of {reported} replies held",
        "calls billed": f"{calls}{in_money(price, calls)}",
        "first seen": _time(note.get("first_seen_at")),
        "last crawled": _time(note.get("last_crawled_at")),
    }
    for name, fact in facts.items():
        yield f"  {name:14}{fact}"


def link(note_id: str) -> str:
    """Return the link of a note."""
    return f"{NOTE_URL}{_safe_id(note_id)}"


def _safe_id(note_id: object) -> str:
    """Return an ID of the database. If it is none, what a terminal or a shell obeys is escaped."""
    return quote(str(note_id), safe="")


def _word(value: object) -> str:
    """Return a state or a stop reason of the database; one that is not known in quotation marks.

    A terminal would obey its control characters.
    """
    is_known = isinstance(value, str) and value in _KNOWN_WORDS
    return str(value) if is_known else ascii(value)[:_LONGEST_UNKNOWN]


def _row(note: Mapping[str, Any]) -> str:
    numbers = [note.get(name) for name in (*_HELD, "billed_calls")]
    return _COLUMNS.format(
        link(note["_id"]),
        _word(note.get("stop_reason") or note.get("state")),
        *(number if isinstance(number, int) else "" for number in numbers),
    ).rstrip()


def _entry(note_id: str, facts: str) -> Iterator[str]:
    """Yield a note and its facts, on one line if it is wide enough."""
    line = f"  {link(note_id)}  {facts}".rstrip()
    if len(line) <= WIDTH:
        yield line
    else:
        yield f"  {link(note_id)}"
        yield from _wrap(facts, "    ")


def _more(number: int) -> Iterator[str]:
    if number > 0:
        yield f"  … and {number} more; `scrapy status --json` lists all"


def _command(words: Sequence[str], note_ids: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines of a command. ``note_ids``: the notes that it names last."""
    words = [*words, f"-a notes={note_ids[0]}"] if len(note_ids) == 1 else list(words)
    if len(note_ids) > 1:
        words.append("-a notes='")
    line = "    scrapy"
    for word in words:
        if len(f"{line} {word} \\") > WIDTH:
            yield f"{line} \\"
            line = "       "
        line += f" {word}"
    yield line
    if len(note_ids) > 1:
        for place in range(0, len(note_ids), _IDS_A_LINE):
            ids = " ".join(note_ids[place : place + _IDS_A_LINE])
            yield f"        {ids}" + ("'" if place + _IDS_A_LINE >= len(note_ids) else "")


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _held(note: Mapping[str, Any]) -> str:
    held, reported = note.get("comments_collected"), note.get("comment_count_l1")
    if not isinstance(reported, int):
        return f"{_number(held)} comments" if held else ""
    return f"{_number(held)} of {reported} comments"


def _notes(number: int, kind: str = "") -> str:
    return f"{number} {kind}note{'' if number == 1 else 's'}"


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _time(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else "never"
