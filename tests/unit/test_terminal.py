"""Lines for a terminal, and when something is displayed there."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy.settings import Settings

from xhs.terminal import can_display, check_setting, is_off, is_terminal, pack, progress


def test_pieces_that_fit_stand_on_one_line() -> None:
    pieces = ["12 of 40 notes", "3,410 comments", "8.1 pages/s"]
    assert pack(pieces, 100) == [", ".join(pieces)]
    assert pack(pieces, 30) == ["12 of 40 notes, 3,410 comments", "8.1 pages/s"]
    assert pack(pieces, 5) == pieces


@given(st.lists(st.text("ab ", min_size=1), max_size=9), st.integers(1, 40))
def test_packing_loses_nothing_and_keeps_the_width(pieces: list[str], width: int) -> None:
    lines = pack(pieces, width)
    assert ", ".join(lines) == ", ".join(pieces)
    assert all(len(line) <= width or line in pieces for line in lines)


@pytest.mark.parametrize("value", ["auto", "1", "0", True, False, 1, 0])
def test_values_of_the_setting(value: Any) -> None:
    settings = Settings({"XHS_PROGRESS": value})
    assert check_setting(settings) is None
    assert is_off(settings) == (str(value) in {"0", "False"})


@pytest.mark.parametrize("value", ["", "yes", "2"])
def test_other_values_are_named(value: Any) -> None:
    problem = check_setting(Settings({"XHS_PROGRESS": value}))
    assert problem == f"XHS_PROGRESS={value} must be auto, 1 or 0"


def test_a_command_without_the_settings_of_the_project_has_the_default() -> None:
    assert check_setting(Settings()) is None


@pytest.mark.parametrize("stream", [None, object(), StringIO()])
def test_what_has_no_file_is_no_terminal(stream: object) -> None:
    assert not is_terminal(stream)


def test_nothing_is_displayed_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not can_display()
    with progress("Exporting", total=10) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")
