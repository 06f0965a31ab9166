"""Charts: their scale, their bars and what they do with nothing."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.report.charts import Column, Point, _scale, bar, columns, lines


def parsed(chart: str) -> ElementTree.Element:
    """Return the elements of a chart, which must be well-formed."""
    return ElementTree.fromstring(chart)  # noqa: S314 (ours)


@given(st.integers(0, 10**12))
def test_a_scale_is_round_and_little_larger_than_needed(largest: int) -> None:
    ceiling, steps = _scale(largest)
    assert largest <= ceiling <= max(1, 2 * largest)
    assert ceiling % steps == 0
    assert re.fullmatch(r"[1-8]0*", str(ceiling))


def test_columns_are_as_high_as_their_values() -> None:
    chart = columns([Column(0, "a"), Column(50, "b"), Column(100, "c", "p1", "f1", True)], "abc")
    drawn = [one for one in parsed(chart).iter("rect") if "bar" in one.attrib["class"]]
    heights = [float(one.attrib["height"]) for one in drawn]
    assert heights[0] * 2 == pytest.approx(heights[1], abs=0.2)
    assert [one.attrib["class"] for one in drawn] == ["bar", "bar mark"]
    [link] = parsed(chart).iter("a")
    assert (link.attrib["href"], link.attrib["id"]) == ("#p1", "f1")


@pytest.mark.parametrize("count", [1, 2, 4, 5, 90])
def test_columns_have_at_most_five_labels(count: int) -> None:
    labels = [f"label {number}" for number in range(count)]
    chart = columns([Column(1, label) for label in labels], labels)
    shown = re.findall(r">(label \d+)</text>", chart)
    assert len(shown) <= 5
    assert {shown[0], shown[-1]} == {labels[0], labels[-1]}


def test_a_line_skips_what_is_not_known() -> None:
    chart = lines([("held", [Point(0, 1), Point(0.5, None), Point(1, 3)])], "a", "b")
    [group] = parsed(chart).iter("g")
    assert len(list(group.iter("circle"))) == 2
    assert len(list(group.iter("line"))) == 1


def test_charts_of_nothing() -> None:
    for chart in (columns([], []), lines([("held", [])], "", ""), bar(0, 0)):
        assert parsed(chart) is not None


def test_texts_in_a_chart_are_escaped() -> None:
    evil = '</title><script>alert(1)</script>"'
    for chart in (columns([Column(1, evil)], [evil]), lines([], evil, evil)):
        assert "<script>" not in chart
        parsed(chart)
