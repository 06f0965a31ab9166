"""The endpoints that are called: from a page to its address, and back.

These addresses never contain the token: the download handler adds it when a call is sent.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

DEFAULT_SORT = "latest"
"""The endpoint's own default, so it is not sent. Source: the provider's client, 3.0.98."""

SORTS = ("latest", "normal", "like_count")

VERSIONS = ("v4", "v3", "v2")
TOKEN_PARAMETER = "token"  # noqa: S105 (the parameter's name)

_NOTE_COMMENTS = "/api/xiaohongshu/get-note-comment/"
_REPLIES = "/api/xiaohongshu/get-note-sub-comment/v2"
"""It has only this version. Source: the provider's client, 3.0.98."""
_LONE_SURROGATES = "surrogatepass"
"""JSON can contain them, and so can a cursor, which is sent back unchanged."""


class PageRef(NamedTuple):
    """The identity of a page of a note's comments, or of the replies to ``comment_id``."""

    note_id: str
    cursor: str | None = None
    sort: str = DEFAULT_SORT
    comment_id: str | None = None

    @property
    def chain_id(self) -> str:
        """The ID of the page's chain: ``comment_id`` for a page of replies, else ``note_id``."""
        return self.comment_id or self.note_id


def page_url(base_url: str, version: str, page: PageRef) -> str:
    """Return the address of a page. A note's first page has ``noteId`` as its only parameter.

    ``version`` is that of the note-comments endpoint.
    """
    query = {"noteId": page.note_id}
    path = _NOTE_COMMENTS + version
    if page.comment_id is not None:
        query["commentId"] = page.comment_id
        path = _REPLIES
    if page.cursor is not None:
        query["lastCursor"] = page.cursor
    if page.sort != DEFAULT_SORT:
        query["sort"] = page.sort
    encoded = urlencode(query, errors=_LONE_SURROGATES)
    return f"{base_url.rstrip('/')}{path}?{encoded}"


def balance_url(base_url: str) -> str:
    """Return the address of the account's balance. Source: the provider's MCP server."""
    return f"{base_url.rstrip('/')}/user/get-balance"


@lru_cache(maxsize=128)  # several components parse the address of the same call
def read_page_ref(url: str) -> PageRef | None:
    """Return the page of an address; None if it is not of comments or replies."""
    parts = urlsplit(url)
    is_replies = parts.path.endswith(_REPLIES)
    if not is_replies and _NOTE_COMMENTS not in parts.path:
        return None
    query = parse_qs(parts.query, keep_blank_values=True, errors=_LONE_SURROGATES)
    note_id, comment_id = (query.get(name, [""])[0] for name in ("noteId", "commentId"))
    if not note_id or (is_replies and not comment_id):
        return None
    return PageRef(
        note_id,
        query.get("lastCursor", [None])[0],
        query.get("sort", [DEFAULT_SORT])[0],
        comment_id if is_replies else None,
    )


def check_base_url(base_url: str, *, allow_http: bool) -> str | None:
    """Return why the token may not be sent to this server; None if it may."""
    name = "JUSTONEAPI_BASE_URL"
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"{name}: not a valid address"
    if parts.scheme not in {"http", "https"} or not host:
        return f"{name}: it must begin with https://"
    if parts.username or parts.password:
        return f"{name}: it may not contain a user name or password"
    if parts.query or parts.fragment:
        return f"{name}: it may not contain '?' or '#'"
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        return (
            f"{name}: http://{host} would carry the token unencrypted; use https, or set "
            "JUSTONEAPI_ALLOW_HTTP=1 to accept that"
        )
    return None


def is_loopback(host: str) -> bool:
    """True if a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
