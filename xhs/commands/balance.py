"""``scrapy balance``: what the provider says is left."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime

from xhs.api import codes, envelope
from xhs.api.endpoints import balance_url
from xhs.checks import check_api_settings
from xhs.command import ProjectCommand
from xhs.download.fetch_once import NoAnswer, ask
from xhs.download.token import NoToken, read_token
from xhs.logs.redaction import masked, spellings
from xhs.reasons import ExitStatus


class Command(ProjectCommand):
    """Asks the provider: the independent check of what a crawl was billed."""

    def short_desc(self) -> str:
        """What it does."""
        return "Show what is left on the account, with its currency"

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Ask, and print the amount as the provider writes it."""
        errors = check_api_settings(self.settings)
        try:
            token = read_token(os.environ)
        except NoToken as error:
            errors.append(str(error))
        if errors:
            for error_line in errors:
                self.fail(error_line)
            return
        url = balance_url(self.settings["JUSTONEAPI_BASE_URL"])
        try:
            answer = ask(url, token, self.settings.getfloat("DOWNLOAD_TIMEOUT"))
        except NoAnswer as error:
            self.fail(str(error), ExitStatus.FAILED)
            return
        if answer.code != codes.SUCCESS:
            self.fail(masked(_refusal(answer), spellings(token.reveal())), ExitStatus.FAILED)
        elif amount := _amount(answer):
            self.print(amount)
        else:
            self.fail("the provider's answer has no balance in it", ExitStatus.FAILED)


def _refusal(answer: envelope.Envelope) -> str:
    if codes.close_reason(answer.code):
        return f"code {answer.code}: {codes.remedy(answer.code, datetime.now(UTC))}"
    return answer.summary


def _amount(answer: envelope.Envelope) -> str | None:
    """``123.4500 CNY``, or None where the answer has no amount."""
    data = answer.data if isinstance(answer.data, dict) else {}
    balance, currency = data.get("balance"), data.get("currency")
    if not isinstance(balance, str | int | float) or isinstance(balance, bool) or balance == "":
        return None
    return f"{balance} {currency}" if currency else str(balance)
