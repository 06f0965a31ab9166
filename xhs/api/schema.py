"""Builders of JSON Schemas (draft-07) for the fields of items."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_HEX24 = "^[0-9a-f]{24}$"
_IDENTIFIER = r"^[0-9A-Za-z_-]{1,64}$"
_LARGEST = 2**63 - 1


def nullable(schema: Schema) -> Schema:
    """Allow null too."""
    return {**schema, "type": [schema["type"], "null"]}


def text(description: str, **more: Any) -> Schema:
    """A text."""
    return {"type": "string", "description": description, **more}


def note_id(description: str) -> Schema:
    """A note's ID: 24 hexadecimal characters."""
    return text(description, pattern=_HEX24)


def identifier(description: str) -> Schema:
    """The ID of a comment or of a user."""
    return text(description, pattern=_IDENTIFIER)


def time(description: str) -> Schema:
    """A time as ISO 8601 in UTC."""
    return text(f"{description} ISO 8601, UTC.", format="date-time", pattern="Z$")


def integer(description: str, minimum: int = -_LARGEST) -> Schema:
    """A whole number that a database can hold."""
    return {
        "type": "integer",
        "minimum": minimum,
        "maximum": _LARGEST,
        "description": description,
    }


def count(description: str) -> Schema:
    """A whole number of 0 or more."""
    return integer(description, minimum=0)


def flag(description: str) -> Schema:
    """A boolean."""
    return {"type": "boolean", "description": description}


def array(description: str, **more: Any) -> Schema:
    """A list."""
    return {"type": "array", "description": description, **more}


def mapping(description: str) -> Schema:
    """An object."""
    return {"type": "object", "description": description}
