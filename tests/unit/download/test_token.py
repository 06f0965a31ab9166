"""The token shows itself nowhere, and its absence says what to do."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from xhs.download.token import NoToken, Token, read_token

SECRET = "hidden-word-123"


def test_it_does_not_show_itself() -> None:
    token = Token(SECRET)
    assert SECRET not in f"{token} {token!r} {[token]}"
    with pytest.raises(TypeError):
        pickle.dumps(token)


def test_from_the_environment_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    assert read_token({"JUSTONEAPI_TOKEN": SECRET}).reveal() == SECRET
    assert read_token({"JUSTONEAPI_TOKEN_FILE": str(path)}).reveal() == SECRET


@pytest.mark.parametrize(
    ("environment", "content", "said"),
    [
        ({}, None, "no token"),
        ({"JUSTONEAPI_TOKEN": " "}, None, "no token"),
        ({"JUSTONEAPI_TOKEN_FILE": "token"}, None, "cannot be read"),
        ({"JUSTONEAPI_TOKEN_FILE": "no/token"}, None, "no/token: cannot be read"),
        ({"JUSTONEAPI_TOKEN_FILE": SECRET}, None, "not shown"),
        ({"JUSTONEAPI_TOKEN_FILE": "token"}, b"\n", "empty"),
        ({"JUSTONEAPI_TOKEN_FILE": "token"}, b"\xff", "not UTF-8"),
        ({"JUSTONEAPI_TOKEN_FILE": "token", "JUSTONEAPI_TOKEN": SECRET}, b"x", "both set"),
        ({"JUSTONEAPI_TOKEN": "two words"}, None, "one word"),
    ],
)
def test_what_is_wrong_is_said_without_the_token(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    content: bytes | None,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("token").write_bytes(content)
    with pytest.raises(NoToken, match=said) as caught:
        read_token(environment)
    assert SECRET not in str(caught.value)
    assert "two words" not in str(caught.value)
