"""The page: its sections, and the comments behind each figure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import NamedTuple

from xhs.report import figures as rules
from xhs.report import summary as limits
from xhs.report.charts import Column, Point, bar, columns, lines
from xhs.report.figures import Comment, Difference, Examples, Figures, hour_start, top
from xhs.report.labels import Labels
from xhs.report.markup import Child, Markup, join, tag
from xhs.report.summary import Group, Growth, NoteRow, Summary
from xhs.report.text import LEAST_COPIED, QUESTION_ENDINGS, QUESTION_WORDS

_STYLE = Path(__file__).with_name("style.css")
_NOTE_ID = re.compile(r"[0-9a-f]{24}")
_LONGEST_TEXT = 600
"""Characters of a comment that are shown."""


class ShownComment(NamedTuple):
    """A comment that the page shows, and its author's name."""

    comment: Comment
    nickname: str | None


def html(
    summary: Summary, shown: Mapping[str, ShownComment], say: Labels, made_at: datetime
) -> str:
    """Return the page. ``shown``: the comments of ``summary.comment_ids()`` that are stored."""
    return _Page(summary, shown, say).html(made_at)


class _Panels:
    """The comments behind figures, each figure's in a panel that opens by its link."""

    def __init__(self, comments: Callable[[Examples], Markup], say: Labels) -> None:
        self._comments = comments
        self._say = say
        self._panels: list[Markup] = []

    def add(self, title: Child, examples: Examples) -> int:
        """Add a panel, and return its number."""
        say, number = self._say, len(self._panels) + 1
        kept = len(examples.ids)
        which = (
            say("All of them:")
            if kept == examples.count
            else say("The {n:,} most liked of them:", n=kept)
        )
        heading = f"h{number}"
        self._panels.append(
            tag(
                "aside",
                tag(
                    "header",
                    tag("h3", title, ": ", say.counted(examples.count, "comment"), id=heading),
                    tag("a", "×", href=f"#f{number}", class_="close", aria_label=say("Close")),
                ),
                tag("p", which, class_="muted"),
                self._comments(examples),
                id=f"p{number}",
                class_="panel",
                tabindex=-1,
                aria_labelledby=heading,
            )
        )
        return number

    def link(self, title: Child, examples: Examples) -> Markup:
        """Return a figure's number, which links to the comments behind it."""
        number = self._say.number(examples.count)
        if not examples.count:
            return tag("span", number)
        panel = self.add(title, examples)
        return tag("a", number, href=f"#p{panel}", id=f"f{panel}", class_="count")

    def all(self) -> Markup:
        """Return every panel."""
        return join(*self._panels)


