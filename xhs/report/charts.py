"""Charts as SVG, without scripts, styles or sizes in them.

Places and widths are shares of the width, heights are pixels. So a chart fills any page, and its
text keeps its size; colours come from the page's style, light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from xhs.report.markup import Markup, tag

_HEIGHT, _TOP, _LABELS = 240, 10, 24
_POINT = 3


class Column(NamedTuple):
    """A column: its value, the tooltip, and the panel that a click opens, if there is one."""

    value: int
    title: str
    panel: str | None = None
    link_id: str | None = None
    stands_out: bool = False


class Point(NamedTuple):
    """A point of a line: its place from 0 to 1, and its value; None if that is not known."""

    at: float
    value: int | None


def columns(bars: Sequence[Column], labels: Sequence[str]) -> Markup:
    """Return a chart of columns. ``labels``: one for each column; five at most are shown."""
    ceiling, steps = _scale(max((bar.value for bar in bars), default=0))
    width = 100 / max(1, len(bars))
    drawn = [
        _column(bar, number * width, width, ceiling) for number, bar in enumerate(bars) if bar.value
    ]
    return _chart("columns", _HEIGHT, (ceiling, steps), [*drawn, *_ticks(labels)])


def lines(
    series: Iterable[tuple[str, Sequence[Point]]], first_label: str, last_label: str
) -> Markup:
    """Return a chart of lines over time. ``series``: class and points of each line."""
    series, height = list(series), 130
    known = [point.value for _, points in series for point in points if point.value is not None]
    ceiling, steps = _scale(max(known, default=0))
    drawn = [
        tag("g", _line([point for point in points if point.value is not None], ceiling, height),
            class_=name)
        for name, points in series
    ]  # fmt: skip
    ends = [
        tag("text", first_label, x="0", y=height + 16),
        tag("text", last_label, x="100%", y=height + 16, class_="end"),
    ]
    return _chart("lines", height, (ceiling, steps), [*drawn, *ends])


def bar(value: float, largest: float, name: str = "") -> Markup:
    """Return a horizontal bar whose length is a share of its cell."""
    share = 100 * value / largest if largest else 0
    rect = tag("rect", width=f"{share:.2f}%", height="100%", rx=2, class_=f"bar {name}".strip())
    return tag("svg", rect, class_="track", aria_hidden="true")


def _column(bar: Column, left: float, width: float, ceiling: int) -> Markup:
    height = max(1.5, bar.value / ceiling * (_HEIGHT - _TOP))
    name = "bar mark" if bar.stands_out else "bar"
    parts = (
        tag("title", bar.title),
        tag("rect", x=f"{left:.3f}%", y=0, width=f"{width:.3f}%", height=_HEIGHT, class_="hit"),
        tag(
            "rect",
            x=f"{left + width * 0.1:.3f}%",
            y=f"{_HEIGHT - height:.1f}",
            width=f"{width * 0.8:.3f}%",
            height=f"{height:.1f}",
            class_=name,
        ),
    )
    if bar.panel is None:
        return tag("g", *parts)
    return tag("a", *parts, href=f"#{bar.panel}", id=bar.link_id, tabindex=-1)


def _line(points: Sequence[Point], ceiling: int, height: int) -> Iterable[Markup]:
    places = [
        (f"{1 + 98 * at:.2f}%", f"{height - (value or 0) / ceiling * (height - _TOP):.1f}")
        for at, value in points
    ]
    for (x1, y1), (x2, y2) in pairwise(places):
        yield tag("line", x1=x1, y1=y1, x2=x2, y2=y2)
    for x, y in places:
        yield tag("circle", cx=x, cy=y, r=_POINT)


def _scale_of(ceiling: int, steps: int, height: int) -> tuple[list[Markup], list[Markup]]:
    """Return the lines of the scale, and its numbers."""
    grid, numbers = [], []
    for step in range(steps + 1):
        value = ceiling * step // steps
        y = height - value / ceiling * (height - _TOP)
        grid.append(tag("line", x1=0, x2="100%", y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        numbers.append(tag("text", f"{value:,}", x="100%", y=f"{y + 4:.1f}", class_="end"))
    return grid, numbers


def _ticks(labels: Sequence[str]) -> Iterable[Markup]:
    """Return labels of the first and last column, and of up to three between them."""
    if not labels:
        return
    last = len(labels) - 1
    places = {0: "", last: "end"} if last else {0: ""}
    if last >= 4:
        places |= {last // 2: "middle", last // 4: "middle minor", last * 3 // 4: "middle minor"}
    for place, name in sorted(places.items()):
        x = {"": 0.0, "end": 100.0}.get(name, 100 * (place + 0.5) / len(labels))
        yield tag("text", labels[place], x=f"{x:.2f}%", y=_HEIGHT + 16, class_=name or None)


def _scale(largest: int) -> tuple[int, int]:
    """Return a round number of at least ``largest``, and into how many steps it is divided."""
    if largest <= 1:
        return 1, 1
    power = 1
    while True:
        for factor, steps in ((2, 2), (3, 3), (4, 4), (5, 5), (6, 3), (8, 4), (10, 5)):
            if largest <= factor * power:
                return factor * power, steps
        power *= 10


def _chart(name: str, height: int, scale: tuple[int, int], children: Iterable[Markup]) -> Markup:
    grid, numbers = _scale_of(*scale, height)
    size = {"height": height + _LABELS, "aria_hidden": "true"}
    return tag(
        "div",
        tag("svg", *numbers, class_="scale", **size),
        tag("svg", *grid, *children, class_=name, **size),
        class_="chart",
    )
