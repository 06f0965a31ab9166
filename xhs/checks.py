"""What a crawl needs before its first call: arguments, settings, token and notes, all checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scrapy.settings import BaseSettings

from xhs.api.endpoints import VERSIONS, check_base_url
from xhs.crawl import arguments as spider_arguments
from xhs.crawl.arguments import Arguments, WrongArguments, missing_notes
from xhs.crawl.note_list import NoteList, WrongNotes, read_notes
from xhs.crawl.planning import STALE
from xhs.crawl.price import Price, read_price
from xhs.download.token import TOKEN, TOKEN_FILE, NoToken, Token, read_token
from xhs.feeds.folders import unwritable
from xhs.feeds.presets import check_feeds, check_s3, check_written, sends_to_s3
from xhs.logs.json_lines import FORMATS
from xhs.logs.redaction import is_on_command_line
from xhs.store.mongo.client import check_uri, has_password

_BEGUN = "xhs.begun"
"""The file in ``JOBDIR`` that says that a crawl has begun."""

Numbers = Mapping[str, tuple[type[int] | type[float], float]]

_NUMBERS: Numbers = {
    "CONCURRENT_REQUESTS": (int, 1),
    "CONCURRENT_ITEMS": (int, 1),
    "RETRY_TIMES": (int, 0),
    "DOWNLOAD_DELAY": (float, 0),
    "DOWNLOAD_TIMEOUT": (float, 0.001),
    "AUTOTHROTTLE_MAX_DELAY": (float, 0),
    "FEED_EXPORT_BATCH_ITEM_COUNT": (int, 0),
}
"""Scrapy's settings that a user of this project is likely to change: type, and least value."""

_LIMITS: Numbers = {
    "SPIDERMON_MAX_REJECTED_SHARE": (float, 0),
    "SPIDERMON_MAX_NOTES_LEFT": (int, 0),
    "SPIDERMON_MAX_REFUSED_SHARE": (float, 0),
}
"""What the monitors bear."""


