"""The section that compares two groups of notes."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from xhs.report import figures as rules
from xhs.report import summary as limits
from xhs.report.charts import bar
from xhs.report.figures import Difference, Examples, Figures, top
from xhs.report.markup import Child, Markup, join, tag
from xhs.report.parts import Parts, head, isolated, table
from xhs.report.summary import Group

_NAMES, _COLORS = ("A", "B"), ("", "other")


def groups(pair: tuple[Group, Group], parts: Parts) -> Markup:
    """Return two groups of notes side by side."""
    say, (one, other) = parts.say, pair
    rows = zip(_group_figures(one, parts), _group_figures(other, parts), strict=True)
    heads = [say("Figure"), *(say("Group {name}", name=name) for name in _NAMES)]
    return join(
        tag("h2", say("Two groups of notes")),
        tag("p", say("B: the notes of the list that was given. A: the other notes of this page.")),
        table(
            heads, [[name, first, second] for (name, first), (_, second) in rows], (1, 2), "narrow"
        ),
        tag("h3", say("Where comments come from")),
        _places_compared(pair, parts),
        tag("h3", say("Words that one group uses more")),
        _more_used((one.words, other.words), parts),
        tag("h3", say("Emoji that one group uses more")),
        _more_used((one.emoji, other.emoji), parts),
        parts.rule(say.long("groups", least=rules.LEAST_WITH_WORD, bound=rules.LEAST_KEYNESS)),
    )


def _group_figures(group: Group, parts: Parts) -> list[tuple[str, Child]]:
    say, figures, questions = parts.say, group.figures, group.questions
    sizes = [
        note.comments.count + note.replies.count + note.vanished for note in figures.notes.values()
    ]
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
            parts.link(say("By the notes' authors"), figures.by_author),
        ),
        (say("Questions"), parts.link(say("Questions"), questions.all)),
        (
            say("Questions of the comments with a text"),
            say.ratio(questions.all.count, figures.with_text),
        ),
        (
            say("Answered by the author, of those of which it is known"),
            say.ratio(questions.answered.count, known),
        ),
    ]


def _places_compared(pair: tuple[Group, Group], parts: Parts) -> Markup:
    say = parts.say
    names = {
        name for group in pair for name, _ in top(group.figures.places, limits.PLACES_COMPARED)
    }
    shares = {name: [_share_of_place(group.figures, name) for group in pair] for name in names}
    if not shares:
        return tag("p", say("No comment states a place."))
    ordered = sorted(shares.items(), key=lambda item: (-max(item[1]), item[0]))
    ordered = ordered[: limits.PLACES_COMPARED]
    largest = max(ordered[0][1])
    rows = [
        tag(
            "tr",
            tag("th", isolated(name), scope="row"),
            tag("td", *map(bar, both, (largest, largest), _COLORS), class_="bar"),
            *(
                tag("td", _linked_share(group.figures, name, share, parts), class_="n")
                for group, share in zip(pair, both, strict=True)
            ),
        )
        for name, both in ordered
    ]
    keys = (
        tag("span", name, class_=f"swatch {color}")
        for name, color in zip(_NAMES, _COLORS, strict=True)
    )
    heads = [say("Place"), parts.bar_head(), *keys]
    return tag("table", head(heads, range(2, 5)), tag("tbody", rows), class_="bars pairs")


def _linked_share(figures: Figures, name: str, share: float, parts: Parts) -> Markup:
    examples = figures.places.get(name, Examples())
    return parts.link(isolated(name), examples, parts.say.share(share))


def _more_used(pair: tuple[Sequence[Difference], Sequence[Difference]], parts: Parts) -> Markup:
    say = parts.say
    tables = []
    for found, name, other, color in zip(pair, _NAMES, reversed(_NAMES), _COLORS, strict=True):
        body = tag("p", say("None."))
        if found:
            largest = max(one.share for one in found)
            rows = [
                tag(
                    "tr",
                    tag("th", isolated(one.name), scope="row"),
                    tag("td", bar(one.share, largest, color), class_="bar"),
                    tag("td", parts.link(isolated(one.name), one.examples), class_="n"),
                    tag("td", say.share(one.share), class_="n"),
                    tag("td", say.share(one.other_share), class_="n muted"),
                )
                for one in found
            ]
            in_other = say("In {name}", name=other)
            heads = [say("Word"), parts.bar_head(), say("Comments"), say("Share"), in_other]
            body = tag("table", head(heads, range(2, 5)), tag("tbody", rows), class_="bars")
        tables.append(tag("div", tag("h4", say("Group {name}", name=name)), body))
    return tag("div", *tables, class_="two")


def _share_of_place(figures: Figures, name: str) -> float:
    located = figures.comments - figures.without_place
    examples = figures.places.get(name)
    return examples.count / located if examples and located else 0.0
