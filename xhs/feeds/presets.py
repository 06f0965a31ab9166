"""Feeds by name: ``XHS_FEEDS`` becomes entries of Scrapy's ``FEEDS``, one file an item type."""

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

from xhs.feeds.folders import unwritable
from xhs.feeds.s3 import S3, S3Refused
from xhs.items import ITEM_TYPES
from xhs.logs.redaction import MASK, is_on_command_line

Feed = dict[str, Any]

_FORMATS: dict[str, Feed] = {
    "jsonl": {"format": "jsonlines", "encoding": "utf-8"},
    # Excel takes a CSV file without this mark for one of the local encoding.
    "csv": {
        "format": "csv",
        "encoding": "utf-8-sig",
        "item_export_kwargs": {"spreadsheet": True},
    },
}
AWS_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Settings of Scrapy's that no log is to show."""

_EXPOSED = (
    "a password there stands in logs and process lists: name the feed in FEEDS of your settings, "
    "and for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
)
_PLACES = "name a folder, or an address such as s3://bucket/folder"
_PLACEHOLDER = re.compile(r"%\([^)]*\)[-+ #0]*\d*[a-z]", re.IGNORECASE)
_SPIDER = "comments"
_STAMP = "%(time)s"
_STAMPED = re.compile(r"%\((batch_)?time\)|T\d\d-\d\d-\d\d-\d{6}Z")
"""A time in an address: to be filled in, or there already as in a preset's."""
_OVERWRITTEN = ("ftp", "ftps", "gs")
"""Where Scrapy overwrites a feed unless told otherwise, and no look tells what is there."""

_GZIPPED: Feed = {"postprocessing": ["xhs.feeds.exporters.ReadableGzip"]}

PRESETS: dict[str, Feed] = {
    **_FORMATS,
    **{f"{name}.gz": {**feed, **_GZIPPED} for name, feed in _FORMATS.items()},
}
"""The feeds that ``XHS_FEEDS`` knows, by the ending of their files."""


def preset_names(settings: BaseSettings) -> list[str]:
    """The presets that ``XHS_FEEDS`` names, known or not."""
    return " ".join(settings.getlist("XHS_FEEDS")).split()


def preset_base(settings: BaseSettings) -> str:
    """Where they go: a folder, ``~`` made whole, or an address."""
    return os.path.expanduser(settings["XHS_FEEDS_URI"] or "")  # noqa: PTH111 (may be an address)


def preset_feeds(presets: list[str], base: str, began: datetime, batched: bool) -> dict[str, Feed]:
    """Entries of ``FEEDS``, by their addresses under ``base``, a folder or an address.

    The time is in the names: no crawl writes into the file of another, and those of one crawl sort
    together. With ``batched`` a number follows.
    """
    stamp = began.strftime("%Y-%m-%dT%H-%M-%S-%fZ") + ("-%(batch_id)05d" if batched else "")
    return {
        f"{base.rstrip('/')}/{one.plural}-{stamp}.{preset}": {
            **PRESETS[preset],
            "item_classes": [one.item_class],
            "fields": one.fields,
        }
        for preset in presets
        for one in ITEM_TYPES.values()
    }


def check_feeds(settings: BaseSettings) -> Iterator[str]:
    """What is wrong with the feeds, one sentence each."""
    wanted = preset_names(settings)
    if unknown := [name for name in wanted if name not in PRESETS]:
        yield f"XHS_FEEDS={','.join(unknown)}: there are {', '.join(PRESETS)}"
    base = preset_base(settings)
    if wanted and not base:
        yield f"XHS_FEEDS_URI is empty: {_PLACES}"
    elif wanted and (why := _wrong_address(base) or _no_place(base)):
        yield f"XHS_FEEDS_URI={_shown(base)}: {why}"
    told = is_on_command_line(settings, "FEEDS")
    for uri in map(str, settings.getdict("FEEDS")):
        if why := _wrong_address(uri) or (told and _password(uri)) or _unwritable_file(uri):
            yield f"the feed {_shown(uri)}: {why}"
    for name in AWS_SECRETS:
        if settings.get(name) and is_on_command_line(settings, name):
            yield f"{name} on the command line stands in process lists: set it in the environment"


