import pytest

from xhs.api.endpoints import Call
from xhs.arguments import Arguments
from xhs.endings import StopReason
from xhs.notes.plan import First, Skip, plan

NOTE = "65bf5360000000002c03f684"
RESUME = Arguments(mode="resume")


def known(**changes: object) -> dict[str, object]:
    checkpoint = {"cursor": "c4", "sort": "latest", "version": "v4", "head": None}
    return {
        "_id": NOTE,
        "state": "unfinished",
        "checkpoint": checkpoint,
        "pages": 3,
        "comment_count_l1": 77,
        **changes,
    }


@pytest.mark.parametrize("sort", ["latest", "normal", "like_count"])
@pytest.mark.parametrize("there", [None, known(), known(state="ended", stop_reason="complete")])
def test_a_full_pass_begins_at_the_first_page(sort: str, there: dict[str, object] | None) -> None:
    assert plan(NOTE, there, Arguments(sort=sort), "v4") == First(Call(NOTE, None, sort))


@pytest.mark.parametrize("state", ["queued", "running", "unfinished"])
def test_resume_goes_on_at_the_checkpoint(state: str) -> None:
    assert plan(NOTE, known(state=state), RESUME, "v4") == First(Call(NOTE, "c4"), 3, 77)


def test_resume_starts_what_is_unknown() -> None:
    assert plan(NOTE, None, RESUME, "v4") == First(Call(NOTE))


@pytest.mark.parametrize("reason", [reason for reason in StopReason if reason.ended])
def test_resume_leaves_alone_what_has_ended(reason: StopReason) -> None:
    there = known(state="ended", stop_reason=reason.value, checkpoint=None)
    assert plan(NOTE, there, RESUME, "v4") == Skip(reason)


@pytest.mark.parametrize(
    ("there", "version"),
    [
        (known(), "v3"),
        (known(checkpoint={"cursor": "c4", "sort": "normal", "version": "v4"}), "v4"),
        (known(checkpoint={"cursor": None, "sort": "latest", "version": "v4"}), "v4"),
        (known(checkpoint=None), "v4"),
    ],
)
def test_a_checkpoint_that_does_not_fit_begins_anew(there: dict[str, object], version: str) -> None:
    assert plan(NOTE, there, RESUME, version) == First(Call(NOTE))
