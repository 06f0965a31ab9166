"""Checks before a crawl's first call: arguments, settings, token and notes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from scrapy.settings import BaseSettings

from xhs.api.endpoints import VERSIONS, check_base_url
from xhs.crawl import arguments as spider_arguments
from xhs.crawl.arguments import Arguments, WrongArguments, missing_notes
from xhs.crawl.note_list import NoteList, WrongNotes, read_notes
from xhs.crawl.planning import CACHED_UPDATE
from xhs.crawl.price import Price, read_price
from xhs.download.token import TOKEN, TOKEN_FILE, NoToken, Token, read_token
from xhs.feeds.folders import folder_error
from xhs.feeds.presets import check_feeds, check_overwrites, check_s3, sends_to_s3
from xhs.logs.json_lines import FORMATS
from xhs.logs.redaction import is_on_command_line
from xhs.store.mongo.client import check_uri, has_password
from xhs.terminal import check_setting

_BEGUN = "xhs.begun"
"""Marker file in ``JOBDIR``: a crawl with this ``JOBDIR`` has begun."""

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
"""Type and minimum of Scrapy's settings that users of this project are likely to change."""

_MONITOR_THRESHOLDS: Numbers = {
    "SPIDERMON_MAX_REJECTED_SHARE": (float, 0),
    "SPIDERMON_MAX_NOTES_LEFT": (int, 0),
    "SPIDERMON_MAX_REFUSED_SHARE": (float, 0),
}
"""Type and minimum of the monitors' thresholds."""


class WrongInput(Exception):
    """Raised if a crawl cannot begin. ``errors`` has a sentence for everything that is wrong."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class CheckedInput:
    """The checked input of a crawl, read once. ``notes`` is None if they come from the ledger."""

    arguments: Arguments
    notes: NoteList | None
    token: Token
    price: Price | None = None


def check_input(
    given: Mapping[str, str] | Arguments, settings: BaseSettings, environment: Mapping[str, str]
) -> CheckedInput:
    """Check everything that a crawl needs, and read its notes and token.

    Raises:
        WrongInput: with everything that is wrong.
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
        errors += check_overwrites(*feeds_for)
    errors += check_s3(*feeds_for, dry_run=arguments.dry_run)
    if arguments.mode != "full" and not settings["MONGODB_URI"]:
        why = " (JOBDIR was used before, so the crawl resumes)" if resumes else ""
        errors.append(f"mode={arguments.mode} needs a store{why}: MONGODB_URI is empty")
    if arguments.mode == "update" and settings.getbool("HTTPCACHE_ENABLED"):
        errors.append(f"mode=update: {CACHED_UPDATE}")
    token, notes = None, None
    try:
        token = read_token(environment)
    except NoToken as error:
        errors.append(str(error))
    if missing := missing_notes(arguments):
        errors.append(missing)
    elif arguments.notes_file == "-" and isinstance(given, Mapping) and "_job" in given:
        errors.append(
            "notes_file=-: a Scrapyd job has no standard input; name a file, or put the notes into "
            "the ledger with `scrapy enqueue` and crawl with mode=resume"
        )
    elif arguments.has_notes:
        try:
            notes = read_notes(arguments)
        except WrongNotes as error:
            errors += error.messages
    if errors or token is None:
        raise WrongInput(errors)
    return CheckedInput(arguments, notes, token, read_price(settings["XHS_CALL_PRICE"]))


def has_begun(settings: BaseSettings) -> bool:
    """True if an earlier crawl has begun with this ``JOBDIR``, however it ended."""
    folder = settings["JOBDIR"]
    return bool(folder) and Path(folder, _BEGUN).exists()


def mark_begun(settings: BaseSettings) -> None:
    """Write the marker file, if ``JOBDIR`` is set. Scrapy's own files miss a killed crawl."""
    if folder := settings["JOBDIR"]:
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, _BEGUN).touch()


def check_settings(settings: BaseSettings) -> list[str]:
    """Return an error for each wrong setting of this project."""
    errors = check_api_settings(settings)
    version = settings["JUSTONEAPI_COMMENTS_VERSION"]
    if version not in VERSIONS:
        errors.append(f"JUSTONEAPI_COMMENTS_VERSION={version} is none of {', '.join(VERSIONS)}")
    calls = str(settings["XHS_MAX_CALLS"])
    if not (calls.isascii() and calls.isdigit()):
        errors.append(f"XHS_MAX_CALLS={calls} must be a whole number, 0 or more")
    try:
        read_price(settings["XHS_CALL_PRICE"])
    except ValueError as error:
        errors.append(str(error))
    if uri := settings["MONGODB_URI"]:
        errors += _check_store(uri, settings["MONGODB_DATABASE"])
    may_spill = uri or sends_to_s3(settings)
    if may_spill and (problem := check_spill(settings["XHS_SPILL_DIR"])):
        errors.append(problem)
    errors += check_feeds(settings)
    if problem := check_setting(settings):
        errors.append(problem)
    if (log_format := settings["XHS_LOG_FORMAT"]) not in FORMATS:
        errors.append(f"XHS_LOG_FORMAT={log_format} is none of {', '.join(FORMATS)}")
    if _flag(settings, "SPIDERMON_ENABLED", errors):
        errors += _check_numbers(settings, _MONITOR_THRESHOLDS)
        if find_spec("spidermon") is None:
            errors.append("SPIDERMON_ENABLED: Spidermon is not installed: pip install spidermon")
    if is_on_command_line(settings, "MONGODB_URI") and has_password(uri):
        errors.append(
            "MONGODB_URI with a password on the command line would be visible in process lists and "
            "job pages; set it in the environment"
        )
    return errors


def check_api_settings(settings: BaseSettings) -> list[str]:
    """Return an error for each wrong setting that every call of the API uses."""
    errors = [
        f"{name} is not a setting: the token would be visible in process lists and job pages; set "
        "it in the environment"
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
            errors.append(f"{name}={settings[name]} must be a number")
        else:
            if not in_bounds:
                errors.append(f"{name}={settings[name]} must be {least:g} or more")
    return errors


def _check_store(uri: str, database: str) -> list[str]:
    errors = []
    if error := check_uri(uri):
        errors.append(error)
    if not database:
        errors.append("MONGODB_DATABASE is empty: name the database")
    if set(database) & set(' ./\\$"\0'):
        errors.append('MONGODB_DATABASE must not contain spaces or any of ./\\$"')
    return errors


def check_spill(folder: str) -> str | None:
    """Return why the spill cannot be written to a folder; None if it can."""
    if not folder:
        return "XHS_SPILL_DIR is empty: name a folder for writes that the database does not take"
    why = folder_error(Path(folder))
    return f"XHS_SPILL_DIR={folder}: {why}" if why else None


def _flag(settings: BaseSettings, name: str, errors: list[str]) -> bool:
    try:
        return settings.getbool(name)
    except ValueError:
        errors.append(f"{name}={settings.get(name)} must be 1 or 0")
        return False
