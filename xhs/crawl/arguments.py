"""What a crawl may be told: the spider's arguments, typed and checked.

Each argument is a field of :class:`Arguments`: its name, its default and the function that reads
it. Nothing here knows Scrapy.
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
    "-a NAME=VALUE is needed: what was given has no argument's name before the first =; give links "
    'and share texts as -a notes="…"'
)
"""What to tell a user who gave something else. It may be a share text, so it is not quoted."""

NOTE_ARGUMENTS = ("mode", "sort", "replies", "max_comments", "since")
"""The arguments that the ledger can keep with a note. What a crawl names itself wins over them."""


class WrongArguments(ValueError):
    """Arguments that cannot work; ``errors`` has one sentence for each, ``valid`` the others."""

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


def _some(value: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", value):
        raise ValueError("is no number of comments: 1 or more is needed")
    return int(value)


def _moment(value: str) -> datetime:
    """A date or a date-time in ISO 8601; UTC where no zone is given."""
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            "is no date or date-time in ISO 8601, as 2026-11-24 or 2026-11-24T08:30:00+08:00"
        ) from None


def _argument(default: T, read: Callable[[str], T | None]) -> Any:
    return field(default=default, metadata={"read": read})


@dataclass(frozen=True, slots=True)
class Arguments:
    """A crawl's arguments, checked. docs/reference/arguments.md says what each means."""

    notes: str | None = _argument(None, str)
    notes_file: str | None = _argument(None, str)
    mode: str = _argument("full", _one_of("full", "resume", "update"))
    sort: str = _argument(DEFAULT_SORT, _one_of(*SORTS))
    replies: str = _argument("inline", _one_of("none", "inline", "all"))
    max_comments: int | None = _argument(None, _some)
    since: datetime | None = _argument(None, _moment)  # noqa: RUF009 (as for the others)
    dry_run: bool = _argument(False, _flag)
    given: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """What was given, as it was given."""

    def for_note(self, kept: Mapping[str, str]) -> Arguments:
        """These, and where they name nothing themselves, what the ledger keeps with a note.

        Raises:
            WrongArguments: if they do not go together, or what is kept is none.
        """
        return parse({**kept, **self.given}) if kept else self

    @property
    def names_notes(self) -> bool:
        """True if the user named notes, by whatever argument."""
        return self.notes is not None or self.notes_file is not None


def parse(given: Mapping[str, str]) -> Arguments:
    """Read the ``-a`` arguments of a crawl.

    Names that begin with ``_`` are Scrapyd's own and ignored.

    Raises:
        WrongArguments: with everything that is wrong at once. A value is quoted only if its
            argument is known, since a misnamed argument may hold a secret, and if it is one word,
            since a share text holds a person's name.
    """
    known = {argument.name: argument for argument in fields(Arguments) if argument.metadata}
    values: dict[str, Any] = {"given": dict(given)}
    errors: list[str] = []
    for name, value in given.items():
        if re.fullmatch(r"_\w*", name, re.ASCII):
            continue
        if name.upper() in {"TOKEN", "JUSTONEAPI_TOKEN", "JUSTONEAPI_TOKEN_FILE"}:
            errors.append(
                f"{name}: a token given as an argument stands in process lists and job pages; set "
                "JUSTONEAPI_TOKEN or JUSTONEAPI_TOKEN_FILE in the environment"
            )
        elif name not in known:
            no_such = f"{name}: no such argument; there are {', '.join(known)}"
            errors.append(no_such if is_argument_name(name) else NAME_NEEDED)
        elif not isinstance(value, str):  # from a script
            errors.append(f"{name}: text is needed, not {type(value).__name__}")
        else:
            try:
                values[name] = known[name].metadata["read"](value)
            except ValueError as error:
                errors.append(f"{name}{f'={shown(value)}' if is_word(value) else ''} {error}")
    found = Arguments(**values)
    if found.since is not None and found.sort != "latest":
        errors.append(f"since needs sort=latest, and not sort={found.sort}: it goes by the time")
    if errors:
        raise WrongArguments(list(dict.fromkeys(errors)), found)
    return found


def is_argument_name(name: str) -> bool:
    """True if it looks like an argument's name, and not like a text in which a = stands."""
    return re.fullmatch(r"\w{1,30}", name, re.ASCII) is not None


def missing_notes(arguments: Arguments) -> str | None:
    """What to tell a user who started a crawl without saying of which notes, or None."""
    if arguments.names_notes or arguments.mode != "full":
        return None
    if any(
        not is_argument_name(name) or name.lower().startswith("note") for name in arguments.given
    ):
        return None  # they are named under a wrong name, which is an error already
    return (
        "no notes: name them with -a notes=ID,… or -a notes_file=FILE, or take those of the ledger "
        "with -a mode=update or -a mode=resume"
    )
