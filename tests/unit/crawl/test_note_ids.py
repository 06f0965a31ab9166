from itertools import product
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.crawl.note_ids import LINK_FORMS, find_notes, shown

A = "65bf5360000000002c03f684"
B = "65c5944c000000001100b84a"
USER = "5b0e1a2c4eacab3f1d2e3f40"

note_ids = st.text("0123456789abcdef", min_size=24, max_size=24)
separators = st.text(" \t\n\r,，", min_size=1, max_size=3)


@given(st.lists(st.tuples(note_ids, separators)), separators)
def test_pieces_are_separated_by_commas_and_white_space(
    pairs: list[tuple[str, str]], before: str
) -> None:
    value = before + "".join(note_id + separator for note_id, separator in pairs)
    assert find_notes(value) == ([note_id for note_id, _ in pairs], [])


def test_ids_are_lower_case() -> None:
    assert find_notes(A.upper()).notes == [A]
    assert find_notes(f"https://www.xiaohongshu.com/explore/{A.upper()}").notes == [A]


# Links without their host; NOTE stands for the note's ID. The keys are LINK_FORMS.
FORMS = {
    "/explore/NOTE": [
        "/explore/NOTE",
        "/explore/NOTE/",
        "/explore/NOTE?xsec_token=ABy-x=&xsec_source=pc_feed",
        "//explore/NOTE#top",
        "/explore/NOTE.",
    ],
    "/explore/OTHER/NOTE": [
        f"/explore/{USER}/NOTE",
        f"/explore/{USER}/NOTE/?xsec_token=AB&xsec_source=pc_user",
        f"/explore/{USER.upper()}//NOTE#top",
        f"/explore/{USER}%2FNOTE",
    ],
    "/discovery/item/NOTE": ["/discovery/item/NOTE", "/discovery/item/NOTE?source=webshare"],
    "/discovery/item/OTHER/NOTE": [f"/discovery/item/{USER}/NOTE?source=webshare"],
    "/search_result/NOTE": [f"/search_result/NOTE?source=web&keyword={B}"],
    "/search_result/OTHER/NOTE": [f"/search_result/{USER}/NOTE"],
    "/item/NOTE": ["/item/NOTE", f"/item/NOTE?open_url=%2Fdiscovery%2Fitem%2F{B}"],
    "/item/OTHER/NOTE": [f"/item/{USER}/NOTE"],
    "/note/NOTE": ["/note/NOTE"],
    "/note/OTHER/NOTE": [f"/note/{USER}/NOTE"],
    "/wenote/NOTE": ["/wenote/NOTE"],
    "/wenote/OTHER/NOTE": [f"/wenote/{USER}/NOTE"],
    "/red_video/NOTE": ["/red_video/NOTE"],
    "/red_video/OTHER/NOTE": [f"/red_video/{USER}/NOTE"],
    "/video_feed/NOTE": ["/video_feed/NOTE?sourceId=1"],
    "/video_feed/OTHER/NOTE": [f"/video_feed/{USER}/NOTE"],
    "/portrait_feed/NOTE": ["/portrait_feed/NOTE"],
    "/portrait_feed/OTHER/NOTE": [f"/portrait_feed/{USER}/NOTE"],
    "…/note-detail/NOTE": [
        "/note-detail/NOTE",
        "/solar/note-detail/NOTE",
        f"/solar/pre-trade/note-detail/NOTE?track_id=kolNote_{B}&source=Advertiser_Kol",
    ],
    "…/note-detail/OTHER/NOTE": [f"/solar/pre-trade/note-detail/{USER}/NOTE"],
    "/user/profile/OTHER/NOTE": [f"/user/profile/{USER}/NOTE?xsec_token=AB"],
    "/board/OTHER/NOTE": [f"/board/{USER}/NOTE"],
    "?note_id=NOTE": [
        "/api/sns/web/v2/comment/page?note_id=NOTE&cursor=",
        f"/api/sns/web/v2/comment/sub/page?root_comment_id={B}&note_id=NOTE",
    ],
    "?noteId=NOTE": ["/404?noteId=NOTE&errorCode=-510001", "/statistics/note-detail?noteId=NOTE"],
    "/publish/update?id=NOTE": ["/publish/update?id=NOTE", "/publish/update?type=1&id=NOTE"],
}
HOSTS = [
    "https://www.xiaohongshu.com",
    "http://www.xiaohongshu.com",
    "www.xiaohongshu.com",
    "xiaohongshu.com",
    "//m.xiaohongshu.com",
    "https://edith.xiaohongshu.com",
    "https://creator.xiaohongshu.com",
    "https://pgy.xiaohongshu.com",
    "https://www.xiaohongshu.com:443",
    "HTTPS://WWW.XiaoHongShu.COM",
    "https://www.rednote.com",
    "rednote.com",
    "xhsdiscover:/",
]
FORM_PATHS = [path for paths in FORMS.values() for path in paths]
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "links.md"
# Surroundings of a link; LINK stands for the link, CODED and TWICE for it percent-encoded.
AROUND = [
    "LINK",
    "https://www.xiaohongshu.com/login?redirectPath=LINK",
    "https://www.xiaohongshu.com/login?redirectPath=CODED&channel=x",
    "https://www.xiaohongshu.com/website-login/captcha?redirectPath=CODED&verifyUuid=x",
    "https://www.xiaohongshu.com/404/sec_x1?redirectPath=CODED&error_code=300031",
    "https://www.xiaohongshu.com/404?source=%2F404%2Fsec_x1%3FredirectPath%3DTWICE",
    "https://oia.xiaohongshu.com/oia?deeplink=CODED",
    "https://oia.xiaohongshu.com/oia?x=1&deeplink=TWICE",
    "https://link.example.com/?target=CODED",
    "https://www.example.com/url?q=LINK",
    "CODED",
    "TWICE",
]