class WrongInput(Exception):
    """A crawl that cannot begin; ``errors`` has one sentence for everything that is wrong."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class CheckedInput:
    """What a crawl begins with, read once. ``notes`` is None where the ledger names them."""

    arguments: Arguments
    notes: NoteList | None
    token: Token
    price: Price | None = None


def check_input(
    given: Mapping[str, str] | Arguments, settings: BaseSettings, environment: Mapping[str, str]
) -> CheckedInput:
    """Check everything that a crawl needs, and read its notes and token.

    Raises:
        WrongInput: with all that is wrong at once.
    """
    errors: list[str] = []
    try:
        arguments = given if isinstance(given, Arguments) else spider_arguments.parse(given)
    except WrongArguments as error:
        errors += error.errors
        arguments = error.valid
    resumes = has_begun(settings)
    if resumes:
        arguments = replace(arguments, mode="resume", given={**arguments.given, "mode": "resume"})
    errors += check_settings(settings)
    feeds_for = (settings, arguments.mode, arguments.given.get("_job"))
    if not arguments.dry_run:
        errors += check_written(*feeds_for)
    errors += check_s3(*feeds_for, dry_run=arguments.dry_run)
    if arguments.mode != "full" and not settings["MONGODB_URI"]:
        why = " (JOBDIR was used before, so the crawl goes on)" if resumes else ""
        errors.append(f"mode={arguments.mode} needs a store{why}: MONGODB_URI is empty")
    if arguments.mode == "update" and settings.getbool("HTTPCACHE_ENABLED"):
        errors.append(f"mode=update: {STALE}")
    token, notes = None, None
    try:
        token = read_token(environment)
    except NoToken as error:
        errors.append(str(error))
    if missing := missing_notes(arguments):
        errors.append(missing)
    elif arguments.notes_file == "-" and isinstance(given, Mapping) and "_job" in given:
        errors.append(
            "notes_file=-: a job of Scrapyd's has no standard input; name a file, or put the notes "
            "into the ledger with `scrapy enqueue` and crawl with mode=resume"
        )
    elif arguments.names_notes:
        try:
            notes = read_notes(arguments)
        except WrongNotes as error:
            errors += error.messages
    if errors or token is None:
        raise WrongInput(errors)
    return CheckedInput(arguments, notes, token, read_price(_text(settings, "XHS_CALL_PRICE")))


def has_begun(settings: BaseSettings) -> bool:
    """True if a crawl with this ``JOBDIR`` has begun before, however it ended."""
    folder = settings["JOBDIR"]
    return bool(folder) and Path(folder, _BEGUN).exists()


def remember_begun(settings: BaseSettings) -> None:
    """Leave a mark in ``JOBDIR``, where there is one. Scrapy's own files miss a crawl that is
    killed.
    """
    if folder := settings["JOBDIR"]:
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, _BEGUN).touch()


def check_settings(settings: BaseSettings) -> list[str]:
    """What is wrong with the settings of this project, one sentence each."""
    errors = check_api_settings(settings)
    version = settings["JUSTONEAPI_COMMENTS_VERSION"]
    if version not in VERSIONS:
        errors.append(f"JUSTONEAPI_COMMENTS_VERSION={version} is none of {', '.join(VERSIONS)}")
    calls = str(settings["XHS_MAX_CALLS"])
    if not (calls.isascii() and calls.isdigit()):
        errors.append(f"XHS_MAX_CALLS={calls} is no number of calls: 0 or more is needed")
    price = _text(settings, "XHS_CALL_PRICE")
    try:
        read_price(price)
    except ValueError as wrong:
        errors.append(f"XHS_CALL_PRICE={price}: {wrong}")
    if uri := settings["MONGODB_URI"]:
        errors += _check_store(uri, settings["MONGODB_DATABASE"])
    spills = uri or sends_to_s3(settings)
    if spills and (error := check_spill(settings["XHS_SPILL_DIR"])):
        errors.append(error)
    errors += check_feeds(settings)
    if (log_format := settings["XHS_LOG_FORMAT"]) not in FORMATS:
        errors.append(f"XHS_LOG_FORMAT={log_format} is none of {', '.join(FORMATS)}")
    if _flag(settings, "SPIDERMON_ENABLED", errors):
        errors += _check_numbers(settings, _LIMITS)
        if find_spec("spidermon") is None:
            errors.append("SPIDERMON_ENABLED: Spidermon is not installed: pip install spidermon")
    if is_on_command_line(settings, "MONGODB_URI") and has_password(uri):
        errors.append(
            "MONGODB_URI with a password on the command line stands in process lists and job "
            "pages; set it in the environment"
        )
    return errors


def check_api_settings(settings: BaseSettings) -> list[str]:
    """What is wrong with the settings that any call of the API goes by, one sentence each."""
    errors = [
        f"{name} is not a setting: a token there stands in process lists and job pages; set it in "
        "the environment"
        for name in (TOKEN, TOKEN_FILE)
        if settings.get(name) is not None
    ]
    allow_http = _flag(settings, "JUSTONEAPI_ALLOW_HTTP", errors)
    if error := check_base_url(settings["JUSTONEAPI_BASE_URL"], allow_http=allow_http):
        errors.append(error)
    return errors + _check_numbers(settings, _NUMBERS)


def _check_numbers(settings: BaseSettings, numbers: Numbers) -> list[str]:
    errors = []
    for name, (number, least) in numbers.items():
        try:
            in_bounds = least <= number(settings[name]) < math.inf
        except (ValueError, TypeError, OverflowError):
            errors.append(f"{name}={settings[name]}: a number is needed")
        else:
            if not in_bounds:
                errors.append(f"{name}={settings[name]}: {least:g} or more is needed")
    return errors


def _check_store(uri: str, database: str) -> list[str]:
    errors = []
    if error := check_uri(uri):
        errors.append(error)
    if not database:
        errors.append("MONGODB_DATABASE is empty: name the database")
    if set(database) & set(' ./\\$"\0'):
        errors.append('MONGODB_DATABASE: a name without spaces and ./\\$" is needed')
    return errors


def check_spill(folder: str) -> str | None:
    """Why what is paid for could not be kept there, or None where it could."""
    if not folder:
        return "XHS_SPILL_DIR is empty: name a folder for what the store would not take"
    why = unwritable(Path(folder))
    return f"XHS_SPILL_DIR={folder}: {why}" if why else None


def _text(settings: BaseSettings, name: str) -> str:
    value = settings.get(name)
    return "" if value is None else str(value)


def _flag(settings: BaseSettings, name: str, errors: list[str]) -> bool:
    value: Any = settings.get(name)
    try:
        return settings.getbool(name)
    except ValueError:
        errors.append(f"{name}={value} is neither 1 nor 0")
        return False
