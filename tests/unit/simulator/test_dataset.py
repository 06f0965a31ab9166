"""Dataset of the stand-in: content of notes, and paging."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.expected import expected_note

from xhs.simulator import documented
from xhs.simulator.comments import CommentBuilder
from xhs.simulator.dataset import PAGE_SIZE, Dataset, InvalidCallError, parse_cursor
from xhs.simulator.note_layout import SORTS, note_layout
from xhs.simulator.notes import (
    DOCUMENTED_NOTE,
    LARGEST,
    Variation,
    is_id,
    missing_note,
    profile,
    sized_note,
    threaded_note,
    usual_note,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USUAL = [usual_note(serial) for serial in range(40)]
SIZES = [0, 1, 9, 10, 11, 20, 21, 101]


def pages(dataset: Dataset, note: str, sort: str = "latest", cursor: str = "") -> Iterator[Any]:
    while True:
        page = dataset.comments(note, sort, parse_cursor(cursor, sort) if cursor else None)
        yield page
        if not page["has_more"]:
            return
        cursor = page["cursor"]


def comments(dataset: Dataset, note: str, sort: str = "latest") -> list[Any]:
    return [comment for page in pages(dataset, note, sort) for comment in page["comments"]]


def replies(dataset: Dataset, note: str, root: str, cursor: str = "") -> list[Any]:
    found = []
    while True:
        page = dataset.replies(note, root, parse_cursor(cursor) if cursor else None)
        found += page["comments"]
        if not page["has_more"]:
            assert page["cursor"] == ""
            return found
        assert len(page["comments"]) == PAGE_SIZE
        cursor = page["cursor"]


def ids(objects: list[Any]) -> list[str]:
    return [one["id"] for one in objects]


def with_variation(kind: Variation) -> str:
    wanted = (usual_note(serial) for serial in range(2000))
    return next(
        note
        for note in wanted
        if kind in profile(note).variations and 5 < profile(note).first_level < 100
    )


def test_page_one_of_the_documented_note_is_the_documented_example() -> None:
    assert Dataset().comments(DOCUMENTED_NOTE, "latest", None) == documented.example()


def test_the_documented_counts_add_up_over_the_whole_note() -> None:
    dataset = Dataset()
    found = comments(dataset, DOCUMENTED_NOTE)
    threads = [replies(dataset, DOCUMENTED_NOTE, one["id"]) for one in found]
    assert len(found) == 801
    assert len(found) + sum(len(thread) for thread in threads) == 944
    assert [len(thread) for thread in threads] == [one["sub_comment_count"] for one in found]


def test_generated_comments_of_the_documented_note_have_the_documented_fields() -> None:
    example = documented.example()["comments"]
    known = {frozenset(one) for one in example}
    known_user = {frozenset(one["user"]) for one in example}
    for one in comments(Dataset(), DOCUMENTED_NOTE):
        assert frozenset(one) in known
        assert frozenset(one["user"]) in known_user
        assert one["sub_comments"] == []


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("note", [*USUAL, *(sized_note(size) for size in SIZES)])
def test_a_note_is_paged_through_whole_and_once(note: str, sort: str) -> None:
    expected = expected_note(note)
    served = list(pages(Dataset(), note, sort))
    found = [comment["id"] for page in served for comment in page["comments"]]
    assert found == expected.sorted_by(sort)
    assert len(set(found)) == len(found)
    assert set(found) == set(expected.first_level)
    assert len(served) == expected.pages
    assert all(len(page["comments"]) == PAGE_SIZE for page in served[:-1])
    assert [page["has_more"] for page in served] == [True] * (len(served) - 1) + [False]
    assert served[-1]["cursor"] == ""
    assert all(page["user_id"] == expected.author_id for page in served)


@pytest.mark.parametrize("note", USUAL)
def test_threads_are_whole_from_their_start_and_after_inline_replies(note: str) -> None:
    dataset, expected = Dataset(), expected_note(note)
    for comment in comments(dataset, note)[:60]:
        thread = expected.threads.get(comment["id"], [])
        inline = ids(comment["sub_comments"])
        assert inline == expected.inline.get(comment["id"], [])
        assert ids(replies(dataset, note, comment["id"])) == thread
        assert comment["sub_comment_has_more"] == (len(inline) < len(thread))
        if comment["sub_comment_cursor"]:
            rest = replies(dataset, note, comment["id"], comment["sub_comment_cursor"])
            assert inline + ids(rest) == thread


@pytest.mark.parametrize("size", SIZES)
def test_a_sized_note_has_exactly_its_size(size: int) -> None:
    page = Dataset().comments(sized_note(size, serial=7), "latest", None)
    expected = expected_note(sized_note(size, serial=7))
    assert page["comment_count_l1"] == size == len(expected.first_level)
    assert page["comment_count"] == size + len(expected.replies) == expected.comment_count
    assert expected.pinned == []


def test_notes_without_replies_and_with_a_fixed_number_of_them() -> None:
    dataset = Dataset()
    none = sized_note(40, replies=False)
    assert not expected_note(none).replies
    assert all(one["sub_comment_count"] == 0 for one in comments(dataset, none))
    fixed = threaded_note(3, 25)
    assert [len(replies(dataset, fixed, one["id"])) for one in comments(dataset, fixed)] == [25] * 3
    assert dataset.comments(fixed, "latest", None)["comment_count"] == 3 + 75


def test_a_note_that_does_not_exist() -> None:
    page = Dataset().comments(missing_note(3), "latest", None)
    assert page["comments"] == []
    assert page["user_id"] == ""
    assert page["all_sort_strategies"] == []
    assert (page["has_more"], page["cursor"]) == (False, "")
    assert page["comment_count"] == page["comment_count_l1"] == 0
    assert Dataset().replies(missing_note(3), "0" * 24, None)["comments"] == []


def test_a_note_without_comments_has_an_author() -> None:
    page = Dataset().comments(sized_note(0), "latest", None)
    assert page["comments"] == []
    assert is_id(page["user_id"])
    assert not page["has_more"]


def test_sizes_are_heavy_tailed_and_some_notes_are_missing_or_empty() -> None:
    drawn = [profile(usual_note(serial)) for serial in range(3000)]
    sizes = [one.first_level for one in drawn if one.exists]
    assert 0.03 < sum(not one.exists for one in drawn) / 3000 < 0.05
    assert 0.06 < sizes.count(0) / 3000 < 0.10
    assert 10 <= median(sizes) <= 16
    assert max(sizes) > 3000
    assert sum(bool(one.pinned) for one in drawn) > 300


def test_ids_are_unique_and_begin_with_the_time() -> None:
    note = sized_note(3000)
    expected = expected_note(note)
    everything = [*expected.first_level, *expected.replies]
    assert len(set(everything)) == len(everything)
    assert all(is_id(one) for one in everything)
    layout = note_layout(note)
    assert all(
        0 <= layout.time(number) - int(layout.comment_id(number)[:8], 16) <= 1
        for number in range(layout.size)
    )


@given(size=st.integers(1, 3000), grown=st.integers(0, 50), serial=st.integers(0, 99))
def test_times_rise_and_ids_lead_back_to_their_comments(size: int, grown: int, serial: int) -> None:
    layout = note_layout(sized_note(size, serial), grown)
    times = [layout.id_time(number) for number in range(layout.size)]
    assert all(later - earlier >= 2 for earlier, later in itertools.pairwise(times))
    for number in {0, size // 2, size - 1, layout.size - 1}:
        assert layout.number_of(layout.comment_id(number)) == number


def test_orders_differ_and_likes_fall() -> None:
    found = comments(Dataset(), sized_note(300), "like_count")
    likes = [one["like_count"] for one in found]
    assert likes == sorted(likes, reverse=True)
    expected = expected_note(sized_note(300))
    assert len({tuple(expected.sorted_by(sort)) for sort in SORTS}) == 3


def test_pinned_comments_come_first_and_out_of_order() -> None:
    note = next(one for one in USUAL if expected_note(one).pinned)
    first = Dataset().comments(note, "latest", None)["comments"]
    pinned = expected_note(note).pinned
    assert ids(first)[: len(pinned)] == pinned
    for one in first:
        tags = [tag["type"] for tag in one["show_tags_v2"]]
        assert ("user_top" in tags) == (one["id"] in pinned)


def test_every_form_of_comment_occurs() -> None:
    note = sized_note(2000)
    found = comments(Dataset(), note)
    author = expected_note(note).author_id
    tags = {tag["type"] for one in found for tag in one["show_tags_v2"]}
    assert {"is_author", "author_liked"} <= tags
    for one in found:
        by_author = one["user"]["userid"] == author
        assert by_author == any(tag["type"] == "is_author" for tag in one["show_tags_v2"])
        assert (one["comment_type"] == 2) == bool(one.get("pictures"))
        assert bool(one["content"]) != bool(one.get("pictures"))
    assert {len(one["user"]["userid"]) for one in found} == {24, 29}
    assert {"ip_location" in one for one in found} == {True, False}
    assert any(one["at_users"] for one in found)
    assert any("[doge]" in one["content"] for one in found)
    assert len({one["user"]["userid"] for one in found}) < len(found)
    assert any(one["sub_comments"] and one["sub_comment_has_more"] for one in found)
    lengths = [len(one["content"]) for one in found]
    assert min(lengths) == 0
    assert max(lengths) > 150


def test_replies_answer_the_comment_or_an_earlier_reply_by_its_own_user() -> None:
    dataset, note = Dataset(), threaded_note(4, 60)
    kinds = set()
    for root in comments(dataset, note):
        seen = {root["id"]: root["user"]}
        for reply in replies(dataset, note, root["id"]):
            target = reply.get("target_comment")
            if target is None:
                kinds.add("none")
            else:
                kinds.add("root" if target["id"] == root["id"] else "reply")
                assert target["user"] == seen[target["id"]]
            seen[reply["id"]] = reply["user"]
    assert kinds == {"none", "root", "reply"}


def _text_counts(page: Any) -> bool:
    return (
        isinstance(page["comments"][0]["like_count"], str) and page["comment_count_l1"].isdecimal()
    )


@pytest.mark.parametrize(
    ("kind", "holds"),
    [
        (Variation.COUNTS_AS_TEXT, _text_counts),
        (Variation.MILLISECONDS, lambda page: page["comments"][0]["time"] > 10**12),
        (Variation.USER_INFO, lambda page: "image" in page["comments"][0]["user_info"]),
        (Variation.NO_PLACE, lambda page: all("ip_location" not in c for c in page["comments"])),
    ],
)
def test_a_minority_of_notes_answers_in_other_forms(
    kind: Variation, holds: Callable[[Any], bool]
) -> None:
    assert holds(Dataset().comments(with_variation(kind), "latest", None))


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "{}",
        "[1]",
        "null",
        '{"cursor":"65c485070000000008014f80"}',
        "[" * 100000,
        '{"cursor":"65C485070000000008014F80","index":2,"pageArea":"UNFOLDED"}',
        '{"cursor":"65c485070000000008014f80","index":0,"pageArea":"UNFOLDED"}',
        '{"cursor":"65c485070000000008014f80","index":2,"pageArea":"FOLDED"}',
    ],
)
def test_a_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCallError):
        parse_cursor(cursor)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_other_text_is_refused_as_a_cursor(text: str) -> None:
    with pytest.raises(InvalidCallError):
        parse_cursor(text)


def test_a_cursor_belongs_to_its_note_its_order_and_its_thread() -> None:
    dataset = Dataset()
    latest = parse_cursor(dataset.comments(sized_note(30), "latest", None)["cursor"])
    with pytest.raises(InvalidCallError, match="this note"):
        dataset.comments(sized_note(30, serial=1), "latest", latest)
    liked = dataset.comments(sized_note(30), "like_count", None)["cursor"]
    with pytest.raises(InvalidCallError):
        parse_cursor(liked, "latest")
    note = threaded_note(2, 30)
    one, other = expected_note(note).first_level
    cursor = parse_cursor(dataset.replies(note, one, None)["cursor"])
    with pytest.raises(InvalidCallError, match="this comment"):
        dataset.replies(note, other, cursor)
    with pytest.raises(InvalidCallError, match="commentId"):
        dataset.replies(note, expected_note(sized_note(5)).first_level[0], None)


def test_a_page_of_a_huge_note_writes_no_more_than_its_own_comments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = []
    write = CommentBuilder.comment

    def counted(builder: CommentBuilder, number: int) -> Any:
        written.append(number)
        return write(builder, number)

    monkeypatch.setattr(CommentBuilder, "comment", counted)
    page = Dataset().comments(sized_note(50_000), "latest", None)
    page = Dataset().comments(sized_note(50_000), "latest", parse_cursor(page["cursor"]))
    assert page["comment_count_l1"] == 50_000
    assert len(written) == 2 * PAGE_SIZE


def test_a_note_that_grows_between_two_pages_loses_and_doubles_nothing() -> None:
    dataset, note = Dataset(), sized_note(45)
    old = set(expected_note(note).first_level)
    first = dataset.comments(note, "latest", None)
    dataset.change(note, grow=13)
    rest = [
        comment
        for page in pages(dataset, note, "latest", first["cursor"])
        for comment in page["comments"]
    ]
    assert ids(first["comments"]) + ids(rest) == expected_note(note).first_level
    assert set(ids(comments(dataset, note))) == old | set(
        expected_note(note, grown=13).first_level[:13]
    )
    assert dataset.comments(note, "latest", None)["comment_count_l1"] == 58


@pytest.mark.parametrize("sort", SORTS)
def test_growth_does_not_change_older_comments(sort: str) -> None:
    for note in (sized_note(60), usual_note(2), DOCUMENTED_NOTE):
        dataset = Dataset()
        before = {one["id"]: one for one in comments(dataset, note, sort)}
        dataset.change(note, grow=5)
        after = {one["id"]: one for one in comments(dataset, note, sort)}
        assert {key: after[key] for key in before} == before
        assert len(after) == len(before) + 5


def test_comments_vanish_also_under_the_cursor_and_inside_threads() -> None:
    dataset, note = Dataset(), threaded_note(30, 12)
    first = dataset.comments(note, "latest", None)
    last = first["comments"][-1]["id"]
    reply = expected_note(note).threads[expected_note(note).first_level[12]][0]
    gone = dataset.change(note, vanish=[last, reply]).vanished
    expected = expected_note(note, vanished=gone)
    rest = dataset.comments(note, "latest", parse_cursor(first["cursor"]))
    assert ids(rest["comments"]) == expected_note(note).first_level[10:20]
    assert rest["comments"][2]["sub_comment_count"] == 11
    assert reply not in ids(replies(dataset, note, rest["comments"][2]["id"]))
    assert (rest["comment_count_l1"], rest["comment_count"]) == (29, 29 + 29 * 12 - 1)
    assert (expected.comment_count_l1, expected.comment_count) == (29, 29 + 29 * 12 - 1)
    assert ids(comments(dataset, note)) == expected.first_level
    with pytest.raises(InvalidCallError):
        dataset.replies(note, last, None)


def test_a_number_of_comments_vanishes_and_likes_rise() -> None:
    dataset, note = Dataset(), DOCUMENTED_NOTE
    gone = dataset.change(note, vanish=50, likes=3).vanished
    assert len(gone) == 50
    assert len(comments(dataset, note)) == 751
    shown = {one["id"]: one["like_count"] for one in documented.example()["comments"]}
    for one in dataset.comments(note, "latest", None)["comments"]:
        if one["id"] in shown:
            assert one["like_count"] == shown[one["id"]] + 3
    dataset.reset()
    assert dataset.comments(note, "latest", None) == documented.example()


def test_helpers_refuse_numbers_that_an_id_cannot_hold() -> None:
    with pytest.raises(ValueError, match="first-level"):
        sized_note(LARGEST + 1)
    with pytest.raises(ValueError, match="threaded"):
        threaded_note(1, 5000)
    assert all(is_id(one) for one in (sized_note(1), missing_note(2), threaded_note(1, 1), *USUAL))


_DIGEST = """
import hashlib, json
from xhs.simulator.notes import usual_note
from xhs.simulator.dataset import Dataset
dataset = Dataset()
digest = hashlib.sha256()
for serial in range(30):
    for sort in ("normal", "latest"):
        page = dataset.comments(usual_note(serial), sort, None)
        digest.update(json.dumps(page, sort_keys=True).encode())
print(digest.hexdigest())
"""


def test_the_dataset_is_the_same_in_every_process() -> None:
    def digest(seed: str) -> str:
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    first = digest("1")
    assert first == digest("2")
    assert len(first) == hashlib.sha256().digest_size * 2
