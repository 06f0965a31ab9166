"""The benchmarks name parts of the project in settings, as text that no type checker reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scrapy.utils.misc import load_object
from support.simulator import PROJECT

NAMES = {
    (path.name, name)
    for path in Path(PROJECT, "benchmarks").glob("*.py")
    for name in re.findall(r'"((?:xhs|scrapy)\.[\w.]+)"', path.read_text(encoding="utf-8"))
    if name != "xhs.simulator"  # python -m
}


def test_benchmarks_name_parts_of_the_project() -> None:
    assert ("pace.py", "xhs.download.throttle.RefusalThrottle") in NAMES


@pytest.mark.parametrize(("benchmark", "name"), sorted(NAMES))
def test_what_a_benchmark_names_exists(benchmark: str, name: str) -> None:
    assert load_object(name), benchmark
