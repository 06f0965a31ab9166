"""Feed presets, and the checks of feeds before anything is paid for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings

from xhs import items as schemas
from xhs.addons import FeedPresets
from xhs.feeds.presets import (
    PRESETS,
    check_feeds,
    check_overwrites,
    continuation_options,
    preset_feeds,
)

Feed = dict[str, Any]

START = datetime(2026, 11, 25, 2, 3, 4, 56, UTC)


def errors(**given: Any) -> list[str]:
    return list(check_feeds(Settings({"XHS_FEEDS": "", "XHS_FEEDS_URI": "data/", **given})))


def applied(**given: Any) -> Settings:
    settings = Settings({"XHS_FEEDS": "", "XHS_FEEDS_URI": "data/", **given})
    FeedPresets().update_settings(settings)
    return settings


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("base", ["data", "data/", "s3://bucket/some/folder/", "/a/b"])
def test_one_feed_for_each_item_type(preset: str, base: str) -> None:
    feeds = preset_feeds([preset], base, START, batched=False)
    folder = base.rstrip("/")
    full, ending = ("-full" if "full" in preset else ""), preset.replace("-full", "")
    assert list(feeds) == [
        f"{folder}/{plural}{full}-2026-11-25T02-03-04-000056Z.{ending}"
        for plural in ("comments", "users", "notes")
    ]
    columns = [feed["fields"] for feed in feeds.values()]
    if ending.startswith("csv") and not full:
        assert [names[0] for names in columns] == ["nickname", "nickname", "note_url"]
    else:
        assert columns == [
            list(schema["properties"]) for schema in (schemas.COMMENT, schemas.USER, schemas.NOTE)
        ]


def test_batches_are_numbered() -> None:
    assert all(
        uri.endswith("-%(batch_id)05d.csv") for uri in preset_feeds(["csv"], "x", START, True)
    )


@pytest.mark.parametrize(
    "presets", ["jsonl,csv.gz", "jsonl csv.gz", " jsonl, csv.gz ,jsonl", ["jsonl", "csv.gz"]]
)
def test_several_presets_may_be_named(presets: str | list[str]) -> None:
    assert len(applied(XHS_FEEDS=presets).getdict("FEEDS")) == 6


def test_presets_are_added_to_the_feeds_of_the_settings() -> None:
    settings = Settings({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "data"})
    settings.set("FEEDS", json.dumps({"file:///items.jl": {"format": "jsonlines"}}), "cmdline")
    FeedPresets().update_settings(settings)
    feeds = settings.getdict("FEEDS")
    assert feeds.pop("file:///items.jl") == {"format": "jsonlines"}
    assert len(feeds) == 3


def test_without_presets_the_feeds_are_unchanged() -> None:
    assert applied(FEEDS={"a.json": {"format": "json"}}).getdict("FEEDS") == {
        "a.json": {"format": "json"}
    }


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/a/home")
    feeds = applied(XHS_FEEDS="csv", XHS_FEEDS_URI="~/data").getdict("FEEDS")
    assert all(uri.startswith("/a/home/data/") for uri in feeds)


def test_two_crawls_write_to_files_of_their_own() -> None:
    first, second = (set(applied(XHS_FEEDS="csv").getdict("FEEDS")) for _ in range(2))
    assert not first & second


@pytest.mark.parametrize(
    "given",
    [
        {"XHS_FEEDS": "csv"},
        {"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "s3://bucket/folder"},
        {"FEEDS": {"out.json": {"format": "json"}, "stdout:": {"format": "jsonl"}}},
        {"FEEDS": {Path("out.json"): {"format": "json"}}},
        {"FEEDS": {"file:///%(name)s/%(time)s.json": {"format": "json"}}},
    ],
)
def test_feeds_that_can_be_written_pass(given: dict[str, Any]) -> None:
    assert errors(**given) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"XHS_FEEDS": "xlsx"}, "XHS_FEEDS=xlsx"),
        ({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": ""}, "XHS_FEEDS_URI is empty"),
        ({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "/dev/null/data"}, "/dev/null is not a folder"),
        (
            {"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "file:///dev/null/data"},
            "/dev/null is not a folder",
        ),
        ({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "s3://key:secret@bucket"}, "AWS_SECRET_ACCESS_KEY"),
        ({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "s3:///folder"}, "and the bucket"),
        ({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "s3:bucket/folder"}, "and the bucket"),
        ({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "s3://[bucket]/x"}, "not a valid address"),
        ({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "s3://bucket/brand#1"}, "cannot contain ? or #"),
        ({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "s3://bucket/brand?"}, "cannot contain ? or #"),
        ({"XHS_FEEDS": "csv", "XHS_FEEDS_URI": "ftp://me:secret@host/x"}, "name a folder"),
        ({"FEEDS": {"s3://key:secret@bucket/a.json": {}}}, "AWS_SECRET_ACCESS_KEY"),
        ({"FEEDS": {"s3://key:a/secret@bucket/a.json": {}}}, "AWS_SECRET_ACCESS_KEY"),
        ({"FEEDS": {"/dev/null/a.json": {"format": "json"}}}, "/dev/null/a.json"),
        ({"FEEDS": {"/dev": {"format": "json"}}}, "/dev is a folder"),
        ({"FEEDS": {"file:///dev/null/%(name)s.json": {}}}, "/dev/null is not a folder"),
    ],
)
def test_a_wrong_feed_is_an_error(given: dict[str, Any], message: str) -> None:
    [error] = errors(**given)
    assert message in error
    assert "secret@" not in error


@pytest.mark.parametrize(
    ("name", "value"),
    [("FEEDS", {"ftp://me:secret@host/a.json": {}}), ("AWS_SECRET_ACCESS_KEY", "secret@")],
)
def test_a_password_is_refused_on_the_command_line(name: str, value: object) -> None:
    settings = Settings({"XHS_FEEDS": "", name: value})
    assert list(check_feeds(settings)) == []
    settings.set(name, value, "cmdline")
    [error] = check_feeds(settings)
    assert "process lists" in error
    assert "secret@" not in error


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with feeds that have content, and one that is empty."""
    for name in ("a.json", "a-2.json", "b.csv.gz", "c.jsonl", "d-1.json"):
        (tmp_path / name).write_text("[]")
    (tmp_path / "empty.json").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def overwritten(mode: str, uri: str | Path, **feed: Any) -> list[str]:
    return list(check_overwrites(Settings({"FEEDS": {uri: feed}}), mode, "job-1"))


