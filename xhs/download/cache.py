"""What Scrapy's HTTP cache may keep: answers that were paid for, and nothing else."""

from __future__ import annotations

from scrapy import Request
from scrapy.extensions.httpcache import DummyPolicy
from scrapy.http import Response

from xhs.api.envelope import SUCCESS
from xhs.download.handler import CODE_HEADER


class PaidPolicy(DummyPolicy):
    """Keeps answers with code 0 alone: a refusal asked again may be answered."""

    def should_cache_response(self, response: Response, request: Request) -> bool:
        return response.headers.get(CODE_HEADER) == str(SUCCESS).encode()