def around(template: str, link: str) -> str:
    coded = quote(link, safe="")
    filled = template.replace("LINK", link).replace("CODED", coded)
    return filled.replace("TWICE", quote(coded, safe=""))


# Links that people were seen to paste; A is the note's ID in each.
PASTED = f"""
https://www.xiaohongshu.com/explore/{A}
https://www.xiaohongshu.com/explore/{A}?xsec_token=ABa-_b=&xsec_source=pc_feed
https://www.xiaohongshu.com/discovery/item/{A}
https://www.xiaohongshu.com/discovery/item/{A}?source=webshare&xhsshare=pc_web&xsec_token=AB=
https://www.xiaohongshu.com/user/profile/{USER}/{A}
https://www.xiaohongshu.com/user/profile/{USER}/{A}?xsec_token=AB&xsec_source=pc_user
https://www.xiaohongshu.com/explore/{USER}/{A}
https://www.xiaohongshu.com/explore/{USER}/{A}?xsec_token=AB&xsec_source=pc_user
https://www.xiaohongshu.com/discovery/item/{USER}/{A}
https://www.xiaohongshu.com/board/{USER}/{A}
https://www.xiaohongshu.com/board/{USER}/{A}?xsec_token=AB
https://www.xiaohongshu.com/search_result/{A}
https://www.xiaohongshu.com/search_result/{A}?xsec_token=AB&xsec_source=pc_search
https://www.xiaohongshu.com/note/{A}
https://pgy.xiaohongshu.com/note-detail/{A}
https://pgy.xiaohongshu.com/solar/note-detail/{A}
https://pgy.xiaohongshu.com/solar/pre-trade/note-detail/{A}
https://pgy.xiaohongshu.com/solar/pre-trade/note-detail/{A}?track_id=kol_{B}
xhsdiscover://item/{A}
xhsdiscover://item/{A}?type=normal&source=share
xhsdiscover://item/{USER}/{A}
xhsdiscover:/item/{A}
xhsdiscover:item/{A}
https:/www.xiaohongshu.com/explore/{A}
https://oia.xiaohongshu.com/oia?deeplink=xhsdiscover://item/{A}
https://oia.xiaohongshu.com/oia?deeplink=xhsdiscover%3A%2F%2Fitem%2F{A}
https://oia.xiaohongshu.com/oia?deeplink=xhsdiscover%3A%2F%2Fitem%2F{USER}%2F{A}%3Ftype%3Dnormal
https://www.xiaohongshu.com/login?redirectPath=https://www.xiaohongshu.com/explore/{A}
https://www.xiaohongshu.com/login?redirectPath=https://www.xiaohongshu.com/explore/{USER}/{A}?a=b&c=d
https://www.xiaohongshu.com/login?redirectPath=/explore/{USER}/{A}
https://www.xiaohongshu.com/login?redirectPath=%2Fexplore%2F{A}
https://www.xiaohongshu.com/login?redirectPath=%2Fexplore%2F{USER}%2F{A}%3Fxsec_token%3DAB
https://www.xiaohongshu.com/login?redirectPath=https%3A%2F%2Fwww.xiaohongshu.com%2Fexplore%2F{USER}%2F{A}
https://www.xiaohongshu.com/login?redirectPath=https%3A%2F%2Fwww.xiaohongshu.com%2Fboard%2F{USER}%2F{A}
https://www.xiaohongshu.com/404?source=/404/sec_x1?redirectPath=https://www.xiaohongshu.com/explore/{A}
https://www.xiaohongshu.com/404/sec_x1?redirectPath=http%3A%2F%2Fwww.xiaohongshu.com%2Fdiscovery%2Fitem%2F{A}
https://www.xiaohongshu.com/404?source=%2F404%2Fsec_x1%3FredirectPath%3Dhttps%253A%252F%252Fwww.xiaohongshu.com%252Fexplore%252F{USER}%252F{A}
https://www.rednote.com/explore/{A}
https://www.rednote.com/explore/{USER}/{A}
https://www.rednote.com/user/profile/{USER}/{A}
https://www.rednote.com/login?redirectPath=%2Fexplore%2F{A}
rednote.com/discovery/item/{A}
https://m.rednote.com/board/{USER}/{A}
https://m.xiaohongshu.com/search_result/{A}
""".split()