class _Page:
    def __init__(self, summary: Summary, shown: Mapping[str, ShownComment], say: Labels) -> None:
        self._summary = summary
        self._shown = shown
        self._say = say
        self._panels = _Panels(self._comments, say)

    def html(self, made_at: datetime) -> str:
        """Return the whole document."""
        say, style = self._say, _STYLE.read_text(encoding="utf-8")
        digest = base64.b64encode(sha256(style.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        )
        sections = [
            ("data", say("Data"), self._data()),
            ("time", say("Time"), self._time()),
            ("growth", say("Growth"), self._growth()),
            ("places", say("Places"), self._places()),
            ("liked", say("Most liked"), self._liked()),
            ("words", say("Words"), self._words()),
            ("questions", say("Questions"), self._questions()),
            ("copies", say("Same text"), self._copies()),
        ]
        if self._summary.groups:
            sections.append(("groups", say("Two groups"), self._groups(self._summary.groups)))
        title = say("Comments on {notes}", notes=say.counted(len(self._summary.notes), "note"))
        navigation = (tag("a", name, href=f"#{key}") for key, name, _ in sections)
        head = tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=policy),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="generator", content="xhs"),
            tag("title", title),
            tag("style", Markup(style)),
        )
        body = tag(
            "body",
            tag(
                "header",
                tag("h1", title),
                tag("p", self._subtitle(made_at), class_="lead"),
                tag("p", say(_PERSONAL), class_="notice", role="note"),
                class_="top",
            ),
            self._headline(),
            tag("nav", *navigation, aria_label=say("Sections")),
            tag("main", *(tag("section", body, id=key) for key, _, body in sections)),
            tag("footer", tag("p", say(_FOOTER))),
            self._panels.all(),
        )
        page = tag("html", head, body, lang=say.html_lang)
        return f"<!doctype html>\n{page}\n"

    def _subtitle(self, made_at: datetime) -> str:
        say, period = self._say, self._summary.figures.period
        made = say("made on {date}", date=say.time(made_at))
        if period is None:
            return say("No comment has a time; {made}", made=made)
        first, last = (say.day(at) for at in period)
        return say("Written from {first} to {last}, {made}", first=first, last=last, made=made)

    def _headline(self) -> Markup:
        say, summary = self._say, self._summary
        figures, notes, questions = summary.figures, summary.notes, summary.questions
        reported = sum(note.reported or 0 for note in notes)
        missing = sum(note.missing or 0 for note in notes)
        whole = sum(note.complete for note in notes)
        held = say.share((reported - missing) / reported) if reported else "–"
        cards = [
            (
                "comments",
                say.number(figures.comments),
                say("comments"),
                say(
                    "{first:,} first level, {replies}",
                    first=figures.comments - figures.replies,
                    replies=say.counted(figures.replies, "reply"),
                ),
                "data",
            ),
            (
                "people",
                say.number(len(figures.users)),
                say("people"),
                say("wrote them"),
                "liked",
            ),
            (
                "held",
                held,
                say("held"),
                say("of {n:,} first-level comments reported", n=reported),
                "data",
            ),
            (
                "notes",
                say.number(len(notes)),
                say("notes"),
                say("{n:,} read to the end", n=whole),
                "data",
            ),
            (
                "questions",
                say.number(questions.all.count),
                say("questions"),
                say("{n:,} not answered by the author", n=questions.unanswered.count),
                "questions",
            ),
            ("calls", say.number(summary.calls), say("billed calls"), self._cost(), "data"),
        ]
        return tag(
            "div",
            *(
                tag(
                    "a",
                    tag("strong", value, id=f"n-{key}"),
                    tag("span", name, class_="name"),
                    tag("span", more, class_="muted"),
                    href=f"#{section}",
                )
                for key, value, name, more, section in cards
            ),
            class_="cards",
        )

    def _cost(self) -> str:
        say, summary = self._say, self._summary
        if summary.price:
            return say("cost {money}", money=summary.price.of(summary.calls))
        return say("all crawls together")

    # What the data is.

    def _data(self) -> Markup:
        say, summary = self._say, self._summary
        figures, notes = summary.figures, summary.notes
        crawled = [note.last_crawled_at for note in notes if note.last_crawled_at]
        seen = [note.first_seen_at for note in notes if note.first_seen_at]
        sentences = []
        if crawled and seen:
            sentences.append(
                say(
                    "Crawled from {first} to {last}.",
                    first=say.time(min(seen)),
                    last=say.time(max(crawled)),
                )
            )
        if figures.vanished:
            sentences.append(
                say(
                    "Of the comments, {n:,} have vanished since: they count in every figure "
                    "but those of this table.",
                    n=figures.vanished,
                )
            )
        if figures.undated:
            sentences.append(say("{n:,} comments have no time.", n=figures.undated))
        if figures.without_user:
            sentences.append(say("{n:,} comments have no author.", n=figures.without_user))
        rows = notes[: limits.NOTES_SHOWN]
        heads = [
            say("Note"), say("How it ended"), say("Comments"), say("Reported"), say("Missing"),
            say("Replies"), say("Replies missing"), say("First comment"), say("Last comment"),
            say("Last crawled"), say("Calls"),
        ]  # fmt: skip
        if summary.price:
            heads.append(say("Cost"))
        return join(
            tag("h2", say("What the data is")),
            tag("p", " ".join(sentences)) if sentences else None,
            _table(heads, map(self._note_row, rows), numbers_from=2),
            self._cut(len(rows), len(notes)),
            self._rule(say(_COMPLETENESS)),
        )

    def _note_row(self, note: NoteRow) -> list[Child]:
        say, price = self._say, self._summary.price
        held = note.figures
        state = "good" if note.lacks_nothing else "bad"
        cells: list[Child] = [
            tag("span", self._note(note.note_id), class_="id"),
            tag("span", self._end(note), class_=f"state {state}"),
            say.number(held.comments),
            say.number(note.reported),
            say.number(note.missing),
            say.number(held.replies),
            say.number(held.replies_missing),
            say.day(held.first),
            say.day(held.last),
            say.day(note.last_crawled_at),
            say.number(note.calls),
        ]
        return [*cells, price.of(note.calls)] if price else cells

    def _end(self, note: NoteRow) -> str:
        say = self._say
        if note.state in ("queued", "running"):
            return say("not finished")
        if note.stop_reason is None:
            return say("not crawled")
        if note.complete and not note.lacks_nothing:
            return say("read to the end, not all was shown")
        return say.reason(note.stop_reason)

    # Comments over time.

    def _time(self) -> Markup:
        say, summary = self._say, self._summary
        if not summary.bars:
            return join(
                tag("h2", say("Comments over time")), tag("p", say("No comment has a time."))
            )
        labels = [self._bar_label(one.start) for one in summary.bars]
        drawn, rows = [], []
        for one, label in zip(summary.bars, labels, strict=True):
            if not one.examples.count:
                drawn.append(Column(0, label))
                continue
            number = self._panels.add(label, one.examples)
            title = f"{label}: {say.counted(one.examples.count, 'comment')}"
            drawn.append(
                Column(one.examples.count, title, f"p{number}", f"f{number}", one.stands_out)
            )
            count = tag("a", say.number(one.examples.count), href=f"#p{number}", class_="count")
            rows.append([label, count])
        unit = {
            "hour": say("Comments an hour"),
            "day": say("Comments a day"),
            "week": say("Comments a week, by the day it begins"),
            "month": say("Comments a month"),
            "year": say("Comments a year"),
        }[summary.unit]
        return join(
            tag("h2", say("Comments over time")),
            tag(
                "figure",
                tag("figcaption", unit, say(", Beijing time")),
                columns(drawn, labels),
                _folded(say("Table"), _table([say("Time"), say("Comments")], rows, 1)),
            ),
            self._busy(),
        )

    def _bar_label(self, start: datetime) -> str:
        forms = {"hour": "%m-%d %H:%M", "month": "%Y-%m", "year": "%Y"}
        return start.strftime(forms.get(self._summary.unit, "%Y-%m-%d"))

    def _busy(self) -> Markup:
        say, busy = self._say, self._summary.busy
        rule = say(
            _BUSY_RULE,
            least=rules.LEAST_IN_HOUR,
            hours=rules.NEIGHBOURS,
            sides=rules.LEAST_NEIGHBOURS,
            times=rules.DEVIATIONS,
        )
        if not busy:
            found: Markup = tag("p", say("No hour stands out."))
        else:
            shown = busy[: limits.BUSY_HOURS_SHOWN]
            rows: list[list[Child]] = []
            for one in shown:
                at = say.time(hour_start(one.hour))
                link = self._panels.link(at, one.examples)
                rows.append([at, self._note(one.note_id), link, f"{one.usual:g}"])
            heads = [say("Hour from"), say("Note"), say("Comments"), say("Usual")]
            found = join(_table(heads, rows, 2), self._cut(len(shown), len(busy)))
        return join(tag("h3", say("Hours that stand out")), found, self._rule(rule))

    # Growth.

    def _growth(self) -> Markup:
        say, growths = self._say, self._summary.growths
        heading = tag("h2", say("Growth"))
        if not growths:
            return join(heading, tag("p", say(_NO_GROWTH)))
        shown = growths[: limits.GROWTH_SHOWN]
        legend = tag(
            "p",
            tag("span", say("held"), class_="key held"),
            tag("span", say("reported"), class_="key reported"),
            class_="legend",
        )
        return join(
            heading,
            tag("p", say("First-level comments of a note after each time that it was read.")),
            legend,
            tag("div", *map(self._growth_of, shown), class_="multiples"),
            self._cut(len(shown), len(growths)),
            self._rule(say(_GROWTH_RULE)),
        )

    def _growth_of(self, growth: Growth) -> Markup:
        say, passes = self._say, growth.passes
        first, last = passes[0].ended_at, passes[-1].ended_at
        span = (last - first).total_seconds() or 1
        at = [(one.ended_at - first).total_seconds() / span for one in passes]
        series = [
            ("reported", [Point(x, one.reported) for x, one in zip(at, passes, strict=True)]),
            ("held", [Point(x, one.held) for x, one in zip(at, passes, strict=True)]),
        ]
        rows = [
            [say.time(one.ended_at), say.number(one.held), say.number(one.reported),
             say.number(one.new)]
            for one in passes
        ]  # fmt: skip
        heads = [say("Read"), say("Held"), say("Reported"), say("New")]
        return tag(
            "figure",
            tag("figcaption", self._note(growth.note_id)),
            lines(series, say.day(first), say.day(last)),
            _folded(say("Table"), _table(heads, rows, 1)),
        )

    # Places.

    def _places(self) -> Markup:
        say, summary = self._say, self._summary
        figures = summary.figures
        located = figures.comments - figures.without_place
        return join(
            tag("h2", say("Where comments come from")),
            tag(
                "p",
                say(
                    "{n:,} of {all} state a place, {places} in all.",
                    n=located,
                    all=say.counted(figures.comments, "comment"),
                    places=say.counted(len(figures.places), "place"),
                ),
            ),
            self._bars(summary.places, located, say("Place")) if summary.places else None,
            self._cut(len(summary.places), len(figures.places)),
            self._rule(say(_PLACE_RULE)),
        )

    def _bars(self, counts: Sequence[tuple[str, Examples]], whole: int, name: str) -> Markup:
        """Return a table whose rows are bars."""
        say = self._say
        largest = max(examples.count for _, examples in counts)
        rows = [
            tag(
                "tr",
                tag("th", _isolated(label), scope="row"),
                tag("td", bar(examples.count, largest), class_="bar"),
                tag("td", self._panels.link(_isolated(label), examples), class_="n"),
                tag("td", say.share(examples.count / whole), class_="n muted"),
            )
            for label, examples in counts
        ]
        heads = [
            tag("th", name, scope="col"),
            tag("th", tag("span", say("Bar"), class_="hidden"), scope="col"),
            tag("th", say("Comments"), scope="col", class_="n"),
            tag("th", say("Share"), scope="col", class_="n"),
        ]
        return tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows), class_="bars")

    # Most liked comments.

    def _liked(self) -> Markup:
        say, examples = self._say, self._summary.figures.most_liked
        heading = tag("h2", say("Most liked comments"))
        if not examples.count:
            return join(heading, tag("p", say("No comment has likes.")))
        by_author = self._summary.figures.by_author
        return join(
            heading,
            tag(
                "p",
                say("{n:,} comments have likes. The notes' authors wrote ", n=examples.count),
                self._panels.link(say("By the notes' authors"), by_author),
                say(" of all comments."),
            ),
            self._comments(examples),
        )

    # Words.

    def _words(self) -> Markup:
        say, summary = self._say, self._summary
        figures = summary.figures
        found = [
            (say("Words"), summary.words, say("Word")),
            (say("Emoji and emoji codes"), summary.emoji, say("Emoji")),
        ]
        return join(
            tag("h2", say("Words and emoji")),
            tag(
                "div",
                *(
                    tag(
                        "div",
                        tag("h3", title),
                        self._bars(counts, figures.with_text, name)
                        if counts
                        else tag("p", say("None.")),
                    )
                    for title, counts, name in found
                ),
                class_="two",
            ),
            self._rule(say(_WORD_RULE)),
        )

    # Questions.

    def _questions(self) -> Markup:
        say, questions = self._say, self._summary.questions
        heading = tag("h2", say("Questions"))
        rule = say(
            _QUESTION_RULE,
            endings=say.listed(QUESTION_ENDINGS),
            words=say.listed(QUESTION_WORDS),
        )
        if not questions.all.count:
            return join(heading, tag("p", say("No comment asks.")), self._rule(rule))
        rows = [
            tag(
                "tr",
                tag("th", name, scope="row"),
                tag("td", bar(examples.count, questions.all.count, kind), class_="bar"),
                tag("td", self._panels.link(name, examples), class_="n"),
                tag("td", say.share(examples.count / questions.all.count), class_="n muted"),
            )
            for name, examples, kind in (
                (say("Answered by the author"), questions.answered, ""),
                (say("Not answered by the author"), questions.unanswered, "mark"),
                (say("Not known"), questions.unknown, "dim"),
            )
        ]
        return join(
            heading,
            tag(
                "p",
                say("Questions: "),
                self._panels.link(say("Questions"), questions.all),
                say(
                    ", {share} of the comments with a text.",
                    share=say.share(questions.all.count / self._summary.figures.with_text),
                ),
            ),
            tag("table", tag("tbody", rows), class_="bars named"),
            tag("h3", say("Most liked questions that the author has not answered")),
            self._comments(questions.unanswered)
            if questions.unanswered.count
            else tag("p", say("None.")),
            self._rule(rule),
        )

    # The same text by several people.

    def _copies(self) -> Markup:
        say, summary = self._say, self._summary
        heading = tag("h2", say("The same text by several people"))
        rule = self._rule(say(_COPY_RULE, least=LEAST_COPIED))
        if not summary.copied:
            return join(heading, tag("p", say("None was found.")), rule)
        rows: list[list[Child]] = []
        for copies in summary.copied:
            examples = copies.examples
            first = next((one for key in examples.ids if (one := self._shown.get(key))), None)
            text = _isolated(_cut_text(first.comment.text, 120)) if first else "–"
            link = self._panels.link(say("The same text"), examples)
            rows.append([text, say.number(len(copies.users)), link])
        return join(
            heading,
            tag(
                "p", say("{n} by two people or more.", n=say.counted(summary.copied_texts, "text"))
            ),
            _table([say("Text"), say("People"), say("Comments")], rows, 1, "texts"),
            self._cut(len(rows), summary.copied_texts),
            rule,
        )

    # Two groups.

    def _groups(self, groups: tuple[Group, Group]) -> Markup:
        say, names = self._say, ("A", "B")
        rows = zip(*(self._group_figures(group) for group in groups), strict=True)
        table = _table(
            [say("Figure"), *(say("Group {name}", name=name) for name in names)],
            [[name, one, other] for (name, one), (_, other) in rows],
            1,
        )
        return join(
            tag("h2", say("Two groups of notes")),
            tag("p", say("B: the notes of the list that was given. A: the notes beside these.")),
            table,
            tag("h3", say("Where comments come from")),
            self._places_compared(groups),
            *(
                join(
                    tag("h3", title),
                    tag(
                        "div",
                        *(
                            self._more_used(name, getattr(group, of), color)
                            for name, group, color in zip(names, groups, ("", "other"), strict=True)
                        ),
                        class_="two",
                    ),
                )
                for title, of in (
                    (say("Words that one group uses more"), "words"),
                    (say("Emoji that one group uses more"), "emoji"),
                )
            ),
            self._rule(say(_GROUP_RULE, least=rules.LEAST_WITH_WORD, bound=rules.LEAST_KEYNESS)),
        )

    def _group_figures(self, group: Group) -> list[tuple[str, Child]]:
        say, figures, questions = self._say, group.figures, group.questions
        sizes = [note.comments + note.replies + note.vanished for note in figures.notes.values()]
        sizes += [0] * (group.notes - len(sizes))
        known = questions.answered.count + questions.unanswered.count
        return [
            (say("Notes"), say.number(group.notes)),
            (say("Comments"), say.number(figures.comments)),
            (say("Comments a note (median)"), f"{median(sizes):g}" if sizes else "–"),
            (say("People"), say.number(len(figures.users))),
            (say("Replies"), say.ratio(figures.replies, figures.comments)),
            (say("Likes a comment"), f"{figures.likes / (figures.comments or 1):.1f}"),
            (
                say("By the notes' authors"),
                self._panels.link(say("By the notes' authors"), figures.by_author),
            ),
            (say("Questions"), self._panels.link(say("Questions"), questions.all)),
            (
                say("Questions of the comments with a text"),
                say.ratio(questions.all.count, figures.with_text),
            ),
            (
                say("Answered by the author, of those of which it is known"),
                say.ratio(questions.answered.count, known),
            ),
        ]

    def _places_compared(self, groups: tuple[Group, Group]) -> Markup:
        say = self._say
        names = dict.fromkeys(
            name
            for group in groups
            for name, _ in top(group.figures.places, limits.PLACES_COMPARED)
        )
        shares = {
            name: [_share_of_place(group.figures, name) for group in groups] for name in names
        }
        if not shares:
            return tag("p", say("No comment states a place."))
        largest = max(share for pair in shares.values() for share in pair)
        ordered = sorted(shares.items(), key=lambda item: (-max(item[1]), item[0]))
        rows = [
            tag(
                "tr",
                tag("th", _isolated(name), scope="row"),
                tag("td", bar(one, largest), bar(other, largest, "other"), class_="bar"),
                tag("td", say.share(one), class_="n"),
                tag("td", say.share(other), class_="n"),
            )
            for name, (one, other) in ordered[: limits.PLACES_COMPARED]
        ]
        heads = [say("Place"), "", "A", "B"]
        return tag("table", _head(heads, 2), tag("tbody", rows), class_="bars pairs")

    def _more_used(self, name: str, found: Sequence[Difference], color: str) -> Markup:
        say = self._say
        title = say("Group {name}", name=name)
        if not found:
            return tag("div", tag("h4", title), tag("p", say("None.")))
        largest = max(one.share for one in found)
        rows = [
            tag(
                "tr",
                tag("th", _isolated(one.name), scope="row"),
                tag("td", bar(one.share, largest, color), class_="bar"),
                tag("td", self._panels.link(_isolated(one.name), one.examples), class_="n"),
                tag("td", say.share(one.share), class_="n"),
                tag("td", say.share(one.other_share), class_="n muted"),
            )
            for one in found
        ]
        other = say("In {name}", name="B" if name == "A" else "A")
        heads = [say("Word"), "", say("Comments"), say("Share"), other]
        return tag(
            "div",
            tag("h4", title),
            tag("table", _head(heads, 2), tag("tbody", rows), class_="bars"),
        )

    # Parts.

    def _comments(self, examples: Examples) -> Markup:
        """Return the comments behind a figure that are kept."""
        cards = [self._comment(one) for key in examples.ids if (one := self._shown.get(key))]
        return tag("ol", cards, class_="comments")

    def _comment(self, shown: ShownComment) -> Markup:
        say, comment = self._say, shown.comment
        facts = [
            say.time(comment.created_at) if comment.created_at else say("no time"),
            comment.place,
            say("reply") if comment.parent_id else None,
            say("by the author") if comment.by_author else None,
            say("vanished") if comment.has_vanished else None,
        ]
        meta = [tag("span", _isolated(fact)) for fact in facts if fact]
        return tag(
            "li",
            tag(
                "div",
                tag("span", _isolated(shown.nickname or say("no name")), class_="who"),
                tag("span", "♥ ", say.number(comment.likes), class_="likes"),
                class_="by",
            ),
            tag("p", _isolated(_cut_text(comment.text, _LONGEST_TEXT) or say("no text"))),
            tag("div", *meta, self._note(comment.note_id, say("Note ↗")), class_="meta"),
        )

    def _note(self, note_id: str, label: str | None = None) -> Markup:
        """Return a link to a note in the app's web page; it is loaded only if it is clicked."""
        if not _NOTE_ID.fullmatch(note_id):
            return tag("span", _isolated(label or note_id))
        address = f"https://www.xiaohongshu.com/explore/{note_id}"
        return tag(
            "a",
            label or note_id,
            href=address,
            rel="noreferrer noopener",
            target="_blank",
            class_="note",
        )

    def _rule(self, sentence: str) -> Markup:
        return tag("p", tag("b", self._say("Rule: ")), sentence, class_="rule")

    def _cut(self, shown: int, total: int) -> Markup | None:
        if shown >= total:
            return None
        sentence = self._say("{n:,} of {total:,} are shown.", n=shown, total=total)
        return tag("p", sentence, class_="muted")


