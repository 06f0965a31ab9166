"""What a crawl may be told: the spider's arguments, typed and checked.

Each argument is a field of :class:`Arguments`: its name, its default and the function that reads
it. Nothing here knows Scrapy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from xhs.notes.ids import shown

T = TypeVar("T")

_LATER: dict[str, frozenset[Any]] = {
    "source": frozenset({"redis"}),
    "mode": frozenset({"update"}),
    "replies": frozenset({"all"}),
}
"""Values of the contract whose work is not in this version yet."""


class WrongArguments(ValueError):
    """Arguments that cannot work; ``errors`` has one sentence for each, ``valid`` the others."""

    def __init__(self, errors: Sequence[str], valid: Arguments) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)
        self.valid = valid


def _text(value: str) -> str:
    return value


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return value

    return read


def _later(_: str) -> None:
    raise ValueError("is not available in this version")


def _flag(value: str) -> bool:
    if value not in {"0", "1"}:
        raise ValueError("is neither 0 nor 1")
    if value == "1":
        _later(value)
    return value == "1"


def _argument(default: T, read: Callable[[str], T | None]) -> Any:
    return field(default=default, metadata={"read": read})


@dataclass(frozen=True, slots=True)
class Arguments:
    """A crawl's arguments, checked. The README says what each means."""

    notes: str | None = _argument(None, _text)
    notes_file: str | None = _argument(None, _text)
    source: str = _argument("arguments", _one_of("arguments", "redis"))
    mode: str = _argument("full", _one_of("full", "resume", "update"))
    sort: str = _argument("latest", _one_of("latest", "normal", "like_count"))
    replies: str = _argument("inline", _one_of("none", "inline", "all"))
    max_comments: int | None = _argument(None, _later)
    since: str | None = _argument(None, _later)
    dry_run: bool = _argument(False, _flag)

    @property
    def names_notes(self) -> bool:
        """Whether the user named notes, by whatever argument."""
        return self.notes is not None or self.notes_file is not None


def parse(given: Mapping[str, str]) -> Arguments:
    """Read the ``-a`` arguments of a crawl.

    Names that begin with ``_`` are Scrapyd's own and ignored.

    Raises:
        WrongArguments: with everything that is wrong at once; a value is quoted only where its
            argument is known, since a misnamed argument may hold a secret.
    """
    known = {argument.name: argument for argument in fields(Arguments)}
    values: dict[str, Any] = {}
    errors: list[str] = []
    for name, value in given.items():
        if name.startswith("_"):
            continue
        if name.upper() in {"TOKEN", "JUSTONEAPI_TOKEN", "JUSTONEAPI_TOKEN_FILE"}:
            errors.append(
                f"{name}: a token given as an argument stands in process lists and job pages; set "
                "JUSTONEAPI_TOKEN or JUSTONEAPI_TOKEN_FILE in the environment"
            )
        elif name not in known:
            errors.append(f"{name}: no such argument; there are {', '.join(known)}")
        elif not isinstance(value, str):  # from a script
            errors.append(f"{name}: text is needed, not {type(value).__name__}")
        else:
            try:
                read = known[name].metadata["read"](value)
                if value in _LATER.get(name, ()):
                    _later(value)
                values[name] = read
            except ValueError as error:
                errors.append(f"{name}={shown(value)} {error}")
    if errors:
        raise WrongArguments(errors, Arguments(**values))
    return Arguments(**values)


def missing_notes(arguments: Arguments) -> str | None:
    """What to tell a user who started a crawl without saying of which notes, or None."""
    if arguments.names_notes or arguments.mode == "resume":
        return None
    return (
        "no notes: name them with -a notes=ID,… or -a notes_file=FILE "
        f"(mode={arguments.mode} takes none from elsewhere)"
    )
