"""Passwords in connection strings: masked, and recognized."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.store.mongo.client import has_password, passwords, redact

words = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=8)


@given(words)
def test_no_password_is_shown(password: str) -> None:
    quoted = quote(password, safe="")
    for uri in (f"mongodb://me:{quoted}@host:1/?a=b", f"mongodb+srv://me:{quoted}@host/db"):
        assert quoted not in redact(uri)
        assert has_password(uri)
        assert set(passwords(uri)) >= {quoted, password}


@given(words.filter(lambda word: "password=" not in word.lower()))
def test_an_unquoted_password_is_not_shown(password: str) -> None:
    assert redact(f"mongodb://me:{password}@host/") == "mongodb://me:***@host/"


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://me@example.com:hidden-word@host/",
        "mongodb://team/me:hidden-word@host/",
        "mongodb://team#me:hidden-word@host/",
        "mongodb:/me:hidden-word@host/",
        "me:hidden-word@host",
    ],
)
def test_no_password_of_a_malformed_uri_is_shown(uri: str) -> None:
    assert "hidden-word" not in redact(uri)
    assert has_password(uri)
    assert "hidden-word" in "".join(passwords(uri))


def test_a_password_in_the_options_is_not_shown() -> None:
    uri = "mongodb://host/?tlsCertificateKeyFilePassword=hidden-word&tls=true"
    assert "hidden-word" not in redact(uri)
    assert has_password(uri)
    assert "hidden-word" in passwords(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "embedded:",
        "embedded:a/b",
        "embedded:/home/me@work/a:b@c",
        "mongodb://me@host/?x=1",
        "mongodb://me@host:27017,other:27018/?x=1",
        "mongodb://host:27017/db",
        "mongodb://[::1]:27017",
    ],
)
def test_a_uri_without_a_password_is_unchanged(uri: str) -> None:
    assert redact(uri) == uri
    assert not has_password(uri)
