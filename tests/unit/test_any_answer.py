"""Any JSON value in any field, any order of pages: items or reasons, and always an end."""

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
from xhs.store.mongo.collections import item_write, rejected_write
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


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    found = [here] if here else []
    if isinstance(value, dict):
        for name, part in value.items():
            found += paths(part, (*here, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            found += paths(part, (*here, index))
    return found


@st.composite
def pages(draw: st.DrawFn) -> Any:
    """A documented page of three comments, with up to four places changed or taken away."""
    first = draw(st.integers(0, 7))
    page = copy.deepcopy(
        {**DOCUMENTED, "comments": copy.deepcopy(DOCUMENTED["comments"][first : first + 3])}
    )
    if draw(st.booleans()):
        page["comments"][0]["sub_comments"] = [page["comments"].pop()]
    page["cursor"] = draw(st.sampled_from(["c1", "c2", "c3", "c4", "c5"]))
    page["has_more"] = draw(st.sampled_from([True, True, True, False]))
    for _ in range(draw(st.integers(0, 4))):
        there = paths(page)
        if not there:
            break
        *way, last = draw(st.sampled_from(there))
        parent = page
        for step in way:
            parent = parent[step]
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if change == "remove":
            del parent[last]
        elif change == "add" and isinstance(parent, dict):
            parent[draw(st.text(max_size=6))] = draw(json_values)
        else:
            parent[last] = draw(json_values)
    return draw(st.sampled_from([page] * 9 + [None])) if draw(st.booleans()) else page


def outcome(parsed: Parsed, origin: Provenance) -> str:
    """What becomes of an object: it is stored, or rejected with a reason and can be kept."""
    item = CLASSES[parsed.item_type](item_type=parsed.item_type, **parsed.fields)
    reasons = [problem.message for problem in problems(type(item), dict(item))]
    if not reasons:
        write = item_write(dict(item))
        if (refused := _encoding_error(write)) is None:
            bson.encode(write.document)
            return "stored"
        reasons = [str(refused)]
    assert all(reasons)
    kept = rejected_write(
        parsed.item_type, origin, problems(type(item), dict(item)), datetime.now(UTC)
    )
    assert _encoding_error(kept) is None
    assert json.loads(kept.document["raw"]) == parsed.raw
    return "rejected"


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.lists(pages(), min_size=1, max_size=5), st.booleans())
def test_any_answers_in_any_order(answers: list[Any], resuming: bool) -> None:
    first = PageRef(NOTE, "left", "latest") if resuming else PageRef(NOTE)
    chain = CommentPaginator(first, pages=3 if resuming else 0)
    distinct = {one for data in answers for one in read_page(data).ids}
    for asked in range(100):
        body = json.dumps({"code": 0, "data": answers[asked % len(answers)]}).encode()
        answer = envelope.read(body)
        assert answer is not None
        page = read_page(answer.data)
        step = chain.take(page)
        objects = list(parse_page(page, note_id=NOTE, replies=True, scraped_at=NOW))
        assert sum(one.item_type == "comment" for one in objects) >= len(page.comments)
        for one in objects:
            parent = one.fields.get("parent_comment_id")
            origin = Provenance(NOTE, chain.pages, one.raw, page.author_id, parent, NOW)
            outcome(one, origin)
        assert (step.next is None) != (step.stop is None)
        if step.stop:
            break
    assert chain.stop is not None
    assert asked <= 2 * len(distinct) + 4


@given(pages())
def test_what_was_rejected_reads_the_same_again(data: Any) -> None:
    page = read_page(data)
    for one in parse_page(page, note_id=NOTE, replies=False, scraped_at=NOW):
        again = parse_again(
            one.item_type,
            json.loads(json.dumps(one.raw)),
            note_id=NOTE,
            author_id=page.author_id,
            parent_comment_id=None,
            scraped_at=NOW,
        )
        assert again is not None
        assert json.dumps(again.fields) == json.dumps(one.fields)
