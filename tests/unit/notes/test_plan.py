import pytest

from xhs.api.endpoints import Call
from xhs.arguments import Arguments
from xhs.notes.plan import plan

NOTE = "65bf5360000000002c03f684"


@pytest.mark.parametrize("sort", ["latest", "normal", "like_count"])
def test_a_full_pass_begins_at_the_first_page(sort: str) -> None:
    assert plan(NOTE, Arguments(sort=sort)) == Call(NOTE, None, sort)