@pytest.mark.parametrize("link", PASTED)
def test_pasted_links_name_the_note_and_no_other_id(link: str) -> None:
    assert find_notes(link) == ([A], [])
    assert find_notes(f"标题 {link} 复制") == ([A], [])
    assert find_notes(quote(link, safe="")) == ([A], [])


def test_every_form_has_an_example() -> None:
    assert tuple(FORMS) == LINK_FORMS


def table_of_the_reference(head: str) -> list[list[str]]:
    """Return the rows of the table with this first column, without backticks."""
    _, header, table = REFERENCE.read_text(encoding="utf-8").partition(f"\n| {head} |")
    assert header
    rows = [line for line in table.partition("\n\n")[0].splitlines()[2:] if line]
    return [[cell.strip().strip("`") for cell in row.split("|")[1:-1]] for row in rows]


def test_the_reference_has_every_form_and_its_examples_name_their_note() -> None:
    forms = table_of_the_reference("form")
    assert [form for form, *_ in forms] == list(LINK_FORMS)
    pages = table_of_the_reference("page")
    assert len(pages) == 6
    for example in [*(row[1] for row in forms), *(row[1] for row in pages)]:
        assert find_notes(example) == ([A], []), example


def test_errors_of_the_reference_are_errors() -> None:
    rows = table_of_the_reference("value")
    assert len(rows) == 12
    for value, *_ in rows:
        found = find_notes(value)
        assert (found.notes, len(found.errors)) == ([], 1), value
        beside = find_notes(f"标题 {value} https://www.xiaohongshu.com/explore/{B}")
        assert (beside.notes, len(beside.errors)) == ([B], value != "6.63308E+23"), value


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", FORM_PATHS)
def test_links_name_their_note(host: str, path: str) -> None:
    assert find_notes(host + path.replace("NOTE", A)) == ([A], [])
    assert find_notes(host + path.replace("NOTE", A.upper())) == ([A], [])


@pytest.mark.parametrize("template", AROUND)
@pytest.mark.parametrize("path", FORM_PATHS)
def test_a_link_may_be_part_of_another(template: str, path: str) -> None:
    for host in ("https://www.xiaohongshu.com", "xhsdiscover:/"):
        value = around(template, host + path.replace("NOTE", A))
        assert find_notes(value) == ([A], []), value


def test_a_path_alone_may_be_part_of_a_link() -> None:
    for template in AROUND[1:8]:
        assert find_notes(around(template, f"/explore/{A}")) == ([A], [])


@pytest.mark.parametrize(
    "value",
    [
        f"看https://www.xiaohongshu.com/explore/{A}，好",
        f"https://www.xiaohongshu.com/explore/{A}。好",
        f"（https://www.xiaohongshu.com/explore/{A}）",
        f"【https://www.xiaohongshu.com/explore/{A}】",
        f"「https://www.xiaohongshu.com/explore/{A}」！",
        f"https://www.xiaohongshu.com/explore/{A}；",
        f"https://www.xiaohongshu.com/explore/{A}复制本条信息",
        f"https://www.xiaohongshu.com/explore/{A}?xsec_token=AB=复制",
        f"[link](https://www.xiaohongshu.com/explore/{A})",
        f'<a href="https://www.xiaohongshu.com/explore/{A}">x</a>',
        rf'"https:\/\/www.xiaohongshu.com\/explore\/{A}"',
        rf'"https:\u002F\u002Fwww.xiaohongshu.com\u002Fexplore\u002F{A}"',
        f"链接：www.xiaohongshu.com/explore/{A}…",
        f"\ufeff\u200bhttps://www.xiaohongshu.com/explore/{A}\u200b",
        f"https：//www.xiaohongshu.com/explore/{A}",
    ],
)
def test_punctuation_and_text_may_touch_a_link(value: str) -> None:
    assert find_notes(value) == ([A], [])


