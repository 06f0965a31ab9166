"""The policy of Scrapy's HTTP cache: it keeps answers that were paid for, and nothing else."""

from __future__ import annotations

from scrapy import Request
from scrapy.extensions.httpcache import DummyPolicy
from scrapy.http import Response

from xhs.api.codes import SUCCESS
from xhs.api.page import is_empty
from xhs.download.handler import envelope_of


class PaidPolicy(DummyPolicy):
    """Caches pages only: a call that was refused or came back empty may return a page next time."""

    def should_cache_response(self, response: Response, request: Request) -> bool:
        answer = envelope_of(response)
        return answer is not None and answer.code == SUCCESS and not is_empty(answer.data)
