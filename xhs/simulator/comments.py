"""Comments and replies as the API returns them.

The fields are those of the documented example. `ip_location`, `target_comment`,
`sub_comment_cursor`, `sub_comment_has_more`, `hash_tags` and the types of tags are known from
related endpoints; the documented note has none of them.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from xhs.simulator.notes import DOCUMENTED_NOTE, Variation
from xhs.simulator.seeded_random import SeededRandom
from xhs.simulator.text import content, count_as_text
from xhs.simulator.users import (
    PLACES,
    User,
    author_key,
    commenter_key,
    picture,
    user,
    user_info,
)

if TYPE_CHECKING:
    from xhs.simulator.note_layout import NoteLayout

Comment = dict[str, Any]

_TAGS = {"user_top": "置顶", "is_author": "作者", "author_liked": "作者赞过"}
_AUTHOR_PERMILLE = 40
_AUTHOR_REPLIES_PERMILLE = 150
_PICTURE_PERMILLE = 60
_MENTION_PERMILLE = 70


def cursor_text(last_id: str, index: int, sort: str = "latest") -> str:
    """Return a cursor in the documented form. Cursors of other orders name the order."""
    cursor: dict[str, object] = {"cursor": last_id, "index": index, "pageArea": "UNFOLDED"}
    if sort != "latest":
        cursor["sort"] = sort
    return json.dumps(cursor, separators=(",", ":"))


class CommentBuilder:
    """Builder of the comments of one note."""

    def __init__(self, note: NoteLayout, likes: int, vanished: frozenset[str]) -> None:
        self.note = note
        self._likes = likes
        self._vanished = vanished
        self._documented = note.note_id == DOCUMENTED_NOTE
        variations = note.profile.variations
        self._as_text = Variation.COUNTS_AS_TEXT in variations
        self._user_info = Variation.USER_INFO in variations
        self._without_place = self._documented or Variation.NO_PLACE in variations
        self._second = 1000 if Variation.MILLISECONDS in variations else 1
        self._pool = max(1, note.profile.first_level * 2 // 3)

    def count(self, number: int) -> int | str:
        """Return a count in the form that this note uses."""
        return count_as_text(number) if self._as_text else number

    def thread(self, number: int) -> list[str]:
        """Return the IDs of the replies to a comment that have not vanished, oldest first."""
        replies = self.note.thread(number)
        if self._vanished:
            return [reply for reply in replies if reply not in self._vanished]
        return replies

    def comment(self, number: int) -> Comment:
        """Return a first-level comment with its inline replies."""
        note = self.note
        shown = note.documented(number)
        replies = note.reply_counts[number]
        if replies and self._vanished:
            replies = len(self.thread(number))
        if shown is not None:
            if not self._likes and replies == shown["sub_comment_count"]:
                return shown
            changed = copy.deepcopy(shown)
            changed["like_count"] += self._likes
            changed["sub_comment_count"] = replies
            return changed
        rng = SeededRandom(f"comment/{note.note_id}/{number}")
        comment = self._build(
            rng,
            note.comment_id(number),
            note.time(number),
            note.likes(number),
            _AUTHOR_PERMILLE,
            "user_top" if number in note.profile.pinned else "",
        )
        comment["sub_comment_count"] = self.count(replies)
        if self._documented:
            return comment
        inline = self._inline(number) if replies else []
        comment["sub_comments"] = inline
        more = replies > len(inline)
        comment["sub_comment_has_more"] = more
        comment["sub_comment_cursor"] = cursor_text(inline[-1]["id"], 1) if more and inline else ""
        return comment

    def _inline(self, number: int) -> list[Comment]:
        places = range(self.note.inline_count(number))
        replies = [self.reply(number, place) for place in places]
        return [reply for reply in replies if reply["id"] not in self._vanished]

    def reply(self, number: int, place: int) -> Comment:
        """Return reply ``place`` to comment ``number``; it may answer an earlier reply."""
        note = self.note
        rng = SeededRandom(f"reply/{note.note_id}/{number}/{place}")
        comment = self._build(
            rng,
            note.reply_id(number, place),
            note.reply_time(number, place),
            rng.below(20) if rng.chance(300) else 0,
            _AUTHOR_REPLIES_PERMILLE,
        )
        answered = rng.below(100)
        if place and answered < 35:
            earlier = rng.below(place)
            author = self._replier(number, earlier)
            comment["target_comment"] = {"id": note.reply_id(number, earlier), "user": author}
        elif answered < 60:
            comment["target_comment"] = {
                "id": note.comment_id(number),
                "user": self._commenter(number),
            }
        return comment

    def _commenter(self, number: int) -> User:
        shown = self.note.documented(number)
        if shown is not None:
            documented: User = shown["user"]
            return documented
        name = f"comment/{self.note.note_id}/{number}"
        return self._user(self._key(SeededRandom(name), _AUTHOR_PERMILLE))

    def _replier(self, number: int, place: int) -> User:
        rng = SeededRandom(f"reply/{self.note.note_id}/{number}/{place}")
        if rng.chance(300):
            rng.below(20)
        return self._user(self._key(rng, _AUTHOR_REPLIES_PERMILLE))

    def _key(self, rng: SeededRandom, author_permille: int) -> str:
        if rng.chance(author_permille):
            return author_key(self.note.note_id)
        return commenter_key(rng, self.note.note_id, self._pool)

    def _user(self, key: str) -> User:
        by_author = key.startswith("author/")
        if self._user_info:
            return user_info(key)
        if self._documented and by_author:
            return {**user(key), "userid": self.note.profile.author_id}
        return user(key, long_id=self._documented and not by_author)

    def _build(
        self,
        rng: SeededRandom,
        comment_id: str,
        time: int,
        likes: int,
        author_permille: int,
        tag: str = "",
    ) -> Comment:
        key = self._key(rng, author_permille)
        by_author = key.startswith("author/")
        tags = [tag] if tag else []
        if by_author:
            tags.append("is_author")
        elif rng.chance(40):
            tags.append("author_liked")
        pictured = rng.chance(_PICTURE_PERMILLE)
        text = "" if pictured else content(rng)
        mentioned: list[dict[str, Any]] = []
        if not pictured and rng.chance(_MENTION_PERMILLE):
            friend = user(commenter_key(rng, self.note.note_id, self._pool))
            mentioned = [{"userid": friend["userid"], "nickname": friend["nickname"]}]
            text = f"@{friend['nickname']} {text}"
        comment: Comment = {
            "id": comment_id,
            "note_id": self.note.note_id,
            "user_info" if self._user_info else "user": self._user(key),
            "content": text,
            "time": time * self._second,
            "like_count": self.count(likes + self._likes),
            "liked": False,
            "sub_comment_count": self.count(0),
            "sub_comments": [],
            "at_users": mentioned,
            "show_tags": tags,
            "show_tags_v2": [{"type": tag, "text": _TAGS[tag]} for tag in tags],
            "show_type": "common",
            "status": rng.pick((3, -2)) if rng.chance(10) else 0,
            "hidden": rng.chance(4),
            "comment_type": 2 if pictured else 0,
            "downvoted": False,
            "score": 0,
            "translation_strategy": 10,
            "collected": False,
            "share_strategy": 0,
            "friend_liked_msg": "",
            "track_id": "interaction-service.local",
            "biz_label": {
                "product_review": False,
                "group_invite": "unknown",
                "rich_text": "unknown",
            },
        }
        if pictured:
            comment["media_source_type"] = 0
            comment["pictures"] = [picture(rng) for _ in range(1 + (rng.below(8) == 0))]
        if not self._without_place and rng.chance(800):
            comment["ip_location"] = rng.pick(PLACES)
        if not self._documented:
            comment["hash_tags"] = []
        return comment
