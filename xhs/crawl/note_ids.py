"""Reader of note IDs in any form: bare IDs, links and pasted share texts.

A share text begins with a person's name, and a link's query contains keys. So an error quotes only
what looks like an ID, and a link without its query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple
from urllib.parse import unquote

NOTE_URL = "https://www.xiaohongshu.com/explore/"
"""The address of a note without its ID."""

LINK_FORMS = (
    *(
        f"{path}/{note}"
        for path in (
            "/explore",
            "/discovery/item",
            "/search_result",
            "/item",
            "/note",
            "/wenote",
            "/red_video",
            "/video_feed",
            "/portrait_feed",
            "…/note-detail",
        )
        for note in ("NOTE", "OTHER/NOTE")
    ),
    "/user/profile/OTHER/NOTE",
    "/board/OTHER/NOTE",
    "?note_id=NOTE",
    "?noteId=NOTE",
    "/publish/update?id=NOTE",
)
"""Links to a note, without the app's host or the ``xhsdiscover:/`` of a deep link.

``NOTE`` stands for the note's ID, which is the last part of a path; ``OTHER`` for the ID of a
person or a board; ``…`` for any folders. A parameter may follow others; one without a path may
follow any path except those of :data:`_NOT_OF_A_NOTE`. A parameter of any name (``redirectPath``,
``source``, ``deeplink``) may also contain the whole link, or its path.
"""

_MOST_LAYERS = 3
"""How often a link may be percent-encoded: once by each page that passes it on."""

_IS_ID = re.compile(r"[0-9a-f]{24}", re.IGNORECASE)
_PIECE = re.compile(r"[^\s,，、\u200b-\u200f\u202a-\u202e\u2060\ufeff]+")
_SEPARATES_ENTRIES = re.compile(r"[,，、\r\n]")
_TO_ASCII = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""ASCII for full-width characters."""

_FLAGS = re.IGNORECASE | re.ASCII | re.VERBOSE
_URL_CHARACTER = r"[!#-&(-+\--;=?-\[\]_a-z~]"
_HOST = r"(?:[\w-]+\.)*(?:(?:xiaohongshu|rednote)\.com|xhslink\.(?:com|cn))(?![\w-]|\.[\w-])"
_DEEP_LINK = "xhsdiscover:"
_HEAD = rf"""
    # Without a scheme, it must not be the end of another host or address, nor be encoded.
    (?: (?:https?:/{{1,3}}|//)(?:[\w.~:-]{{1,64}}@)? | (?<![\w.@/-])(?!(?<=%)[0-9a-f]{{2}}) )
    {_HOST}\.?(?::\d+)?
"""
_IS_LINK = re.compile(rf"{_DEEP_LINK} | {_HEAD}", _FLAGS)
_LINK = re.compile(
    rf"{_DEEP_LINK}{_URL_CHARACTER}* | {_HEAD} (?:[/?\#%]{_URL_CHARACTER}*)?", _FLAGS
)
_NEXT_LINK = re.compile(
    rf"[?&;\#]\w{{1,40}}=https?:// | (?P<scheme>)https?:// | (?<=;)(?P<host>){_HOST}", _FLAGS
)
"""The start of a further link without a separator before it, or of a parameter that is a link.

A parameter belongs to the link before it.
"""
_SHORT = re.compile(r"xhslink\.\w+\.?(?::\d+)?$", re.IGNORECASE)