def check_written(settings: BaseSettings, mode: str, job: str | None) -> Iterator[str]:
    """What this crawl would destroy of the feeds that earlier ones have written, one sentence each:
    parts that ``resume`` and ``update`` continue, and files that are one JSON or XML document.

    Args:
        mode: the crawl's.
        job: its ID under Scrapyd: an address with it is new each time.
    """
    for uri, feed in _named_feeds(settings):
        if _wrong_address(uri):
            continue
        continues = f"mode={mode} would overwrite what an earlier crawl has written to it"
        said = None
        if _is_written(uri):
            kind = _one_document(uri, feed)
            new = f"write to a new file, -o {_output(_unused(uri), feed)}"
            if feed.get("overwrite") and mode != "full":
                same = f"append to it with -o {_output(uri, feed)}"
                said = f"{continues}: {new}" if kind else f"{continues}: {same}, or {new}"
            elif kind and not feed.get("overwrite"):
                said = f"it is there already, and nothing can be appended to {kind}: {new}"
        elif mode != "full" and feed.get("overwrite", True) and _is_fixed(uri, _OVERWRITTEN, job):
            said = f"{continues}: {_named_with_time(uri)}"
        if said:
            yield f"the feed {_shown(uri)}: {said}"


def check_s3(settings: BaseSettings, mode: str, job: str | None, *, dry_run: bool) -> Iterator[str]:
    """Why S3 would not take a feed, one sentence for each folder, and which objects would be
    overwritten, as in :func:`check_written`. A dry run looks for the bucket, and writes nothing.
    """
    s3, tried = None, set()
    for label, uri in _feeds_in_s3(settings):
        first = urlsplit(_first_uri(uri) or _PLACEHOLDER.sub("_", uri))
        bucket, key = first.hostname or "", first.path.removeprefix("/")
        folder = key.rpartition("/")[0]
        try:
            s3 = s3 or S3(settings)
            if (bucket, folder) not in tried:
                tried.add((bucket, folder))
                if dry_run:
                    s3.find_bucket(bucket)
                else:
                    s3.try_writing(bucket, folder)
            continues = mode != "full" and not dry_run and _is_fixed(uri, ("s3",), job)
            if continues and not s3.is_free(bucket, key):
                why = f"mode={mode} would overwrite what an earlier crawl has written to it"
                yield f"{label}: {why}: {_named_with_time(uri)}"
        except S3Refused as refused:
            yield f"{label}: {_shown(str(refused))}"
            if s3 is None:
                return


def options_to_continue(
    settings: BaseSettings, outputs: Sequence[str], *, append: bool
) -> Iterator[str]:
    """Yield the options with which a next crawl continues the files of ``-o`` and ``-O``.

    Args:
        outputs: values of ``-o`` and ``-O``.
        append: to a file that can be appended to; all others get a new name.
    """
    for output in outputs:
        uri, feed = next(iter(feed_process_params_from_cli(settings, [output]).items()))
        following = output
        if _is_fixed(uri, ("s3", *_OVERWRITTEN)):
            following = output.replace(uri, _stamped(uri), 1)
        elif _is_written(uri) and (not append or _one_document(uri, feed)):
            following = output.replace(uri, _unused(uri), 1)
        yield f"-o {shlex.quote(following)}"


def preset_settings(settings: BaseSettings) -> dict[str, str]:
    """Return the settings that name the presets, if there are any."""
    presets = preset_names(settings)
    if not presets:
        return {}
    return {"XHS_FEEDS": ",".join(presets), "XHS_FEEDS_URI": settings["XHS_FEEDS_URI"]}


def sends_to_s3(settings: BaseSettings) -> bool:
    """True if a feed waits in the spill until it is sent."""
    bases = [preset_base(settings)] if preset_names(settings) else []
    return any(str(uri).startswith("s3:") for uri in (*settings.getdict("FEEDS"), *bases))


