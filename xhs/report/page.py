"""The whole page: its head, the headline figures, the sections and the panels."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from xhs.report import comparison, sections
from xhs.report.labels import Labels
from xhs.report.markup import Markup, tag
from xhs.report.parts import Parts, ShownComment
from xhs.report.summary import Summary

_STYLE = Path(__file__).with_name("style.css")


def html(
    summary: Summary, shown: Mapping[str, ShownComment], say: Labels, made_at: datetime
) -> str:
    """Return the page. ``shown``: the comments of ``summary.comment_ids()`` that are stored."""
    parts = Parts(say, shown)
    chapters = [
        (key, name, section(summary, parts))
        for key, name, section in (
            ("data", say("Data"), sections.data),
            ("time", say("Time"), sections.time),
            ("growth", say("Growth"), sections.growth),
            ("places", say("Places"), sections.places),
            ("liked", say("Most liked"), sections.liked),
            ("words", say("Words"), sections.words),
            ("questions", say("Questions"), sections.questions),
            ("copies", say("Same text"), sections.copies),
        )
    ]
    if summary.groups:
        chapters.append(("groups", say("Two groups"), comparison.groups(summary.groups, parts)))
    title = say("Comments on {notes}", notes=say.counted(len(summary.notes), "note"))
    body = tag(
        "body",
        tag(
            "header",
            tag("h1", title),
            tag("p", _subtitle(summary, say, made_at), class_="lead"),
            tag("p", say.long("personal data"), class_="notice", role="note"),
            class_="top",
        ),
        _headline(summary, say),
        tag(
            "nav",
            *(tag("a", name, href=f"#{key}") for key, name, _ in chapters),
            aria_label=say("Sections"),
        ),
        tag("main", *(tag("section", chapter, id=key) for key, _, chapter in chapters)),
        tag("footer", tag("p", say.long("footer"))),
        parts.panels(),
    )
    page = tag("html", _head(title), body, lang=say.html_lang)
    return f"<!doctype html>\n{page}\n"


def _head(title: str) -> Markup:
    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )


def _subtitle(summary: Summary, say: Labels, made_at: datetime) -> str:
    made, period = say.time(made_at), summary.figures.period
    if period is None:
        return say("No comment has a time. Made on {made}, Beijing time.", made=made)
    first, last = (say.day(at) for at in period)
    return say(
        "Written from {first} to {last}. Made on {made}. All times are Beijing time.",
        first=first,
        last=last,
        made=made,
    )


def _headline(summary: Summary, say: Labels) -> Markup:
    figures, notes, questions = summary.figures, summary.notes, summary.questions
    reported = sum(note.reported or 0 for note in notes)
    missing = sum(note.missing or 0 for note in notes)
    whole = sum(note.complete for note in notes)
    held = say.ratio(reported - missing, reported)
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
            "data",
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
        ("calls", say.number(summary.calls), say("billed calls"), _cost(summary, say), "data"),
    ]
    return tag(
        "div",
        *(
            tag(
                "a",
                tag("strong", value, id=f"n-{key}"),
                tag("span", name, class_="name"),
                tag("span", more, class_="muted"),
                href=f"#{chapter}",
            )
            for key, value, name, more, chapter in cards
        ),
        class_="cards",
    )


def _cost(summary: Summary, say: Labels) -> str:
    if summary.price:
        return say("cost {money}", money=summary.price.of(summary.calls))
    return say("all crawls together")
