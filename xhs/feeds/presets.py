"""Feed presets, and checks of all feeds before the first call.

``XHS_FEEDS`` becomes entries of Scrapy's ``FEEDS``, one file an item type.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

from scrapy.extensions.feedexport import apply_uri_params
from scrapy.settings import BaseSettings
from scrapy.utils.conf import feed_process_params_from_cli
from w3lib.url import file_uri_to_path

from xhs.feeds.folders import folder_error
from xhs.feeds.readable import FEED_COLUMNS
from xhs.feeds.s3 import S3, S3Refused
from xhs.items import ITEM_TYPES
from xhs.logs.redaction import MASK, is_on_command_line

Feed = dict[str, Any]

_FORMATS: dict[str, Feed] = {
    "jsonl": {"format": "jsonlines", "encoding": "utf-8"},
    # Without a byte order mark, Excel reads a CSV file in the local encoding.
    "csv": {
        "format": "csv",
        "encoding": "utf-8-sig",
        "item_export_kwargs": {"spreadsheet": True, "readable": True},
    },
    "csv-full": {
        "format": "csv",
        "encoding": "utf-8-sig",
        "item_export_kwargs": {"spreadsheet": True},
    },
}
AWS_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Settings of Scrapy that no log may show."""

_EXPOSED = (
    "a password in it is visible in logs and process lists: put the feed into FEEDS of your "
    "settings, and for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
)
_PLACES = "name a folder, or an address such as s3://bucket/folder"
_WOULD_OVERWRITE = "mode={mode} would overwrite what an earlier crawl wrote to it"
_PLACEHOLDER = re.compile(r"%\([^)]*\)[-+ #0]*\d*[a-z]", re.IGNORECASE)
_SPIDER = "comments"
_STAMP = "%(time)s"
_STAMPED = re.compile(r"%\((batch_)?time\)|T\d\d-\d\d-\d\d-\d{6}Z")
"""A time in an address: a placeholder, or the time itself as in a preset's address."""
_OVERWRITTEN = ("ftp", "ftps", "gs")
"""Schemes of feeds that Scrapy overwrites by default, and whose files cannot be looked up."""

_GZIPPED: Feed = {"postprocessing": ["xhs.feeds.exporters.ReadableGzip"]}

PRESETS: dict[str, Feed] = {
    **_FORMATS,
    **{f"{name}.gz": {**feed, **_GZIPPED} for name, feed in _FORMATS.items()},
}
"""The presets of ``XHS_FEEDS``, by name."""


def preset_names(settings: BaseSettings) -> list[str]:
    """Return the presets that ``XHS_FEEDS`` names, known or not."""
    return " ".join(settings.getlist("XHS_FEEDS")).split()


def preset_base(settings: BaseSettings) -> str:
    """Return the destination of the presets: a folder, ``~`` expanded, or an address."""
    return os.path.expanduser(settings["XHS_FEEDS_URI"] or "")  # noqa: PTH111 (may be an address)


def preset_feeds(presets: list[str], base: str, start: datetime, batched: bool) -> dict[str, Feed]:
    """Return entries of ``FEEDS``, with addresses under ``base``, a folder or an address.

    Names contain the start time: no crawl writes into the file of another, and the files of one
    crawl have the same time. With ``batched``, the number of the batch follows.
    """
    stamp = start.strftime("%Y-%m-%dT%H-%M-%S-%fZ") + ("-%(batch_id)05d" if batched else "")
    feeds = {}
    for preset in presets:
        form, full, packed = preset.partition("-full")
        feed = PRESETS[preset]
        is_readable = feed.get("item_export_kwargs", {}).get("readable")
        for item_type in ITEM_TYPES.values():
            columns = [column.name for column in FEED_COLUMNS[item_type.name]]
            uri = f"{base.rstrip('/')}/{item_type.plural}{full}-{stamp}.{form}{packed}"
            feeds[uri] = {
                **feed,
                "item_classes": [item_type.item_class],
                "fields": columns if is_readable else item_type.fields,
            }
    return feeds


def check_feeds(settings: BaseSettings) -> Iterator[str]:
    """Yield an error for each setting of the feeds that cannot work."""
    presets = preset_names(settings)
    if unknown := [name for name in presets if name not in PRESETS]:
        yield f"XHS_FEEDS={','.join(unknown)}: no such preset; there are {', '.join(PRESETS)}"
    base = preset_base(settings)
    if presets and not base:
        yield f"XHS_FEEDS_URI is empty: {_PLACES}"
    elif presets and (error := _address_error(base) or _base_error(base)):
        yield f"XHS_FEEDS_URI={_without_password(base)}: {error}"
    is_visible = is_on_command_line(settings, "FEEDS")
    for uri in map(str, settings.getdict("FEEDS")):
        if error := (
            _address_error(uri) or (is_visible and _password_error(uri)) or _file_error(uri)
        ):
            yield f"the feed {_without_password(uri)}: {error}"
    for name in AWS_SECRETS:
        if settings.get(name) and is_on_command_line(settings, name):
            yield f"{name} given with -s is visible in process lists: set it in the environment"


