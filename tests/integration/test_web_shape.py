"""Answers in the web's shape, and answers whose shape has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import web_shape
from support.expected import expected_note

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Document, Outcome, Project
    from support.simulator import Simulator

NOTE, OTHER = sized_note(45, 1), sized_note(45, 2)
NOT_OF_THE_WEB = {"hidden", "comment_type", "extra", "scraped_at"}
CREATED = {"path": ["comments", "*", "time"], "remove": True}


def comparable(done: Outcome) -> dict[str, Document]:
    """Return the fields of comments that both shapes have."""
    found = {}
    for item in done.items("comment"):
        apart = NOT_OF_THE_WEB | ({"sub_comment_count"} if item["parent_comment_id"] else set())
        comment_id = item["comment_id"]
        found[comment_id] = {name: value for name, value in item.items() if name not in apart}
    return found


def complaints(done: Outcome) -> list[str]:
    return [*done.lines("WARNING"), *done.lines("ERROR")]


def test_the_webs_shape_gives_the_same_comments(api: Simulator, without_store: Project) -> None:
    documented = without_store.crawl(notes=[NOTE])
    assert any(comment["pictures"] for comment in documented.items("comment"))
    api.script({"rules": web_shape.script(api, NOTE)})
    done = without_store.crawl(notes=[NOTE])
    assert done.status == 0, done
    assert complaints(done) == complaints(documented)
    assert comparable(done) == comparable(documented)
    for comment in done.items("comment"):
        assert not {"create_time", "user_info"} & set(comment["extra"])
        for rest in comment["extra"].get("pictures", ()):
            assert set(rest) == {"info_list"}
    assert {user["avatar_url"] for user in done.items("user")} == {
        user["avatar_url"] for user in documented.items("user")
    }


def test_since_ends_the_webs_shape_as_it_does_the_documented(
    api: Simulator, project: Project
) -> None:
    assert project.crawl(notes=[NOTE], feed=False).status == 0
    times = sorted(
        (comment["created_at"] for comment in project.documents("comments").values()), reverse=True
    )
    since = times[12].isoformat().replace("+00:00", "Z")
    rules = web_shape.script(api, NOTE)
    costs = []
    for answers in ([], rules):
        api.script({"rules": answers})
        api.reset_call_log()
        done = project.crawl(notes=[NOTE], since=since)
        assert done.status == 0, done
        assert {item["stop_reason"] for item in done.items("note")} == {"since"}
        first_level = [
            comment for comment in done.items("comment") if not comment["parent_comment_id"]
        ]
        assert all(one["created_at"] >= since for one in first_level)
        costs.append((api.call_log()["billed"], sorted(done.ids("comment"))))
    assert costs[0] == costs[1]
    assert costs[0][0] < 5


def test_an_update_finds_its_ground_by_the_time_in_the_webs_shape(
    api: Simulator, project: Project
) -> None:
    """The comments of the first page are gone, so no ID of the watermark is found."""
    api.script({"rules": web_shape.script(api, NOTE)})
    assert project.crawl(notes=[NOTE], mode="update", feed=False).status == 0
    api.script({"rules": []})
    api.change(NOTE, vanish=list(expected_note(NOTE).first_level[:10]))
    api.script({"rules": web_shape.script(api, NOTE)})
    api.reset_call_log()
    done = project.crawl(notes=[NOTE], mode="update")
    assert api.call_log()["billed"] == 1
    assert [item["stop_reason"] for item in done.items("note")] == ["up_to_date"], done


def test_comments_without_a_time_are_kept_under_since_and_reported(
    api: Simulator, project: Project
) -> None:
    api.script({"rules": [{"endpoint": "comments", "note": NOTE, "patch": [CREATED]}]})
    done = project.crawl(notes=[NOTE, OTHER], since="2030-01-01")
    assert done.status == 0, done
    first_level = {
        comment["comment_id"] for comment in done.items("comment") if comment["note_id"] == NOTE
    }
    assert first_level >= set(expected_note(NOTE).first_level)
    warnings = [line for line in done.lines("WARNING") if "no readable time" in line]
    assert len(warnings) == 2, done
    assert NOTE in warnings[0]
    assert "page 1: 10 comments" in warnings[0]
    assert warnings[1].startswith("45 comments"), done


def test_comments_without_a_time_are_no_matter_without_since(
    api: Simulator, project: Project
) -> None:
    patch = [{"path": ["comments", 3, "time"], "remove": True}]
    api.script({"rules": [{"endpoint": "comments", "note": NOTE, "patch": patch}]})
    assert complaints(project.crawl(notes=[NOTE], feed=False)) == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (["comments", "*", "time"], "created_at"),
        (["comments", "*", "content"], "content"),
        (["comments", "*", "like_count"], "like_count"),
        (["comments", "*", "user"], "user_id"),
        (["comments", "*", "user", "nickname"], "nickname"),
    ],
)
def test_a_field_that_a_whole_page_lacks_is_a_warning_once_a_run(
    api: Simulator, project: Project, path: list[Any], field: str
) -> None:
    patch = [{"path": path, "remove": True}]
    api.script({"rules": [{"note": [NOTE, OTHER], "page": "2-", "patch": patch}]})
    done = project.crawl(notes=[NOTE, OTHER], replies="none", feed=False)
    assert done.status == 0, done
    [line] = complaints(done)
    assert field in line
    assert "page 2" in line
    assert NOTE in line or OTHER in line
    assert "extra" in line


def test_what_some_comments_of_a_page_lack_is_no_warning(api: Simulator, project: Project) -> None:
    patch = [{"path": ["comments", place, "user"], "remove": True} for place in range(9)]
    api.script({"rules": [{"note": NOTE, "page": 2, "patch": patch}]})
    assert complaints(project.crawl(notes=[NOTE], feed=False)) == []
