"""The spider: for each note a chain of pages, for each page its comments and users."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NoReturn, Self

from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider
from scrapy.http import Response
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from xhs.api import codes
from xhs.api.endpoints import PageRef, read_page_ref
from xhs.api.fields import parse_page
from xhs.api.page import Page, inline_replies, read_page
from xhs.api.usual_fields import UsualFields
from xhs.checks import CheckedInput, WrongInput, check_input, mark_begun
from xhs.crawl import arguments as spider_arguments
from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.estimate import Estimate, estimate
from xhs.crawl.expected_calls import ExpectedCalls
from xhs.crawl.note_crawl import Next, NoteCrawls, PageRequest, named
from xhs.crawl.note_list import NoteList
from xhs.crawl.open_notes import FIRST_CALL, OpenChain, OpenNote, OpenThread
from xhs.crawl.paginator import CommentPaginator, calls_for
from xhs.crawl.planning import (
    NotePlan,
    PlannedNote,
    Skip,
    count_notes,
    mark_wanted,
    now,
    plan_notes,
)
from xhs.crawl.progress import checkpoint_written
from xhs.crawl.storage import Listing, Problem, Provenance, Storage, StoreFailed
from xhs.download.budget import CallBudget
from xhs.download.handler import CallNotSent, envelope_of, received_at
from xhs.download.page_request import page_of, page_request
from xhs.download.retry import WAIT, wait
from xhs.download.token import AccessToken
from xhs.extensions import CrawlState, CrawlStore, NotStored, Rejections
from xhs.feeds import isolation
from xhs.items import make_item
from xhs.reasons import CloseReason, StopReason
from xhs.stats import Stat

_PATIENCE = 60
_REPEATS = "empty_answers"
"""The key of ``Request.meta`` that counts how often a call brought nothing."""
_MOST_REPEATS = 2


class CommentsSpider(Spider):
    """Collects every comment of the notes that it is given; arguments: docs/reference/arguments.md.

    Raises:
        WrongArguments: a ``ValueError``, where the arguments cannot work.
    """

    name = "comments"
    estimate: Estimate | None = None
    """What a dry run found."""
    pages_read = 0
    """Pages that came and could be read."""
    wrong: Sequence[str] = ()
    """Why the crawl was refused before its first call."""

    def __init__(self, checked: CheckedInput | None = None, **given: str) -> None:
        super().__init__()
        self.checked = checked
        self.arguments = checked.arguments if checked else spider_arguments.parse(given)
        self._usual = UsualFields()
        self._undated = 0

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        """Make the spider; where it only plans, without any feed: one might be overwritten."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        if spider.arguments.dry_run:
            for name, nothing in (("FEEDS", {}), ("XHS_FEEDS", "")):
                crawler.settings.set(name, nothing, "cmdline")
        return spider

    @cached_property
    def crawl_state(self) -> CrawlState:
        """The parts of this crawl."""
        return CrawlState.of(self.crawler)

    @cached_property
    def expected(self) -> ExpectedCalls:
        """How many calls the crawl will make in all."""
        notes, budget = self.crawl_state.notes, CallBudget.of(self.crawler)
        return ExpectedCalls(
            self.checked.price if self.checked else None,
            notes,
            lambda: notes.waiting or 0,
            lambda: budget.reason is not None,
        )

    @cached_property
    def note_crawls(self) -> NoteCrawls:
        """What follows each page, by this crawl's arguments."""
        state = self.crawl_state
        return NoteCrawls(
            self.arguments,
            self._version,
            notes=state.notes,
            progress=state.progress,
            storage=state.storage,
            expected=self.expected,
            count=state.count,
            on_failure=state.fail_store,
        )

    @property
    def _version(self) -> str:
        version: str = self.settings["JUSTONEAPI_COMMENTS_VERSION"]
        return version

    async def start(self) -> AsyncIterator[Request]:
        """Begin the notes, each when there is room for it."""
        CrawlStore.of(self.crawler).check_not_stopped()
        checked = self.checked = self._check()
        self.arguments = checked.arguments
        AccessToken.of(self.crawler).set(checked.token)
        if (timeout := self.settings.getfloat("DOWNLOAD_TIMEOUT")) < _PATIENCE:
            self.logger.warning(
                "DOWNLOAD_TIMEOUT=%g: answers that take longer are billed all the same; the "
                "provider asks for %d seconds at least",
                timeout,
                _PATIENCE,
            )
        try:
            if self.arguments.dry_run:
                await self._estimate(checked)
                return
            if isolation.refused(self.crawler):
                self._refuse(["FEEDS: no feed would be written, for the reason logged above"])
            mark_begun(self.settings)
            async for request in self._first_requests(checked.notes):
                yield request
        except StoreFailed as error:
            self.crawl_state.fail_store(error)

    def closed(self, reason: str) -> None:
        """Scrapy's hook for a spider that was closed."""
        if self._undated:
            self.logger.warning(
                "%d comments had no time that can be read, and were kept whatever since says",
                self._undated,
            )

    async def _first_requests(self, notes: NoteList | None) -> AsyncIterator[Any]:
        """Yield the first request of each note, when there is room for it."""
        state = self.crawl_state
        await mark_wanted(notes, self.arguments, state.storage)
        async for one in self._planned(notes):
            if isinstance(one.plan, Skip):
                state.notes.waits_no_longer()
                state.count(Stat.of_skipped(one.plan.reason))
            elif one.plan is not None:
                await state.notes.room()
                state.notes.waits_no_longer()
                state.count(Stat.NOTES_BEGUN)
                async for output in self._outputs(self.note_crawls.begin(one.plan)):
                    yield output
        self.expected.end_list()

    async def _planned(self, notes: NoteList | None) -> AsyncIterator[PlannedNote]:
        """Yield what is done about each note."""
        open_notes, storage = self.crawl_state.notes, self.crawl_state.storage
        open_notes.waiting = await count_notes(notes, self.arguments.mode, storage)
        if notes is None and not open_notes.waiting:
            self.logger.warning("%s", await _nothing_to_do(storage))
        is_cached = self.settings.getbool("HTTPCACHE_ENABLED")
        async for one in plan_notes(
            notes, self.arguments, self._version, storage, is_cached=is_cached
        ):
            if one.problem:
                self.logger.error("Note %s is left: %s", one.note_id, one.problem)
                if not self.arguments.dry_run:
                    await storage.mark_wanted([one.note_id], None)
            yield one

    async def _estimate(self, checked: CheckedInput) -> None:
        """Log what a crawl would do and cost, instead of doing it."""
        plan = self._planned(checked.notes)
        self.estimate = await estimate(plan, self.crawl_state.storage, checked.price)
        self.crawl_state.notes.waiting = 0
        for line in self.estimate.lines():
            self.logger.info("Dry run: %s", line)

    async def _outputs(self, following: Next) -> AsyncIterator[Any]:
        async for one in following:
            if isinstance(one, PageRequest):
                yield self._request(one.page, one.priority)
            else:
                yield make_item("note", one)

    async def parse_page(self, response: Response) -> AsyncIterator[Any]:
        """Take a page of comments or replies: request the next one, yield its items, and at the
        last what follows: the note's threads, the next of these, or the note's end.
        """
        request = response.request
        page_ref = page_of(request) if request else read_page_ref(response.url)
        answer = envelope_of(response)
        if page_ref is None or answer is None or answer.code != codes.SUCCESS:
            raise ValueError(f"{response.url} is no page of comments")
        state, data = self.crawl_state, answer.data
        page = read_page(data, replies=page_ref.comment_id is not None)
        note, opened = self._opened(page_ref)
        if page.is_empty:
            async for output in self._empty_answer(response, note, opened, data, page):
                yield output
            return
        result = opened.paginator.take(page)
        if result.next and result.next.cursor is None:
            self._log_restart(result.next, "leads to an empty page")
        if opened.paginator.out_of_order and not note.order_logged:
            note.order_logged = True
            self._log_order(note, page)
        if result.undated:
            self._warn_undated(opened.paginator, result.undated)
        opened.answered_at = received_at(response)
        note.has_page = note.has_page or page.is_readable
        self.pages_read += page.is_readable
        items = self._items(note, opened, result.page, data)
        if note.counted:
            self.expected.page(note, of_replies=opened is not note)
        checkpoint: Callable[[], None] | None = None
        if await opened.is_done() and result.next and note.counted:
            checkpoint = self._checkpoint(note, opened, result.next)
        done = state.pages.open(response, items, checkpoint)
        opened.done = done if note.counted else None
        if page.flaw:
            await self._reject_page(note, opened, data, page)
        if result.next and not opened.lost:
            yield self._request(result.next, state.notes.priority(opened.paginator))
        for item, _ in items:
            yield item
        state.pages.all_yielded(response)
        if result.stop:
            async for output in self._outputs(self.note_crawls.chain_ended(note, opened)):
                yield output
        elif await done:
            await checkpoint_written(opened)  # until then the page counts as under way

    def _opened(self, page: PageRef) -> tuple[OpenNote, OpenChain]:
        """Return the note and the chain that a page belongs to.

        A page that no note here asked for, as with ``scrapy parse``, is a chain of its own.
        """
        notes = self.crawl_state.notes
        note = notes.get(page.note_id)
        if note is None:
            checkpoint = Checkpoint(page, self._version, "full", now())
            note = notes.open_alone(NotePlan(checkpoint, self.arguments))
        return note, notes.chain(note, page)

    async def _empty_answer(
        self, response: Response, note: OpenNote, opened: OpenChain, data: Any, page: Page
    ) -> AsyncIterator[Any]:
        """Take an answer that was billed and has nothing in it: it is no page. The call is repeated
        :data:`_MOST_REPEATS` times at most, since each is billed.
        """
        opened.answered_at = received_at(response)
        await self._reject_page(note, opened, data, page)
        request = response.request
        if request is None:
            return
        repeats = request.meta.get(_REPEATS, 0)
        if repeats < _MOST_REPEATS:
            again = request.replace(dont_filter=True)
            again.meta.update({_REPEATS: repeats + 1, WAIT: wait(repeats + 1)})
            yield again
            return
        opened.paginator.end(StopReason.EMPTY_ANSWER)
        why = f"{repeats + 1} answers with code 0 had no data in them, and each was billed"
        async for output in self._outputs(self.note_crawls.chain_ended(note, opened, why)):
            yield output

    async def _reject_page(self, note: OpenNote, opened: OpenChain, data: Any, page: Page) -> None:
        """Keep an answer that is odd as a whole."""
        provenance = _provenance(note, opened, data)
        if page.is_empty:
            provenance = replace(provenance, page=provenance.page + 1)
        problem = Problem("", page.flaw or "")
        with suppress(NotStored):
            await Rejections.of(self.crawler).reject("page", provenance, [problem])

    async def call_failed(self, failure: Failure) -> AsyncIterator[Any]:
        """Take a call that brought no page: end its chain with the reason."""
        request: Request = failure.request  # type: ignore[attr-defined]
        page = page_of(request)
        if page is None or self.crawl_state.notes.get(page.note_id) is None:
            return
        if isinstance(failure.value, CallNotSent):
            return
        stop, why = reason_to_give_up(failure.value)
        if stop is None:
            return
        note, opened = self._opened(page)
        if stop is StopReason.REFUSED and (again := opened.paginator.restart()):
            self._log_restart(again, "is refused")
            yield self._request(again, FIRST_CALL)
            return
        opened.paginator.end(stop)
        async for output in self._outputs(self.note_crawls.chain_ended(note, opened, why)):
            yield output

    def _check(self) -> CheckedInput:
        if self.checked:
            return self.checked
        try:
            return check_input(self.arguments, self.settings, os.environ)
        except WrongInput as wrong:
            self._refuse(wrong.errors)

    def _refuse(self, errors: list[str]) -> NoReturn:
        for error in errors:
            self.logger.error("%s", error)
        self.wrong = errors
        raise CloseSpider(CloseReason.WRONG_INPUT.value)

    def _request(self, page: PageRef, priority: int) -> Request:
        return page_request(
            self.settings["JUSTONEAPI_BASE_URL"],
            self._version,
            page,
            callback=self._page_came,
            errback=self.call_failed,
            priority=priority,
        )

    def _page_came(self, response: Response, page_ref: PageRef) -> AsyncIterator[Any]:
        # A user's own parse_page needs the response alone.
        return self.parse_page(response)

    def _items(
        self, note: OpenNote, opened: OpenChain, page: Page, data: Any
    ) -> list[tuple[Any, Provenance]]:
        """Return the items of a page, each with where it came from."""
        paginator, inline = opened.paginator, note.replies != "none"
        provenance, items = _provenance(note, opened, data), []
        objects = list(
            parse_page(
                page,
                note_id=paginator.note_id,
                replies=inline,
                scraped_at=provenance.scraped_at or "",
                author_id=note.paginator.author_id,
                parent_id=paginator.next_page.comment_id,
            )
        )
        if missing := self._usual.missing(objects):
            self._warn_of_missing(paginator, missing)
        for parsed in objects:
            parent = parsed.fields.get("parent_comment_id")
            is_comment = parsed.item_type == "comment"
            opened.comments_met += is_comment
            listing = None
            if opened is note and note.counted and is_comment and not parent:
                replies = len(inline_replies(parsed.raw)) if inline else 0
                listing = Listing(paginator.sort, note.progress.began, replies)
                reported = parsed.fields.get("sub_comment_count")
                note.listed += 1
                if isinstance(reported, int) and reported > replies:
                    note.thread_calls_listed += calls_for(reported - replies)
            origin = replace(provenance, raw=parsed.raw, parent_comment_id=parent, listing=listing)
            items.append((make_item(parsed.item_type, parsed.fields), origin))
        return items

    def _checkpoint(
        self, note: OpenNote, opened: OpenChain, following: PageRef
    ) -> Callable[[], None]:
        """Return what is to be written once a page is stored."""
        progress = self.crawl_state.progress
        if isinstance(opened, OpenThread):
            return partial(progress.thread_page_done, note, opened, following.cursor)
        return partial(progress.page_done, note, note.facts(), note.checkpoint_here())

    def _log_restart(self, call: PageRef, why: str) -> None:
        self.logger.warning("%s begins anew: its cursor %s", named(call), why)

    def _warn_of_missing(self, chain: CommentPaginator, fields: Sequence[str]) -> None:
        self.logger.warning(
            "%s, page %d: null on every object that should have it: %s. The API may have changed "
            "the form of its answers; what it sent is kept in `extra`. A field is named once a run",
            named(chain.next_page),
            chain.pages,
            ", ".join(fields),
        )

    def _warn_undated(self, chain: CommentPaginator, comments: int) -> None:
        """Warn of the first page that ``since`` cannot judge; :meth:`closed` says how many came."""
        if not self._undated:
            self.logger.warning(
                "%s, page %d: %d comments have no time that can be read: since can neither leave "
                "them out nor end the note there, so they are kept, and pages after them paid for",
                named(chain.next_page),
                chain.pages,
                comments,
            )
        self._undated += comments

    def _log_order(self, note: OpenNote, page: Page) -> None:
        self.logger.warning(
            "%s comes in the order %s, which is not by time: it is read to its end, since neither "
            "since nor the watermark can end it before",
            named(note.paginator.next_page),
            page.strategy or note.paginator.sort,
        )


