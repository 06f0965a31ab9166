"""Stop reasons of notes, close reasons of crawls, and exit statuses.

The names are used in the ledger, in feeds, in stats and as Scrapy's ``finish_reason``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class StopReason(StrEnum):
    """Why a note's chain of pages ended."""

    COMPLETE = "complete"
    """The API reported no more pages (``has_more`` was false)."""
    MAX_COMMENTS = "max_comments"
    """The note has the requested number of comments."""
    SINCE = "since"
    """The remaining comments are older than the requested date."""
    UP_TO_DATE = "up_to_date"
    """An update reached the watermark of the last pass that ended."""
    NOT_FOUND = "not_found"
    """No comments, counts of 0 and no author: the note does not exist, or is hidden."""

    REFUSED = "refused"
    """The API reported invalid parameters (code 400)."""

    CURSOR_IGNORED = "cursor_ignored"
    """A later page is the first page again."""
    CURSOR_REPEATED = "cursor_repeated"
    """The API returned a cursor that this chain has already used."""
    CURSOR_MISSING = "cursor_missing"
    """The API reported more pages, but gave no cursor."""
    NO_PROGRESS = "no_progress"
    """Two pages in a row brought no ID that is new to this chain."""
    UNREADABLE_ANSWER = "unreadable_answer"
    """An answer with code 0 had data, but no list of comments in a known form."""
    ALL_REJECTED = "all_rejected"
    """Every comment that the pass received was rejected."""

    RETRIES_EXHAUSTED = "retries_exhausted"
    EMPTY_ANSWER = "empty_answer"
    """Answers with code 0 had no data, and each was billed."""
    UNKNOWN_CODE = "unknown_code"
    INTERRUPTED = "interrupted"
    """The crawl stopped before the note's end."""

    @property
    def ended(self) -> bool:
        """True if ``mode=resume`` has nothing left to do for the note."""
        return self not in _UNFINISHED

    @property
    def satisfied(self) -> bool:
        """True if the user got what they asked for."""
        return self in _SATISFIED

    @property
    def may_hide_rejections(self) -> bool:
        """True if a chain with this end may have brought nothing but rejected comments."""
        return self in _SATISFIED | {StopReason.NO_PROGRESS, StopReason.CURSOR_MISSING}

    @property
    def moves_watermark(self) -> bool:
        """True if everything new has been read, so that the next update may stop at this pass."""
        return self in _READ

    def or_worse(self, other: StopReason) -> StopReason:
        """Return the worse of two reasons. The worst is unfinished, then flawed, then satisfied."""
        return other if other._badness > self._badness else self

    @property
    def _badness(self) -> int:
        if not self.ended:
            return 3
        if self.satisfied:
            return 0
        return 1 if self is StopReason.REFUSED else 2


_READ = frozenset({StopReason.COMPLETE, StopReason.UP_TO_DATE, StopReason.NOT_FOUND})
_SATISFIED = _READ | {StopReason.MAX_COMMENTS, StopReason.SINCE}
_UNFINISHED = frozenset(
    {
        StopReason.RETRIES_EXHAUSTED,
        StopReason.EMPTY_ANSWER,
        StopReason.UNKNOWN_CODE,
        StopReason.INTERRUPTED,
    }
)


class Advice(NamedTuple):
    """Advice about notes: a sentence, and the command that may help, without ``scrapy``.

    In the command, ``{}`` is another version of the endpoint. It is empty if none is known.
    """

    sentence: str
    command: str = ""


_FULL = "crawl comments -a mode=full"
_OTHER_VERSION = f"{_FULL} -s JUSTONEAPI_COMMENTS_VERSION={{}}"
_NO_USABLE_CURSOR = Advice(
    "the API gave no usable cursor: try mode=full later, or another JUSTONEAPI_COMMENTS_VERSION",
    _FULL,
)
ADVICE = {
    StopReason.NOT_FOUND: Advice("does not exist, or is hidden"),
    StopReason.REFUSED: Advice(
        "the API rejects the request (code 400): try -a mode=full",
        _FULL,
    ),
    StopReason.CURSOR_REPEATED: _NO_USABLE_CURSOR,
    StopReason.CURSOR_MISSING: _NO_USABLE_CURSOR,
    StopReason.NO_PROGRESS: _NO_USABLE_CURSOR,
    StopReason.CURSOR_IGNORED: Advice(
        "the endpoint serves the first page only: try another JUSTONEAPI_COMMENTS_VERSION (the "
        "replies endpoint has only one)",
        _OTHER_VERSION,
    ),
    StopReason.UNREADABLE_ANSWER: Advice(
        "this version of xhs cannot read the provider's answers; a store keeps them whole in "
        "`rejected`. Try another JUSTONEAPI_COMMENTS_VERSION (the replies endpoint has only one), "
        "or a newer xhs",
        _OTHER_VERSION,
    ),
    StopReason.ALL_REJECTED: Advice(
        "no comment was valid; a store keeps them whole in `rejected`, with the reasons, and "
        "`scrapy recover` stores them once the schemas allow it",
        "recover",
    ),
    StopReason.EMPTY_ANSWER: Advice(
        "the provider billed answers without data; ask the provider, and try again later with "
        "mode=resume"
    ),
}
"""Advice about notes by their stop reason. A reason without an entry needs none."""


class CloseReason(StrEnum):
    """Why a crawl closed. Scrapy's own reasons occur too."""

    TOKEN_REJECTED = "token_rejected"  # noqa: S105 (a reason, not a secret)
    PERMISSION_DENIED = "permission_denied"
    BALANCE_EXHAUSTED = "balance_exhausted"
    QUOTA_EXHAUSTED = "quota_exhausted"
    BUDGET_SPENT = "budget_spent"
    STORE_FAILED = "store_failed"
    WRONG_INPUT = "wrong_input"


STOPPED = "shutdown"
"""Scrapy's close reason for a crawl that was stopped by a signal."""


class ExitStatus:
    """Exit statuses of ``scrapy crawl``."""

    DONE = 0
    """Every note ended as requested."""
    FAILED = 1
    """No note was begun, the crawl crashed, or a feed or a pipeline could not be finished."""
    WRONG_INPUT = 2
    UNFINISHED = 3
    """Notes are left for ``mode=resume``."""
    FLAWED = 4
    """Every note ended, at least one of them for another reason than requested."""


def read_reason(stored: object) -> StopReason | None:
    """Return a stop reason read from the database; None if the value is not one."""
    return StopReason(stored) if isinstance(stored, str) and stored in set(StopReason) else None
