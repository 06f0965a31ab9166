"""The stand-in's answers in the shape in which the web has them, which some answers of the family
come in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.simulator import Simulator

_KEPT = ("id", "note_id", "content", "status", "ip_location", "at_users", "show_tags", "liked")


def of_user(user: dict[str, Any]) -> dict[str, Any]:
    """A user."""
    return {
        "user_id": user["userid"],
        "nickname": user["nickname"],
        "image": user["images"],
        "xsec_token": "made-up",
    }


def of_picture(picture: dict[str, Any]) -> dict[str, Any]:
    """A picture of a comment."""
    preview, large = picture["url"], picture["origin_url"]
    return {
        "width": picture["width"],
        "height": picture["height"],
        "url_pre": preview,
        "url_default": large,
        "info_list": [
            {"image_scene": "WB_PRV", "url": preview},
            {"image_scene": "WB_DFT", "url": large},
        ],
    }


def of_comment(raw: dict[str, Any]) -> dict[str, Any]:
    """A comment with the replies that came with it: counts as text, its time in milliseconds."""
    found = {name: raw[name] for name in _KEPT if name in raw}
    found["create_time"] = raw["time"] * 1000
    found["like_count"] = str(raw["like_count"])
    if raw.get("user"):
        found["user_info"] = of_user(raw["user"])
    if raw.get("pictures"):
        found["pictures"] = [of_picture(one) for one in raw["pictures"]]
    if target := raw.get("target_comment"):
        found["target_comment"] = {"id": target["id"], "user_info": of_user(target["user"])}
    if "sub_comment_has_more" in raw:
        found["sub_comment_count"] = str(raw["sub_comment_count"])
        found["sub_comment_has_more"] = raw["sub_comment_has_more"]
        found["sub_comment_cursor"] = raw["sub_comment_cursor"]
        found["sub_comments"] = [of_comment(one) for one in raw["sub_comments"]]
    return found


def of_page(data: dict[str, Any]) -> dict[str, Any]:
    """A page. The web's names no counts."""
    return {
        "comments": [of_comment(one) for one in data["comments"]],
        "cursor": data["cursor"],
        "has_more": data["has_more"],
        "user_id": data["user_id"],
    }


def pages(api: Simulator, note: str) -> Iterator[dict[str, Any]]:
    """The ``data`` of a note's pages as the stand-in has them."""
    cursor: dict[str, str] = {}
    while True:
        data = api.call(noteId=note, **cursor)["data"]
        yield data
        if not data["has_more"]:
            return
        cursor = {"lastCursor": data["cursor"]}


def script(api: Simulator, *notes: str) -> list[dict[str, Any]]:
    """Rules by which the stand-in answers so for these notes."""
    return [
        {"endpoint": "comments", "note": note, "page": number, "data": of_page(data)}
        for note in notes
        for number, data in enumerate(pages(api, note), 1)
    ]
