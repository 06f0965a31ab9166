"""Parts that every section uses: tables, bars, comments, and links to the comments of a figure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from xhs.crawl.note_ids import NOTE_URL
from xhs.report.charts import bar
from xhs.report.figures import Comment, Examples
from xhs.report.labels import Labels
from xhs.report.markup import Child, Markup, join, tag

_NOTE_ID = re.compile(r"[0-9a-f]{24}")
_LONGEST_TEXT, _LONGEST_NAME = 600, 60
"""Characters of a comment, and of a name, that are shown."""


class ShownComment(NamedTuple):
    """A comment that the page shows, its author's name, and if it has a picture."""

    comment: Comment
    nickname: str | None
    has_picture: bool


class Parts:
    """Parts of a page in one language.

    The comments behind a figure are in a panel. A link to it opens it, since the page's style shows
    a panel while the address names it: no script is needed. ``shown``: the comments by their IDs.
    """

    def __init__(self, say: Labels, shown: Mapping[str, ShownComment]) -> None:
        self.say = say
        self.shown = shown
        self._panels: list[Markup] = []

    def add_panel(self, title: Child, examples: Examples) -> int:
        """Add a panel, and return its number."""
        say, number = self.say, len(self._panels) + 1
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
                self.comments(examples),
                id=f"p{number}",
                class_="panel",
                tabindex=-1,
                aria_labelledby=heading,
            )
        )
        return number

    def link(self, title: Child, examples: Examples, shown: str | None = None) -> Markup:
        """Return a figure's number, or ``shown``, as a link to the comments behind it."""
        label = self.say.number(examples.count) if shown is None else shown
        if not examples.count:
            return tag("span", label)
        panel = self.add_panel(title, examples)
        return tag("a", label, href=f"#p{panel}", id=f"f{panel}", class_="count")

    def panels(self) -> Markup:
        """Return every panel."""
        return join(*self._panels)

    def bars(self, counts: Sequence[tuple[str, Examples]], whole: int, name: str) -> Markup:
        """Return a table whose rows are bars."""
        say = self.say
        largest = max(examples.count for _, examples in counts)
        rows = [
            tag(
                "tr",
                tag("th", isolated(label), scope="row"),
                tag("td", bar(examples.count, largest), class_="bar"),
                tag("td", self.link(isolated(label), examples), class_="n"),
                tag("td", say.share(examples.count / whole), class_="n muted"),
            )
            for label, examples in counts
        ]
        heads = [name, self.bar_head(), say("Comments"), say("Share")]
        return tag("table", head(heads, range(2, 4)), tag("tbody", rows), class_="bars")

    def bar_head(self) -> Markup:
        """Return the head of a column of bars, which only screen readers need."""
        return tag("span", self.say("Bar"), class_="hidden")

    def comments(self, examples: Examples) -> Markup:
        """Return the comments behind a figure that are kept."""
        cards = [self._comment(one) for key in examples.ids if (one := self.shown.get(key))]
        return tag("ol", cards, class_="comments")

    def _comment(self, shown: ShownComment) -> Markup:
        say, comment = self.say, shown.comment
        facts = [
            say.time(comment.created_at) if comment.created_at else say("no time"),
            isolated(comment.place) if comment.place else None,
            say("reply") if comment.parent_id else None,
            say("by the author") if comment.by_author else None,
            say("with a picture") if shown.has_picture else None,
            say("vanished") if comment.has_vanished else None,
        ]
        meta = [tag("span", fact) for fact in facts if fact]
        return tag(
            "li",
            tag(
                "div",
                tag("span", isolated(shown.nickname or say("no name")), class_="who"),
                tag("span", "♥ ", say.number(comment.likes), class_="likes"),
                class_="by",
            ),
            tag("p", isolated(comment.text or say("no text"), _LONGEST_TEXT)),
            tag("div", *meta, self.note(comment.note_id, say("Note ↗")), class_="meta"),
        )

    def note(self, note_id: str, label: str | None = None) -> Markup:
        """Return a link to a note in the app's web page; it is loaded only if it is clicked."""
        if not _NOTE_ID.fullmatch(note_id):
            return tag("span", isolated(label or note_id))
        return tag(
            "a",
            label or note_id,
            href=f"{NOTE_URL}{note_id}",
            rel="noreferrer noopener",
            target="_blank",
            class_="note",
        )

    def rule(self, sentence: str) -> Markup:
        """Return the rule by which figures are inferred."""
        return tag("p", tag("b", self.say("Rule: ")), sentence, class_="rule")

    def cut(self, shown: int, total: int) -> Markup | None:
        """Return how much of a list is shown; None if all of it is."""
        if shown >= total:
            return None
        sentence = self.say("{n:,} of {total:,} are shown.", n=shown, total=total)
        return tag("p", sentence, class_="muted")


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Child]], numbers: Container[int], name: str = ""
) -> Markup:
    """Return a table; ``numbers``: the places of columns of numbers."""
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(
                tag("td", cell, class_="n" if place in numbers else None)
                for place, cell in enumerate(row[1:], 1)
            ),
        )
        for row in rows
    ]
    table = tag("table", head(heads, numbers), tag("tbody", body), class_=name or None)
    return tag("div", table, class_="scroll", tabindex=0)


def head(heads: Sequence[Child], numbers: Container[int]) -> Markup:
    """Return the head of a table."""
    cells = (
        tag("th", head, scope="col", class_="n" if place in numbers else None)
        for place, head in enumerate(heads)
    )
    return tag("thead", tag("tr", *cells))


def folded(title: str, body: Markup) -> Markup:
    """Return a part that opens by a click."""
    return tag("details", tag("summary", title), body)


def isolated(text: str, most: int = _LONGEST_NAME) -> Markup:
    """Return at most ``most`` characters of a text of someone else.

    What the text does to the direction of writing ends with it.
    """
    return tag("bdi", text if len(text) <= most else f"{text[:most]}…", lang="zh")
