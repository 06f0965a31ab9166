import copy
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import xhs.simulator
from xhs.api.fields import Parsed, parse_page
from xhs.api.page import Page, read_page

SAMPLE = json.loads(
    (Path(xhs.simulator.__file__).parent / "note-comments-v4.sample.json").read_bytes()
)["data"]
NOTE = "65bf5360000000002c03f684"
NOW = "2026-08-21T00:00:00Z"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400)])
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["17", "1.2万", "true", "9" * 5000, "\ud800", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
comment_names = st.sampled_from(
    ["id", "note_id", "content", "time", "like_count", "sub_comment_count", "ip_location"]
    + ["pictures", "at_users", "comment_type", "status", "hidden", "show_tags", "show_tags_v2"]
    + ["user", "user_info", "target_comment", "sub_comments", "score", "create_time"]
)
user_names = st.sampled_from(
    ["userid", "user_id", "images", "image", "nickname", "red_id", "ai_agent", "additional_tags"]
)
picture_names = st.sampled_from(
    ["url", "origin_url", "url_pre", "url_default", "info_list", "width", "height", "file_id"]
)


def objects(
    names: st.SearchStrategy[str], **known: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    odd = st.dictionaries(names, json_values, max_size=6)
    return st.builds(
        dict[str, Any].__or__, st.fixed_dictionaries({}, optional=dict(known)), odd
    ) | st.fixed_dictionaries({}, optional=dict(known))


users = objects(user_names, userid=st.sampled_from(["u1", "u2", ""]))
pictures = st.lists(objects(picture_names) | json_values, max_size=2)
replies = objects(
    comment_names, id=st.sampled_from(["r1", "r2"]), user=users, target_comment=json_values
)
comments = objects(
    comment_names,
    id=st.sampled_from(["c1", "c2"]),
    user=users,
    user_info=users,
    pictures=pictures,
    sub_comments=st.lists(replies | json_values, max_size=3),
)


def parse(*raw: Any, replies: bool = True, author: str | None = None) -> list[Parsed]:
    page = Page(comments=list(raw), author_id=author)
    return list(parse_page(page, note_id=NOTE, replies=replies, scraped_at=NOW))


def comment(raw: dict[str, Any], author: str | None = None) -> dict[str, Any]:
    (parsed,) = (one for one in parse(raw, author=author) if one.item_type == "comment")
    return parsed.fields


def user(raw: dict[str, Any]) -> dict[str, Any]:
    (parsed,) = (one for one in parse({"user": raw}) if one.item_type == "user")
    return parsed.fields


# The documented example.


def test_the_documented_page_has_its_comments_and_distinct_users() -> None:
    parsed = parse(*SAMPLE["comments"])
    ids = [one.fields["comment_id"] for one in parsed if one.item_type == "comment"]
    assert ids == [raw["id"] for raw in SAMPLE["comments"]]
    user_ids = [one.fields["user_id"] for one in parsed if one.item_type == "user"]
    assert sorted(user_ids) == sorted({raw["user"]["userid"] for raw in SAMPLE["comments"]})


def test_a_documented_comment_field_by_field() -> None:
    assert comment(SAMPLE["comments"][0]) == {
        "comment_id": "65c5944c000000001100b84a",
        "note_id": NOTE,
        "user_id": "a53c5dfd23210947ff7cf8d054aac",
        "parent_comment_id": None,
        "target_comment_id": None,
        "content": "拉稀没[捂脸R]",
        "created_at": "2024-02-09T02:56:12Z",
        "like_count": 1,
        "sub_comment_count": 0,
        "ip_location": None,
        "pictures": None,
        "at_users": [],
        "comment_type": 0,
        "status": 0,
        "hidden": False,
        "is_pinned": False,
        "is_author": None,
        "is_liked_by_author": False,
        "show_tags": [],
        "is_new": None,
        "scraped_at": NOW,
        "extra": {
            "track_id": "interaction-service.local",
            "show_tags_v2": [],
            "downvoted": False,
            "score": 0,
            "show_type": "common",
            "biz_label": {
                "product_review": False,
                "group_invite": "unknown",
                "rich_text": "unknown",
            },
            "translation_strategy": 10,
            "liked": False,
            "collected": False,
            "share_strategy": 0,
            "friend_liked_msg": "",
        },
    }


def test_a_documented_user_field_by_field() -> None:
    (fields,) = (p.fields for p in parse(SAMPLE["comments"][0]) if p.item_type == "user")
    assert fields == {
        "user_id": "a53c5dfd23210947ff7cf8d054aac",
        "nickname": "起个名好迷茫",
        "avatar_url": "https://sns-avatar-qc.xhscdn.com/avatar/1040g2jo31r72vt3kga705oc94lak0hnamgue"
        "3a8?imageView2/2/w/120/format/jpg",
        "red_id": "8723021558",
        "ai_agent": False,
        "additional_tags": {},
        "scraped_at": NOW,
        "extra": {"level": {"image": ""}, "current_user": "false"},
    }


def test_documented_pictures_keep_what_has_no_field_in_extra() -> None:
    raw = next(raw for raw in SAMPLE["comments"] if raw["id"] == "65c4d68000000000100393ed")
    fields = comment(raw)
    picture = raw["pictures"][0]
    assert fields["comment_type"] == 2
    assert fields["content"] == ""
    assert fields["pictures"] == [
        {
            "url": picture["url"],
            "origin_url": picture["origin_url"],
            "width": 460,
            "height": 674,
        }
    ]
    assert fields["extra"]["pictures"] == [{"box_w": 120, "box_h": 160, "file_id": ""}]


@pytest.mark.parametrize("raw", SAMPLE["comments"], ids=lambda raw: raw["id"])
def test_nothing_of_a_documented_comment_is_lost(raw: dict[str, Any]) -> None:
    parsed = parse(raw)
    fields, person = parsed[0].fields, parsed[1].fields
    again = {
        **fields["extra"],
        "id": fields["comment_id"],
        "note_id": fields["note_id"],
        "content": fields["content"],
        "time": int(datetime.fromisoformat(fields["created_at"]).timestamp()),
        "like_count": fields["like_count"],
        "sub_comment_count": fields["sub_comment_count"],
        "at_users": fields["at_users"],
        "comment_type": fields["comment_type"],
        "status": fields["status"],
        "hidden": fields["hidden"],
        "show_tags": fields["show_tags"],
        "sub_comments": [],
        "user": {
            **person["extra"],
            "userid": person["user_id"],
            "nickname": person["nickname"],
            "images": person["avatar_url"],
            "red_id": person["red_id"],
            "ai_agent": person["ai_agent"],
            "additional_tags": person["additional_tags"],
        },
    }
    if fields["pictures"] is not None:
        again["pictures"] = [
            picture | rest
            for picture, rest in zip(fields["pictures"], fields["extra"]["pictures"], strict=True)
        ]
    assert again == raw


# Whatever comes.


@given(st.lists(comments | json_values, max_size=4), st.booleans())
@example([{"time": 10**400, "status": "9" * 5000}], True)
def test_every_element_is_exactly_one_comment(elements: list[Any], with_replies: bool) -> None:
    parsed = parse(*elements, replies=with_replies)
    firsts = [
        one.raw
        for one in parsed
        if one.item_type == "comment" and one.fields.get("parent_comment_id") is None
    ]
    # A reply that is no object has no fields beside its note's, so it is told apart by identity.
    own = [raw for raw in firsts if any(raw is element for element in elements)]
    assert len(own) >= len(elements)
    every = sum(one.item_type == "comment" for one in parsed)
    inline = [
        reply
        for element in elements
        if isinstance(element, dict) and isinstance(element.get("sub_comments"), list)
        for reply in element["sub_comments"]
    ]
    assert every == len(elements) + (len(inline) if with_replies else 0)


@given(st.dictionaries(st.sampled_from(["comments", "user_id", "cursor"]), json_values))
def test_any_page_can_be_parsed(data: dict[str, Any]) -> None:
    page = read_page(data)
    parsed = list(parse_page(page, note_id=NOTE, replies=True, scraped_at=NOW))
    assert sum(one.item_type == "comment" for one in parsed) >= len(page.comments)


@given(st.lists(comments | json_values, max_size=3))
def test_what_came_is_not_changed(elements: list[Any]) -> None:
    before = copy.deepcopy(elements)
    parse(*elements)
    assert repr(elements) == repr(before)


@given(comments)
def test_unknown_fields_are_in_extra_as_they_came(raw: dict[str, Any]) -> None:
    raw = {**raw, "score": 1.5, "页": ["x", None]}
    extra = comment({**raw, "sub_comments": []})["extra"]
    assert extra["score"] == 1.5
    assert extra["页"] == ["x", None]


@given(comments)
def test_every_field_of_a_comment_is_somewhere(raw: dict[str, Any]) -> None:
    parsed = parse(raw)
    first = parsed[0].fields
    own = {
        "id": "comment_id",
        "time": "created_at",
        **{
            name: name
            for name in ["note_id", "content", "like_count", "sub_comment_count", "ip_location"]
            + ["pictures", "at_users", "comment_type", "status", "hidden", "show_tags"]
        },
    }
    for name in raw:
        if name in own:
            assert own[name] in first
        elif name == "sub_comments":
            replies = [one for one in parsed if one.item_type == "comment"][1:]
            assert name in first["extra"] or len(replies) == len(raw[name])
        elif name == "create_time":
            assert name in first["extra"] or first["created_at"] is not None or not raw[name]
        elif name in ("user", "user_info"):
            people = [one.raw for one in parsed if one.item_type == "user"]
            assert name in first["extra"] or any(raw[name] is person for person in people)
        else:
            assert repr(first["extra"][name]) == repr(raw[name])


@st.composite
def tokens(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """A comment in any mixture of the documented names and their relatives' whose every value is a
    text of its own; and these texts.
    """
    made: list[str] = []

    def token() -> str:
        made.append(f"<{len(made)}>")
        return made[-1]

    def some(*of: str) -> dict[str, Any]:
        return {name: token() for name in draw(st.permutations(of)) if draw(st.booleans())}

    raw = some("id", "time", "create_time", "content", "like_count", "sub_comment_count", "score")
    raw |= some("ip_location", "at_users", "comment_type", "status", "hidden", "show_tags")
    raw |= some("sub_comment_cursor", "liked", "target_comment", "note_id")
    for name in draw(st.permutations(["user", "user_info"])):
        if draw(st.booleans()):
            raw[name] = some("userid", "user_id", "image", "images", "nickname", "xsec_token")
    if draw(st.booleans()):
        of_a_picture = ("url", "origin_url", "url_pre", "url_default", "width", "info_list")
        raw["pictures"] = [some(*of_a_picture) for _ in range(draw(st.integers(0, 2)))]
    return raw, made


@given(tokens())
def test_every_value_is_in_a_field_or_in_extra_and_never_in_both(
    made: tuple[dict[str, Any], list[str]],
) -> None:
    raw, values = made
    parsed = parse(raw)
    fields = [{**one.fields, "extra": None} for one in parsed]
    extra = json.dumps([one.fields["extra"] for one in parsed])
    for value in values:
        assert (value in json.dumps(fields)) != (value in extra), (value, parsed)


@pytest.mark.parametrize("element", [None, True, 5, "text", [], [{"id": "c"}]])
def test_an_element_that_is_no_object_is_kept_for_rejection(element: Any) -> None:
    (parsed,) = parse(element)
    assert parsed.item_type == "comment"
    assert parsed.fields["comment_id"] is None
    assert parsed.raw is element


# Users.


@pytest.mark.parametrize(
    "raw",
    [
        {"user": {"userid": "u", "images": "i", "nickname": "n"}},
        {"user_info": {"user_id": "u", "image": "i", "nickname": "n"}},
        {"user": {"user_id": "u", "image": "i", "nickname": "n"}},
        {"user": None, "user_info": {"user_id": "u", "image": "i", "nickname": "n"}},
        {"user": {}, "user_info": {"userid": "u", "images": "i", "nickname": "n"}},
        {"user": {"userid": "", "user_id": "u", "images": None, "image": "i", "nickname": "n"}},
    ],
)
def test_the_author_in_each_of_its_forms(raw: dict[str, Any]) -> None:
    parsed = parse(raw)
    assert [one.item_type for one in parsed] == ["comment", "user"]
    assert parsed[0].fields["user_id"] == "u"
    person = parsed[1].fields
    assert (person["user_id"], person["avatar_url"], person["nickname"]) == ("u", "i", "n")


@pytest.mark.parametrize("raw", [{}, {"user": None}, {"user": {}}, {"user": ""}])
def test_a_comment_without_a_user_is_a_comment(raw: dict[str, Any]) -> None:
    (parsed,) = parse({"id": "c", **raw})
    assert parsed.item_type == "comment"
    assert parsed.fields["user_id"] is None
    assert parsed.fields["extra"] == raw


def test_a_user_comes_once_a_page_at_the_first_comment() -> None:
    parsed = parse(
        {"id": "1", "user": {"userid": "u", "nickname": "first"}},
        {
            "id": "2",
            "user": {"userid": "u"},
            "sub_comments": [{"id": "3", "user": {"userid": "u"}}],
        },
        {"id": "4", "user": {"userid": "v"}},
    )
    people = [one.fields for one in parsed if one.item_type == "user"]
    assert [person["user_id"] for person in people] == ["u", "v"]
    assert people[0]["nickname"] == "first"


def test_what_a_user_lacks_is_null() -> None:
    fields = user({"userid": "u"})
    assert {name: value for name, value in fields.items() if value is not None} == {
        "user_id": "u",
        "scraped_at": NOW,
        "extra": {},
    }


@pytest.mark.parametrize("name", ["nickname", "red_id", "images"])
def test_empty_text_of_a_user_stays_empty_text(name: str) -> None:
    fields = user({"userid": "u", name: ""})
    assert fields["avatar_url" if name == "images" else name] == ""


# Fields.


@pytest.mark.parametrize(
    ("raw", "name", "expected"),
    [
        ({"like_count": "17"}, "like_count", 17),
        ({"like_count": "1.2万"}, "like_count", 12_000),
        ({"sub_comment_count": "37"}, "sub_comment_count", 37),
        ({"time": 1707447372000}, "created_at", "2024-02-09T02:56:12Z"),
        ({"time": "1707447372"}, "created_at", "2024-02-09T02:56:12Z"),
        ({"create_time": 1707447372000}, "created_at", "2024-02-09T02:56:12Z"),
        ({"create_time": "1707447372123"}, "created_at", "2024-02-09T02:56:12.123Z"),
        ({"time": None, "create_time": 1707447372000}, "created_at", "2024-02-09T02:56:12Z"),
        ({"time": 1, "create_time": 1707447372000}, "created_at", "1970-01-01T00:00:01Z"),
        ({"hidden": "false"}, "hidden", False),
        ({"status": -2}, "status", -2),
        ({"status": "-2"}, "status", -2),
        ({"comment_type": "2"}, "comment_type", 2),
        ({"ip_location": "Shanghai"}, "ip_location", "Shanghai"),
        ({"note_id": "other"}, "note_id", "other"),
        ({}, "note_id", NOTE),
    ],
)
def test_known_forms_of_a_field(raw: dict[str, Any], name: str, expected: object) -> None:
    assert comment(raw)[name] == expected


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({"like_count": 0}, "like_count"),
        ({"sub_comment_count": 0}, "sub_comment_count"),
        ({"status": 0}, "status"),
        ({"comment_type": 0}, "comment_type"),
        ({"hidden": False}, "hidden"),
        ({"content": ""}, "content"),
        ({"ip_location": ""}, "ip_location"),
        ({"at_users": []}, "at_users"),
        ({"pictures": []}, "pictures"),
        ({"show_tags": []}, "show_tags"),
    ],
)
def test_zero_false_and_empty_stay_as_sent(raw: dict[str, Any], name: str) -> None:
    value = comment(raw)[name]
    assert value == raw[name]
    assert type(value) is type(raw[name])


@pytest.mark.parametrize(
    "name",
    ["comment_id", "user_id", "content", "created_at", "like_count", "sub_comment_count"]
    + ["ip_location", "pictures", "at_users", "comment_type", "status", "hidden", "is_pinned"]
    + ["is_author", "is_liked_by_author", "show_tags", "is_new", "target_comment_id"],
)
def test_what_was_not_sent_is_null(name: str) -> None:
    assert comment({})[name] is None


def test_a_value_that_is_not_understood_is_passed_on_for_validation() -> None:
    raw = {"like_count": "many", "time": "yesterday", "hidden": 2, "pictures": "none"}
    fields = comment(raw)
    assert fields["like_count"] == "many"
    assert fields["created_at"] == "yesterday"
    assert fields["hidden"] == 2
    assert fields["pictures"] == "none"


@pytest.mark.parametrize("name", ["show_tags", "show_tags_v2"])
@pytest.mark.parametrize("form", [str, lambda kind: {"type": kind, "text": "whatever"}])
@pytest.mark.parametrize(
    ("kind", "field"),
    [("user_top", "is_pinned"), ("is_author", "is_author"), ("author_liked", "is_liked_by_author")],
)
def test_tags_are_read_by_their_type(name: str, form: Any, kind: str, field: str) -> None:
    fields = comment({name: [None, form("other"), form(kind)]})
    assert fields[field] is True
    assert [flag for flag in ("is_pinned", "is_author", "is_liked_by_author") if fields[flag]] == [
        field
    ]


def test_the_text_of_a_tag_says_nothing() -> None:
    assert comment({"show_tags_v2": [{"type": "other", "text": "user_top"}]})["is_pinned"] is False


@pytest.mark.parametrize(
    ("raw", "author", "expected"),
    [
        ({"user": {"userid": "u"}}, "u", True),
        ({"user": {"userid": "v"}}, "u", False),
        ({"user": {"userid": "v"}, "show_tags": ["is_author"]}, "u", True),
        ({"user": {"userid": "v"}}, None, None),
        ({}, "u", None),
    ],
)
def test_whether_the_notes_author_wrote_it(
    raw: dict[str, Any], author: str | None, expected: bool | None
) -> None:
    assert comment(raw, author)["is_author"] is expected


# What comes under the web's names.


@pytest.mark.parametrize(
    ("raw", "expected", "rest"),
    [
        ({"url_pre": "p", "url_default": "d"}, ("p", "d"), None),
        ({"url_default": "d"}, (None, "d"), None),
        ({"url": "u", "url_pre": "p"}, ("u", None), {"url_pre": "p"}),
        ({"url": "", "url_pre": "p"}, ("p", None), {"url": ""}),
        ({"origin_url": "o", "url_default": "d"}, (None, "o"), {"url_default": "d"}),
        (
            {"url_pre": "p", "info_list": [{"url": "p"}]},
            ("p", None),
            {"info_list": [{"url": "p"}]},
        ),
    ],
)
def test_the_addresses_of_a_picture_in_each_of_their_forms(
    raw: dict[str, Any], expected: tuple[str | None, str | None], rest: dict[str, Any] | None
) -> None:
    fields = comment({"pictures": [raw]})
    [picture] = fields["pictures"]
    assert (picture["url"], picture["origin_url"]) == expected
    assert fields["extra"] == ({} if rest is None else {"pictures": [rest]})


def test_a_time_that_does_not_count_stays_in_extra() -> None:
    assert comment({"time": 1, "create_time": 2})["extra"] == {"create_time": 2}
    assert comment({"time": None, "create_time": 2})["extra"] == {"time": None}
    assert comment({"create_time": 2})["extra"] == {}


# Replies.


def test_inline_replies_follow_their_comment() -> None:
    parsed = parse(
        {"id": "1", "sub_comments": [{"id": "2"}, {"id": "3", "content": "x"}]}, {"id": "4"}
    )
    assert [(one.fields["comment_id"], one.fields["parent_comment_id"]) for one in parsed] == [
        ("1", None),
        ("2", "1"),
        ("3", "1"),
        ("4", None),
    ]


def test_replies_that_are_not_wanted_are_left_out() -> None:
    parsed = parse(
        {"id": "1", "sub_comments": [{"id": "2", "user": {"userid": "u"}}]}, replies=False
    )
    assert [one.fields["comment_id"] for one in parsed] == ["1"]


@pytest.mark.parametrize("raw", [{}, {"id": None}, {"id": ""}, {"id": 0}])
def test_a_reply_to_a_comment_without_an_id_is_not_of_the_first_level(raw: dict[str, Any]) -> None:
    parsed = parse({**raw, "sub_comments": [{"id": "2"}]})
    assert parsed[1].fields["parent_comment_id"] is not None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"id": "other", "user": {}}, "other"),
        ({"id": "root"}, None),
        ({"id": ""}, None),
        ({}, None),
        (None, None),
        ("other", None),
    ],
)
def test_the_reply_that_a_reply_answers(target: object, expected: str | None) -> None:
    reply = parse({"id": "root", "sub_comments": [{"id": "r", "target_comment": target}]})[1]
    assert reply.fields["target_comment_id"] == expected
    assert reply.fields["extra"] == {"target_comment": target}


def test_a_first_level_comment_answers_no_reply() -> None:
    assert comment({"id": "1", "target_comment": {"id": "2"}})["target_comment_id"] is None


@pytest.mark.parametrize("replies", [None, {}, "none", 3])
def test_replies_that_are_no_list_stay_in_extra(replies: object) -> None:
    assert comment({"id": "1", "sub_comments": replies})["extra"] == {"sub_comments": replies}