def check_overwrites(settings: BaseSettings, mode: str, job: str | None) -> Iterator[str]:
    """Yield an error for each feed of an earlier crawl that this crawl would destroy.

    These are feeds that ``resume`` and ``update`` continue but would overwrite, and files of one
    JSON or XML document, which cannot be appended to.

    Args:
        settings: the settings of the crawl.
        mode: the mode of the crawl.
        job: its ID under Scrapyd: an address that contains it is new each time.
    """
    for uri, feed in _named_feeds(settings):
        if _address_error(uri):
            continue
        overwrites = _WOULD_OVERWRITE.format(mode=mode)
        error = None
        if _is_written(uri):
            kind = _one_document(uri, feed)
            new = f"write to a new file, -o {_output(_unused(uri), feed)}"
            if feed.get("overwrite") and mode != "full":
                same = f"append to it with -o {_output(uri, feed)}"
                error = f"{overwrites}: {new}" if kind else f"{overwrites}: {same}, or {new}"
            elif kind and not feed.get("overwrite"):
                error = f"it exists, and {kind} cannot be appended to: {new}"
        elif mode != "full" and feed.get("overwrite", True) and _is_fixed(uri, _OVERWRITTEN, job):
            error = f"{overwrites}: {_use_stamped(uri)}"
        if error:
            yield f"the feed {_without_password(uri)}: {error}"


def check_s3(settings: BaseSettings, mode: str, job: str | None, *, dry_run: bool) -> Iterator[str]:
    """Yield an error for each folder that S3 refuses, and each object that would be overwritten.

    Objects are checked as in :func:`check_overwrites`. A dry run looks for the bucket only, and
    writes nothing.
    """
    s3, checked = None, set()
    for label, uri in _feeds_in_s3(settings):
        first = urlsplit(_first_uri(uri) or _PLACEHOLDER.sub("_", uri))
        bucket, key = first.hostname or "", first.path.removeprefix("/")
        folder = key.rpartition("/")[0]
        try:
            s3 = s3 or S3(settings)
            if (bucket, folder) not in checked:
                checked.add((bucket, folder))
                if dry_run:
                    s3.find_bucket(bucket)
                else:
                    s3.try_writing(bucket, folder)
            continues = mode != "full" and not dry_run and _is_fixed(uri, ("s3",), job)
            if continues and not s3.is_free(bucket, key):
                yield f"{label}: {_WOULD_OVERWRITE.format(mode=mode)}: {_use_stamped(uri)}"
        except S3Refused as error:
            yield f"{label}: {_without_password(str(error))}"
            if s3 is None:
                return


def continuation_options(
    settings: BaseSettings, outputs: Sequence[str], *, append: bool
) -> Iterator[str]:
    """Yield the options with which a next crawl continues the files of ``-o`` and ``-O``.

    Args:
        settings: the settings of this crawl.
        outputs: the values of ``-o`` and ``-O``.
        append: True to append to files that allow it; all others get a new name.
    """
    for output in outputs:
        uri, feed = next(iter(feed_process_params_from_cli(settings, [output]).items()))
        next_output = output
        if _is_fixed(uri, ("s3", *_OVERWRITTEN)):
            next_output = output.replace(uri, _stamped(uri), 1)
        elif _is_written(uri) and (not append or _one_document(uri, feed)):
            next_output = output.replace(uri, _unused(uri), 1)
        yield f"-o {shlex.quote(next_output)}"


def preset_settings(settings: BaseSettings) -> dict[str, str]:
    """Return the settings that select presets; empty if none is selected."""
    presets = preset_names(settings)
    if not presets:
        return {}
    return {"XHS_FEEDS": ",".join(presets), "XHS_FEEDS_URI": settings["XHS_FEEDS_URI"]}


def sends_to_s3(settings: BaseSettings) -> bool:
    """True if a feed goes to S3, so that it is collected in the spill folder first."""
    bases = [preset_base(settings)] if preset_names(settings) else []
    return any(str(uri).startswith("s3:") for uri in (*settings.getdict("FEEDS"), *bases))


