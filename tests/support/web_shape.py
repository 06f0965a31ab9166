"""The stand-in's answers in the web's shape, which some endpoints of the family use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.simulator import Simulator

_KEPT = ("id", "note_id", "content", "status", "ip_location", "at_users", "show_tags", "liked")


def web_user(user: dict[str, Any]) -> dict[str, Any]:
    """Return a user in the web's shape."""
    return {
        "user_id": user["userid"],
        "nickname": user["nickname"],
        "image": user["images"],
        "xsec_token": "made-up",
    }


def web_picture(picture: dict[str, Any]) -> dict[str, Any]:
    """Return a picture in the web's shape."""
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


def web_comment(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a comment and its inline replies: counts as text, the time in milliseconds."""
    found = {name: raw[name] for name in _KEPT if name in raw}
    found["create_time"] = raw["time"] * 1000
    found["like_count"] = str(raw["like_count"])
    if raw.get("user"):
        found["user_info"] = web_user(raw["user"])
    if raw.get("pictures"):
        found["pictures"] = [web_picture(raw_object) for raw_object in raw["pictures"]]
    if target := raw.get("target_comment"):
        found["target_comment"] = {"id": target["id"], "user_info": web_user(target["user"])}
    if "sub_comment_has_more" in raw:
        found["sub_comment_count"] = str(raw["sub_comment_count"])
        found["sub_comment_has_more"] = raw["sub_comment_has_more"]
        found["sub_comment_cursor"] = raw["sub_comment_cursor"]
        found["sub_comments"] = [web_comment(raw_object) for raw_object in raw["sub_comments"]]
    return found


def web_page(data: dict[str, Any]) -> dict[str, Any]:
    """Return a page in the web's shape, which has no counts."""
    return {
        "comments": [web_comment(comment) for comment in data["comments"]],
        "cursor": data["cursor"],
        "has_more": data["has_more"],
        "user_id": data["user_id"],
    }


def pages(api: Simulator, note: str) -> Iterator[dict[str, Any]]:
    """Yield the ``data`` of a note's pages as the stand-in has them."""
    cursor: dict[str, str] = {}
    while True:
        data = api.call(noteId=note, **cursor)["data"]
        yield data
        if not data["has_more"]:
            return
        cursor = {"lastCursor": data["cursor"]}


def script(api: Simulator, *notes: str) -> list[dict[str, Any]]:
    """Return rules that make the stand-in answer in this shape for these notes."""
    return [
        {"endpoint": "comments", "note": note, "page": number, "data": web_page(data)}
        for note in notes
        for number, data in enumerate(pages(api, note), 1)
    ]
