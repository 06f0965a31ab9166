"""The spider: for each note a chain of pages, for each page its comments and users."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, Self

from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider
from scrapy.http import Response
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from xhs.api import envelope
from xhs.api.endpoints import PageRef, page_url, read_page_ref
from xhs.api.fields import parse_page
from xhs.api.page import Page, inline_replies, read_page
from xhs.api.usual_fields import UsualFields
from xhs.checks import CheckedInput, WrongInput, prepare, remember_begun
from xhs.crawl import arguments as spider_arguments
from xhs.crawl.estimate import Estimate, forecast
from xhs.crawl.note_crawl import Next, NoteCrawls, PageRequest, named
from xhs.crawl.note_list import NoteList, count
from xhs.crawl.open_notes import OpenChain, OpenNote, OpenThread
from xhs.crawl.order import UNSEEN
from xhs.crawl.paginator import CommentPaginator
from xhs.crawl.planned import PlannedNote, mark_wanted, planned
from xhs.crawl.planning import Skip
from xhs.crawl.progress import checkpoint_written
from xhs.download.handler import CallNotSent, received_at
from xhs.download.retry import WAIT, wait
from xhs.extensions.run import NotStored, Run
from xhs.feeds import isolation as feed_export
from xhs.items import CommentItem, NoteItem, UserItem
from xhs.reasons import CloseReason, StopReason
from xhs.store.mongo.collections import Listing, Problem, Provenance
from xhs.store.mongo.notes import Ledger, note_fields
from xhs.store.mongo.retrying import StoreFailed

_ITEMS = {"comment": CommentItem, "user": UserItem}
_PATIENCE = 60
_RETRIED = frozenset({301, 302, 500})
_REPEATS = "empty_answers"
"""The key of ``Request.meta`` that counts how often a call brought nothing."""
_MOST_REPEATS = 2


class CommentsSpider(Spider):
    """Every comment of the notes that it is given. The README documents its arguments.

    Raises:
        WrongArguments: a ``ValueError``, where the arguments cannot work.
    """

    name = "comments"
    forecast: Estimate | None = None
    """What a dry run found."""
    wrong: Sequence[str] = ()
    """Why the crawl was refused before its first call."""

    def __init__(self, prepared: CheckedInput | None = None, **given: str) -> None:
        super().__init__()
        self.prepared = prepared
        self.arguments = prepared.arguments if prepared else spider_arguments.parse(given)
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

    @property
    def run(self) -> Run:
        """What this crawl's parts share."""
        return Run.of(self.crawler)

    async def start(self) -> AsyncIterator[Request]:
        """Begin the notes, each when there is room for it."""
        run = self.run
        run.check_not_stopped()
        prepared = self._prepare()
        self.arguments = prepared.arguments
        run.token = prepared.token
        run.expected.price = prepared.price
        if (timeout := self.settings.getfloat("DOWNLOAD_TIMEOUT")) < _PATIENCE:
            self.logger.warning(
                "DOWNLOAD_TIMEOUT=%g: answers that take longer are billed all the same; the "
                "provider asks for %d seconds at least",
                timeout,
                _PATIENCE,
            )
        try:
            if self.arguments.dry_run:
                await self._foretell(run, prepared)
                return
            if feed_export.refused(self.crawler):
                self._refuse(["FEEDS: no feed would be written, for the reason logged above"])
            remember_begun(self.settings)
            async for request in self._first_requests(run, prepared.notes):
                yield request
        except StoreFailed as error:
            run.fail_store(error)

    def closed(self, reason: str) -> None:
        """Scrapy's hook for a spider that was closed."""
        if self._undated:
            self.logger.warning(
                "%d comments had no time that can be read, and were kept whatever since says",
                self._undated,
            )

    async def _first_requests(self, run: Run, notes: NoteList | None) -> AsyncIterator[Any]:
        """The first request of each note, when there is room for it."""
        if run.store:
            await mark_wanted(notes, self.arguments, run.store.ledger)
        async for one in self._planned(run, notes):
            if isinstance(one.plan, Skip):
                run.waits_no_longer()
                run.count(f"xhs/notes/skipped/{one.plan.reason}")
            elif one.plan is not None:
                await run.room()
                run.waits_no_longer()
                run.count("xhs/notes/begun")
                async for output in self._outputs(NoteCrawls(run).begin(one.plan)):
                    yield output
        run.expected.end_list()

    async def _planned(self, run: Run, notes: NoteList | None) -> AsyncIterator[PlannedNote]:
        """What is done about each note."""
        ledger = run.store.ledger if run.store else None
        run.notes_waiting = await count(notes, self.arguments.mode, ledger)
        if notes is None and not run.notes_waiting:
            self.logger.warning("%s", await _nothing_to_do(ledger))
        is_cached = self.settings.getbool("HTTPCACHE_ENABLED")
        async for one in planned(notes, self.arguments, run.version, ledger, is_cached=is_cached):
            if one.problem:
                self.logger.error("Note %s is left: %s", one.note_id, one.problem)
                if ledger and not self.arguments.dry_run:
                    await ledger.want([one.note_id], None)
            yield one

    async def _foretell(self, run: Run, prepared: CheckedInput) -> None:
        """Say what a crawl would do and cost, instead of doing it."""
        plan = self._planned(run, prepared.notes)
        self.forecast = await forecast(plan, run.store, prepared.price)
        run.notes_waiting = 0
        for line in self.forecast.lines():
            self.logger.info("Dry run: %s", line)

    async def _outputs(self, following: Next) -> AsyncIterator[Request | NoteItem]:
        async for one in following:
            yield self._request(self.run, *one) if isinstance(one, PageRequest) else one

    async def parse_page(self, response: Response) -> AsyncIterator[Any]:
        """Take a page of comments or replies: ask for the next one, yield its items, and at the
        last what follows: the note's threads, the next of these, or the note's end.
        """
        run = self.run
        call = read_page_ref(response.url)
        answer = envelope.read(response.body)
        if call is None or answer is None or answer.code != envelope.SUCCESS:
            raise ValueError(f"{response.url} is no page of comments")
        data = run.protect(answer.data)
        page = read_page(data, replies=call.comment_id is not None)
        note, opened = run.opened(call)
        if page.is_empty:
            async for output in self._empty_answer(response, note, opened, data, page):
                yield output
            return
        step = opened.chain.step(page)
        if step.next and step.next.cursor is None:
            self._log_restart(step.next, "leads to an empty page")
        if opened.chain.out_of_order and not note.told:
            note.told = True
            self._log_order(note, page)
        if note.counted:
            run.expected.page(note, of_replies=opened is not note)
        if step.undated:
            self._warn_undated(opened.chain, step.undated)
        opened.answered_at = received_at(response)
        items = self._items(note, opened, step.page, data)
        checkpoint: Callable[[], None] | None = None
        if await opened.is_settled() and step.next and note.counted:
            checkpoint = self._checkpoint(run, note, opened, step.next)
        settled = run.pages.open(response, items, checkpoint)
        opened.settled = settled if note.counted else None
        if page.flaw:
            await self._reject_page(note, opened, data, page)
        if step.next and not opened.lost:
            yield self._request(run, step.next, run.priority(opened.chain))
        for item, _ in items:
            yield item
        run.pages.all_yielded(response)
        if step.stop:
            async for output in self._outputs(NoteCrawls(run).chain_ended(note, opened)):
                yield output
        elif await settled:
            await checkpoint_written(opened)  # until then the page counts as not settled

    async def _empty_answer(
        self, response: Response, note: OpenNote, opened: OpenChain, data: Any, page: Page
    ) -> AsyncIterator[Any]:
        """Take an answer that was billed and has nothing in it: it is no page. The call is repeated
        :data:`_MOST_REPEATS` times at most, since each is billed.
        """
        opened.answered_at = received_at(response)
        await self._reject_page(note, opened, data, page)
        request, run = response.request, self.run
        assert request is not None  # noqa: S101 (Scrapy sets it)
        repeats = request.meta.get(_REPEATS, 0)
        if repeats < _MOST_REPEATS:
            again = request.replace(dont_filter=True)
            again.meta.update({_REPEATS: repeats + 1, WAIT: wait(repeats + 1)})
            yield again
            return
        opened.chain.end(StopReason.EMPTY_ANSWER)
        why = f"{repeats + 1} answers with code 0 had no data in them, and each was billed"
        async for output in self._outputs(NoteCrawls(run).chain_ended(note, opened, why)):
            yield output

    async def _reject_page(self, note: OpenNote, opened: OpenChain, data: Any, page: Page) -> None:
        """Keep an answer that is odd as a whole."""
        origin = _origin(note, opened, data)
        if page.is_empty:
            origin = replace(origin, page=origin.page + 1)
        with suppress(NotStored):
            await self.run.reject("page", origin, [Problem("", page.flaw or "")])

    async def call_failed(self, failure: Failure) -> AsyncIterator[Any]:
        """Take a call that brought no page: end its chain with the reason."""
        request: Request = failure.request  # type: ignore[attr-defined]
        run, call = self.run, read_page_ref(request.url)
        if call is None or call.note_id not in run.open_notes:
            return
        if isinstance(failure.value, CallNotSent):
            return
        stop, why = reason_to_give_up(failure.value)
        if stop is None:
            return
        note, opened = run.opened(call)
        if stop is StopReason.REFUSED and (again := opened.chain.restart()):
            self._log_restart(again, "is refused")
            yield self._request(run, again, UNSEEN)
            return
        opened.chain.end(stop)
        async for output in self._outputs(NoteCrawls(run).chain_ended(note, opened, why)):
            yield output

    def _prepare(self) -> CheckedInput:
        if self.prepared:
            return self.prepared
        try:
            return prepare(self.arguments, self.settings, os.environ)
        except WrongInput as wrong:
            self._refuse(wrong.errors)

    def _refuse(self, errors: list[str]) -> NoReturn:
        for error in errors:
            self.logger.error("%s", error)
        self.wrong = errors
        raise CloseSpider(CloseReason.WRONG_INPUT.value)

    def _request(self, run: Run, call: PageRef, priority: int) -> Request:
        # A repeated cursor is the chain's business, and the filter's memory grows with the work.
        return Request(
            page_url(run.base_url, run.version, call),
            callback=self.parse_page,
            errback=self.call_failed,
            dont_filter=True,
            priority=priority,
        )

    def _items(
        self, note: OpenNote, opened: OpenChain, page: Page, data: Any
    ) -> list[tuple[Any, Provenance]]:
        """The items of a page, each with where it came from."""
        chain, inline = opened.chain, note.replies != "none"
        origin, items = _origin(note, opened, data), []
        objects = list(
            parse_page(
                page,
                note_id=chain.note_id,
                replies=inline,
                scraped_at=origin.scraped_at or "",
                author_id=note.chain.author_id,
                parent_id=chain.call.comment_id,
            )
        )
        if missing := self._usual.missing(objects):
            self._warn_of_missing(chain, missing)
        for parsed in objects:
            parent = parsed.fields.get("parent_comment_id")
            note.comments_met += parsed.item_type == "comment"
            met = None
            if opened is note and note.counted and parsed.item_type == "comment" and not parent:
                there = len(inline_replies(parsed.raw)) if inline else 0
                met = Listing(chain.sort, note.progress.began, there)
            item = _ITEMS[parsed.item_type](item_type=parsed.item_type, **parsed.fields)
            items.append((item, replace(origin, raw=parsed.raw, parent_comment_id=parent, met=met)))
        return items

    @staticmethod
    def _checkpoint(
        run: Run, note: OpenNote, opened: OpenChain, following: PageRef
    ) -> Callable[[], None]:
        """What is to be written once a page is stored."""
        if isinstance(opened, OpenThread):
            return partial(run.passbook.settle_thread, note, opened, following.cursor)
        return partial(run.passbook.settle, note, note_fields(note.chain), note.checkpoint_here())

    def _log_restart(self, call: PageRef, why: str) -> None:
        self.logger.warning("%s begins anew: its cursor %s", named(call), why)

    def _warn_of_missing(self, chain: CommentPaginator, fields: Sequence[str]) -> None:
        self.logger.warning(
            "%s, page %d: null on every object that should have it: %s. The API may have changed "
            "the form of its answers; what it sent is kept in `extra`. A field is named once a run",
            named(chain.call),
            chain.pages,
            ", ".join(fields),
        )

    def _warn_undated(self, chain: CommentPaginator, comments: int) -> None:
        """Warn of the first page that ``since`` cannot judge; :meth:`closed` says how many came."""
        if not self._undated:
            self.logger.warning(
                "%s, page %d: %d comments have no time that can be read: since can neither leave "
                "them out nor end the note there, so they are kept, and pages after them paid for",
                named(chain.call),
                chain.pages,
                comments,
            )
        self._undated += comments

    def _log_order(self, note: OpenNote, page: Page) -> None:
        self.logger.warning(
            "%s comes in the order %s, which is not by time: it is read to its end, since neither "
            "since nor the watermark can end it before",
            named(note.chain.call),
            page.strategy or note.chain.sort,
        )