_PERSONAL = (
    "This page holds personal data: names and texts of people who did not write them for you. Show "
    "it only to those who may see it, and delete it when you need it no more."
)
_FOOTER = (
    "Made by scrapy report. The page loads nothing from elsewhere and runs no script. Links to notes "
    "open xiaohongshu.com when they are clicked. A number that is a link opens the comments behind "
    "it."
)
_COMPLETENESS = (
    "Reported and missing are first-level comments: what the API reports, minus what is held and has "
    "not vanished. Replies missing are those that the comments held report and that are not held. "
    "Calls are billed calls over the note's life."
)
_BUSY_RULE = (
    "an hour stands out if a note has at least {least} comments in it, and more than the median of "
    "its {hours} hours before and {hours} after it, plus {times} times their deviation (1.48 times "
    "the median absolute deviation, but at least the square root of the median, and 1). At least "
    "{sides} hours of the note's course must lie on either side. In the chart, columns with such an "
    "hour have another colour."
)
_NO_GROWTH = (
    "No note has been read twice yet. Crawl again with mode=update, and the growth of each note "
    "appears here."
)
_GROWTH_RULE = (
    "held are the comments in the database that have not vanished, reported is what the API said, "
    "both when a pass over the note ended. The notes that gained most come first."
)
_PLACE_RULE = (
    "the place is what the app shows beside a comment: where the IP address of its author was when "
    "it was written. It is not where the author is from."
)
_WORD_RULE = (
    "each figure counts the comments that contain a word or an emoji, not how often they do. Words "
    "are split by rjieba with a dictionary of the platform's words; stop words, numbers, links, "
    "mentions and single characters are left out. Emoji codes such as [doge] are units, as written."
)
_QUESTION_RULE = (
    "a comment asks if it has a question mark after a word, ends with {endings}, or contains "
    "{words}; the author's own do not count. It is answered if the note's author wrote a reply in "
    "its thread at the same time or later. It is not known if replies of its thread are not held, "
    "or if the note's author is not known. A rule like this errs in both directions: read the "
    "comments."
)
_COPY_RULE = (
    "texts are the same if they agree without regard to case, blanks, punctuation, mentions and "
    "emoji, and have at least {least} characters then. A person counts once. The same text says "
    "nothing about why: people quote, copy a joke, or answer a call to do so."
)
_GROUP_RULE = (
    "shares are of a group's comments with a text, those of places of its comments with a place. "
    "Words are ordered by Dunning's log-likelihood; shown are those of {bound} or more (one in a "
    "hundred by chance, for each word) that at least {least} comments of both groups contain."
)


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[Child]], numbers_from: int, name: str = ""
) -> Markup:
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(
                tag("td", cell, class_="n" if place >= numbers_from else None)
                for place, cell in enumerate(row[1:], 1)
            ),
        )
        for row in rows
    ]
    table = tag("table", _head(heads, numbers_from), tag("tbody", body), class_=name or None)
    return tag("div", table, class_="scroll", tabindex=0)


def _head(heads: Sequence[str], numbers_from: int) -> Markup:
    cells = (
        tag("th", head, scope="col", class_="n" if place >= numbers_from else None)
        for place, head in enumerate(heads)
    )
    return tag("thead", tag("tr", *cells))


def _folded(title: str, body: Markup) -> Markup:
    return tag("details", tag("summary", title), body)


def _isolated(text: str) -> Markup:
    """Return a text of someone else: what it does to the direction of writing ends with it."""
    return tag("bdi", text)


def _cut_text(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _share_of_place(figures: Figures, name: str) -> float:
    located = figures.comments - figures.without_place
    examples = figures.places.get(name)
    return examples.count / located if examples and located else 0.0
