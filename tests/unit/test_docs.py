"""README and docs: tables agree with the code, and links lead to existing files and headings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import documented
from support.documents import (
    CHINESE,
    DOCS,
    HOW_TO,
    README,
    REFERENCE,
    anchors,
    blocks,
    codes,
    links,
    name_of,
    names,
    pages,
    prose,
    read,
    rows,
    section,
)
from support.simulator import PROJECT

if TYPE_CHECKING:
    from support.documented import Schema

WIDTH = 120
README_LINES = 130

each_page = pytest.mark.parametrize("page", pages(), ids=name_of)


@each_page
def test_lines_of_prose_are_not_too_long(page: Path) -> None:
    assert [number for number, line in prose(page) if len(line) > WIDTH] == []


@each_page
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_readme_is_short_and_has_the_two_commands() -> None:
    lines = read(README).splitlines()
    assert len(lines) <= README_LINES
    assert sum(line.startswith("    python3 -m venv ") for line in lines) == 2


def test_readme_leads_to_every_document() -> None:
    linked = {(README.parent / link.partition("#")[0]).resolve() for link in links(README)}
    english = {page for page in pages() if not page.is_relative_to(CHINESE)}
    assert linked >= {*english, PROJECT / "CHANGELOG.md"} - {README}


def test_map_of_the_code_names_every_package_and_module() -> None:
    listed = section(README, "## Map of the code")
    found = re.findall(r"^(xhs/\S+) ", listed, re.MULTILINE)
    assert len(found) == len(set(found))
    assert set(found) == documented.packages_and_modules()


def test_layers_of_the_architecture() -> None:
    table = rows(section(DOCS / "architecture.md", "## Layers"), "layer")
    shown = [{Path(name).stem for name in codes(row[0])} for row in table]
    assert shown == documented.layers()


@each_page
def test_files_and_folders_of_the_code_exist(page: Path) -> None:
    shown = re.findall(r"`((?:xhs|tests|benchmarks|docs)/[\w/.]*(?:\.\w+|/))`", read(page))
    assert [path for path in shown if not (PROJECT / path).exists()] == []


@each_page
def test_names_are_in_the_files_that_a_page_says(page: Path) -> None:
    shown = re.findall(r"`(\w+)` in\s+`(xhs/[\w/.]+\.py)`", read(page))
    assert [pair for pair in shown if not documented.defines(*pair)] == []
    assert shown or page.name != "architecture.md"


def test_arguments() -> None:
    table = rows(read(REFERENCE / "arguments.md"), "argument")
    shown = {row[0].strip("`"): row[1].strip("`") for row in table}
    assert shown == {
        name: "" if default is None else str(int(default) if default is False else default)
        for name, default in documented.arguments().items()
    }


def test_settings_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    table = rows(section(REFERENCE / "settings.md", "## The project's own"), "setting")
    shown = {row[0].strip("`"): row[1].strip("`") for row in table}
    own = {
        name: ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in documented.settings(monkeypatch).items()
        if documented.is_own(name)
    }
    assert shown == own | dict.fromkeys(documented.secrets(), "")


def test_settings_of_scrapy(monkeypatch: pytest.MonkeyPatch) -> None:
    from scrapy.settings import default_settings

    head = "## Scrapy's, if ours differ or the choice matters"
    values, components = re.split(
        r"^Components of .*$", section(REFERENCE / "settings.md", head), flags=re.MULTILINE
    )
    ours = {
        name: value
        for name, value in documented.settings(monkeypatch).items()
        if not documented.is_own(name)
    }
    plain = {name: value for name, value in ours.items() if documented.is_plain(name, value)}
    table = rows(values, "setting")
    shown = {codes(row[0])[0]: [codes(cell)[0] for cell in row[1:3]] for row in table}
    assert shown == {
        name: [str(value), str(_same_type(getattr(default_settings, name), value))]
        for name, value in plain.items()
    }
    listed = names(rows(components, "setting"))
    assert len(listed) == len(set(listed))
    assert set(listed) == ours.keys() - plain.keys()


def _same_type(default: object, value: object) -> object:
    """Return a default of Scrapy's as a bool if ours is one: some of Scrapy's are 1 or 0."""
    return bool(default) if isinstance(value, bool) else default


def test_names_of_feeds() -> None:
    table = rows(section(REFERENCE / "settings.md", "## The project's own"), "setting")
    (meaning,) = (row[2] for row in table if row[0] == "`XHS_FEEDS`")
    assert set(codes(meaning)) == documented.presets()


@pytest.mark.parametrize("item_type", ["comment", "user", "note"])
def test_items_are_as_their_schemas_say(item_type: str) -> None:
    expected = item_table(documented.schemas()[item_type])
    text = section(REFERENCE / "items.md", f"## {item_type}")
    assert expected in text, f"docs/reference/items.md, {item_type}: the table must be\n{expected}"


def item_table(schema: Schema) -> str:
    """Return the table of an item's fields."""
    lines = ["| field | type | meaning |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        lines.append(_item_row(name, field))
        parts = field.get("items", {}).get("properties", {})
        lines += [_item_row(f"{name}[].{part}", schema) for part, schema in parts.items()]
    return "\n".join([*lines, ""])


def _item_row(name: str, field: Schema) -> str:
    types = [field["type"]] if isinstance(field["type"], str) else field["type"]
    return f"| `{name}` | {' or '.join(types)} | {field['description']} |"


def test_collections() -> None:
    table = rows(read(REFERENCE / "collections.md"), "collection")
    assert set(names(table)) == documented.collections()


def test_stop_reasons_and_the_exit_status_of_each() -> None:
    table = rows(section(REFERENCE / "reasons-and-exit-statuses.md", "## Stop reasons"), "reason")
    assert {codes(row[0])[0]: int(row[2]) for row in table} == documented.stop_reasons()


def test_close_reasons() -> None:
    text = section(REFERENCE / "reasons-and-exit-statuses.md", "## Close reasons")
    assert set(names(rows(text, "reason"))) == {"finished", *documented.close_reasons()}


def test_exit_statuses() -> None:
    text = section(REFERENCE / "reasons-and-exit-statuses.md", "## Exit statuses")
    table = rows(text, "exit status")
    assert {int(row[0]) for row in table} == documented.exit_statuses()
    for reason, status in documented.stop_reasons().items():
        if status != 4:
            assert reason in codes(table[status][1]), reason


def test_what_to_do_about_every_reason() -> None:
    page = HOW_TO / "what-to-do.md"
    closed = names(rows(read(page), "close reason, exit status"))
    assert set(closed) >= {"finished", *documented.close_reasons()}
    listed = names(rows(section(page, "## Notes that are not complete"), "stop reason"))
    reasons = documented.stop_reasons()
    assert set(listed) == {reason for reason, status in reasons.items() if status}


def test_stats() -> None:
    table = rows(read(REFERENCE / "stats.md"), "stat")
    shown = {re.sub("<.*?>", "<>", name) for name in names(table)}
    fillers = [*documented.stop_reasons(), *documented.schemas()]
    filled = {stat.replace("<>", filler) for stat in shown for filler in fillers} - shown
    assert documented.stats() - filled == shown


def test_stats_in_the_how_to_of_monitors_exist() -> None:
    table = rows(section(HOW_TO / "monitors.md", "## What to look at in the stats"), "stat")
    looked_at = {name for name in names(table) if name.startswith("xhs/")}
    shown = names(rows(read(REFERENCE / "stats.md"), "stat"))
    patterns = [re.sub(r"<.*?>", r"\\w+", name) for name in shown]
    unknown = [name for name in looked_at if not any(re.fullmatch(each, name) for each in patterns)]
    assert unknown == []


def test_commands_and_their_options() -> None:
    page = REFERENCE / "commands.md"
    headings = [line for _, line in prose(page) if line.startswith("## ")]
    options = {}
    for heading in headings:
        text = section(page, heading)
        table = rows(text, "option") if "| option |" in text else []
        options[codes(heading)[0].split()[1]] = set(names(table))
    assert options == documented.commands()


def test_fields_of_the_result_in_the_log() -> None:
    table = rows(read(REFERENCE / "log.md").partition("## A log in JSON")[0], "field")
    assert sorted(names(table)) == sorted(documented.result_fields())


def test_fields_of_a_line_of_a_log_in_json() -> None:
    table = rows(section(REFERENCE / "log.md", "## A log in JSON"), "field")
    assert sorted(names(table)) == sorted(documented.log_line_fields())


def test_metrics() -> None:
    table = rows(section(HOW_TO / "node-exporter.md", "## Metrics"), "metric")
    shown = {row[0].strip("`"): (row[1].strip("`"), _plain(row[2])) for row in table}
    assert shown == {
        name: (label, meaning[0].lower() + meaning[1:])
        for name, (label, meaning) in documented.metrics().items()
    }
    told = read(HOW_TO / "node-exporter.md").partition("## Alert rules")[2]
    looked_at = set(re.findall(r"xhs_\w+", told))
    assert looked_at
    assert looked_at <= shown.keys()


def _plain(text: str) -> str:
    """Return a cell without links, and up to the first colon."""
    return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", text).partition(":")[0]


def test_monitors(monkeypatch: pytest.MonkeyPatch) -> None:
    table = rows(read(HOW_TO / "monitors.md"), "monitor")
    thresholds = {row[2].strip("`"): row[3].strip("`") for row in table if row[2]}
    settings = documented.settings(monkeypatch)
    assert thresholds == {
        name: str(value) for name, value in settings.items() if name.startswith("SPIDERMON_MAX_")
    }
    pytest.importorskip("spidermon")
    assert set(names(table)) == documented.monitors()


def test_examples_write_to_a_folder_that_git_ignores() -> None:
    text = "\n".join(block.text for page in pages() for block in blocks(page))
    targets = re.findall(r"scrapy crawl [^`\n]*? -[oO] (\S+)", text)
    assert len(targets) >= 5
    assert all(target.startswith("data/") for target in targets), targets
    assert "/data/" in (PROJECT / ".gitignore").read_text(encoding="utf-8").split()