_NAME = r"(?:xiaohongshu|rednote|xhslink)"
_MENTION = re.compile(rf"{_NAME}|xhsdiscover", _FLAGS)
_LIKE_A_LINK = re.compile(
    rf"""
    xhsdiscover[.:/：%]
    | {_NAME} (?:[.:/。．｡]+[a-z0-9] | %[0-9a-f]{{2}})
    | (?:(?<=[a-z0-9][./])|(?<=//)|(?<=[。．｡])) {_NAME}
    """,
    _FLAGS,
)
"""The app's name, joined to another word by a dot, slash or colon as in an address."""
_ADDRESS = re.compile(r"[!-~。．｡：]+")
_COMMA_FOR_DOT = re.compile(rf"({_NAME})[,，、](?=c(?:om|n)\b)", _FLAGS)
_EMAIL = re.compile(
    r"(?<![\w.+/:-])(?:mailto:)?[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[a-z]{2,24}(?![\w@%/?\#-]|[.:]\w|:/)",
    _FLAGS,
)
_FOREIGN = re.compile(rf"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{{0,20}}://{_URL_CHARACTER}*", _FLAGS)
_FOREIGN_WITHOUT_SCHEME = re.compile(
    rf"(?<![\w.-])(?:[\w-]{{1,63}}\.)+[a-z]{{2,24}}(?::\d+)?[/?\#]{_URL_CHARACTER}*", _FLAGS
)


def _pattern(path: str) -> str:
    """Return a pattern for a path of :data:`LINK_FORMS`. Its match ends with the ID of ``NOTE``.

    If another part or another ID followed, the ID would not be the note's.
    """
    parts = {
        "": "",
        "…": r"(?:/{1,3}[\w-]+){0,9}",
        "OTHER": r"/{1,3}[\w-]+",
        "NOTE": r"/{1,3}[0-9a-f]{24}(?![\w%-]|/+[\w-]|[^\n]*[0-9a-f]{16})",
    }
    return "".join(parts.get(part, f"/{{1,3}}{part}") for part in path.split("/"))


_IS_NOTE = re.compile("|".join(_pattern(form) for form in LINK_FORMS if "?" not in form), _FLAGS)
_PARAMETERS = [
    (re.compile(rf"{_pattern(path)}/?", _FLAGS) if path else None, parameter.partition("=")[0])
    for path, question_mark, parameter in (form.partition("?") for form in LINK_FORMS)
    if question_mark
]
"""The path that a parameter must follow, or None for any, and the parameter's name."""
_NOTE_IN_PARAMETER = re.compile(r"[0-9a-f]{24}(?![\w%-])", _FLAGS)
_NOT_OF_A_NOTE = re.compile(r"/+(?:user|board|goods|page|store)\b", _FLAGS)
"""Pages of people, boards, goods and topics. Their parameters may mention a note, but mean none."""

_WORD = re.compile(r"[^\W_]{16,}")
_NO_HEX_DIGIT = re.compile(r"[^0-9a-fo]", re.IGNORECASE)
"""An O counts as a digit: people and text recognition write it for a 0."""
_LETTERS_AROUND = re.compile(
    r"^[^\W\d_]*[^\W\d_a-f][^\W\d_]*(?=[0-9]) | (?<=[0-9])[^\W\d_]*[^\W\d_a-f][^\W\d_]*$",
    re.IGNORECASE | re.VERBOSE,
)
_LEAST_DIGITS = 16
_MOST_WRONG = 2
"""Characters, among :data:`_LEAST_DIGITS` in a row, that may be other than hexadecimal digits."""
_LONGER_THAN_CARD_NUMBERS = 20
_SHORTENED = re.compile(
    r"(?<![0-9a-z]) ([0-9a-f]{4,24}) (?:…+|⋯+|\.{2,6}|\*{2,12}) ([0-9a-f]{4,24}) (?![0-9a-z])"
    r"| (?<![0-9a-z]) ([0-9a-f]{8,24}) (?:…|⋯|\.\.)",
    _FLAGS,
)
_DESTROYED = re.compile(
    r"""[\s'’‘"“”=]* (?: \d+(?:[.,]\d+)?e[+-]\d+ | \d(?:[.,]\d+)?e\d+ ) [\s'’"”]*""", _FLAGS
)
"""An ID that a spreadsheet has converted to a number."""

