"""What a note is called: bare IDs, links and pasted share texts.

A share text begins with a person's name, and a link's query holds keys. So an error quotes only
what looks like an ID, and of a link what stands before its query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple
from urllib.parse import unquote

LINK_FORMS = (
    "/explore/NOTE",
    "/discovery/item/NOTE",
    "/search_result/NOTE",
    "/user/profile/OTHER/NOTE",
    "/board/OTHER/NOTE",
    "/item/NOTE",
    "/note/NOTE",
    "/wenote/NOTE",
    "/red_video/NOTE",
    "/video_feed/NOTE",
    "/portrait_feed/NOTE",
    "?note_id=NOTE",
    "?noteId=NOTE",
    "/publish/update?id=NOTE",
)
"""Links to a note: what follows one of this app's hosts, or ``xhsdiscover:/`` of its deep links.

``NOTE`` stands for the note's ID, ``OTHER`` for that of a person or a board. A parameter may have
others before it; one without a path stands behind any path but those of :data:`_NOT_OF_A_NOTE`. A
parameter may also hold the whole link (``redirectPath``, ``source``, ``deeplink``), or its path.
"""

_MOST_LAYERS = 3
"""Times that a link is percent-encoded, at most: once by each page that hands it on."""

_IS_ID = re.compile(r"[0-9a-f]{24}", re.IGNORECASE)
_PIECE = re.compile(r"[^\s,，、\u200b-\u200f\u202a-\u202e\u2060\ufeff]+")
_SEPARATES_ENTRIES = re.compile(r"[,，、\r\n]")

_FLAGS = re.IGNORECASE | re.ASCII | re.VERBOSE
_URL_CHARACTER = r"[!#-&(-+\--;=?-\[\]_a-z~]"
_HOST = r"(?:[\w-]+\.)*(?:(?:xiaohongshu|rednote)\.com|xhslink\.(?:com|cn))(?![\w-]|\.[\w-])"
_HEAD = rf"""
    (?:
        xhsdiscover:/(?=/)
        # Without a scheme, it must not be the tail of another host or address, nor encoded.
        | (?: (?:https?:)?//(?:[\w.~:-]{{1,64}}@)? | (?<![\w.@/-])(?!(?<=%)[0-9a-f]{{2}}) )
          {_HOST}\.?(?::\d+)?
    )
"""
_IS_LINK = re.compile(_HEAD, _FLAGS)
_LINK = re.compile(rf"{_HEAD} (?:[/?\#%]{_URL_CHARACTER}*)?", _FLAGS)
_NEXT_LINK = re.compile(
    rf"[?&;\#]\w{{1,40}}=https?:// | (?P<scheme>)https?:// | (?<=;)(?P<host>){_HOST}", _FLAGS
)
"""Where a link may end although no separator does. As a parameter, a link is part of another."""
_SHORT = re.compile(r"xhslink\.\w+\.?(?::\d+)?$", re.IGNORECASE)
_APP = re.compile(r"(?:xiaohongshu|rednote)\.com|xhslink\.c|xhsdiscover", re.IGNORECASE)
_FOREIGN = re.compile(rf"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{{0,20}}://{_URL_CHARACTER}*", _FLAGS)


def _pattern(form: str) -> str:
    path, _, parameter = form.partition("?")
    pattern = path.replace("/", "/{1,3}").replace("OTHER", r"[\w-]+")
    if parameter:
        pattern += r"\?(?:[^\s\#]{0,200}&)?" if path else r"[?&;\#]"
    return (pattern + parameter).replace("NOTE", r"[0-9a-f]{24}(?![\w-])")


# Each ends with the note's ID.
_PATH = "|".join(_pattern(form) for form in LINK_FORMS if "?" not in form)
_IS_NOTE = re.compile(_PATH, _FLAGS)
_NAMES_NOTE = re.compile(
    "|".join(_pattern(form) for form in LINK_FORMS if "?" in form)
    + rf"| (?:[=\#]|xhsdiscover:/|(?<![\w.-]){_HOST}(?::\d+)?)(?:{_PATH})",
    _FLAGS,
)
_NOT_OF_A_NOTE = re.compile(r"/+(?:user|board|goods|page|store)\b", _FLAGS)
"""Pages of people, boards, goods and topics. That they may mention a note is no matter."""

# Up to four characters too few or too many. Numbers of phones, identity cards and bank cards are
# shorter; hashes, and the parts of a UUID, are longer or shorter.
_LIKE_AN_ID = re.compile(r"(?<![\w./@%\#-])[0-9a-f]{20,28}(?![\w-]|\.\w)", _FLAGS)
_DESTROYED = re.compile(r"\d+(?:[.,]\d+)?e[+-]\d+", _FLAGS)
"""What a spreadsheet makes of an ID that it takes for a number."""

_CALL_TO_OPEN = re.compile(
    r"""
    \W* (?:长按|長按|请|請|快来|快來|点击|點擊)?
    (?: 复制 | 複製 | (?:打开|打開|copy\b|open\b).*(?:小红书|小紅書|rednote|xiaohongshu) )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_CALL = 200


class Found(NamedTuple):
    """The note IDs (lower case, in order, repeats kept) that a value names, and what is wrong."""

    notes: list[str]
    errors: list[str]


class _Part(NamedTuple):
    """What a part of a piece is. A note's ``text`` is its ID."""

    kind: Literal["note", "link", "foreign link", "like an ID"]
    text: str


def find_notes(value: str) -> Found:
    """Read one value: an argument, a line of a file or a cell.

    If it holds a link of this app's, its links and bare IDs count and the rest is text; otherwise
    every piece between commas or white space must be an ID. What looks like a link of this app's,
    or nearly like an ID, and names no note is an error in either case. Each mistake is one error;
    words that make a text are one together.
    """
    if _IS_ID.fullmatch(value):
        return Found([value.lower()], [])
    if is_destroyed(value):
        return Found([], [_destroyed_error(value.strip())])
    if "\\" in value:
        value = value.replace("\\/", "/")  # so JSON may write it
    value = "\n".join(line for line in value.splitlines() if not _is_call_to_open(line))

    notes: list[str] = []
    errors: list[str] = []
    unless_linked: list[str] = []
    words: list[int] = []
    number = word_end = 0
    linked = is_text = False
    for number, match in enumerate(_PIECE.finditer(value), 1):
        piece = match[0]
        if _IS_ID.fullmatch(piece):
            notes.append(piece.lower())
            continue
        if is_destroyed(piece):
            unless_linked.append(_destroyed_error(piece))
            continue
        parts = list(_parts(piece))
        for kind, text in parts:
            if kind == "note":
                notes.append(text)
            elif kind == "foreign link":
                unless_linked.append(_link_error(text))
            else:
                errors.append(_link_error(text) if kind == "link" else _id_error(text))
            linked = linked or kind in {"note", "link"}
        if not parts:
            # An entry of a list is one word.
            follows = bool(words) and not _SEPARATES_ENTRIES.search(value, word_end, match.start())
            is_text = is_text or follows or not piece.isascii()
            words.append(number)
            word_end = match.end()
    if not linked:
        errors += unless_linked
        if words and not is_text:
            errors += [_word_error(word, number) for word in words]
        elif words and not errors:
            errors.append(_TEXT_BESIDE_IDS if notes else _TEXT_ALONE)
    return Found(notes, list(dict.fromkeys(errors)))


def holds_link(text: str) -> bool:
    """True if a link of this app's seems to stand in it."""
    return _APP.search(text) is not None


def is_text_alone(text: str) -> bool:
    """True if it is words alone, which are no list, and not the app's call to open it."""
    return (
        (not text.isascii() or len(text.split(None, 1)) > 1)
        and "://" not in text
        and not holds_link(text)
        and not _LIKE_AN_ID.search(text)
        and not _is_call_to_open(text)
    )


def is_destroyed(text: str) -> bool:
    """True if it is a number in scientific notation, as a spreadsheet makes one of an ID."""
    return _DESTROYED.fullmatch(text.strip()) is not None


def shown(text: str, width: int = 60) -> str:
    """``text`` for an error message: quoted, on one line, cut to ``width`` characters."""
    cut = text if len(text) <= width else text[: width - 1] + "…"
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return f"'{''.join(escaped)}'"


def _is_call_to_open(line: str) -> bool:
    """True for the line that the app puts below its link: 复制后打开【小红书】查看笔记！"""
    return (
        len(line) <= _LONGEST_CALL
        and _CALL_TO_OPEN.match(line) is not None
        and "://" not in line
        and not holds_link(line)
        and not _LIKE_AN_ID.search(line)
    )


def _parts(text: str, layers: int = _MOST_LAYERS) -> Iterator[_Part]:
    """What stands in a piece that is no ID; nothing where it is words alone."""
    end = 0
    for match in _LINK.finditer(text) if holds_link(text) else ():
        yield from _parts_between_links(text[end : match.start()], layers)
        end = match.end()
        for link in _split(match[0]):
            if not _IS_LINK.match(link):
                yield from _parts_between_links(link, layers)
            elif note := _note_of(link):
                yield _Part("note", note)
            else:
                yield _Part("link", link)
    yield from _parts_between_links(text[end:], layers)


def _split(links: str) -> Iterator[str]:
    """Take links apart that follow one another without a separator."""
    start = 0
    for match in _NEXT_LINK.finditer(links, 1):
        if match.lastgroup:
            yield links[start : match.start()]
            start = match.start()
    yield links[start:]


def _parts_between_links(text: str, layers: int) -> Iterator[_Part]:
    if layers and "%" in text and holds_link(text):
        yield from _parts(unquote(text), layers - 1)
        return
    if "://" in text:
        for match in _FOREIGN.finditer(text):
            yield _Part("foreign link", match[0])
        text = _FOREIGN.sub(" ", text)
    if like := _LIKE_AN_ID.search(text):
        yield _Part("like an ID", like[0])


def _note_of(link: str) -> str | None:
    """Return the note that one of this app's links names."""
    head = _IS_LINK.match(link)
    if head is None or _SHORT.search(head[0]):
        return None
    rest = link[head.end() :]
    for _ in range(_MOST_LAYERS + 1):
        if (match := _IS_NOTE.match(rest)) is None:
            if _NOT_OF_A_NOTE.match(rest):
                return None
            match = _NAMES_NOTE.search(rest)
        if match:
            return match[0][-24:].lower()
        encoded, rest = rest, unquote(rest)
        if rest == encoded:
            break
    return None


_LINK_NEEDED = (
    "one ends with the note's ID (24 hexadecimal characters), "
    "as https://www.xiaohongshu.com/explore/ID does"
)
_NEITHER = "neither a note ID (24 hexadecimal characters) nor a link to a note"
_TEXT_ALONE = f"this text holds {_NEITHER} (xiaohongshu.com, rednote.com)"
_TEXT_BESIDE_IDS = (
    "there are words beside the note IDs, which only a text with a link to a note may have"
)


def _word_error(number: int, count: int) -> str:
    return f"piece {number} of {count} is {_NEITHER}" if count > 1 else _NEITHER


def _id_error(text: str) -> str:
    if len(text) == 24:
        return f"{shown(text)} looks like a note ID, but needs a comma or a blank on either side"
    return f"{shown(text)} is no note ID: it has {len(text)} characters instead of 24"


def _destroyed_error(text: str) -> str:
    return (
        f"{shown(text)} is what a spreadsheet has made of an ID, of which the rest is lost: "
        "export the IDs anew, into a column with the format text, or use the notes' links"
    )


def _link_error(link: str) -> str:
    head = _IS_LINK.match(link)
    if head and _SHORT.search(head[0]):
        return (
            f"{_shown_link(link)} is a short link, which only the network can resolve: open it in "
            "a browser and give the address that it leads to"
        )
    return f"{_shown_link(link)} is no link to a note: {_LINK_NEEDED}"


def _shown_link(link: str) -> str:
    """A link without what may be a key, a password or a person's words: its query, its user."""
    without_user = re.sub(r"//[^/?#]*@", "//", link)
    before_query = re.match(r"[\w:/.-]*", without_user, re.ASCII)
    assert before_query  # noqa: S101 (it may be empty)
    return shown(before_query[0].rstrip(".:"), 100)