def _address_error(uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        return f"not a valid address ({error})"
    if parts.scheme != "s3":
        return None
    # A secret key may contain slashes, so urlsplit might not see it as a password.
    if ":" in parts.netloc or "@" in parts.netloc:
        return _EXPOSED
    if not parts.hostname:
        return "an address in S3 must begin with s3:// and the bucket"
    if parts.query or parts.fragment or uri[-1] in "?#":
        return "an address in S3 cannot contain ? or #"
    return None


def _password_error(uri: str) -> str | None:
    return _EXPOSED if urlsplit(uri).password else None


def _without_password(uri: str) -> str:
    """Return an address with user name and password masked."""
    return re.sub(r"(?<=://)[^@/]*:.*@", f"{MASK}@", uri)


def _feeds_in_s3(settings: BaseSettings) -> Iterator[tuple[str, str]]:
    """Yield the label and the address of each feed in S3."""
    base = preset_base(settings)
    if preset_names(settings) and base.startswith("s3:") and not _address_error(base):
        yield f"XHS_FEEDS_URI={base}", f"{base.rstrip('/')}/{_STAMP}"
    for uri, _ in _named_feeds(settings):
        if uri.startswith("s3:") and not _address_error(uri):
            yield f"the feed {uri}", uri


def _named_feeds(settings: BaseSettings) -> Iterator[tuple[str, Feed]]:
    for uri, feed in settings.getdict("FEEDS").items():
        yield str(uri), dict(feed or {})


def _first_uri(uri: str) -> str | None:
    """Return the address of a feed's first file; None if it depends on the running crawl."""
    now = datetime.now(UTC).isoformat()
    params = {"name": _SPIDER, "batch_id": 1, "time": now, "batch_time": now}
    try:
        return apply_uri_params(uri, params)
    except (KeyError, TypeError, ValueError):
        return None


def _first_file(uri: str) -> Path | None:
    return _local(first) if (first := _first_uri(uri)) else None


def _is_written(uri: str) -> bool:
    """True if the first file of a feed exists and is not empty."""
    path = _first_file(uri)
    return path is not None and path.is_file() and path.stat().st_size > 0


def _is_fixed(uri: str, schemes: Sequence[str], job: str | None = None) -> bool:
    """True if a feed has one of these schemes, and the same address in every crawl."""
    is_unique = _STAMPED.search(uri) or (job and job in uri)
    return urlsplit(uri).scheme in schemes and not is_unique


def _one_document(uri: str, feed: Feed) -> str | None:
    """Return the kind of a feed's file if it cannot be appended to; else None."""
    kind = _format(uri, feed)
    if kind == "csv" and feed.get("postprocessing"):
        return "compressed CSV"  # its header would be repeated
    return {"json": "JSON", "xml": "XML"}.get(kind)


def _format(uri: str, feed: Feed) -> str:
    return feed.get("format") or Path(uri).suffix.removeprefix(".")


def _output(uri: str, feed: Feed) -> str:
    """Return a feed as a value of ``-o``."""
    kind = _format(uri, feed)
    return shlex.quote(uri if Path(uri).suffix == f".{kind}" else f"{uri}:{kind}")


def _unused(uri: str) -> str:
    """Return the next numbered name that no file has: ``a.json``, ``a-2.json``, ``a-3.json``."""
    suffix = Path(uri).suffix
    stem = uri.removesuffix(suffix)
    base, _, number = stem.rpartition("-")
    if number.isdecimal() and _is_written(base + suffix):
        stem = base
    names = (f"{stem}-{number}{suffix}" for number in count(2))
    return next(name for name in names if not ((path := _first_file(name)) and path.exists()))


def _use_stamped(uri: str) -> str:
    return f"put {_STAMP} in its name, -o {shlex.quote(_stamped(_without_password(uri)))}"


def _stamped(uri: str) -> str:
    suffix = Path(uri).suffix
    return f"{uri.removesuffix(suffix)}-{_STAMP}{suffix}"


def _base_error(uri: str) -> str | None:
    if folder := _local(uri):
        return folder_error(folder)
    return None if urlsplit(uri).scheme == "s3" else _PLACES


def _local(uri: str) -> Path | None:
    """Return the path of a local address, with placeholders replaced; None if it is not local."""
    path = _PLACEHOLDER.sub("_", uri)
    if PureWindowsPath(uri).drive or not (scheme := urlsplit(uri).scheme):
        return Path(path)
    return Path(file_uri_to_path(path)) if scheme == "file" else None


def _file_error(uri: str) -> str | None:
    path = _local(uri)
    if path is None:
        return None
    if path.is_dir():
        return f"{path.absolute()} is a folder"
    if path.exists():
        return None if os.access(path, os.W_OK) else f"{path.absolute()} cannot be written"
    return folder_error(path.parent)
