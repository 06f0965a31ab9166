"""Optional packages are needed by their format alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from argparse import Namespace

import pytest

from xhs.commands.export import _table_and_format
from xhs.export.formats import FORMATS

OPTIONS = Namespace(what="comments", ids=False)


@pytest.mark.parametrize(
    ("name", "package"), [("out.xlsx", "xlsxwriter"), ("out.parquet", "pyarrow")]
)
def test_a_missing_package_is_one_line_with_what_installs_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"^\w+ is not installed: pip install -r requirements") as (
        error
    ):
        _table_and_format(name, OPTIONS)
    assert str(error.value).startswith(package)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".gexf", ".ndjson"])
def test_other_formats_need_none(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert _table_and_format(f"out{ending}", OPTIONS)[1] is FORMATS[ending]


def test_no_command_imports_them_at_its_start() -> None:
    code = "import sys, xhs.commands.export; print({'pyarrow', 'xlsxwriter'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "set()"
