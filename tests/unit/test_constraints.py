"""constraints.txt holds a version of everything that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]


def asked_for(name: str) -> list[Requirement]:
    lines = (line.partition(" #")[0].strip() for line in (PROJECT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def pinned() -> dict[str, str]:
    found = (line.split("==") for line in (PROJECT / "constraints.txt").read_text().split())
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_is_asked_for_is_pinned_to_a_version_that_will_do(name: str) -> None:
    versions = pinned()
    wrong = [
        str(one)
        for one in asked_for(name)
        if not one.specifier.contains(
            versions.get(canonicalize_name(one.name), "0"), prereleases=True
        )
    ]
    assert asked_for(name)
    assert wrong == []