@pytest.mark.parametrize("between", ["", ";", "|", ",", "，", "、", "\n", "\u3000", "\u200b", "和"])
def test_links_may_follow_one_another(between: str) -> None:
    links = [f"https://www.xiaohongshu.com/explore/{note}?xsec_token=AB=" for note in (A, B)]
    assert find_notes(between.join(links)) == ([A, B], [])


@pytest.mark.parametrize("token", [B, f"AB{B}", f"{B}=", f"AB-{B}", f"AB/{B}", f"AB+{B}"])
def test_an_id_in_a_token_is_ignored(token: str) -> None:
    link = f"https://www.xiaohongshu.com/explore/{A}?xsec_token={token}&xsec_source=app"
    for template in AROUND:
        assert find_notes(around(template, link)) == ([A], [])
    (error,) = find_notes(f"https://www.xiaohongshu.com/explore?xsec_token={token}").errors
    assert B not in error


NO_NOTES = [
    "https://www.xiaohongshu.com",
    "https://www.xiaohongshu.com/",
    "xiaohongshu.com",
    "https://www.xiaohongshu.com/explore",
    f"https://www.xiaohongshu.com/user/profile/{USER}",
    f"https://www.xiaohongshu.com/user/profile/{USER}?xhsshare=CopyLink&appuid={B}&note_id={B}",
    f"https://www.xiaohongshu.com/login?redirectPath=%2Fuser%2Fprofile%2F{USER}",
    f"xhsdiscover://user/{USER}",
    f"https://www.xiaohongshu.com/board/{USER}",
    f"https://www.xiaohongshu.com/goods-detail/{USER}?noteId={B}",
    f"https://www.xiaohongshu.com/page/topics/{USER}",
    f"https://pgy.xiaohongshu.com/solar/pre-trade/blogger-detail/{USER}",
    f"https://www.xiaohongshu.com/search_result?keyword={USER}",
    f"https://www.xiaohongshu.com/explore/{A[:-1]}",
    f"https://www.xiaohongshu.com/explore/{A}0",
    f"https://www.xiaohongshu.com/explore/{A}g",
    f"https://www.xiaohongshu.com/explore/{USER}/{A[:-1]}",
    f"https://www.xiaohongshu.com/explore/{USER}/{A}0",
    f"https://www.xiaohongshu.com/explore/{A}/comments",
    f"https://www.xiaohongshu.com/explore/{USER}/{B}/{A[:-2]}",
    f"https://www.xiaohongshu.com/explore/{USER}/.../{A}",
    f"https://www.xiaohongshu.com/explore/{USER}:{A}",
    f"https://www.xiaohongshu.com/explore/{USER}:{A[:-1]}",
    f"https://www.xiaohongshu.com/login?redirectPath=%2Fexplore%2F{USER}%2F{A[:-1]}",
    f"https://www.xiaohongshu.com/login?redirectPath=/user/profile/{USER}?x=1&note_id={B}",
    f"https://www.xiaohongshu.com/login?redirectPath=%2Fuser%2Fprofile%2F{USER}%3Fnote_id%3D{B}",
    f"https://pgy.xiaohongshu.com/solar/pre-trade/note-detail/{A[:-1]}",
    f"https:/www.xiaohongshu.com/user/profile/{USER}",
    f"xhsdiscover:/item/{A[:-1]}",
    f"xhsdiscover:user/{USER}",
    f"https://www.xiaohongshu.com/explore/{A[:10]}...",
    f"https://www.xiaohongshu.com/login?redirectPath=%2Fexplore%2F{A[:-1]}",
    f"https%3A%2F%2Fwww.xiaohongshu.com%2Fuser%2Fprofile%2F{USER}",
    f"https://www.rednote.com/user/profile/{USER}",
    "https://www.xiaohongshu.com:80/x",
    f"https://xhslink.com/explore/{A}",
    "http://xhslink.com/a/AbCdEf",
    "http://xhslink.cn/o/AbCdEf",
    "xhslink.com/m/AbCdEf",
]


@pytest.mark.parametrize("link", NO_NOTES)
def test_a_link_of_the_app_without_a_note_is_an_error_beside_others_too(link: str) -> None:
    for before, after, notes in [
        ("", "", []),
        ("张三发布了一篇小红书笔记，快来看吧！ ", " 复制本条信息，打开【小红书】App", []),
        (f"https://www.xiaohongshu.com/explore/{B} ", f",{A}", [B, A]),
        (f"{A} ", "", [A]),
    ]:
        found = find_notes(before + link + after)
        assert found.notes == notes
        (error,) = found.errors
        named = unquote(link).partition("?")[0].rstrip(".")
        assert f"'{named}'" in error
        assert "张三" not in error
        assert "?" not in error


