"""Reading of what a report needs from the store: each comment once, then those that it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, NamedTuple

from xhs.crawl.price import Price
from xhs.crawl.storage import NOTES_PER_QUERY
from xhs.report.figures import FIELDS, Figures, read_comment
from xhs.report.parts import ShownComment
from xhs.report.summary import Growths, Summary, compared, note_rows, read_pass, summarise
from xhs.report.text import Words
from xhs.store.mongo.client import Store
from xhs.store.mongo.collections import Document
from xhs.store.mongo.joined import Selection

_NOTE_FIELDS = (
    "_id",
    "user_id",
    "state",
    "stop_reason",
    "complete",
    "comment_count_l1",
    "billed_calls",
    "first_seen_at",
    "last_crawled_at",
)


class Choice(NamedTuple):
    """The notes of a report: None for all. ``other``: those of the second group, if there is one.

    With a second group and without ``notes``, every other note is in the first.
    """

    notes: Collection[str] | None = None
    other: Collection[str] | None = None

    @property
    def note_ids(self) -> list[str] | None:
        """The notes to read; None for all."""
        if self.notes is None:
            return None
        return list(dict.fromkeys([*self.notes, *(self.other or ())]))


async def ledger_notes(store: Store, choice: Choice) -> list[Document]:
    """Return the fields that a report needs of the chosen notes that the ledger has.

    Raises:
        StoreFailed: if the database does not answer.
    """
    return [
        {name: document.get(name) for name in _NOTE_FIELDS}
        async for document in _ledger_documents(store, choice.note_ids)
    ]


async def _ledger_documents(
    store: Store, note_ids: Sequence[str] | None
) -> AsyncIterator[Document]:
    if note_ids is None:
        async for document in store.ledger.each(to_resume=False):
            yield document
        return
    for start in range(0, len(note_ids), NOTES_PER_QUERY):
        found = await store.ledger.documents(note_ids[start : start + NOTES_PER_QUERY])
        for document in found.values():
            yield document


async def summary_of(
    store: Store,
    choice: Choice,
    ledger: Sequence[Document],
    words: Words,
    price: Price | None,
    advance: Callable[[int], Any],
) -> Summary:
    """Read every comment of the chosen notes once, and summarise them.

    ``advance`` is called with the number of comments since its last call.

    Raises:
        StoreFailed: if the database does not answer.
    """
    authors = _authors(ledger)
    figures = Figures(words, authors)
    groups = (Figures(words, authors), Figures(words, authors))
    other = set(choice.other or ())
    async for batch in store.joined.unordered(Selection(choice.note_ids), FIELDS):
        for document in batch:
            comment = read_comment(document, authors.get(document.get("note_id")))
            figures.add(comment)
            if choice.other is not None:
                groups[comment.note_id in other].add(comment)
        advance(len(batch))
    rows = note_rows(ledger, figures)
    in_other = sum(row.note_id in other for row in rows)
    return summarise(
        figures,
        rows,
        await _growths(store, choice.note_ids),
        compared((len(rows) - in_other, in_other), groups) if choice.other is not None else None,
        price,
    )


async def _growths(store: Store, note_ids: Sequence[str] | None) -> Growths:
    queries: list[Document] = [{}]
    if note_ids is not None:
        starts = range(0, len(note_ids), NOTES_PER_QUERY)
        queries = [{"note_id": {"$in": note_ids[at : at + NOTES_PER_QUERY]}} for at in starts]
    growths = Growths()
    for query in queries:
        async for batch in store.history.batches(query):
            for one in filter(None, map(read_pass, batch)):
                growths.add(one)
    return growths


async def shown_comments(
    store: Store, summary: Summary, ledger: Sequence[Document]
) -> dict[str, ShownComment]:
    """Return the comments that the page shows, by their IDs.

    Raises:
        StoreFailed: if the database does not answer.
    """
    authors = _authors(ledger)
    found = await store.joined.by_id(sorted(summary.comment_ids()), (*FIELDS, "pictures"))
    return {
        key: ShownComment(
            read_comment(one.comment, authors.get(one.comment.get("note_id"))),
            _nickname(one.user),
            bool(one.comment.get("pictures")),
        )
        for key, one in found.items()
    }


def _authors(ledger: Sequence[Document]) -> dict[Any, Any]:
    return {note["_id"]: note["user_id"] for note in ledger}


def _nickname(user: Document | None) -> str | None:
    nickname = (user or {}).get("nickname")
    return nickname if isinstance(nickname, str) and nickname else None
