"""A strict reader of Prometheus' text format, as node-exporter reads it.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
_HELP = re.compile(rf"# HELP ({_NAME}) ((?:[^\\\n]|\\[\\n])+)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram|summary|untyped)")
_SAMPLE = re.compile(
    rf"({_NAME})(?:\{{((?:{_LABEL})(?:,{_LABEL})*)\}})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?)"
)
_PAIR = re.compile(r'([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Labels = frozenset[tuple[str, str]]


class Malformed(ValueError):
    """Raised if a text is not in the format. node-exporter would ignore the whole file."""


def read_metrics(text: str) -> dict[str, dict[Labels, float]]:
    """Return the samples by metric and labels.

    Raises:
        Malformed: if a line is malformed, a metric has no help and type right before its samples,
            or a sample or a metric is repeated.
    """
    found: dict[str, dict[Labels, float]] = {}
    current = helped = ""
    if text and not text.endswith("\n"):
        raise Malformed("the last line does not end")
    for line in text.split("\n")[:-1]:
        if match := _HELP.fullmatch(line):
            helped, current = match[1], ""
            if helped in found:
                raise Malformed(f"{helped} is repeated")
        elif match := _TYPE.fullmatch(line):
            current = match[1]
            if current != helped:
                raise Malformed(f"{current} has no help")
            found[current] = {}
        elif (match := _SAMPLE.fullmatch(line)) and match[1] == current:
            pairs = [(name, _unescaped(value)) for name, value in _PAIR.findall(match[2] or "")]
            labels = frozenset(pairs)
            if labels in found[current] or len(dict(pairs)) != len(pairs):
                raise Malformed(f"{line} is repeated")
            found[current][labels] = float(match[3])
        else:
            raise Malformed(line)
    if empty := [name for name, samples in found.items() if not samples]:
        raise Malformed(f"{empty} have no samples")
    return found


def _unescaped(value: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES[match[0]], value)
