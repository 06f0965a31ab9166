"""A file appears under its name only when it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.marks import posix

from xhs.export.files import output_error, replacing

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.csv"
    with replacing(path) as file:
        file.write(b"first")
        assert not path.exists()
    with replacing(path) as file:
        file.write(b"second")
        assert path.read_bytes() == b"first"
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_file_as_it_was(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "out.html"
    folder.mkdir()
    assert output_error(folder) == f"{folder} is not a file"
    assert output_error(tmp_path / "new" / "out.html") is None


@posix
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 251}.csv"
    with replacing(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


@posix
def test_a_new_file_is_private_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    for mode in (0o600, 0o644):
        with replacing(path) as file:
            file.write(b"x")
        assert path.stat().st_mode & 0o777 == mode
        path.chmod(0o644)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_bytes(b"old")
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("no permission to make links")
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
