"""Invented users, each derived from a key."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from xhs.simulator.seeded_random import SeededRandom

PLACES = (
    "北京", "上海", "广东", "浙江", "江苏", "四川", "湖北", "山东", "福建", "河南", "湖南",
    "陕西", "辽宁", "重庆", "云南", "中国香港", "中国台湾", "日本", "美国", "Hunan",
    "Singapore",
)  # fmt: skip

_FIRST = (
    "小", "大", "阿", "爱吃", "不吃", "一只", "半糖", "momo", "今天也要", "追风的", "努力的",
    "隔壁", "Lucky_", "是", "暴走", "Mr.", "晚风", "柠檬", "星星和", "在逃",
)  # fmt: skip
_LAST = (
    "桃子", "兔子", "香菜", "加油", "的猫", "同学", "Zoe", "汤圆", "打工人", "月亮", "鱼",
    "123", "少年", "不迷路", "奶茶", "公主", "Chen", "🌙", "老王", "西瓜",
)  # fmt: skip
_BASE32 = "0123456789abcdefghijklmnopqrstuv"
_SHARED_USERS = 3000
_LONG_ID_PERMILLE = 120

User = dict[str, Any]


def commenter_key(rng: SeededRandom, note_id: str, pool: int) -> str:
    """Return the key of a commenter: one of ``pool`` of this note, or one shared by all notes."""
    if rng.chance(100):
        return f"everywhere/{rng.below(_SHARED_USERS)}"
    return f"{note_id}/{rng.below(pool)}"


def author_key(note_id: str) -> str:
    """Return the key of the author of a note."""
    return f"author/{note_id}"


@lru_cache(maxsize=16384)
def user(key: str, long_id: bool = False) -> User:
    """Return the user with this key, in the form of the documented example.

    Most IDs have 24 hexadecimal digits. Some have 29, as documented; all do with ``long_id``.
    The result is shared: change only a copy.
    """
    rng = SeededRandom(f"user/{key}")
    if long_id or (not key.startswith("author/") and rng.chance(_LONG_ID_PERMILLE)):
        user_id = "a" + rng.hexadecimal(28)
    else:
        created = 0x55000000 + rng.below(0x13000000)
        user_id = f"{created:08x}000000000{rng.below(2)}{rng.hexadecimal(6)}"
    nickname = rng.pick(_FIRST) + rng.pick(_LAST)
    if rng.chance(300):
        nickname += str(rng.below(10_000))
    return {
        "userid": user_id,
        "nickname": nickname,
        "images": "https://sns-avatar-qc.xhscdn.com/avatar/1040g2jo31"
        + rng.token(_BASE32, 30)
        + "?imageView2/2/w/120/format/jpg",
        "red_id": str(100_000_000 + rng.below(9_000_000_000)),
        "level": {"image": ""},
        "additional_tags": {},
        "ai_agent": rng.chance(5),
        "current_user": "false",
    }


@lru_cache(maxsize=4096)
def user_info(key: str) -> User:
    """Return the same user as some related endpoints do: ``user_id`` and ``image``."""
    full = user(key)
    return {
        "user_id": full["userid"],
        "nickname": full["nickname"],
        "image": full["images"],
        "red_id": full["red_id"],
        "ai_agent": full["ai_agent"],
    }


def picture(rng: SeededRandom) -> dict[str, Any]:
    """Return a picture of a comment, with URLs signed as in the documented example."""
    file = "1040g2h030" + rng.token(_BASE32, 30)
    signed = f"&sign={rng.hexadecimal(32)}&t=69aed261&src=A"
    base = f"https://sns-i10.rednotecdn.com/comment/{file}?imageView2/2/w"
    return {
        "width": 240 + rng.below(1000),
        "height": 240 + rng.below(1400),
        "url": f"{base}/360/format/heif/q/46&ap=4&sc=CMT_PRV{signed}",
        "origin_url": f"{base}/1280/format/heif/q/45&ap=4&sc=CMT_DTL{signed}",
        "box_w": 120,
        "box_h": 160,
        "file_id": "",
    }
