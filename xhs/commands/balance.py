"""``scrapy balance``: print the balance of the account."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime

from xhs.api import codes, envelope
from xhs.api.endpoints import balance_url
from xhs.checks import check_api_settings
from xhs.command import ProjectCommand
from xhs.download.fetch_once import NoAnswer, fetch_envelope
from xhs.download.token import NoToken, read_token
from xhs.logs.redaction import mask, spellings
from xhs.reasons import ExitStatus


class Command(ProjectCommand):
    """Prints the balance that the provider reports: an independent check of what was billed."""

    def short_desc(self) -> str:
        """Return the command's summary."""
        return "Show what is left on the account, with its currency"

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Request the balance, and print it as the provider writes it."""
        errors = check_api_settings(self.settings)
        try:
            token = read_token(os.environ)
        except NoToken as error:
            errors.append(str(error))
        if errors:
            for message in errors:
                self.fail(message)
            return
        url = balance_url(self.settings["JUSTONEAPI_BASE_URL"])
        try:
            answer = fetch_envelope(url, token, self.settings.getfloat("DOWNLOAD_TIMEOUT"))
        except NoAnswer as error:
            self.fail(str(error), ExitStatus.FAILED)
            return
        if answer.code != codes.SUCCESS:
            self.fail(mask(_refusal(answer), spellings(token.reveal())), ExitStatus.FAILED)
        elif amount := _amount(answer):
            self.print(amount)
        else:
            self.fail("the provider's answer has no balance", ExitStatus.FAILED)


def _refusal(answer: envelope.Envelope) -> str:
    if codes.close_reason(answer.code):
        return f"code {answer.code}: {codes.remedy(answer.code, datetime.now(UTC))}"
    return answer.summary


def _amount(answer: envelope.Envelope) -> str | None:
    """Return the balance as in ``123.4500 CNY``; None if the answer has no amount."""
    data = answer.data if isinstance(answer.data, dict) else {}
    balance, currency = data.get("balance"), data.get("currency")
    if not isinstance(balance, str | int | float) or isinstance(balance, bool) or balance == "":
        return None
    return f"{balance} {currency}" if currency else str(balance)
