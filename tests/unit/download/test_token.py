"""The token is shown nowhere; the errors about it say what to do."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from xhs.download.token import NoToken, Token, read_token

SECRET = "hidden-word-123"


def test_a_token_is_not_shown() -> None:
    token = Token(SECRET)
    assert SECRET not in f"{token} {token!r} {[token]}"
    with pytest.raises(TypeError):
        pickle.dumps(token)


def test_a_token_is_read_from_the_environment_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    assert read_token({"JUSTONEAPI_TOKEN": SECRET}).reveal() == SECRET
    assert read_token({"JUSTONEAPI_TOKEN_FILE": str(path)}).reveal() == SECRET


@pytest.mark.parametrize(
    ("environment", "content", "message"),
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
def test_an_error_does_not_show_the_token(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    content: bytes | None,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("token").write_bytes(content)
    with pytest.raises(NoToken, match=message) as caught:
        read_token(environment)
    assert SECRET not in str(caught.value)
    assert "two words" not in str(caught.value)
