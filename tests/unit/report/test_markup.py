"""Elements escape every text, whatever is in it."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from xhs.report.markup import Markup, join, tag, text


class Reader(HTMLParser):
    """Reads the elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.content = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.content += data


def test_an_element_with_attributes_and_children() -> None:
    link = tag("a", "one & two", [tag("b", 3), None], href="#x", class_="n", aria_label="<")
    assert link == '<a href="#x" class="n" aria-label="&lt;">one &amp; two<b>3</b></a>'


def test_attributes_that_are_none_are_left_out() -> None:
    assert tag("p", hidden=True, id=None, title=False, name="n") == '<p hidden name="n"></p>'


def test_what_was_made_is_not_escaped_again() -> None:
    assert join(text("<"), Markup("<br/>"), "<") == "&lt;<br/>&lt;"


def test_characters_that_no_page_may_have_are_replaced() -> None:
    assert text("a\x00\x1b\ud800b\n\t") == "a\ufffd\ufffd\ufffdb\n\t"


@given(st.text(), st.text())
def test_a_text_stays_a_text(content: str, attribute: str) -> None:
    reader = Reader(tag("p", content, title=attribute, alt=f"{attribute}<script>"))
    [(name, attributes)] = reader.elements
    assert name == "p"
    assert attributes.keys() == {"title", "alt"}
    unfit = Reader(text(content)).content
    assert reader.content == unfit
    assert len(unfit) == len(content)
    assert "<script>" not in tag("p", f"{content}<script>", title=f"{attribute}<script>")