@pytest.mark.parametrize("mode", ["resume", "update"])
@pytest.mark.parametrize(
    ("uri", "feed", "remedy"),
    [
        ("a.json", {"overwrite": True}, "-o a-3.json"),
        ("a-2.json", {"format": "json", "overwrite": True}, "-o a-3.json"),
        ("a.json", {}, "-o a-3.json"),
        (Path("a.json"), {"overwrite": True}, "-o a-3.json"),
        ("c.jsonl", {"overwrite": True}, "-o c.jsonl, or"),
        ("b.csv.gz", {"format": "csv", "postprocessing": ["x"]}, "compressed CSV"),
        ("d-%(batch_id)d.json", {"overwrite": True}, "-o 'd-%(batch_id)d-2.json'"),
        ("ftp://host/a.csv", {}, "-o 'ftp://host/a-%(time)s.csv'"),
        ("ftp://me:secret@host/a.csv", {}, "-%(time)s.csv"),
        ("gs://bucket/a.csv", {"overwrite": True}, "-o 'gs://bucket/a-%(time)s.csv'"),
    ],
)
def test_a_feed_that_would_be_overwritten_is_an_error(
    written: Path, mode: str, uri: str | Path, feed: Feed, remedy: str
) -> None:
    [error] = overwritten(mode, uri, **feed)
    assert remedy in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("mode", "uri", "feed"),
    [
        ("full", "a.json", {"overwrite": True}),
        ("full", "ftp://host/a.csv", {}),
        ("resume", "c.jsonl", {}),
        ("resume", "empty.json", {"overwrite": True}),
        ("resume", "new.json", {"overwrite": True}),
        ("resume", "stdout:", {"format": "json", "overwrite": True}),
        ("resume", "a-%(time)s.json", {"overwrite": True}),
        ("resume", "%(nothing)s.json", {"overwrite": True}),
        ("resume", "ftp://host/%(batch_time)s.csv", {}),
        ("resume", "ftp://host/a.jsonl", {"overwrite": False}),
        ("resume", "ftp://host/job-1.jl", {}),
        ("resume", "s3://[bucket]/x", {}),
    ],
)
def test_a_feed_that_overwrites_nothing_passes(
    written: Path, mode: str, uri: str, feed: Feed
) -> None:
    assert overwritten(mode, uri, **feed) == []


@pytest.mark.parametrize(
    ("output", "next_output"),
    [
        ("a.json", "a-3.json"),
        ("c.jsonl", "c.jsonl"),
        ("new.json", "new.json"),
        ("-:csv", "-:csv"),
        ("s3://bucket/a.jsonl", "'s3://bucket/a-%(time)s.jsonl'"),
        ("s3://bucket/a:csv", "'s3://bucket/a-%(time)s:csv'"),
        ("s3://bucket/%(time)s.csv", "'s3://bucket/%(time)s.csv'"),
    ],
)
def test_the_next_crawl_continues_the_feed(written: Path, output: str, next_output: str) -> None:
    settings = Settings({"XHS_FEEDS": ""})
    assert list(continuation_options(settings, [output], append=True)) == [f"-o {next_output}"]
