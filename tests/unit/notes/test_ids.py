import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.notes.ids import find_notes, shown

A = "65bf5360000000002c03f684"
B = "65c5944c000000001100b84a"

note_ids = st.text("0123456789abcdef", min_size=24, max_size=24)
separators = st.text(" \t\n\r,，", min_size=1, max_size=3)


@given(st.lists(st.tuples(note_ids, separators)), separators)
def test_pieces_stand_between_commas_and_white_space(
    pairs: list[tuple[str, str]], before: str
) -> None:
    value = before + "".join(note_id + separator for note_id, separator in pairs)
    assert find_notes(value) == ([note_id for note_id, _ in pairs], [])


def test_ids_are_lower_case() -> None:
    assert find_notes(A.upper()).notes == [A]
    assert find_notes(f"https://www.xiaohongshu.com/explore/{A.upper()}").notes == [A]


@pytest.mark.parametrize(
    "link",
    [
        f"https://www.xiaohongshu.com/explore/{A}",
        f"http://www.xiaohongshu.com/explore/{A}/",
        f"https://www.xiaohongshu.com/explore/{A}?xsec_token=ABy-x=&xsec_source=pc_feed",
        f"https://www.xiaohongshu.com/discovery/item/{A}#top",
        f"https://www.xiaohongshu.com/search_result/{A}",
        f"https://www.xiaohongshu.com/user/profile/5b0e1a2c4eacab3f1d2e3f40/{A}?x=1",
        f"https://www.rednote.com/explore/{A}",
        f"www.xiaohongshu.com/explore/{A}",
        f"xiaohongshu.com/explore/{A}",
        f"HTTPS://WWW.XIAOHONGSHU.COM/explore/{A}",
    ],
)
def test_links_name_their_note(link: str) -> None:
    assert find_notes(link) == ([A], [])


def test_a_share_text_is_text_around_its_link() -> None:
    share = (
        f"34 【水果店，开业 - 小红书】 😆 xK2 😆 https://www.xiaohongshu.com/discovery/item/{A}"
        "?source=webshare，复制本条信息，打开【小红书】App"
    )
    assert find_notes(share) == ([A], [])


def test_text_may_touch_a_link() -> None:
    assert find_notes(f"看看https://www.xiaohongshu.com/explore/{A}，好").notes == [A]


def test_bare_ids_beside_a_link_count_in_their_order() -> None:
    value = f"{B} see https://www.xiaohongshu.com/explore/{A} and {B}"
    assert find_notes(value) == ([B, A, B], [])


def test_every_piece_that_is_no_id_is_an_error() -> None:
    found = find_notes(f"nonsense {A},{A[:-1]}，{A}0")
    assert found.notes == [A]
    assert len(found.errors) == 3
    assert "'nonsense'" in found.errors[0]
    assert f"'{A[:-1]}'" in found.errors[1]
    assert f"'{A}0'" in found.errors[2]


@pytest.mark.parametrize(
    "value",
    [
        "https://www.xiaohongshu.com/",
        "https://www.xiaohongshu.com/user/profile/5b0e1a2c4eacab3f1d2e3f40",
        f"https://www.xiaohongshu.com/explore/{A[:-1]}",
        f"https://www.xiaohongshu.com/explore/{A}0",
        f"https://example.com/explore/{A}",
        f"https://notxiaohongshu.com/explore/{A}",
        f"https://xiaohongshu.com.example.com/explore/{A}",
        f"https://example.com/xiaohongshu.com/explore/{A}",
        f"https://me@xiaohongshu.com.example/explore/{A}",
    ],
)
def test_other_links_are_errors(value: str) -> None:
    found = find_notes(value)
    assert found.notes == []
    assert len(found.errors) == 1


def test_a_short_link_is_an_error_that_says_what_to_do() -> None:
    found = find_notes("看 http://xhslink.com/a/AbCdEf 复制")
    assert found.notes == []
    assert len(found.errors) == 1
    assert "http://xhslink.com/a/AbCdEf" in found.errors[0]
    assert "browser" in found.errors[0]


@pytest.mark.parametrize("value", ["", " ", ",，\n"])
def test_nothing_is_neither_a_note_nor_an_error(value: str) -> None:
    assert find_notes(value) == ([], [])


@given(st.text())
def test_any_text_gives_ids_or_errors(value: str) -> None:
    found = find_notes(value)
    assert all(len(bytes.fromhex(note_id)) == 12 for note_id in found.notes)
    assert found.notes or found.errors or not value.strip(" ,，、") or value.isspace()


@given(st.text(st.characters()), st.integers(min_value=2, max_value=80))
def test_what_is_shown_is_one_printable_line(text: str, width: int) -> None:
    line = shown(text, width)
    assert line.isprintable()
    assert len(line.splitlines()) == 1


def test_long_text_is_cut_to_the_width() -> None:
    assert shown("x" * 10, 10) == f"'{'x' * 10}'"
    assert shown("x" * 11, 10) == f"'{'x' * 9}…'"
