import errno
import importlib.util
from pathlib import Path

import pytest

from xhs.store.embedded import server as embedded


@pytest.mark.parametrize(
    "uri", ["mongodb://db.example/", "mongodb+srv://u:p@db.example/?tls=true", ""]
)
def test_other_uris_pass_unchanged(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with embedded.resolve(uri) as lease:
        assert lease.uri == uri
    assert not list(tmp_path.iterdir())


def test_an_error_for_a_missing_server_names_both_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(embedded.EmbeddedStoreError, match=r"install .* MONGODB_URI .* empty"):
        embedded.resolve(f"embedded:{tmp_path / 'db'}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["file", "file/db"])
def test_an_error_names_a_file_in_place_of_the_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(embedded.EmbeddedStoreError) as caught:
        embedded.resolve(f"embedded:{tmp_path / name}")
    assert str(tmp_path / name) in str(caught.value)
    assert "one of its parents is a file" in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EACCES, "not writable"), (errno.ENOSPC, "disk is full")],
)
def test_an_unusable_folder_is_one_sentence(
    number: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(embedded.EmbeddedStoreError) as caught:
        embedded.resolve(f"embedded:{tmp_path / 'db'}")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
