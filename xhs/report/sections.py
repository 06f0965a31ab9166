"""The sections of the page."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from xhs.crawl.price import Price
from xhs.report import figures as rules
from xhs.report import summary as limits
from xhs.report.charts import Column, Point, bar, columns, lines
from xhs.report.figures import Unit, hour_start
from xhs.report.labels import Labels
from xhs.report.markup import Child, Markup, join, tag
from xhs.report.parts import Parts, folded, isolated, table
from xhs.report.summary import Growth, NoteRow, Summary
from xhs.report.text import LEAST_COPIED, QUESTION_ENDINGS, QUESTION_WORDS

_LONGEST_COPY = 120
"""Characters that are shown of a text that several people wrote."""


def data(summary: Summary, parts: Parts) -> Markup:
    """Return what the data is: completeness and cost of each note."""
    say = parts.say
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
        table(
            heads, (_note_row(note, parts, summary.price) for note in rows), range(2, 12), "notes"
        ),
        parts.cut(len(rows), len(notes)),
        parts.rule(say.long("completeness")),
    )


def _note_row(note: NoteRow, parts: Parts, price: Price | None) -> list[Child]:
    say, held = parts.say, note.figures
    state = "bad" if not note.complete or note.missing else "good"
    cells: list[Child] = [
        tag("span", parts.note(note.note_id), class_="id"),
        tag("span", _end(note, say), class_=f"state {state}", title=note.stop_reason),
        parts.link(note.note_id, held.comments),
        say.number(note.reported),
        say.number(note.missing),
        parts.link([note.note_id, ", ", say("Replies")], held.replies),
        say.number(held.replies_missing),
        say.day(held.first),
        say.day(held.last),
        say.day(note.last_crawled_at),
        say.number(note.calls),
    ]
    return [*cells, price.of(note.calls)] if price else cells


def _end(note: NoteRow, say: Labels) -> str:
    if note.state in ("queued", "running"):
        return say("not finished")
    if note.stop_reason is None:
        return say("not crawled")
    if note.complete and note.missing:
        return say("read to the end, not all were shown")
    if note.complete and note.figures.replies_missing:
        return say("complete, replies missing")
    return say.reason(note.stop_reason)


def time(summary: Summary, parts: Parts) -> Markup:
    """Return the comments over time, and the hours that stand out."""
    say = parts.say
    if not summary.bars:
        return join(tag("h2", say("Comments over time")), tag("p", say("No comment has a time.")))
    labels = [_bar_label(one.start, summary.unit) for one in summary.bars]
    drawn, rows = [], []
    for one, label in zip(summary.bars, labels, strict=True):
        if not one.examples.count:
            drawn.append(Column(0, label))
            continue
        number = parts.add_panel(label, one.examples)
        title = f"{label}: {say.counted(one.examples.count, 'comment')}"
        drawn.append(Column(one.examples.count, title, f"p{number}", f"f{number}", one.stands_out))
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
            tag(
                "figcaption",
                unit,
                tag("span", say("with an hour that stands out"), class_="swatch mark")
                if summary.busy
                else None,
            ),
            columns(drawn, labels),
            folded(say("Table"), table([say("Time"), say("Comments")], rows, (1,))),
        ),
        _busy(summary, parts),
    )


def _bar_label(start: datetime, unit: Unit) -> str:
    forms = {"hour": "%m-%d %H:%M", "month": "%Y-%m", "year": "%Y"}
    return start.strftime(forms.get(unit, "%Y-%m-%d"))


def _busy(summary: Summary, parts: Parts) -> Markup:
    say, busy = parts.say, summary.busy
    rule = say.long(
        "busy hours",
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
            link = parts.link(at, one.examples)
            rows.append([at, link, f"{one.usual:g}", parts.note(one.note_id)])
        heads = [say("Hour from"), say("Comments"), say("Usual"), say("Note")]
        found = join(table(heads, rows, (1, 2), "narrow"), parts.cut(len(shown), len(busy)))
    return join(tag("h3", say("Hours that stand out")), found, parts.rule(rule))


def growth(summary: Summary, parts: Parts) -> Markup:
    """Return the growth of the notes that were read twice or more."""
    say, growths = parts.say, summary.growths.most_gained()
    heading = tag("h2", say("Growth"))
    if not growths:
        return join(heading, tag("p", say.long("no growth")))
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
        tag("div", *map(partial(_growth_of, parts=parts), growths), class_="multiples"),
        parts.cut(len(growths), len(summary.growths)),
        parts.rule(say.long("growth")),
    )


def _growth_of(growth: Growth, parts: Parts) -> Markup:
    say, passes = parts.say, growth.passes
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
        tag("figcaption", parts.note(growth.note_id)),
        lines(series, say.day(first), say.day(last)),
        folded(say("Table"), table(heads, rows, (1, 2, 3))),
    )


def places(summary: Summary, parts: Parts) -> Markup:
    """Return where comments come from."""
    say = parts.say
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
        parts.bars(summary.places, located, say("Place")) if summary.places else None,
        parts.cut(len(summary.places), len(figures.places)),
        parts.rule(say.long("places")),
    )


def liked(summary: Summary, parts: Parts) -> Markup:
    """Return the most liked comments."""
    say, examples = parts.say, summary.figures.most_liked
    heading = tag("h2", say("Most liked comments"))
    if not examples.count:
        return join(heading, tag("p", say("No comment has likes.")))
    by_author = summary.figures.by_author
    return join(
        heading,
        tag(
            "p",
            say("{n:,} comments have likes. The notes' authors wrote ", n=examples.count),
            parts.link(say("By the notes' authors"), by_author),
            say(" of all comments."),
        ),
        parts.comments(examples),
    )


def words(summary: Summary, parts: Parts) -> Markup:
    """Return the most used words and emoji."""
    say = parts.say
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
                    parts.bars(counts, figures.with_text, name)
                    if counts
                    else tag("p", say("None.")),
                )
                for title, counts, name in found
            ),
            class_="two",
        ),
        parts.rule(say.long("words")),
    )


def questions(summary: Summary, parts: Parts) -> Markup:
    """Return the questions, and those that the author has not answered."""
    say, questions = parts.say, summary.questions
    heading = tag("h2", say("Questions"))
    rule = say.long(
        "questions",
        endings=say.listed(QUESTION_ENDINGS),
        words=say.listed(QUESTION_WORDS),
    )
    if not questions.all.count:
        return join(heading, tag("p", say("No comment asks.")), parts.rule(rule))
    rows = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            tag("td", bar(examples.count, questions.all.count, kind), class_="bar"),
            tag("td", parts.link(name, examples), class_="n"),
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
            parts.link(say("Questions"), questions.all),
            say(
                ", {share} of the comments with a text.",
                share=say.share(questions.all.count / summary.figures.with_text),
            ),
        ),
        tag("table", tag("tbody", rows), class_="bars named"),
        tag("h3", say("Most liked questions that the author has not answered")),
        parts.comments(questions.unanswered)
        if questions.unanswered.count
        else tag("p", say("None.")),
        parts.rule(rule),
    )


def copies(summary: Summary, parts: Parts) -> Markup:
    """Return texts that several people wrote."""
    say = parts.say
    heading = tag("h2", say("The same text by several people"))
    rule = parts.rule(say.long("same text", least=LEAST_COPIED))
    if not summary.copied:
        return join(heading, tag("p", say("None was found.")), rule)
    rows: list[list[Child]] = []
    for copies in summary.copied:
        examples = copies.examples
        first = next((one for key in examples.ids if (one := parts.shown.get(key))), None)
        text = isolated(first.comment.text, _LONGEST_COPY) if first else "–"
        link = parts.link(say("The same text"), examples)
        rows.append([text, say.number(len(copies.users)), link])
    return join(
        heading,
        tag("p", say("{n} by two people or more.", n=say.counted(summary.copied_texts, "text"))),
        table([say("Text"), say("People"), say("Comments")], rows, (1, 2), "texts"),
        parts.cut(len(rows), summary.copied_texts),
        rule,
    )