# Addresses that only look like links of the app, and the part that an error quotes.
LIKE_LINKS = {
    f"x@www.xiaohongshu.com/explore/{USER}": f"www.xiaohongshu.com/explore/{USER}",
    f"a/www.xiaohongshu.com/explore/{USER}": f"a/www.xiaohongshu.com/explore/{USER}",
    f"https://www.xiaohongshu,com/explore/{USER}": "https://www.xiaohongshu",
    f"www.xiaohongshu，com/explore/{USER}": "www.xiaohongshu",
    f"https://r.jina.ai/www.xiaohongshu.com/explore/{USER}": "https://r.jina.ai/www.xiaohongshu",
    f"https://www。xiaohongshu。com/explore/{USER}": "https://www",
    f"www%2Exiaohongshu%2Ecn%2Fexplore%2F{USER}": f"www.xiaohongshu.cn/explore/{USER}",
    "xhslink.com.cn/a/AbCdEf": "xhslink.com.cn/a/AbCdEf",
    "http://xhslink.net/a/AbCdEf": "http://xhslink.net/a/AbCdEf",
    "xhslink。com/a/AbCdEf": "xhslink",
    "xhslink/a/AbCdEf": "xhslink/a/AbCdEf",
    f"https://www.rednote.cn/explore/{USER}": f"https://www.rednote.cn/explore/{USER}",
    f"https://x:y@www.rednote.cn/explore/{USER}": f"https://www.rednote.cn/explore/{USER}",
    f"https://www.rednote.com.example/explore/{USER}": "https://www.rednote.com.example/",
    f"https://www.xiaohongshu.co/explore/{USER}": f"https://www.xiaohongshu.co/explore/{USER}",
    f"xhsdiscover：//item/{A[:-1]}": "xhsdiscover",
}


@pytest.mark.parametrize("address", LIKE_LINKS)
def test_an_address_like_a_link_of_the_app_is_an_error_beside_others_too(address: str) -> None:
    for before, after, notes in [
        ("", "", []),
        (f"张三 的 笔记 https://www.xiaohongshu.com/explore/{B} ", " 复制", [B]),
        (f"{A} ", "", [A]),
    ]:
        found = find_notes(before + address + after)
        assert found.notes == notes
        (error,) = found.errors
        assert f"'{LIKE_LINKS[address]}" in error
        assert "not a link to a note" in error
        assert "x:y" not in error


# Words that may be meant as an ID, the part that an error quotes, and what is wrong with it.
LIKE_IDS = {
    A + B: (A + B, "48 characters"),
    A[:19]: (A[:19], "19 characters"),
    A[:16]: (A[:16], "16 characters"),
    A + "00000": (A + "00000", "29 characters"),
    A + A[:8]: (A + A[:8], "32 characters"),
    A.replace("0", "O", 1): (A.replace("0", "O", 1), "other characters"),
    A.replace("0", "O"): (A.replace("0", "O"), "other characters"),
    A.replace("c", "g", 1): (A.replace("c", "g", 1), "other characters"),
    A.replace("c", "с", 1): (A.replace("c", "…", 1), "other characters"),
    f"x{A}": (A, "a comma or a blank"),
    f"{A}x": (A, "a comma or a blank"),
    f"noteid{A}": (A, "a comma or a blank"),
    f"ID_{A}": (A, "a comma or a blank"),
    f"Zhang{A}": (A, "a comma or a blank"),
    f"张三{A}张三": (A, "a comma or a blank"),
    f"#{A}": (A, "a comma or a blank"),
    f"@{A}": (A, "a comma or a blank"),
    f"{A}.": (A, "a comma or a blank"),
    f"/explore/{A}": (A, "a comma or a blank"),
    f"/explore/{A}?xsec_token=AB": (A, "a comma or a blank"),
    f"com/explore/{A}": (A, "a comma or a blank"),
    f"{A[:4]}…{A[-4:]}": (f"{A[:4]}…{A[-4:]}", "left out"),
    f"{A[:6]}...{A[-6:]}": (f"{A[:6]}...{A[-6:]}", "left out"),
    f"{A[:8]}****{A[-4:]}": (f"{A[:8]}****{A[-4:]}", "left out"),
    f"{A[:9]}…": (f"{A[:9]}…", "left out"),
}


@pytest.mark.parametrize("word", LIKE_IDS)
def test_a_word_like_an_id_is_an_error_beside_a_link_too(word: str) -> None:
    quoted, wrong = LIKE_IDS[word]
    link = f"https://www.xiaohongshu.com/explore/{B}"
    for value, notes in [
        (word, []),
        (f"{A},{word}", [A]),
        (f"{word} {link}", [B]),
        (f"标题：{word} {link} 好", [B]),
    ]:
        found = find_notes(value)
        assert found.notes == notes
        (error,) = found.errors
        assert error.startswith(f"'{quoted}' ")
        assert wrong in error
        assert not any(name in error for name in ("张", "Zhang", "xsec"))


