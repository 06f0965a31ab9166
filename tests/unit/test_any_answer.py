"""Any JSON value in any field, pages in any order: items or reasons follow, and the chain ends."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import bson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xhs.api import envelope
from xhs.api.endpoints import PageRef
from xhs.api.fields import Parsed, parse_again, parse_page
from xhs.api.page import read_page
from xhs.crawl.paginator import CommentPaginator
from xhs.crawl.storage import Provenance
from xhs.items import CommentItem, UserItem
from xhs.simulator.documented import example
from xhs.store.mongo.collections import item_write
from xhs.store.mongo.rejected import rejected_write
from xhs.store.mongo.writer import _encoding_error
from xhs.validation import problems

DOCUMENTED = example()
NOTE = DOCUMENTED["comments"][0]["note_id"]
NOW = "2026-08-21T00:00:00.000000+00:00"
CLASSES: dict[str, Any] = {"comment": CommentItem, "user": UserItem}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**70), 10**400, 10**20, 1e308])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["", "17", "1.2万", "true", "9" * 5000, "\ud800", "a\0b", "x" * 400_000]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["", "$set", "a.b", "a\0"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


def paths(value: Any, base: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each part of a JSON value."""
    result = [base] if base else []
    if isinstance(value, dict):
        for name, part in value.items():
            result += paths(part, (*base, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            result += paths(part, (*base, index))
    return result


@st.composite
def pages(draw: st.DrawFn) -> Any:
    """A documented page of three comments, with up to four parts changed, added or removed."""
    first = draw(st.integers(0, 7))
    page = copy.deepcopy(
        {**DOCUMENTED, "comments": copy.deepcopy(DOCUMENTED["comments"][first : first + 3])}
    )
    if draw(st.booleans()):
        page["comments"][0]["sub_comments"] = [page["comments"].pop()]
    page["cursor"] = draw(st.sampled_from(["c1", "c2", "c3", "c4", "c5"]))
    page["has_more"] = draw(st.sampled_from([True, True, True, False]))
    for _ in range(draw(st.integers(0, 4))):
        if not (choices := paths(page)):
            break
        *steps, last = draw(st.sampled_from(choices))
        parent = page
        for step in steps:
            parent = parent[step]
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if change == "remove":
            del parent[last]
        elif change == "add" and isinstance(parent, dict):
            parent[draw(st.text(max_size=6))] = draw(json_values)
        else:
            parent[last] = draw(json_values)
    return draw(st.sampled_from([page] * 9 + [None])) if draw(st.booleans()) else page


def assert_stored_or_rejected(parsed: Parsed, provenance: Provenance) -> None:
    """Assert that an object can be stored, or can be kept in ``rejected`` with a reason."""
    item = CLASSES[parsed.item_type](item_type=parsed.item_type, **parsed.fields)
    errors = problems(type(item), dict(item))
    reasons = [problem.message for problem in errors]
    if not reasons:
        write = item_write(dict(item))
        if (refused := _encoding_error(write)) is None:
            bson.encode(write.document)
            return
        reasons = [str(refused)]
    assert all(reasons)
    kept = rejected_write(parsed.item_type, provenance, errors, datetime.now(UTC))
    assert _encoding_error(kept) is None
    assert json.loads(kept.document["raw"]) == parsed.raw


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.lists(pages(), min_size=1, max_size=5), st.booleans())
def test_any_answers_in_any_order(answers: list[Any], resuming: bool) -> None:
    first = PageRef(NOTE, "left", "latest") if resuming else PageRef(NOTE)
    paginator = CommentPaginator(first, pages=3 if resuming else 0)
    distinct_ids = {comment_id for data in answers for comment_id in read_page(data).ids}
    for calls in range(100):
        body = json.dumps({"code": 0, "data": answers[calls % len(answers)]}).encode()
        answer = envelope.read(body)
        assert answer is not None
        page = read_page(answer.data)
        result = paginator.take(page)
        objects = list(parse_page(page, note_id=NOTE, replies=True, scraped_at=NOW))
        assert sum(parsed.item_type == "comment" for parsed in objects) >= len(page.comments)
        for parsed in objects:
            parent = parsed.fields.get("parent_comment_id")
            assert_stored_or_rejected(
                parsed, Provenance(NOTE, paginator.pages, parsed.raw, page.author_id, parent, NOW)
            )
        assert (result.next is None) != (result.stop is None)
        if result.stop:
            break
    assert paginator.stop is not None
    assert calls <= 2 * len(distinct_ids) + 4


@given(pages())
def test_a_rejected_object_is_parsed_again_to_the_same_fields(data: Any) -> None:
    page = read_page(data)
    for parsed in parse_page(page, note_id=NOTE, replies=False, scraped_at=NOW):
        again = parse_again(
            parsed.item_type,
            json.loads(json.dumps(parsed.raw)),
            note_id=NOTE,
            author_id=page.author_id,
            parent_comment_id=None,
            scraped_at=NOW,
        )
        assert again is not None
        assert json.dumps(again.fields) == json.dumps(parsed.fields)