def _wrong_address(uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        return f"no address ({error})"
    if parts.scheme != "s3":
        return None
    # The keys of S3 may have slashes, where an address would have its path.
    if ":" in parts.netloc or "@" in parts.netloc:
        return _EXPOSED
    if not parts.hostname:
        return "an address in S3 begins with s3:// and the bucket"
    if parts.query or parts.fragment or uri[-1] in "?#":
        return "an address in S3 ends at ? and #: name it without them"
    return None


def _password(uri: str) -> str | None:
    return _EXPOSED if urlsplit(uri).password else None


def _shown(uri: str) -> str:
    """An address without its password."""
    return re.sub(r"(?<=://)[^@/]*:.*@", f"{MASK}@", uri)


def _feeds_in_s3(settings: BaseSettings) -> Iterator[tuple[str, str]]:
    """What to call each feed in S3, and its address."""
    base = preset_base(settings)
    if preset_names(settings) and base.startswith("s3:") and not _wrong_address(base):
        yield f"XHS_FEEDS_URI={base}", f"{base.rstrip('/')}/{_STAMP}"
    for uri, _ in _named_feeds(settings):
        if uri.startswith("s3:") and not _wrong_address(uri):
            yield f"the feed {uri}", uri


def _named_feeds(settings: BaseSettings) -> Iterator[tuple[str, Feed]]:
    for uri, feed in settings.getdict("FEEDS").items():
        yield str(uri), dict(feed or {})


def _first_uri(uri: str) -> str | None:
    """The address that a feed begins with; None if only a running crawl can tell."""
    now = datetime.now(UTC).isoformat()
    filled = {"name": _SPIDER, "batch_id": 1, "time": now, "batch_time": now}
    try:
        return apply_uri_params(uri, filled)
    except (KeyError, TypeError, ValueError):
        return None


def _first_file(uri: str) -> Path | None:
    return _local(first) if (first := _first_uri(uri)) else None


def _is_written(uri: str) -> bool:
    """True if a feed begins with a file that has something in it."""
    path = _first_file(uri)
    return path is not None and path.is_file() and path.stat().st_size > 0


def _is_fixed(uri: str, schemes: Sequence[str], job: str | None = None) -> bool:
    """True if a feed has an address of these schemes, and the same one each time."""
    is_new = _STAMPED.search(uri) or (job and job in uri)
    return urlsplit(uri).scheme in schemes and not is_new


def _one_document(uri: str, feed: Feed) -> str | None:
    """The kind of a file to which nothing can be appended; None for the others."""
    kind = _format(uri, feed)
    if kind == "csv" and feed.get("postprocessing"):
        return "compressed CSV"  # its header would come again
    return {"json": "JSON", "xml": "XML"}.get(kind)


def _format(uri: str, feed: Feed) -> str:
    return feed.get("format") or Path(uri).suffix.removeprefix(".")


def _output(uri: str, feed: Feed) -> str:
    """A feed as ``-o`` takes it."""
    kind = _format(uri, feed)
    return shlex.quote(uri if Path(uri).suffix == f".{kind}" else f"{uri}:{kind}")


def _unused(uri: str) -> str:
    """The next name with a number that no file has: ``a.json``, ``a-2.json``, ``a-3.json``."""
    suffix = Path(uri).suffix
    stem = uri.removesuffix(suffix)
    base, _, number = stem.rpartition("-")
    if number.isdecimal() and _is_written(base + suffix):
        stem = base
    names = (f"{stem}-{number}{suffix}" for number in count(2))
    return next(name for name in names if not ((path := _first_file(name)) and path.exists()))


def _named_with_time(uri: str) -> str:
    return f"put {_STAMP} in its name, -o {shlex.quote(_stamped(_shown(uri)))}"


def _stamped(uri: str) -> str:
    suffix = Path(uri).suffix
    return f"{uri.removesuffix(suffix)}-{_STAMP}{suffix}"


def _no_place(uri: str) -> str | None:
    if folder := _local(uri):
        return unwritable(folder)
    return None if urlsplit(uri).scheme == "s3" else _PLACES


def _local(uri: str) -> Path | None:
    """The path that an address names on this machine, whatever Scrapy fills in."""
    filled = _PLACEHOLDER.sub("_", uri)
    if PureWindowsPath(uri).drive or not (scheme := urlsplit(uri).scheme):
        return Path(filled)
    return Path(file_uri_to_path(filled)) if scheme == "file" else None


def _unwritable_file(uri: str) -> str | None:
    path = _local(uri)
    if path is None:
        return None
    if path.is_dir():
        return f"{path.absolute()} is a folder"
    if path.exists():
        return None if os.access(path, os.W_OK) else f"{path.absolute()} cannot be written"
    return unwritable(path.parent)
