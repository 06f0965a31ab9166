"""The spider: requests the pages of notes, and yields their comments and users.

docs/architecture.md shows the way of a page from answer to checkpoint.
"""

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
from xhs.api.fields import parse_page, people
from xhs.api.page import Page, inline_replies, read_page
from xhs.api.usual_fields import UsualFields
from xhs.checks import CheckedInput, WrongInput, check_input, mark_begun
from xhs.crawl import arguments as spider_arguments
from xhs.crawl.checkpoint import Checkpoint
from xhs.crawl.estimate import Estimate, estimate
from xhs.crawl.expected_calls import ExpectedCalls
from xhs.crawl.note_crawl import Next, NoteCrawls, PageRequest, chain_name
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

_SHORTEST_TIMEOUT = 60
"""The shortest time-out, in seconds, that the provider advises."""
_REPEATS = "empty_answers"
"""The key of ``Request.meta`` that counts the empty answers to a call."""
_MAX_REPEATS = 2


class CommentsSpider(Spider):
    """Collects the comments of notes. docs/reference/arguments.md describes its arguments.

    Raises:
        WrongArguments: a ``ValueError``, if the arguments are wrong.
    """

    name = "comments"
    estimate: Estimate | None = None
    """The result of a dry run."""
    pages_read = 0
    """Number of pages received that could be read."""
    input_errors: Sequence[str] = ()
    """The errors for which the crawl was refused before its first call."""

    def __init__(self, checked: CheckedInput | None = None, **given: str) -> None:
        super().__init__()
        self.checked = checked
        self.arguments = checked.arguments if checked else spider_arguments.parse(given)
        self._usual = UsualFields()
        self._undated = 0

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        """Make the spider. A dry run gets no feeds, since it could overwrite their files."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        if spider.arguments.dry_run:
            crawler.settings.setdict({"FEEDS": {}, "XHS_FEEDS": ""}, "cmdline")
        return spider

    @cached_property
    def crawl_state(self) -> CrawlState:
        """The state of this crawl."""
        return CrawlState.of(self.crawler)

    @cached_property
    def expected(self) -> ExpectedCalls:
        """The number of calls that the crawl will make in all."""
        notes, budget = self.crawl_state.notes, CallBudget.of(self.crawler)
        return ExpectedCalls(
            self.checked.price if self.checked else None,
            notes,
            lambda: notes.waiting or 0,
            lambda: budget.reason is not None,
        )

    @property
    def calls_left(self) -> int | None:
        """The number of calls still to be made, about; None until first pages tell it."""
        return self.expected.left if self.checked else None

    @cached_property
    def note_crawls(self) -> NoteCrawls:
        """The note crawls, which say what follows each page."""
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
        """Check the input, and yield the first request of each note when there is room for it."""
        CrawlStore.of(self.crawler).check_not_stopped()
        checked = self.checked = self._check()
        self.arguments = checked.arguments
        AccessToken.of(self.crawler).set(checked.token)
        if (timeout := self.settings.getfloat("DOWNLOAD_TIMEOUT")) < _SHORTEST_TIMEOUT:
            self.logger.warning(
                "DOWNLOAD_TIMEOUT=%g: slower answers are billed all the same; the provider advises "
                "at least %d seconds",
                timeout,
                _SHORTEST_TIMEOUT,
            )
        try:
            if self.arguments.dry_run:
                await self._estimate(checked)
                return
            if isolation.feeds_refused(self.crawler):
                self._refuse(["FEEDS: no feed would be written, for the reason logged above"])
            mark_begun(self.settings)
            async for request in self._first_requests(checked.notes):
                yield request
        except StoreFailed as error:
            self.crawl_state.fail_store(error)

    def closed(self, reason: str) -> None:
        """Log what is counted over the whole crawl. Scrapy calls this when the spider is closed."""
        if self._undated:
            self.logger.warning(
                "%d comments had no readable time, and were kept regardless of since", self._undated
            )

    async def _first_requests(self, notes: NoteList | None) -> AsyncIterator[Any]:
        """Yield the first request of each note when there is room for it."""
        state = self.crawl_state
        await mark_wanted(notes, self.arguments, state.storage)
        async for _, plan, _ in self._planned(notes):
            if isinstance(plan, Skip):
                state.notes.count_begun()
                state.count(Stat.of_skipped(plan.reason))
            elif plan is not None:
                await state.notes.wait_for_room()
                state.notes.count_begun()
                state.count(Stat.NOTES_BEGUN)
                async for output in self._outputs(self.note_crawls.begin(plan)):
                    yield output
        self.expected.end_list()

    async def _planned(self, notes: NoteList | None) -> AsyncIterator[PlannedNote]:
        """Yield the plan of each note. A note that cannot be crawled is logged, and left."""
        open_notes, storage = self.crawl_state.notes, self.crawl_state.storage
        open_notes.waiting = await count_notes(notes, self.arguments.mode, storage)
        if notes is None and not open_notes.waiting:
            self.logger.warning("%s", await _nothing_to_do(storage))
        is_cached = self.settings.getbool("HTTPCACHE_ENABLED")
        async for planned in plan_notes(
            notes, self.arguments, self._version, storage, is_cached=is_cached
        ):
            if planned.problem:
                self.logger.error("Note %s is left: %s", planned.note_id, planned.problem)
                if not self.arguments.dry_run:
                    await storage.mark_wanted([planned.note_id], None)
            yield planned

    async def _estimate(self, checked: CheckedInput) -> None:
        """Estimate and log what the crawl would do and cost."""
        planned = self._planned(checked.notes)
        self.estimate = await estimate(planned, self.crawl_state.storage, checked.price)
        self.crawl_state.notes.waiting = 0
        for line in self.estimate.lines():
            self.logger.info("Dry run: %s", line)

    async def _outputs(self, following: Next) -> AsyncIterator[Any]:
        """Yield page requests as requests, and the fields of a note as its item."""
        async for output in following:
            if isinstance(output, PageRequest):
                yield self._request(output.page, output.priority)
            else:
                yield make_item("note", output)

    async def parse_page(self, response: Response) -> AsyncIterator[Any]:
        """Parse a page of comments or replies: request the next page, and yield the items.

        After the last page of a chain come the first threads of the note, its next thread, or its
        item.
        """
        request = response.request
        page_ref = page_of(request) if request else read_page_ref(response.url)
        answer = envelope_of(response)
        if page_ref is None or answer is None or answer.code != codes.SUCCESS:
            raise ValueError(f"{response.url} is not a page of comments")
        state, data = self.crawl_state, answer.data
        page = read_page(data, replies=page_ref.comment_id is not None)
        note, chain = self._note_and_chain(page_ref)
        if page.is_empty:
            async for output in self._empty_answer(response, note, chain, data, page):
                yield output
            return
        result = chain.paginator.take(page)
        if result.next and result.next.cursor is None:
            self._warn_of_restart(result.next, "leads to an empty page")
        if chain.paginator.out_of_order and not note.order_logged:
            note.order_logged = True
            self._warn_of_order(note, page)
        if result.undated:
            self._warn_of_undated(chain.paginator, result.undated)
        chain.answered_at = received_at(response)
        note.has_page = note.has_page or page.is_readable
        self.pages_read += page.is_readable
        items = self._items(note, chain, result.page, data)
        if note.counted:
            self.expected.page(note, of_replies=chain is not note)
        checkpoint: Callable[[], None] | None = None
        if await chain.is_done() and result.next and note.counted:
            checkpoint = self._checkpoint(note, chain, result.next)
        done = state.pages.open(response, items, checkpoint)
        chain.done = done if note.counted else None
        if page.defect:
            await self._reject_page(note, chain, data, page)
        if result.next and not chain.lost:
            yield self._request(result.next, state.notes.priority(chain.paginator))
        for item, _ in items:
            yield item
        state.pages.all_yielded(response)
        if result.stop:
            async for output in self._outputs(self.note_crawls.chain_ended(note, chain)):
                yield output
        elif await done:
            await checkpoint_written(chain)  # until then the page counts as unfinished

    def _note_and_chain(self, page: PageRef) -> tuple[OpenNote, OpenChain]:
        """Return the note and the chain that a page belongs to.

        A page that belongs to no open note, as with ``scrapy parse``, is a chain of its own.
        """
        notes = self.crawl_state.notes
        note = notes.get(page.note_id)
        if note is None:
            checkpoint = Checkpoint(page, self._version, "full", now())
            note = notes.open_for_one_page(NotePlan(checkpoint, self.arguments))
        return note, notes.chain(note, page)

    async def _empty_answer(
        self, response: Response, note: OpenNote, chain: OpenChain, data: Any, page: Page
    ) -> AsyncIterator[Any]:
        """Handle a billed answer with no data, which is not a page.

        Each repetition is billed too, so the call is repeated at most :data:`_MAX_REPEATS` times.
        """
        chain.answered_at = received_at(response)
        await self._reject_page(note, chain, data, page)
        request = response.request
        if request is None:
            return
        repeats = request.meta.get(_REPEATS, 0)
        if repeats < _MAX_REPEATS:
            repeat = request.replace(dont_filter=True)
            repeat.meta.update({_REPEATS: repeats + 1, WAIT: wait(repeats + 1)})
            yield repeat
            return
        chain.paginator.end(StopReason.EMPTY_ANSWER)
        why = f"{repeats + 1} answers with code 0 had no data in them, and each was billed"
        async for output in self._outputs(self.note_crawls.chain_ended(note, chain, why)):
            yield output

    async def _reject_page(self, note: OpenNote, chain: OpenChain, data: Any, page: Page) -> None:
        """Keep an answer in ``rejected`` that is empty or unreadable as a whole."""
        provenance = _provenance(note, chain, data)
        if page.is_empty:
            provenance = replace(provenance, page=provenance.page + 1)
        problem = Problem("", page.defect or "")
        with suppress(NotStored):
            await Rejections.of(self.crawler).reject("page", provenance, [problem])

    async def call_failed(self, failure: Failure) -> AsyncIterator[Any]:
        """End the chain of a failed call with its stop reason, or restart it once."""
        request: Request = failure.request  # type: ignore[attr-defined]
        page = page_of(request)
        if page is None or self.crawl_state.notes.get(page.note_id) is None:
            return
        if isinstance(failure.value, CallNotSent):
            return
        stop, why = reason_to_give_up(failure.value)
        if stop is None:
            return
        note, chain = self._note_and_chain(page)
        if stop is StopReason.REFUSED and (first_page := chain.paginator.restart()):
            self._warn_of_restart(first_page, "is refused")
            yield self._request(first_page, FIRST_CALL)
            return
        chain.paginator.end(stop)
        async for output in self._outputs(self.note_crawls.chain_ended(note, chain, why)):
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
        self.input_errors = errors
        raise CloseSpider(CloseReason.WRONG_INPUT.value)

    def _request(self, page: PageRef, priority: int) -> Request:
        return page_request(
            self.settings["JUSTONEAPI_BASE_URL"],
            self._version,
            page,
            callback=self._parse_page,
            errback=self.call_failed,
            priority=priority,
        )

    def _parse_page(self, response: Response, page_ref: PageRef) -> AsyncIterator[Any]:
        # parse_page, also a subclass's own, needs the response only.
        return self.parse_page(response)

    def _items(
        self, note: OpenNote, chain: OpenChain, page: Page, data: Any
    ) -> list[tuple[Any, Provenance]]:
        """Return the items of a page, each with its provenance."""
        paginator, inline = chain.paginator, note.replies != "none"
        provenance, items = _provenance(note, chain, data), []
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
        for parsed, shown in zip(objects, people(objects), strict=True):
            parent = parsed.fields.get("parent_comment_id")
            is_comment = parsed.item_type == "comment"
            listing = None
            if chain is note and note.counted and is_comment and not parent:
                replies = len(inline_replies(parsed.raw)) if inline else 0
                listing = Listing(paginator.sort, note.progress.began, replies)
                reported = parsed.fields.get("sub_comment_count")
                note.listed += 1
                if isinstance(reported, int) and reported > replies:
                    note.thread_calls_listed += calls_for(reported - replies)
            origin = replace(provenance, raw=parsed.raw, parent_comment_id=parent, listing=listing)
            # A reply that came with a comment does not make up for a comment that is rejected.
            chain.comments_listed += is_comment and not origin.is_inline
            item = make_item(parsed.item_type, parsed.fields)
            if shown is not None:
                item.came_with(shown)
            items.append((item, origin))
        return items

    def _checkpoint(
        self, note: OpenNote, chain: OpenChain, following: PageRef
    ) -> Callable[[], None]:
        """Return the function that writes the checkpoint when a page is stored."""
        progress = self.crawl_state.progress
        if isinstance(chain, OpenThread):
            return partial(progress.thread_page_done, note, chain, following.cursor)
        return partial(progress.page_done, note, note.facts(), note.current_checkpoint())

    def _warn_of_restart(self, first_page: PageRef, why: str) -> None:
        self.logger.warning("%s restarts: its cursor %s", chain_name(first_page), why)

    def _warn_of_missing(self, paginator: CommentPaginator, fields: Sequence[str]) -> None:
        self.logger.warning(
            "%s, page %d: null in every object that should have it: %s. The API may have changed "
            "its answers; what it sent is kept in `extra`. Each field is reported once per run",
            chain_name(paginator.next_page),
            paginator.pages,
            ", ".join(fields),
        )

    def _warn_of_undated(self, paginator: CommentPaginator, comments: int) -> None:
        """Warn of the first page that ``since`` cannot judge. :meth:`closed` logs the total."""
        if not self._undated:
            self.logger.warning(
                "%s, page %d: %d comments have no readable time: since can neither exclude them "
                "nor end the note there, so they are kept, and the pages after them requested",
                chain_name(paginator.next_page),
                paginator.pages,
                comments,
            )
        self._undated += comments

    def _warn_of_order(self, note: OpenNote, page: Page) -> None:
        self.logger.warning(
            "%s is in the order %s, not by time: it is read to its end, because neither since nor "
            "the watermark can end it earlier",
            chain_name(note.paginator.next_page),
            page.strategy or note.paginator.sort,
        )


async def _nothing_to_do(storage: Storage) -> str:
    """Return why a crawl of the ledger has no notes."""
    if notes := await storage.count_notes(to_resume=False):
        return (
            f"Nothing is left to do: all {notes} notes in the ledger have ended. mode=update reads "
            "what is new; mode=full with `notes` or `notes_file` reads them again"
        )
    return "The ledger has no notes: `scrapy enqueue` adds some"


def _provenance(note: OpenNote, chain: OpenChain, data: Any) -> Provenance:
    """Return the provenance of a page's items."""
    paginator = chain.paginator
    return Provenance(
        paginator.note_id,
        paginator.pages,
        data,
        paginator.author_id or note.paginator.author_id,
        scraped_at=chain.answered_at,
        thread_id=paginator.next_page.comment_id,
    )


def reason_to_give_up(error: BaseException | None) -> tuple[StopReason | None, str]:
    """Return a failed call's stop reason, None if the whole crawl stops, and its message."""
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
