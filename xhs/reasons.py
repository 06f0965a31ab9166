"""How things end: the names under which a note and a crawl end, and the exit status they add up to.

The names stand in the ledger, in feeds, in stats and in Scrapy's ``finish_reason``.
"""

from __future__ import annotations

from enum import StrEnum


class StopReason(StrEnum):
    """Why a note's chain of pages ended."""

    COMPLETE = "complete"
    """The API said that there is no more (``has_more`` was false)."""
    MAX_COMMENTS = "max_comments"
    """As many comments are kept as were wanted at most."""
    SINCE = "since"
    """The comments from here on are older than wanted."""
    UP_TO_DATE = "up_to_date"
    """An update reached the watermark of the last pass that ended."""
    NOT_FOUND = "not_found"
    """No comments, counts of 0 and no author: the note is not there, or is hidden."""

    REFUSED = "refused"
    """The API calls the parameters invalid (code 400)."""

    CURSOR_IGNORED = "cursor_ignored"
    """A later page is the first page again."""
    CURSOR_REPEATED = "cursor_repeated"
    """A cursor that this chain has used came back."""
    CURSOR_MISSING = "cursor_missing"
    """There should be more, and nothing says how to ask for it."""
    NO_PROGRESS = "no_progress"
    """Two pages running brought no ID that is new to this chain."""
    UNREADABLE_ANSWER = "unreadable_answer"
    """An answer with code 0 had data, but no list of comments that is known."""
    ALL_REJECTED = "all_rejected"
    """Every comment that the pass met was rejected."""

    RETRIES_EXHAUSTED = "retries_exhausted"
    EMPTY_ANSWER = "empty_answer"
    """Answers with code 0, each of them billed, had no data in them."""
    UNKNOWN_CODE = "unknown_code"
    INTERRUPTED = "interrupted"
    """The crawl stopped before the note's end."""

    @property
    def ended(self) -> bool:
        """True if the note has nothing left that ``mode=resume`` would take up."""
        return self not in _UNFINISHED

    @property
    def satisfied(self) -> bool:
        """True if the user got what they asked for."""
        return self in _SATISFIED

    @property
    def may_hide_rejections(self) -> bool:
        """True if a chain that ended so may have brought nothing but rejected comments."""
        return self in _SATISFIED | {StopReason.NO_PROGRESS, StopReason.CURSOR_MISSING}

    @property
    def moves_watermark(self) -> bool:
        """True if all that was new has been read, so that the next update may begin above it."""
        return self in _READ

    def or_worse(self, other: StopReason) -> StopReason:
        """The worse of two: to be taken up again before flawed, flawed before satisfied."""
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

ADVICE = {
    StopReason.CURSOR_IGNORED: "the endpoint serves the first page only: try another "
    "JUSTONEAPI_COMMENTS_VERSION (of replies there is one)",
    StopReason.UNREADABLE_ANSWER: "the provider's answers have a form that this version cannot "
    "read; a store keeps them whole in `rejected`. Try another JUSTONEAPI_COMMENTS_VERSION (of "
    "replies there is one), or a newer xhs",
    StopReason.ALL_REJECTED: "not one comment was valid; a store keeps them whole in `rejected`, "
    "with the reasons, and `scrapy recover` stores them once the schemas allow it",
    StopReason.EMPTY_ANSWER: "the provider answered without data, and billed it; ask the provider, "
    "and try again later with mode=resume",
}
"""What to do about notes that ended so, where there is something."""


class CloseReason(StrEnum):
    """Why a crawl closed, beside Scrapy's own reasons."""

    TOKEN_REJECTED = "token_rejected"  # noqa: S105 (a reason, not a secret)
    PERMISSION_DENIED = "permission_denied"
    BALANCE_EXHAUSTED = "balance_exhausted"
    QUOTA_EXHAUSTED = "quota_exhausted"
    BUDGET_SPENT = "budget_spent"
    STORE_FAILED = "store_failed"
    WRONG_INPUT = "wrong_input"


STOPPED = "shutdown"
"""Scrapy's close reason of a crawl that a signal has stopped."""


class ExitStatus:
    """What ``scrapy crawl`` tells the shell."""

    DONE = 0
    """Every note ended as asked for."""
    FAILED = 1
    """Nothing was begun, the crawl broke, or a feed or a pipeline could not be finished."""
    WRONG_INPUT = 2
    UNFINISHED = 3
    """Notes are left that ``mode=resume`` takes up."""
    FLAWED = 4
    """Every note ended, at least one of them otherwise than asked for."""


def read_reason(found: object) -> StopReason | None:
    """A reason as it is stored; None if it is none."""
    return StopReason(found) if isinstance(found, str) and found in set(StopReason) else None