@pytest.mark.parametrize("wrong", [A[:-1], A + "0", A[:-4], A + "0000", A[:-1].upper()])
def test_an_id_of_the_wrong_length_is_an_error_beside_a_link_too(wrong: str) -> None:
    link = f"https://www.xiaohongshu.com/explore/{B}"
    for value, notes in [
        (wrong, []),
        (f"{A},{wrong}", [A]),
        (f"{wrong} {link}", [B]),
        (f"标题：{wrong}。 {link} 好", [B]),
        (f"张三 {wrong}", []),
    ]:
        found = find_notes(value)
        assert found.notes == notes
        (error,) = found.errors
        assert f"'{wrong}'" in error
        assert str(len(wrong)) in error


@pytest.mark.parametrize("glued", [f"笔记ID：{A}", f"id={A}", f'"{A}"', f"{A}；{B}", f"{A}|{B}"])
def test_an_id_inside_a_piece_is_an_error_beside_a_link_too(glued: str) -> None:
    for value in (glued, f"{glued} https://www.xiaohongshu.com/explore/{B}"):
        (error,) = find_notes(value).errors
        assert f"'{A}'" in error


@pytest.mark.parametrize(
    "words",
    [
        "13800138000",
        "￥1,299.00",
        "1.2E+3",
        "110105194912310021",
        "6222020200112233445",
        "11010519491231002X",
        "SF1234567890123",
        "138****8000",
        "2023...2024",
        "1080p…4096",
        "https://example.com/d41d8cd98f00b204e9800998ecf8427e?v=da39a3ee5e6b4b0d3255bfef95601890afd",
        "www.example.com/d41d8cd98f00b204e9800998ecf8427e.jpg",
        "d41d8cd98f00b204e9800998ecf8427e@example.com",
        "decaffeinatedcoffee",
        "xiaohongshu RedNote. xhslink",
        "抖音/xiaohongshu/微博 on rednote: good, Rednote / RED",
        "me@xiaohongshu.com, mailto:me@mail.rednote.com.",
        "https://example.com/?utm_source=xiaohongshu",
        "65bf5360-0000-0000-2c03-f68465c5944c",
        "deadbeef 34 xK2 😆",
        f"https://example.com/explore/{A}",
        f"https://sns-img.example.com/{A}.jpg",
        "me@xiaohongshu.com",
        "#小红书 @张三",
    ],
)
def test_other_words_of_a_share_text_are_ignored(words: str) -> None:
    link = f"https://www.xiaohongshu.com/explore/{B}"
    assert find_notes(f"{words} {link} {words}") == ([B], [])


def test_the_text_around_a_link_is_ignored() -> None:
    share = (
        f"34 【水果店，开业 - 小红书】 😆 xK2 😆 https://www.xiaohongshu.com/discovery/item/{A}"
        "?source=webshare，复制本条信息，打开【小红书】App"
    )
    assert find_notes(share) == ([A], [])


def test_bare_ids_beside_a_link_are_read_in_order() -> None:
    value = f"{B} see https://www.xiaohongshu.com/explore/{A} and {B}"
    assert find_notes(value) == ([B, A, B], [])


def test_every_piece_that_is_not_an_id_is_an_error() -> None:
    found = find_notes(f"nonsense {A},{A[:-1]}，{A}0")
    assert found.notes == [A]
    assert len(found.errors) == 3
    assert sum("piece 1 of 4" in error for error in found.errors) == 1
    assert sum(f"'{A[:-1]}'" in error for error in found.errors) == 1
    assert sum(f"'{A}0'" in error for error in found.errors) == 1


@pytest.mark.parametrize("list_of_three", ["a,b,c", "bad1, bad2, bad3", "x-1\ny-2\nz-3", "a，b、c"])
def test_each_entry_of_a_list_is_an_error(list_of_three: str) -> None:
    found = find_notes(list_of_three)
    assert len(found.errors) == 3
    for number, error in enumerate(found.errors, 1):
        assert f"piece {number} of 3" in error
        assert "24 hexadecimal" in error


SHARED = [
    "34 【水果店，开业 - 张三 | 小红书】 😆 xK2 😆 复制本条信息，打开【小红书】App查看！",
    "张三发布了一篇小红书笔记，快来看吧！",
    "81 Zhang San published a note on rednote, check it out! 😆 xK2 😆 Copy and open rednote",
    "Check out this note by Zhang San",
    "张三",
    "Zhang,San 张三",
]


@pytest.mark.parametrize("value", SHARED)
def test_a_text_without_a_link_is_one_error_that_quotes_nothing_of_it(value: str) -> None:
    (error,) = find_notes(value).errors
    assert "24 hexadecimal" in error
    assert "link to a note" in error
    for word in ("张", "Zhang", "San", "水果", "xK2"):
        assert word not in error


