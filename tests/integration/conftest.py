"""All crawls share a stand-in and an embedded server; each test has a database of its own."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from support import forks
from support.canary import Watched
from support.crawl import Project, kept_open
from support.marks import EMBEDDED_MISSING
from support.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def _api() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def api(_api: Simulator) -> Simulator:
    """The stand-in in its initial state."""
    _api.reset()
    return _api


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if EMBEDDED_MISSING:
        pytest.skip("SecantusDB is not installed")
    uri = f"embedded:{tmp_path_factory.mktemp('server') / 'db'}"
    with kept_open(uri):
        yield uri


@pytest.fixture
def project(api: Simulator, _server: str, tmp_path: Path) -> Project:
    """A project with an empty database."""
    return Project(api.url, tmp_path, _server, f"test{next(_NUMBERS)}")


@pytest.fixture
def own_server(api: Simulator, tmp_path: Path) -> Project:
    """A project with an embedded server of its own, in the folder ``db``."""
    return Project(api.url, tmp_path, f"embedded:{tmp_path / 'db'}", "xhs")


@pytest.fixture
def watched(project: Project) -> Watched:
    """A watched project; the files of its database are elsewhere."""
    return Watched(project)


@pytest.fixture
def without_store(api: Simulator, tmp_path: Path) -> Project:
    """A project without a store."""
    return Project(api.url, tmp_path, "", "none")


@pytest.fixture
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start commands as a user does, not through `support.forks`."""
    monkeypatch.setattr(forks, "AVAILABLE", False)
