"""HTML and SVG elements. Every text in them is escaped, unless an element was made of it here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that must not stand in a page."""

_WITHOUT_END = frozenset({"meta", "br", "rect", "line", "circle"})


class Markup(str):
    """A text that is HTML or SVG already."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]


def text(value: object) -> Markup:
    """Return a value as text of a page or of an attribute."""
    return Markup(escape(_UNFIT.sub("\ufffd", str(value)), quote=True))


def join(*children: Child) -> Markup:
    """Return children one after the other."""
    parts = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str | int):
            parts.append(text(child))
        elif child is not None:
            parts.append(join(*child))
    return Markup("".join(parts))


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """Return an element.

    In names of attributes, ``_`` stands for ``-``, and a last ``_`` is left out. An attribute that
    is None or False is left out; of one that is True, the name alone is written.
    """
    written = [name]
    for attribute, value in attributes.items():
        key = attribute.rstrip("_").replace("_", "-")
        if value is True:
            written.append(key)
        elif value is not None and value is not False:
            written.append(f'{key}="{text(value)}"')
    opening = f"<{' '.join(written)}>"
    if name in _WITHOUT_END:
        return Markup(f"{opening[:-1]}/>")
    return Markup(f"{opening}{join(*children)}</{name}>")