def test_words_beside_ids_without_a_link_are_one_error() -> None:
    found = find_notes(f"张三 的 笔记 {A} 和 {B}")
    assert found.notes == [A, B]
    (error,) = found.errors
    assert "words beside the note IDs" in error


@pytest.mark.parametrize(
    "name", ["Alice", "alice1990", "张三", "Ada", "13800138000", "a@example.com"]
)
def test_no_word_is_quoted(name: str) -> None:
    for value in (name, f"{A},{name}", f"{name}\n{name}", f"x {name}"):
        found = find_notes(value)
        assert found.errors
        assert not any(name in error for error in found.errors)


@pytest.mark.parametrize(
    "line",
    [
        "复制后打开【小红书】查看笔记！",
        "复制本条信息，打开【小红书】App查看精彩内容！",
        "複製後打開【小紅書】查看筆記！",
        "打开【小红书】App查看精彩内容！",
        "长按复制此条消息，打开小红书查看",
        "Copy and open Xiaohongshu to view the full post！",
        "Copy and open rednote to view the note",
    ],
)
def test_the_line_below_the_apps_link_is_ignored(line: str) -> None:
    link = f"标题 https://www.xiaohongshu.com/discovery/item/{A}"
    assert find_notes(line) == ([], [])
    assert find_notes(f"{link}\n{line}") == ([A], [])
    assert find_notes(f"{A}\n{line}\n{B}") == ([A, B], [])


@pytest.mark.parametrize(
    ("link", "quoted"),
    [
        (f"https://example.com/explore/{A}?key=secret", f"https://example.com/explore/{A}"),
        (f"https://me:secret@example.com/{A}", f"https://example.com/{A}"),
        (f"https://notxiaohongshu.com/explore/{A}", "https://notxiaohongshu.com/"),
        (f"https://xiaohongshu.com.example.com/explore/{A}", "https://xiaohongshu.com.example.com"),
        (f"https://example.com/xiaohongshu.com/explore/{A}", "https://example.com/xiaohongshu.com"),
        (f"https://me@xiaohongshu.com.example/explore/{A}", "https://xiaohongshu.com.example/"),
        ("https://v.example.com/%E5%BC%A0%E4%B8%89", "https://v.example.com/"),
        ("https://v.example.com/张三", "https://v.example.com/"),
        (f"https://example.com/{A}?key=secret", f"https://example.com/{A}"),
    ],
)
def test_other_links_are_errors_that_quote_only_their_path(link: str, quoted: str) -> None:
    for value in (link, f"张三 的 笔记 {link} 快来看"):
        found = find_notes(value)
        assert found.notes == []
        (error,) = found.errors
        assert f"'{quoted}" in error
        for secret in ("secret", "me@", "张三", "%E5"):
            assert secret not in error


def test_a_short_link_is_an_error_that_says_what_to_do() -> None:
    for link in ("http://xhslink.com/a/AbCdEf", "https://xhslink.cn/o/AbCdEf"):
        found = find_notes(f"看 {link}，复制")
        assert found.notes == []
        (error,) = found.errors
        assert f"'{link}'" in error
        assert "browser" in error


@pytest.mark.parametrize(
    "number",
    [
        *["6.63308E+23", "6,63308E+23", "6.63308e+023", " 6E+23 ", "6.63308e23", "6e23"],
        *["'6.63308E+23", "’6.63308E+23", '="6.63308E+23"', "６.６３３０８Ｅ＋２３"],
    ],
)
def test_the_error_for_an_id_destroyed_by_a_spreadsheet_says_so(number: str) -> None:
    (error,) = find_notes(number).errors
    assert error.startswith("'6")
    assert "spreadsheet" in error
    assert "text" in error
    assert "link" in error


@pytest.mark.parametrize("note_id", [A, "663308000000000000000023"])
def test_the_error_for_an_id_in_full_width_characters_says_what_to_do(note_id: str) -> None:
    full_width = "".join(chr(ord(character) + 0xFEE0) for character in note_id)
    for word in (full_width, note_id[:-1] + full_width[-1]):
        for value in (word, f"{word},{B}", f"标题 {word} https://www.xiaohongshu.com/explore/{B}"):
            (error,) = find_notes(value).errors
            assert f"'{note_id}'" in error
            assert "full-width" in error
            assert "format text" in error


def test_an_id_that_looks_like_a_number_is_an_id() -> None:
    assert find_notes("6633080e0000000023004512").notes == ["6633080e0000000023004512"]


@pytest.mark.parametrize("value", ["", " ", ",，\n"])
def test_an_empty_value_is_neither_a_note_nor_an_error(value: str) -> None:
    assert find_notes(value) == ([], [])


