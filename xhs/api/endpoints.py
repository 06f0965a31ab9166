"""The endpoints that are called, and how a call's address is written and read.

Addresses here never hold the token: the download handler adds it as a call leaves.
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
"""There is one version. Source: the provider's client, 3.0.98."""
_LONE_SURROGATES = "surrogatepass"
"""JSON can hold them, so a cursor can; it goes back as it came."""


class PageRef(NamedTuple):
    """One page of a note's comments, or of the replies to one of them (``comment_id``): what
    distinguishes it from every other page.
    """

    note_id: str
    cursor: str | None = None
    sort: str = DEFAULT_SORT
    comment_id: str | None = None

    @property
    def chain_id(self) -> str:
        """What all pages of the same chain have in common: the ID of the comment or the note."""
        return self.comment_id or self.note_id


def page_url(base_url: str, version: str, call: PageRef) -> str:
    """The address of a page. A note's first page carries ``noteId`` alone.

    ``version`` is that of the note-comments endpoint.
    """
    query = {"noteId": call.note_id}
    path = _NOTE_COMMENTS + version
    if call.comment_id is not None:
        query["commentId"] = call.comment_id
        path = _REPLIES
    if call.cursor is not None:
        query["lastCursor"] = call.cursor
    if call.sort != DEFAULT_SORT:
        query["sort"] = call.sort
    encoded = urlencode(query, errors=_LONE_SURROGATES)
    return f"{base_url.rstrip('/')}{path}?{encoded}"


def balance_url(base_url: str) -> str:
    """The address that tells what is left on the account. Source: the provider's MCP server."""
    return f"{base_url.rstrip('/')}/user/get-balance"


@lru_cache(maxsize=128)  # each part that a call passes asks anew
def read_page_ref(url: str) -> PageRef | None:
    """The page that an address asks for, or None where it is no page of comments or replies."""
    parts = urlsplit(url)
    of_replies = parts.path.endswith(_REPLIES)
    if not of_replies and _NOTE_COMMENTS not in parts.path:
        return None
    query = parse_qs(parts.query, keep_blank_values=True, errors=_LONE_SURROGATES)
    note_id, comment_id = (query.get(name, [""])[0] for name in ("noteId", "commentId"))
    if not note_id or (of_replies and not comment_id):
        return None
    return PageRef(
        note_id,
        query.get("lastCursor", [None])[0],
        query.get("sort", [DEFAULT_SORT])[0],
        comment_id if of_replies else None,
    )


def check_base_url(base_url: str, *, allow_http: bool) -> str | None:
    """Why the token may not be sent to this server, or None where it may."""
    name = "JUSTONEAPI_BASE_URL"
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"{name}: no valid address"
    if parts.scheme not in {"http", "https"} or not host:
        return f"{name}: an address that begins with https:// is needed"
    if parts.username or parts.password:
        return f"{name}: a user name or password does not belong in it"
    if parts.query or parts.fragment:
        return f"{name}: it must end before '?' or '#'"
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