async def _nothing_to_do(ledger: Ledger | None) -> str:
    """Say why a crawl of the ledger has no note."""
    known = await ledger.count() if ledger else 0
    if known:
        return (
            f"Nothing is left to do: all {known} notes in the ledger have ended. mode=update reads "
            "what is new, mode=full with `notes` or `notes_file` reads them again"
        )
    return "The ledger has no notes: `scrapy enqueue` adds some"


def _origin(note: OpenNote, opened: OpenChain, data: Any) -> Provenance:
    """Where a page came from."""
    chain = opened.chain
    return Provenance(
        chain.note_id,
        chain.pages,
        data,
        chain.author_id or note.chain.author_id,
        scraped_at=opened.answered_at,
    )


def reason_to_give_up(error: BaseException | None) -> tuple[StopReason | None, str]:
    """Why a note ends at a failed call, and what was said; None where the whole crawl stops."""
    answer = envelope.read(error.response.body) if isinstance(error, HttpError) else None
    if answer is None:
        if isinstance(error, HttpError):
            return StopReason.RETRIES_EXHAUSTED, f"HTTP {error.response.status} with no envelope"
        return StopReason.RETRIES_EXHAUSTED, str(error)
    if answer.code in envelope.FATAL:
        return None, ""
    if answer.code in _RETRIED:
        return StopReason.RETRIES_EXHAUSTED, answer.told
    return StopReason.REFUSED if answer.code == 400 else StopReason.UNKNOWN_CODE, answer.told