fragments = st.sampled_from(
    [
        *[
            "https://",
            "//",
            "www.",
            "xiaohongshu.com",
            "rednote.com",
            "xhslink.com",
            "xhsdiscover://",
        ],
        *["/explore/", "/user/profile/", "/board/", "?note_id=", "redirectPath=", "%2F", "%253A"],
        *[A, A.upper(), B[:-1], USER, " ", "\n", ",", "，", "=", "&", "#", ";", "%", "@", "."],
        *["复制", "打开", "小红书", "6E+23"],
    ]
)
pasted = st.text() | st.lists(fragments | st.text(max_size=3), max_size=20).map("".join)


@given(pasted)
def test_any_text_gives_ids_that_it_contains_or_errors(value: str) -> None:
    found = find_notes(value)
    assert all(note_id in value.lower() for note_id in found.notes)
    assert all(error.isprintable() for error in found.errors)


words = st.text(st.characters(exclude_characters="%/\\", exclude_categories=["Cs"])).filter(
    lambda text: (
        not any(part in text.lower() for part in (".com", ".cn", "://"))
        and not any(character in "0123456789abcdef" for character in text.lower())
    )
)
links = st.builds(
    lambda note_id, host_and_path, template: (
        note_id,
        around(template, "".join(host_and_path).replace("NOTE", note_id)),
    ),
    note_ids,
    st.sampled_from(list(product(HOSTS[:4] + HOSTS[-1:], FORM_PATHS))),
    st.sampled_from(AROUND),
)


@given(words, st.lists(st.tuples(links, words), min_size=1, max_size=5))
def test_links_and_words_give_exactly_the_links_notes(
    before: str, pairs: list[tuple[tuple[str, str], str]]
) -> None:
    value = before + "".join(f" {link} {after}" for (_, link), after in pairs)
    assert find_notes(value) == ([note_id for (note_id, _), _ in pairs], [])


@pytest.mark.parametrize(
    "unit",
    [
        *[
            "a",
            "a.",
            "a-",
            "f",
            "%",
            "%25",
            "//",
            "=/",
            "/",
            "https://",
            ";a.",
            "a:",
            "x ",
            "x,",
            "张",
        ],
        *[
            "xiaohongshu.com",
            "xiaohongshu.com/",
            "xiaohongshu.com/explore",
            "https://xiaohongshu.com/",
        ],
        *[
            "xiaohongshu.com/a;",
            "xhsdiscover://",
            "?note_id=",
            "/publish/update?",
            "&=",
            "复制",
            "打开\n",
        ],
        *[
            A,
            A + " ",
            f"https://www.xiaohongshu.com/explore/{A} ",
            "xiaohongshu.com%2F",
            "xiaohongshu.cn/",
            "xhsdiscover:",
            "@",
            "a@",
            "@a.",
            "a.b/",
            "a0",
            "a0g",
            "a0…",
            "e1",
            "６",
            "%E5%BC",
        ],
    ],
)
def test_a_long_line_is_read_in_linear_time(unit: str) -> None:
    # If an expression starts again at each character, this takes minutes.
    text = unit * (200_000 // len(unit))
    for value in (text, f"xiaohongshu.com/?{text}"):
        find_notes(value)


@given(st.text(st.characters()), st.integers(min_value=2, max_value=80))
def test_shown_text_is_one_printable_line(text: str, width: int) -> None:
    line = shown(text, width)
    assert line.isprintable()
    assert len(line.splitlines()) == 1


def test_long_text_is_cut_to_the_width() -> None:
    assert shown("x" * 10, 10) == f"'{'x' * 10}'"
    assert shown("x" * 11, 10) == f"'{'x' * 9}…'"


@pytest.mark.parametrize(
    ("link", "error"),
    [
        ("http://xhslink.cn/abc", "full-width"),
        (f"https://www.xiaohongshu.com/explore/{A}", "looks like a note ID"),
    ],
)
def test_a_link_in_full_width_characters_is_an_error_also_beside_a_good_one(
    link: str, error: str
) -> None:
    full_width = "".join(chr(ord(character) + 0xFEE0) for character in link)
    for value in (full_width, f"{full_width} https://www.xiaohongshu.com/explore/{B}"):
        (found,) = find_notes(value).errors
        assert error in found


@pytest.mark.parametrize(
    "value",
    [
        f'{{"note_id": "{A}"}}',
        f'{{"note_id": "{A}", "x": 1}}',
        f"https://www.xiaohongshu.com/张三/{A}",
    ],
)
def test_one_value_is_one_error_also_of_several_parts(value: str) -> None:
    (error,) = find_notes(value).errors
    assert "张三" not in error
