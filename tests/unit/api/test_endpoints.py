from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xhs.api.endpoints import PageRef, check_base_url, page_url, read_page_ref

BASE = "https://api.justoneapi.com"
NOTE = "65bf5360000000002c03f684"

any_text = st.text(st.characters())


def query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


@pytest.mark.parametrize("version", ["v4", "v3", "v2"])
def test_the_path_of_a_page_has_the_version(version: str) -> None:
    parts = urlsplit(page_url(BASE, version, PageRef(NOTE)))
    assert f"{parts.scheme}://{parts.netloc}" == BASE
    assert parts.path == f"/api/xiaohongshu/get-note-comment/{version}"


def test_a_first_page_has_the_note_as_only_parameter() -> None:
    assert query(page_url(BASE, "v4", PageRef(NOTE))) == [("noteId", NOTE)]


def test_the_default_sort_is_never_sent() -> None:
    assert query(page_url(BASE, "v4", PageRef(NOTE, "c", "latest"))) == [
        ("noteId", NOTE),
        ("lastCursor", "c"),
    ]


@pytest.mark.parametrize("sort", ["normal", "like_count"])
@pytest.mark.parametrize("cursor", [None, "c"])
def test_another_sort_is_sent_with_every_page(sort: str, cursor: str | None) -> None:
    assert dict(query(page_url(BASE, "v4", PageRef(NOTE, cursor, sort))))["sort"] == sort


@example("\ud800", "latest")
@given(any_text, st.sampled_from(["latest", "normal", "like_count"]))
def test_a_cursor_is_read_as_it_was_written(cursor: str, sort: str) -> None:
    page = PageRef(NOTE, cursor, sort)
    assert read_page_ref(page_url(BASE, "v4", page)) == page


@example("\ud800")
@given(any_text)
def test_an_address_is_ascii_with_any_cursor(cursor: str) -> None:
    url = page_url(BASE, "v4", PageRef(NOTE, cursor))
    assert url.isascii()
    assert url.isprintable()
    assert " " not in url


def test_a_documented_cursor_is_sent_back_unchanged() -> None:
    cursor = '{"cursor":"65c485070000000008014f80","index":2,"pageArea":"UNFOLDED"}'
    assert dict(query(page_url(BASE, "v4", PageRef(NOTE, cursor))))["lastCursor"] == cursor


def test_a_base_address_may_have_a_path() -> None:
    page = PageRef(NOTE, "c")
    url = page_url("https://gateway.example/just/one/", "v4", page)
    assert url.startswith("https://gateway.example/just/one/api/xiaohongshu/")
    assert read_page_ref(url) == page


def test_a_page_of_replies_has_note_and_comment() -> None:
    page = PageRef(NOTE, '{"a": 1}', comment_id="c1")
    url = page_url(BASE, "v3", page)
    assert urlsplit(url).path == "/api/xiaohongshu/get-note-sub-comment/v2"
    assert query(url) == [("noteId", NOTE), ("commentId", "c1"), ("lastCursor", '{"a": 1}')]
    assert read_page_ref(url) == page
    assert (page.chain_id, PageRef(NOTE).chain_id) == ("c1", NOTE)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        f"https://example.com/?noteId={NOTE}",
        f"{BASE}/user/get-balance",
        f"{BASE}/api/xiaohongshu/get-note-comment/v4",
        f"{BASE}/api/xiaohongshu/get-note-comment/v4?noteId=",
        f"{BASE}/api/xiaohongshu/get-note-sub-comment/v2?noteId={NOTE}",
        f"{BASE}/api/xiaohongshu/get-note-sub-comment/v2?commentId=1",
    ],
)
def test_other_addresses_are_not_pages(url: str) -> None:
    assert read_page_ref(url) is None


@pytest.mark.parametrize(
    "url",
    [
        BASE,
        f"{BASE}/",
        "https://gateway.example:8443/path",
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://localhost:8000",
        "http://LOCALHOST",
        "http://[::1]:8000",
    ],
)
def test_addresses_that_may_receive_the_token(url: str) -> None:
    assert check_base_url(url, allow_http=False) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://api.justoneapi.com",
        "http://47.117.133.51:30015",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://192.168.0.1",
        "http://[2001:db8::1]",
        "http://0.0.0.0",
    ],
)
def test_plain_http_needs_permission(url: str) -> None:
    error = check_base_url(url, allow_http=False)
    assert error is not None
    assert "JUSTONEAPI_ALLOW_HTTP" in error
    assert check_base_url(url, allow_http=True) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.justoneapi.com",
        "https://",
        "ftp://api.justoneapi.com",
        "file:///etc/passwd",
        "https://[::1",
        "https://api.justoneapi.com:port",
        "https://api.justoneapi.com:99999",
        "https://api.justoneapi.com?a=1",
        "https://api.justoneapi.com#a",
    ],
)
@pytest.mark.parametrize("allow_http", [True, False])
def test_an_invalid_base_address_is_an_error(url: str, allow_http: bool) -> None:
    error = check_base_url(url, allow_http=allow_http)
    assert error is not None
    assert error.startswith("JUSTONEAPI_BASE_URL: ")


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    error = check_base_url("https://me:s3cr3t@api.justoneapi.com", allow_http=False)
    assert error is not None
    assert "s3cr3t" not in error
