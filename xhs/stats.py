"""Names of the project's stats. docs/reference/stats.md says what each counts."""

from __future__ import annotations

from xhs.reasons import StopReason


class Stat:
    """Names of Scrapy stats. Those that end in ``/`` are prefixes of a code, a field, a type, …"""

    CALLS_BILLED = "xhs/calls/billed"
    CALLS_UNKNOWN = "xhs/calls/unknown"
    CALLS_REFUSED = "xhs/calls/refused/"
    COMMENTS_NEW = "xhs/comments/new"
    COMMENTS_KNOWN = "xhs/comments/known"
    COMMENTS_VANISHED = "xhs/comments/vanished"
    COMMENTS_MISSING = "xhs/comments/missing"
    REPLIES_DELIVERED = "xhs/replies/delivered"
    REPLIES_REPORTED = "xhs/replies/reported"
    REPLIES_MISSING = "xhs/replies/missing"
    REPLY_CALLS_EXPECTED = "xhs/replies/calls_expected"
    ITEMS = "xhs/items/"
    REJECTED = "xhs/rejected"
    REJECTED_FIELDS = "xhs/rejected/"
    SPILLED = "xhs/spilled"
    UNSTORABLE = "xhs/unstorable"
    LOST = "xhs/lost"
    NOTES = "xhs/notes/"
    NOTES_BEGUN = "xhs/notes/begun"
    NOTES_SKIPPED = "xhs/notes/skipped/"
    NOTES_LEFT = "xhs/notes/left"
    PIPELINES_FAILED = "xhs/pipelines/failed"
    PIPELINES_UNCLOSED = "xhs/pipelines/unclosed"
    FEEDS_MISSED = "xhs/feeds/missed"
    FEEDS_FAILED = "feedexport/failed_count/"
    """Prefix of Scrapy's stats of feeds that could not be stored, by the class of their storage."""
    FEEDS_STORED = "feedexport/success_count/"

    @staticmethod
    def of_notes(reason: StopReason) -> str:
        """Return the stat of notes that ended for a reason."""
        return f"{Stat.NOTES}{reason}"

    @staticmethod
    def of_skipped(reason: StopReason) -> str:
        """Return the stat of notes that had ended for a reason before the crawl."""
        return f"{Stat.NOTES_SKIPPED}{reason}"
