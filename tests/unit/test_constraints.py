"""constraints.txt pins a fitting version of every requirement."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]


def requirements(name: str) -> list[Requirement]:
    lines = (line.partition(" #")[0].strip() for line in (PROJECT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def pinned() -> dict[str, str]:
    pins = (line.split("==") for line in (PROJECT / "constraints.txt").read_text().split())
    return {canonicalize_name(name): version for name, version in pins}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_to_a_fitting_version(name: str) -> None:
    versions = pinned()
    required = requirements(name)
    wrong = [
        str(requirement)
        for requirement in required
        if not requirement.specifier.contains(
            versions.get(canonicalize_name(requirement.name), "0"), prereleases=True
        )
    ]
    assert required
    assert wrong == []