async def _nothing_to_do(storage: Storage) -> str:
    """Say why a crawl of the ledger has no note."""
    if known := await storage.count_notes(to_resume=False):
        return (
            f"Nothing is left to do: all {known} notes in the ledger have ended. mode=update reads "
            "what is new, mode=full with `notes` or `notes_file` reads them again"
        )
    return "The ledger has no notes: `scrapy enqueue` adds some"


def _provenance(note: OpenNote, opened: OpenChain, data: Any) -> Provenance:
    """Return where a page came from."""
    paginator = opened.paginator
    return Provenance(
        paginator.note_id,
        paginator.pages,
        data,
        paginator.author_id or note.paginator.author_id,
        scraped_at=opened.answered_at,
        thread_id=paginator.next_page.comment_id,
    )


def reason_to_give_up(error: BaseException | None) -> tuple[StopReason | None, str]:
    """Why a note ends at a failed call, and what was said; None if the whole crawl stops."""
    answer = envelope_of(error.response) if isinstance(error, HttpError) else None
    if answer is None:
        if isinstance(error, HttpError):
            return StopReason.RETRIES_EXHAUSTED, f"HTTP {error.response.status} with no envelope"
        return StopReason.RETRIES_EXHAUSTED, str(error)
    if codes.close_reason(answer.code):
        return None, ""
    if codes.is_retried(answer.code):
        return StopReason.RETRIES_EXHAUSTED, answer.summary
    return (
        StopReason.REFUSED if answer.code == codes.INVALID_PARAMETERS else StopReason.UNKNOWN_CODE,
        answer.summary,
    )
