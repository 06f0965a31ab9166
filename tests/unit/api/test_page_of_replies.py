"""Answers of the replies endpoint, of which no example is published."""

from typing import Any

import pytest

from xhs.api.fields import parse_page
from xhs.api.page import read_page

NOTE, ROOT = "65bf5360000000002c03f684", "65c485070000000008014f80"
REPLY = {"id": "65c485070000000008014f81", "content": "a"}


@pytest.mark.parametrize(
    "data",
    [
        {"comments": [REPLY], "has_more": True, "cursor": "c"},
        {"sub_comments": [REPLY], "has_more": True, "cursor": "c"},
        {"comments": None, "sub_comments": [REPLY], "has_more": True, "cursor": "c"},
        {"comments": [REPLY], "sub_comment_has_more": True, "sub_comment_cursor": "c"},
    ],
)
def test_the_names_of_inline_threads_are_accepted(data: dict[str, Any]) -> None:
    page = read_page(data, replies=True)
    assert (page.comments, page.has_more, page.cursor) == ([REPLY], True, "c")


def test_a_page_of_comments_has_only_its_own_names() -> None:
    page = read_page({"sub_comments": [REPLY], "sub_comment_cursor": "c"})
    assert (page.comments, page.cursor) == ([], None)


def parents(*comments: Any) -> dict[str, str | None]:
    page = read_page({"comments": list(comments)}, replies=True)
    parsed = parse_page(page, note_id=NOTE, replies=True, scraped_at="", parent_id=ROOT)
    return {reply.fields["comment_id"]: reply.fields["parent_comment_id"] for reply in parsed}


def test_the_parent_of_a_reply_is_the_requested_comment() -> None:
    nested = {**REPLY, "target_comment": {"id": "another"}, "sub_comments": [{"id": "odd"}]}
    assert parents(nested) == {REPLY["id"]: ROOT}


def test_a_comment_among_its_own_replies_is_first_level() -> None:
    assert parents({"id": ROOT, "sub_comments": [REPLY]}) == {ROOT: None, REPLY["id"]: ROOT}
    assert parents({"id": ROOT}, REPLY) == {ROOT: None, REPLY["id"]: ROOT}
