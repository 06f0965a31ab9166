"""Names and values that the documents must state, read from the code.

Tests of the documents import the project's code through this module only.
"""

from __future__ import annotations

import argparse
import ast
import logging
import os
import re
import runpy
import tomllib
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from support.simulator import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest

Schema = dict[str, Any]

_PARTS = ("BOT_NAME", "SPIDER_MODULES", "NEWSPIDER_MODULE", "COMMANDS_MODULE")
_OWN = ("JUSTONEAPI_", "MONGODB_", "XHS_", "SPIDERMON_")
_STAT = re.compile(r"xhs/[a-z]")


def arguments() -> dict[str, object]:
    """Return the spider's arguments with their defaults."""
    from xhs.crawl.arguments import Arguments

    return {field.name: field.default for field in fields(Arguments) if field.metadata}


def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Return what ``settings.py`` sets if nothing is in the environment."""
    for name in list(os.environ):
        if name.startswith(_OWN):
            monkeypatch.delenv(name)
    found = runpy.run_path(str(PROJECT / "xhs" / "settings.py"))
    return {name: value for name, value in found.items() if name.isupper()}


def is_own(setting: str) -> bool:
    """True if a setting is the project's own."""
    return setting.startswith(_OWN)


def is_plain(setting: str, value: object) -> bool:
    """True if a setting has a value to be documented, and does not name code."""
    return setting not in _PARTS and not isinstance(value, dict) and "." not in str(value)


def secrets() -> set[str]:
    """Return the variables that are read from the environment only."""
    from xhs.download.token import TOKEN, TOKEN_FILE

    return {TOKEN, TOKEN_FILE}


def presets() -> set[str]:
    """Return the names of feeds."""
    from xhs.feeds.presets import PRESETS

    return set(PRESETS)


def schemas() -> dict[str, Schema]:
    """Return the items' schemas by item type."""
    from xhs.items import ITEM_TYPES

    return {name: item_type.item_class.jsonschema for name, item_type in ITEM_TYPES.items()}


def collections() -> set[str]:
    """Return the names of the collections."""
    from xhs.store.mongo.collections import COLLECTIONS

    return set(COLLECTIONS)


def stop_reasons() -> dict[str, int]:
    """Return the reasons for which notes end, each with the exit status that it leads to."""
    from xhs.reasons import StopReason
    from xhs.result import exit_status

    return {
        reason.value: exit_status(
            {
                "finish_reason": "finished",
                "xhs/notes/begun": 1,
                f"xhs/notes/{reason}": 1,
                "xhs/notes/left": 0 if reason.ended else 1,
            }
        )
        for reason in StopReason
    }


def close_reasons() -> set[str]:
    """Return the project's own reasons for which crawls close."""
    from xhs.reasons import CloseReason

    return {reason.value for reason in CloseReason}


def exit_statuses() -> set[int]:
    """Return the exit statuses of ``scrapy crawl``."""
    from xhs.reasons import ExitStatus

    return {value for name, value in vars(ExitStatus).items() if name.isupper()}


def stats() -> set[str]:
    """Return the stats that occur in the code; ``xhs/notes/<>`` if the code fills in its end."""
    found = set()
    for path in (PROJECT / "xhs").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(value) for node in ast.walk(tree) for value in _parts(node)}
        found |= {
            f"{text}<>" if text.endswith("/") else text
            for node in ast.walk(tree)
            if id(node) not in parts and (text := _text(node)) and _STAT.match(text)
        }
    return found


def _parts(node: ast.AST) -> list[ast.expr]:
    return node.values if isinstance(node, ast.JoinedStr) else []


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "<>" for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def commands() -> dict[str, set[str]]:
    """Return the project's commands, each with the options that it adds to Scrapy's."""
    found = {}
    for path in sorted((PROJECT / "xhs" / "commands").glob("*.py")):
        module = import_module(f"xhs.commands.{path.stem}")
        if hasattr(module, "Command"):
            found[path.stem] = _own_options(module.Command())
    return found


def _own_options(command: Any) -> set[str]:
    """Return the options that a command adds to those of its base class in Scrapy."""
    from scrapy.settings import Settings

    command.settings = Settings()
    scrapys: Any = next(
        base for base in type(command).mro() if base.__module__.startswith("scrapy.")
    )
    own, inherited = (argparse.ArgumentParser(conflict_handler="resolve") for _ in range(2))
    command.add_options(own)
    scrapys.add_options(command, inherited)
    return _words(own) - _words(inherited)


def _words(parser: argparse.ArgumentParser) -> set[str]:
    return {action.option_strings[-1] for action in parser._actions if action.option_strings}


def result_fields() -> set[str]:
    """Return the fields of the object that ends a log; those of nested objects are dotted."""
    from xhs.result import crawl_result, refused_result

    def leaves(described: Mapping[str, Any], path: str = "") -> Iterator[str]:
        for name, value in described.items():
            if isinstance(value, dict) and value:
                yield from leaves(value, f"{path}{name}.")
            else:
                yield f"{path}{name}"

    return {*leaves(crawl_result({}, 3, "")), *refused_result([])}


def log_line_fields() -> set[str]:
    """Return the fields that a line of a log in JSON may have."""
    import json

    from xhs.logs.json_lines import JsonFormatter

    error = ValueError()
    record = logging.LogRecord("a", logging.ERROR, "", 0, "", (), (ValueError, error, None))
    record.stack_info = "Stack"
    record.spider = type("Named", (), {"name": "comments"})
    record.run = {"exit_status": 0}
    return set(json.loads(JsonFormatter().format(record)))


def metrics() -> dict[str, tuple[str, str]]:
    """Return the metrics for node-exporter: the label of each, and its meaning."""
    from xhs.metrics import METRICS

    return {name: (metric.label, metric.help) for name, metric in METRICS.items()}


def monitors() -> set[str]:
    """Return the names of the monitors."""
    from xhs.monitors import CrawlMonitors

    return {monitor.__name__ for monitor in CrawlMonitors.monitors}


def layers() -> list[set[str]]:
    """Return the layers that ``import-linter`` knows, from the top: the names in each."""
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one["type"] == "layers")
    return [
        {module.strip().removeprefix("xhs.") for module in layer.split("|")}
        for layer in contract["layers"]
    ]


def defines(name: str, path: str) -> bool:
    """True if a file defines a function, a class or a constant of this name."""
    text = (PROJECT / path).read_text(encoding="utf-8")
    pattern = rf"^\s*(?:(?:async )?def|class) {name}\b|^{name}\b.*="
    return re.search(pattern, text, re.MULTILINE) is not None


def packages_and_modules() -> set[str]:
    """Return the package's direct members, as ``xhs/api/`` and ``xhs/items.py``."""
    return {
        f"xhs/{path.name}/" if path.is_dir() else f"xhs/{path.name}"
        for path in (PROJECT / "xhs").iterdir()
        if not path.name.startswith("__") and (path.suffix == ".py" or any(path.glob("*.py")))
    }
