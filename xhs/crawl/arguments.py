"""The spider's arguments, typed and checked.

Each argument is a field of :class:`Arguments`: its name, its default and the function that reads
it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from xhs.api.endpoints import DEFAULT_SORT, SORTS
from xhs.crawl.note_ids import is_word, shown

T = TypeVar("T")

NAME_NEEDED = (
    "-a NAME=VALUE is needed: there is no argument's name before the first =; give links and share "
    'texts as -a notes="…"'
)
"""The error for any other form. The text may be a share text, so it is not quoted."""

NOTE_ARGUMENTS = ("mode", "sort", "replies", "max_comments", "since")
"""The arguments that the ledger can keep with a note. The crawl's own arguments override them."""


class WrongArguments(ValueError):
    """Invalid arguments: ``errors`` has one sentence for each, ``valid`` holds the valid ones."""

    def __init__(self, errors: Sequence[str], valid: Arguments) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)
        self.valid = valid


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return value

    return read


def _flag(value: str) -> bool:
    if value not in {"0", "1"}:
        raise ValueError("is neither 0 nor 1")
    return value == "1"


def _positive(value: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", value):
        raise ValueError("is not a number of comments: 1 or more is needed")
    return int(value)


def read_time(value: str) -> datetime:
    """Read a date or a date-time in ISO 8601; it is in UTC if it names no zone.

    Raises:
        ValueError: if it is neither; the message follows the value in a sentence.
    """
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            "is not a date or date-time in ISO 8601, such as 2026-11-24 or "
            "2026-11-24T08:30:00+08:00"
        ) from None


def _argument(default: T, read: Callable[[str], T | None]) -> Any:
    return field(default=default, metadata={"read": read})


@dataclass(frozen=True, slots=True)
class Arguments:
    """The checked arguments of a crawl. docs/reference/arguments.md explains each."""

    notes: str | None = _argument(None, str)
    notes_file: str | None = _argument(None, str)
    mode: str = _argument("full", _one_of("full", "resume", "update"))
    sort: str = _argument(DEFAULT_SORT, _one_of(*SORTS))
    replies: str = _argument("inline", _one_of("none", "inline", "all"))
    max_comments: int | None = _argument(None, _positive)
    since: datetime | None = _argument(None, read_time)  # noqa: RUF009 (as for the others)
    dry_run: bool = _argument(False, _flag)
    given: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The arguments as text, before they were read."""

    def for_note(self, kept: Mapping[str, str]) -> Arguments:
        """Return these arguments, completed by those that the ledger keeps with a note.

        Raises:
            WrongArguments: if they cannot be combined, or those of the ledger are invalid.
        """
        return parse({**kept, **self.given}) if kept else self

    @property
    def has_notes(self) -> bool:
        """True if an argument names notes or a file of notes."""
        return self.notes is not None or self.notes_file is not None


def parse(given: Mapping[str, str]) -> Arguments:
    """Read the ``-a`` arguments of a crawl.

    Names that begin with ``_`` are Scrapyd's and are ignored.

    Raises:
        WrongArguments: with all errors at once. A value is quoted only if its argument exists,
            since a misnamed argument may hold a secret, and only if it is one word, since a share
            text holds a person's name.
    """
    readers = {f.name: f.metadata["read"] for f in fields(Arguments) if f.metadata}
    values: dict[str, Any] = {"given": dict(given)}
    errors: list[str] = []
    for name, value in given.items():
        if re.fullmatch(r"_\w*", name, re.ASCII):
            continue
        if name.upper() in {"TOKEN", "JUSTONEAPI_TOKEN", "JUSTONEAPI_TOKEN_FILE"}:
            errors.append(
                f"{name}: a token given as an argument is visible in process lists and job pages; "
                "set JUSTONEAPI_TOKEN or JUSTONEAPI_TOKEN_FILE in the environment"
            )
        elif name not in readers:
            no_such = f"{name}: no such argument; there are {', '.join(readers)}"
            errors.append(no_such if is_argument_name(name) else NAME_NEEDED)
        elif not isinstance(value, str):  # from a script
            errors.append(f"{name}: text is needed, not {type(value).__name__}")
        else:
            try:
                values[name] = readers[name](value)
            except ValueError as error:
                errors.append(f"{name}{f'={shown(value)}' if is_word(value) else ''} {error}")
    valid = Arguments(**values)
    if valid.since is not None and valid.sort != "latest":
        errors.append(f"since needs sort=latest, not sort={valid.sort}: it needs the order by time")
    if errors:
        raise WrongArguments(list(dict.fromkeys(errors)), valid)
    return valid


def is_argument_name(name: str) -> bool:
    """True if it looks like an argument's name, rather than a text that contains a ``=``."""
    return re.fullmatch(r"\w{1,30}", name, re.ASCII) is not None


def missing_notes(arguments: Arguments) -> str | None:
    """Return the error for a crawl that needs notes and was given none; else None."""
    if arguments.has_notes or arguments.mode != "full":
        return None
    if any(
        not is_argument_name(name) or name.lower().startswith("note") for name in arguments.given
    ):
        return None  # the notes were given under a wrong name, which is an error already
    return (
        "no notes: give them with -a notes=ID,… or -a notes_file=FILE, or crawl those of the "
        "ledger with -a mode=update or -a mode=resume"
    )
