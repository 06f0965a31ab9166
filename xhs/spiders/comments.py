"""The spider: for each note a chain of pages, for each page its comments and users."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from scrapy import Request, Spider
from scrapy.exceptions import CloseSpider
from scrapy.http import Response
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from xhs import arguments as spider_arguments
from xhs.api import envelope
from xhs.api.endpoints import Call, comments_url, read_call
from xhs.api.page import read_page
from xhs.api.parsing import Parsed, parse_page
from xhs.api.values import iso
from xhs.chain import Chain
from xhs.download.handler import CallNotSent, received_at
from xhs.endings import ADVICE, CloseReason, StopReason
from xhs.extensions.run import NotStored, OpenNote, Run
from xhs.items import CommentItem, NoteItem, UserItem
from xhs.notes.order import UNSEEN
from xhs.notes.plan import Skip, plan
from xhs.notes.sources import NoteList, count, wanted
from xhs.preparation import Prepared, WrongInput, prepare, remember_begun
from xhs.store.documents import Origin, Problem
from xhs.store.ledger import held_fields, settle_page
from xhs.store.patience import StoreFailed

_ITEMS = {"comment": CommentItem, "user": UserItem}
_PATIENCE = 60
_RETRIED = frozenset({301, 302, 500})


class CommentsSpider(Spider):
    """Every comment of the notes that it is given. The README documents its arguments.

    Raises:
        WrongArguments: a ``ValueError``, where the arguments cannot work.
    """

    name = "comments"

    def __init__(self, prepared: Prepared | None = None, **given: str) -> None:
        super().__init__()
        self.prepared = prepared
        self.arguments = prepared.arguments if prepared else spider_arguments.parse(given)

    @property
    def run(self) -> Run:
        """What this crawl's parts share."""
        return Run.of(self.crawler)

    async def start(self) -> AsyncIterator[Request]:
        """Begin the notes, each when there is room for it."""
        run = self.run
        prepared = self._prepare()
        self.arguments = prepared.arguments
        run.token = prepared.token
        if (timeout := self.settings.getfloat("DOWNLOAD_TIMEOUT")) < _PATIENCE:
            self.logger.warning(
                "DOWNLOAD_TIMEOUT=%g: answers that take longer are billed all the same; the "
                "provider asks for %d seconds at least",
                timeout,
                _PATIENCE,
            )
        remember_begun(self.settings)
        try:
            async for request in self._first_requests(run, prepared.notes):
                yield request
        except StoreFailed as error:
            run.fail_store(error)

    async def _first_requests(self, run: Run, notes: NoteList | None) -> AsyncIterator[Request]:
        """The first request of each note, when there is room for it."""
        ledger = run.store.ledger if run.store else None
        run.notes_waiting = await count(notes, ledger)
        async for note_id, known in wanted(notes, self.arguments.mode, ledger):
            first = plan(note_id, known, self.arguments, run.version)
            if isinstance(first, Skip):
                run.notes_waiting -= 1
                run.count(f"xhs/notes/skipped/{first.reason}")
                continue
            await run.room()
            run.notes_waiting -= 1
            run.count("xhs/notes/begun")
            run.begin(first)
            yield self._request(run, first.call, UNSEEN)

    async def parse_page(self, response: Response) -> AsyncIterator[Any]:
        """Take a page: ask for the next one, yield its items, and the note's end at the last."""
        run = self.run
        call = read_call(response.url)
        answer = envelope.read(response.body)
        if call is None or answer is None or answer.code != envelope.SUCCESS:
            raise ValueError(f"{response.url} is no page of comments")
        data = run.protect(answer.data)
        page = read_page(data)
        note = run.open_notes.get(call.note_id)
        if note is None:  # the page was asked for on its own, as by ``scrapy parse``
            note = run.open_notes[call.note_id] = OpenNote(Chain(call), counted=False)
        step = note.chain.step(page)
        if step.next and step.next.cursor is None:
            self._log_restart(call.note_id, "leads to an empty page")
        note.answered_at = received_at(response)
        origin = Origin(
            call.note_id, note.chain.pages, data, page.author_id, scraped_at=note.answered_at
        )
        items = [
            (_ITEMS[parsed.item_type](item_type=parsed.item_type, **parsed.fields), parsed)
            for parsed in parse_page(
                page,
                note_id=call.note_id,
                replies=self.arguments.replies == "inline",
                scraped_at=note.answered_at,
            )
        ]
        if note.settled is not None and not await note.settled:
            note.lost = True
        checkpoint = None
        if step.next and note.counted and not note.lost:
            calls = run.gate.take_billed(call.note_id)
            write = settle_page(note.chain, step.next, run.version, calls)
            checkpoint = partial(run.checkpoint, note, write)
        settled = run.pages.open(
            response, [(item, _origin(origin, parsed)) for item, parsed in items], checkpoint
        )
        note.settled = settled if note.counted else None
        if page.flaw:
            with suppress(NotStored):
                await run.reject("page", origin, [Problem("", page.flaw)])
        if step.next and not note.lost:
            yield self._request(run, step.next, run.priority(note.chain))
        for item, _ in items:
            yield item
        run.pages.all_yielded(response)
        if step.stop:
            async for item in self._end(run, note):
                yield item
        elif await settled:
            await run.checkpoint_written(note)  # until then the page counts as not settled

    async def call_failed(self, failure: Failure) -> AsyncIterator[Any]:
        """Take a call that brought no page: end its note with the reason."""
        request: Request = failure.request  # type: ignore[attr-defined]
        call = read_call(request.url)
        note = self.run.open_notes.get(call.note_id) if call else None
        if note is None or isinstance(failure.value, CallNotSent):
            return
        stop, why = _reason_to_give_up(failure.value)
        if stop is None:
            return
        if stop is StopReason.REFUSED and (again := note.chain.restart()):
            self._log_restart(again.note_id, "is refused")
            yield self._request(self.run, again, UNSEEN)
            return
        note.chain.end(stop)
        async for item in self._end(self.run, note, why):
            yield item

    def _prepare(self) -> Prepared:
        if self.prepared:
            return self.prepared
        try:
            return prepare(self.arguments, self.settings, os.environ)
        except WrongInput as wrong:
            for error in wrong.errors:
                self.logger.error("%s", error)
            raise CloseSpider(CloseReason.WRONG_INPUT) from None

    def _request(self, run: Run, call: Call, priority: int) -> Request:
        # A repeated cursor is the chain's business, and the filter's memory grows with the work.
        return Request(
            comments_url(run.base_url, run.version, call),
            callback=self.parse_page,
            errback=self.call_failed,
            dont_filter=True,
            priority=priority,
        )

    async def _end(self, run: Run, note: OpenNote, why: str = "") -> AsyncIterator[NoteItem]:
        """The end of a note whose chain has stopped, once its last page is settled; none where
        that page is lost, or what is held of the note cannot be known. ``why`` is what a call that
        failed said.
        """
        chain, stop = note.chain, note.chain.stop
        if stop is None or note.lost or (note.settled is not None and not await note.settled):
            return
        held = await run.held(note)
        reported = chain.comment_count_l1
        if not stop.satisfied:
            self._log_end(chain, stop, why)
        item = NoteItem(
            item_type="note",
            note_id=chain.note_id,
            user_id=chain.author_id,
            comment_count=chain.comment_count,
            comment_count_l1=reported,
            **(held_fields(held, reported) if held else {}),
            sort=chain.sort,
            pages=chain.pages,
            complete=stop is StopReason.COMPLETE,
            stop_reason=stop.value,
            scraped_at=note.answered_at or iso(datetime.now(UTC)),
        )
        if (not note.counted or await run.end_note(item)) and held:
            yield item

    def _log_restart(self, note_id: str, why: str) -> None:
        self.logger.warning("Note %s begins anew: its checkpoint %s", note_id, why)

    def _log_end(self, chain: Chain, stop: StopReason, failure: str) -> None:
        page, level = chain.pages, logging.WARNING
        if failure:
            page, level = page + 1, logging.ERROR
        why = failure or ADVICE.get(stop)
        told = f": {why}" if why else ""
        self.logger.log(level, "Note %s ended at page %d: %s%s", chain.note_id, page, stop, told)


def _origin(page: Origin, parsed: Parsed) -> Origin:
    """Where an item of a page came from."""
    parent = parsed.fields.get("parent_comment_id")
    return replace(page, raw=parsed.raw, parent_comment_id=parent)


def _reason_to_give_up(error: BaseException | None) -> tuple[StopReason | None, str]:
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
