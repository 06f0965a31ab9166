"""Features of a comment's text: its words, emoji codes and emoji, and if it is a question."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rjieba import Jieba

MISSING = "rjieba is not installed: pip install -r requirements-look.txt"

QUESTION_ENDINGS = ("吗", "呢", "么")
QUESTION_WORDS = (
    "请问", "多少钱", "在哪", "哪里", "哪儿", "怎么买", "怎么弄", "怎么做", "有没有人", "求链接",
    "求教程", "求推荐",
)  # fmt: skip
LEAST_COPIED = 8
"""Characters that a text must have to be compared with others."""

CODE = re.compile(r"\[(?!\d+\])[\w·]{1,12}\]")
"""An emoji code as the app writes it, such as ``[doge]`` or ``[捂脸R]``."""

_PICTOGRAPH = (
    "[\U0001f000-\U0001faff\u2600-\u27bf\u203c\u2049\u231a\u231b\u23e9-\u23fa\u25aa\u25ab\u25b6\u25c0"
    "\u25fb-\u25fe\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299]"
)
_MODIFIERS = "[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3"
    f"|{_PICTOGRAPH}{_MODIFIERS}(?:\u200d{_PICTOGRAPH}{_MODIFIERS})*"
)
"""An emoji: a flag, a keycap, or a pictograph with its modifiers and those joined to it."""

_LINK = re.compile(r"https?://[!-~]+")
_MENTION = re.compile(r"@\S+")
_BEGINS_WITH = {_LINK: "http", _MENTION: "@", CODE: "["}
_REPEATED = re.compile(r"(.)\1{2,}")
_NO_LETTERS = re.compile(r"[\W\d_]+")
_NOT_COMPARED = re.compile(r"[\W_]+")
_ASKS = re.compile(r"\w[^\w\s]*[?？]")

_STOP_WORDS = Path(__file__).with_name("stop-words.txt")
_DICTIONARY = Path(__file__).with_name("dictionary.txt")


class WrongWordList(ValueError):
    """A file of words cannot be read. The message says which, and why."""


def is_installed() -> bool:
    """True if the package that splits Chinese text into words is installed."""
    return find_spec("rjieba") is not None


def read_word_list(name: str | Path) -> list[str]:
    """Read a file with one word a line; what follows a blank, and lines with ``#``, are left out.

    Raises:
        WrongWordList: if it cannot be read, or has no word.
    """
    try:
        lines = Path(name).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise WrongWordList(f"{name} is not UTF-8 text: save it as UTF-8") from None
    except (OSError, RuntimeError, ValueError) as error:  # a RuntimeError if ~USER has no home
        reason = getattr(error, "strerror", None) or error
        raise WrongWordList(f"{name} cannot be read: {reason}") from None
    words = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    if not words:
        raise WrongWordList(f"{name} has no word in it: put one on each line")
    return words


class Words:
    """Splits texts into words.

    ``stop_words`` are left out, and words of the ``dictionary`` are not split, in addition to those
    of ``stop-words.txt`` and ``dictionary.txt`` beside this module.
    """

    def __init__(self, stop_words: Iterable[str] = (), dictionary: Iterable[str] = ()) -> None:
        from rjieba import Jieba

        self._jieba: Jieba = Jieba()
        for word in (*read_word_list(_DICTIONARY), *dictionary):
            self._jieba.add_word(_plain(word), None, None)
        self._stop_words = {_plain(word) for word in (*read_word_list(_STOP_WORDS), *stop_words)}

    def of(self, text: str) -> set[str]:
        """Return the distinct words of a text, in lower case.

        Left out are links, mentions, emoji codes, numbers, stop words and single characters. Three
        or more equal characters count as two.
        """
        bare = _without(text, " ", (_LINK, _MENTION, CODE))
        words = self._jieba.cut(_REPEATED.sub(r"\1\1", _plain(bare)))
        return {
            word
            for word in words
            if len(word) > 1 and word not in self._stop_words and not _NO_LETTERS.fullmatch(word)
        }


def emoji_in(text: str) -> set[str]:
    """Return the distinct emoji codes and emoji of a text, as written."""
    codes = CODE.findall(text) if "[" in text else ()
    return {*codes, *EMOJI.findall(text)}


def is_question(text: str) -> bool:
    """True if a text asks, by :data:`QUESTION_ENDINGS`, :data:`QUESTION_WORDS` or its mark.

    Emoji at the end do not matter. A question mark counts after a letter or a digit only.
    """
    text = EMOJI.sub("", _without(text, "", (_LINK, CODE)))
    if _ASKS.search(text) or any(word in text for word in QUESTION_WORDS):
        return True
    end = len(text)
    while end and not text[end - 1].isalnum():
        end -= 1
    return text.endswith(QUESTION_ENDINGS, 0, end)


def comparable(text: str) -> str | None:
    """Return a text as it is compared with others; None if it is too short for that.

    Case, width, blanks, punctuation, mentions, emoji and emoji codes do not matter.
    """
    bare = EMOJI.sub("", _without(text, "", (_MENTION, CODE)))
    plain = _NOT_COMPARED.sub("", _plain(bare))
    return plain if len(plain) >= LEAST_COPIED else None


def _without(text: str, replacement: str, patterns: Iterable[re.Pattern[str]]) -> str:
    """Return a text without what matches. Most texts have none of it, and are not searched."""
    for pattern in patterns:
        if _BEGINS_WITH[pattern] in text:
            text = pattern.sub(replacement, text)
    return text


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
