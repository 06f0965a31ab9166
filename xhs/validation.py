"""Validation of items against their JSON Schemas: every error, no quoted values."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, cast

import jsonschema_rs
from jsonschema.exceptions import ValidationError
from scrapy_jsonschema import JsonSchemaItem

from xhs.api.values import is_storable
from xhs.crawl.storage import Problem

_REQUIRED = re.compile(r"'(.+)' is a required property")


def problems(item_class: type[JsonSchemaItem], fields: dict[str, Any]) -> list[Problem]:
    """Return everything that is wrong with an item's fields, without quoting their values."""
    found: list[Problem] = []
    if not is_surely_valid(item_class, fields):
        for error in item_class.validator.iter_errors(fields):
            found += _problems(error)
    found += [
        Problem(name, "has a character that UTF-8 cannot hold (a lone surrogate)")
        for name, value in fields.items()
        if not _is_utf8(value)
    ]
    return found


def is_surely_valid(item_class: Any, fields: dict[str, Any]) -> bool:
    """True if the compiled validator accepts the fields.

    If it does not, the validator of the item class decides: it gives the reasons, and may be more
    lenient, but is never stricter.
    """
    try:
        return _compiled(item_class).is_valid(fields)
    except ValueError:  # a value that is not JSON
        return False


@cache
def _compiled(item_class: Any) -> jsonschema_rs.Validator:
    def conforms(value: str) -> bool:
        return bool(item_class.validator.format_checker.conforms(value, "date-time"))

    # Its own check of times accepts leap seconds, which Python's dates cannot hold.
    formats = {"date-time": conforms}
    return jsonschema_rs.validator_for(
        item_class.jsonschema, validate_formats=True, formats=formats
    )


def _problems(error: ValidationError) -> list[Problem]:
    path = [str(step) for step in error.absolute_path]
    if error.validator == "additionalProperties":
        instance, schema = cast("dict[str, Any]", error.instance), cast("Any", error.schema)
        undeclared = sorted(set(instance) - set(schema["properties"]))
        return [Problem(".".join([*path, name]), "is not declared") for name in undeclared]
    if error.validator == "required" and (match := _REQUIRED.search(error.message)):
        return [Problem(".".join([*path, match[1]]), "is missing")]
    rule = "null" if error.validator_value is None else error.validator_value
    return [Problem(".".join(path), f"violates {error.validator} {rule}")]


def _is_utf8(value: Any) -> bool:
    if isinstance(value, str):
        return is_storable(value)
    if isinstance(value, dict):
        return all(_is_utf8(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return all(map(_is_utf8, value))
    return True