_CALL_TO_OPEN = re.compile(
    r"""
    \W* (?:长按|長按|请|請|快来|快來|点击|點擊)?
    (?: 复制 | 複製 | (?:打开|打開|copy\b|open\b).*(?:小红书|小紅書|rednote|xiaohongshu) )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_CALL = 200
_LONGEST_WORD = 30
_IS_WORD = re.compile(r"[\w.:+-]*", re.ASCII)
_ESCAPED_SLASH = re.compile(r"\\(?:/|u002f)", re.IGNORECASE)
"""A slash as JSON and scripts may escape it."""


class NotesFound(NamedTuple):
    """The note IDs in a value (lower case, in order, with repeats), and its errors."""

    notes: list[str]
    errors: list[str]


class _Part(NamedTuple):
    """A part of a piece, and its kind. The ``text`` of a note is its ID."""

    kind: Literal["note", "link", "foreign link", "like an ID"]
    text: str


def find_notes(value: str) -> NotesFound:
    """Return the notes in a value: an argument, a line of a file or a cell.

    If it contains a link of this app, its links and bare IDs are read and the rest is ignored;
    otherwise every piece between commas or white space must be an ID. In either case, an error is
    returned for each piece that looks like a link of this app or like an ID and names no note.
    The words of a text are one error together.
    """
    if _IS_ID.fullmatch(value):
        return NotesFound([value.lower()], [])
    if is_destroyed(value):
        return NotesFound([], [_destroyed_error(value)])
    if "\\" in value:
        value = _ESCAPED_SLASH.sub("/", value)
    if _MENTION.search(value):
        value = _COMMA_FOR_DOT.sub("\\1。", value)  # so that it stays one piece
    value = "\n".join(line for line in value.splitlines() if not _is_call_to_open(line))

    notes: list[str] = []
    errors: list[str] = []
    errors_without_link: list[str] = []
    words: list[int] = []
    number = word_end = 0
    has_link = is_text = False
    for number, match in enumerate(_PIECE.finditer(value), 1):
        piece = match[0]
        if _IS_ID.fullmatch(piece):
            notes.append(piece.lower())
            continue
        if is_destroyed(piece):
            errors_without_link.append(_destroyed_error(piece))
            continue
        if not piece.isascii() and _IS_ID.fullmatch(plain := piece.translate(_TO_ASCII)):
            errors.append(_full_width_error(plain))
            continue
        parts = list(_parts(piece))
        if not (parts or piece.isascii()) and holds_link(piece.translate(_TO_ASCII)):
            errors.append(_FULL_WIDTH_LINK)
            continue
        has_wrong_link = any(kind == "link" for kind, _ in parts)
        for kind, text in parts:
            if kind == "like an ID" and has_wrong_link:
                continue  # the rest of the link, after characters that no address has
            if kind == "note":
                notes.append(text)
            elif kind == "foreign link":
                errors_without_link.append(_link_error(text))
            else:
                errors.append(_link_error(text) if kind == "link" else _id_error(text))
            has_link = has_link or kind in {"note", "link"}
        if not parts:
            # Words that follow one another make a text; each entry of a list is one word.
            follows = bool(words) and not _SEPARATES_ENTRIES.search(value, word_end, match.start())
            is_text = is_text or follows or not piece.isascii()
            words.append(number)
            word_end = match.end()
    if not has_link:
        errors += errors_without_link
        is_object = value.lstrip().startswith("{") and bool(errors)
        if words and not is_text and not is_object:
            errors += [_word_error(word, number) for word in words]
        elif words and not errors:
            errors.append(_TEXT_BESIDE_IDS if notes else _TEXT_ALONE)
    return NotesFound(notes, list(dict.fromkeys(errors)))


def holds_link(text: str) -> bool:
    """True if it seems to contain a link of this app."""
    return _LIKE_A_LINK.search(text) is not None


def names_note(text: str) -> bool:
    """True if it seems to contain a link of this app or an ID, valid or not."""
    return holds_link(text) or _like_an_id(text) is not None


def begins_with_note(text: str) -> bool:
    """True if it begins with a link of this app or an ID."""
    return (_IS_LINK.match(text) or _IS_ID.match(text)) is not None


def is_text_alone(text: str) -> bool:
    """True if it is a text of words only: no list, no link, and not the app's call to open it."""
    return (
        (not text.isascii() or len(text.split(None, 1)) > 1)
        and "://" not in text
        and not names_note(text)
        and not _is_call_to_open(text)
    )


def is_destroyed(text: str) -> bool:
    """True if it is an ID that a spreadsheet has converted to scientific notation."""
    plain = text if text.isascii() else text.translate(_TO_ASCII)
    return _DESTROYED.fullmatch(plain) is not None


def shown(text: str, width: int = 60) -> str:
    """Return ``text`` for an error: quoted, on one line, and cut to ``width`` characters."""
    cut = text if len(text) <= width else text[: width - 1] + "…"
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return f"'{''.join(escaped)}'"


def is_word(text: str) -> bool:
    """True if it is a single short word, which an error may quote; a text may name people."""
    return len(text) <= _LONGEST_WORD and _IS_WORD.fullmatch(text) is not None


def _is_call_to_open(line: str) -> bool:
    """True for the line that the app adds below its link: 复制后打开【小红书】查看笔记！"""
    return (
        len(line) <= _LONGEST_CALL
        and _CALL_TO_OPEN.match(line) is not None
        and "://" not in line
        and not names_note(line)
    )


def _parts(text: str, layers: int = _MOST_LAYERS) -> Iterator[_Part]:
    """Yield the parts of a piece that is not an ID; nothing if it is only words."""
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
    """Split links that follow one another without a separator."""
    start = 0
    for match in _NEXT_LINK.finditer(links, 1):
        if match.lastgroup:
            yield links[start : match.start()]
            start = match.start()
    yield links[start:]


def _parts_between_links(text: str, layers: int) -> Iterator[_Part]:
    if not text:
        return
    if _MENTION.search(text):
        if layers and "%" in text and (decoded := unquote(text)) != text:
            yield from _parts(decoded, layers - 1)
            return
        text = _EMAIL.sub(" ", text)
        for address in filter(holds_link, _ADDRESS.findall(text)):
            yield _Part("link", address)
        text = _ADDRESS.sub(lambda match: " " if holds_link(match[0]) else match[0], text)
    if "://" in text:
        for match in _FOREIGN.finditer(text):
            yield _Part("foreign link", match[0])
        text = _FOREIGN.sub(" ", text)
    if "." in text:
        text = _FOREIGN_WITHOUT_SCHEME.sub(" ", _EMAIL.sub(" ", text))
    if like := _like_an_id(text):
        yield _Part("like an ID", like)


def _like_an_id(text: str) -> str | None:
    """Return the first part of a text that may be meant as an ID.

    That is a word with 16 characters in a row of which at most two are not hexadecimal digits, or
    an ID without its middle or its end. Numbers of phones and bank cards are not IDs.
    """
    if not text.isascii():
        text = text.translate(_TO_ASCII)
    for word in _WORD.findall(text):
        wrong = [match.start() for match in _NO_HEX_DIGIT.finditer(word)]
        limits = [-1, *wrong, *[len(word)] * (_MOST_WRONG + 1)]
        for before, after in zip(limits, limits[_MOST_WRONG + 1 :], strict=False):
            if after - before <= _LEAST_DIGITS:
                continue
            part = _LETTERS_AROUND.sub("", word[before + 1 : after])
            if len(part) >= (_LONGER_THAN_CARD_NUMBERS if part.isdigit() else _LEAST_DIGITS):
                return part
    for match in _SHORTENED.finditer(text):
        if any(part and not part.isdigit() and not part.isalpha() for part in match.groups()):
            return match[0]
    return None


def _note_of(link: str) -> str | None:
    """Return the ID of the note that a link of this app names; None if it names none."""
    address = _address_in(link)
    return (_note_at(address, _MOST_LAYERS) or None) if address else None


def _address_in(text: str) -> str | None:
    """Return a link of this app without its host; also a path alone."""
    if match := _IS_LINK.search(text):
        if _SHORT.search(match[0]):
            return None
        is_deep_link = match[0].lower() == _DEEP_LINK
        return f"/{text[match.end() :].lstrip('/')}" if is_deep_link else text[match.end() :]
    return text if text.startswith("/") else None


def _note_at(address: str, layers: int) -> str | None:
    """Return the ID of the note that a path with its parameters names.

    None if they name none; empty if it is a page of something else, such as a person.
    """
    path, *parameters = re.split(r"[?&;#]", address)
    if layers and "%" in path and (decoded := unquote(address)) != address:
        return _note_at(decoded, layers - 1)
    if match := _IS_NOTE.match(path):
        return match[0][-24:].lower()
    if _NOT_OF_A_NOTE.match(path):
        return ""
    for parameter in parameters:
        name, is_named, value = parameter.partition("=")
        if is_named and (match := _NOTE_IN_PARAMETER.match(value)):
            for of_path, of_name in _PARAMETERS:
                if name.lower() == of_name.lower() and (not of_path or of_path.fullmatch(path)):
                    return match[0].lower()
        nested, remaining = _nested(value if is_named else name, layers)
        if nested is not None:
            if (note := _note_at(nested, remaining)) is not None:
                return note
            path = nested  # the parameters that follow may belong to it
    return None


def _nested(value: str, layers: int) -> tuple[str | None, int]:
    """Return the address in a parameter, and how often it may still be decoded."""
    while (address := _address_in(value)) is None and layers and "%" in value:
        value, layers = unquote(value), layers - 1
    return address, layers


_LINK_NEEDED = f"it must end with the note's ID (24 hexadecimal characters), as {NOTE_URL}ID does"
_EXPORT_AGAIN = "export the IDs again, into a column with the format text, or use the notes' links"
_NEITHER = "neither a note ID (24 hexadecimal characters) nor a link to a note"
_TEXT_ALONE = f"this text contains {_NEITHER} (xiaohongshu.com, rednote.com)"
_TEXT_BESIDE_IDS = (
    "there are words beside the note IDs: only a text with a link to a note may have them"
)


_FULL_WIDTH_LINK = (
    "a link is written in full-width characters: copy it again from the app or the browser"
)


def _word_error(number: int, count: int) -> str:
    return f"piece {number} of {count} is {_NEITHER}" if count > 1 else _NEITHER


def _id_error(text: str) -> str:
    quoted = shown(re.sub(r"[^!-~…⋯]+", "…", text))
    if _IS_ID.fullmatch(text):
        return f"{quoted} looks like a note ID, but needs a comma or a blank on either side"
    if "." in text or "*" in text or not text.isalnum():
        return f"{quoted} is a note ID with a part left out: give all 24 characters"
    if _NO_HEX_DIGIT.search(text) or "o" in text.lower():
        return f"{quoted} is not a note ID: it has other characters than 0 to 9 and a to f"
    return f"{quoted} is not a note ID: it has {len(text)} characters instead of 24"


def _destroyed_error(text: str) -> str:
    plain = text.translate(_TO_ASCII).strip(" \t\r\n'’‘\"“”=")
    return (
        f"{shown(plain)} is an ID that a spreadsheet has converted to a number, and its end is "
        f"lost: {_EXPORT_AGAIN}"
    )


def _full_width_error(note_id: str) -> str:
    return f"{shown(note_id)} is written in full-width characters: {_EXPORT_AGAIN}"


def _link_error(link: str) -> str:
    host = _IS_LINK.match(link)
    if host and _SHORT.search(host[0]):
        return (
            f"{_shown_link(link)} is a short link, which only the network can resolve: open it in "
            "a browser and give the address that it leads to"
        )
    return f"{_shown_link(link)} is not a link to a note: {_LINK_NEEDED}"


def _shown_link(link: str) -> str:
    """Return a link without its user and its query: they may contain keys or a person's words."""
    without_user = re.sub(r"(^|/)[^/?#]*@", r"\1", link)
    before_query = re.match(r"[^\w/]*([\w:/.-]*)", without_user, re.ASCII)
    assert before_query  # noqa: S101 (it may be empty)
    return shown(before_query[1].rstrip(".:"), 160)
