"""The page of ``scrapy report`` in Chromium: numbers, looks, and comments that attack it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.crawl import Project, database
from support.marks import needs_chromium

from xhs.simulator.notes import missing_note, sized_note, threaded_note

pytest.importorskip("rjieba", reason="pip install -r requirements-look.txt")
pytest.importorskip("playwright", reason="pip install -r requirements-dev.txt")

from support.browser import Opened, chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser
    from support.crawl import Document
    from support.simulator import Simulator

    Open = Callable[..., Opened]

pytestmark = needs_chromium

BEIJING = timezone(timedelta(hours=8))
NOTES = [sized_note(140, 1), threaded_note(6, 5, 2), sized_note(25, 3)]
WIDTHS = (360, 1600)


@pytest.fixture(scope="module")
def browser(stored: Stored, attacked: Path, without_comments: Path) -> Iterator[Browser]:
    """Chromium, which starts when everything else is done: its client occupies the event loop."""
    with chromium() as running:
        yield running


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Open a file; what is open is closed after the test."""
    pages: list[Opened] = []

    def at(path: Path, width: int = 1280, **options: Any) -> Opened:
        pages.append(Opened.at(browser, path, width, **options))
        return pages[-1]

    yield at
    for one in pages:
        one.page.close()


class Stored(NamedTuple):
    """What a database has, and the folder of its pages."""

    folder: Path
    comments: list[Document]
    notes: dict[str, Document]
    history: list[Document]

    def comments_of(self, note_id: str) -> list[Document]:
        """Return the comments of a note."""
        return [comment for comment in self.comments if comment["note_id"] == note_id]


@pytest.fixture(scope="module")
def stored(_api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Four notes in a database, one of them read twice, and their pages."""
    _api.reset()
    made = Project(_api.url, tmp_path_factory.mktemp("page"), _server, "page")
    made.environment["XHS_CALL_PRICE"] = "0.05 CNY"
    assert made.crawl(notes=[*NOTES, missing_note()], feed=False).status == 0
    assert made.crawl(notes=NOTES[2:], feed=False).status == 0
    group = made.folder / "group.txt"
    group.write_text(NOTES[0])
    for language in ("en", "zh"):
        path = made.folder / f"{language}.html"
        done = made.command("report", str(path), "--lang", language, "--compare", str(group))
        assert (done.status, done.errors) == (0, ""), done
    return Stored(
        made.folder,
        list(made.documents("comments").values()),
        made.documents("notes"),
        list(made.documents("note_history").values()),
    )


@pytest.fixture
def comments(stored: Stored) -> list[Document]:
    """The comments in the database."""
    return stored.comments


@pytest.fixture
def page(stored: Stored, opened: Open) -> Opened:
    """The English page."""
    return opened(stored.folder / "en.html")


def shown(number: int) -> str:
    return f"{number:,}"


def test_headline_is_what_the_database_has(
    stored: Stored, page: Opened, comments: list[Document]
) -> None:
    notes = stored.notes.values()
    reported = sum(note["comment_count_l1"] for note in notes)
    missing = sum(note["missing"] for note in notes)
    calls = sum(note["billed_calls"] for note in notes)
    assert {
        key: page.text(f"#n-{key}") for key in ("comments", "people", "notes", "calls", "held")
    } == {
        "comments": shown(len(comments)),
        "people": shown(len({comment["user_id"] for comment in comments})),
        "notes": "4",
        "calls": shown(calls),
        "held": f"{100 * (reported - missing) / reported:.1f}%",
    }
    assert f"cost {calls * 5 / 100:.2f} CNY" in page.text(".cards")


def test_each_note_is_as_the_ledger_has_it(stored: Stored, page: Opened) -> None:
    rows = {row[0]: row for row in page.rows("#data table")}
    ledger = stored.notes
    assert rows.keys() == ledger.keys()
    for note_id, note in ledger.items():
        times = [comment["created_at"] for comment in stored.comments_of(note_id)]
        assert rows[note_id][2:] == [
            shown(note["comments_collected"]),
            shown(note["comment_count_l1"]),
            shown(note["missing"]),
            shown(note["replies_collected"]),
            shown(note["replies_missing"]),
            *(
                f"{pick(times).astimezone(BEIJING):%Y-%m-%d}" if times else "–"
                for pick in (min, max)
            ),
            f"{note['last_crawled_at'].astimezone(BEIJING):%Y-%m-%d}",
            shown(note["billed_calls"]),
            f"{note['billed_calls'] * 5 / 100:.2f} CNY",
        ]
    assert rows[missing_note()][1] == "not found"


def test_places_are_those_of_the_comments(page: Opened, comments: list[Document]) -> None:
    places = Counter(comment["ip_location"] for comment in comments if comment["ip_location"])
    rows = page.rows("#places table")
    assert {row[0]: row[2] for row in rows} == {
        place: shown(count)
        for place, count in sorted(places.items(), key=lambda item: (-item[1], item[0]))[:20]
    }
    assert rows[0][3] == f"{100 * max(places.values()) / places.total():.1f}%"


def test_columns_are_the_comments_over_time(page: Opened, comments: list[Document]) -> None:
    rows = page.rows("#time figure table")
    assert sum(int(row[1].replace(",", "")) for row in rows) == len(comments)
    columns = page.page.locator("#time .columns a")
    titles = columns.evaluate_all("all => all.map(one => one.querySelector('title').textContent)")
    assert [re.split(": | ", title)[-2] for title in titles] == [row[1] for row in rows]


def test_the_most_liked_comments_are_shown_as_written(
    page: Opened, comments: list[Document]
) -> None:
    ranked = sorted(comments, key=lambda one: (one["like_count"], one["_id"]), reverse=True)
    texts = page.page.locator("#liked .comments p bdi").all_text_contents()
    assert texts == [comment["content"] or "no text" for comment in ranked[:20]]


def test_emoji_codes_are_counted_as_units(page: Opened, comments: list[Document]) -> None:
    codes: Counter[str] = Counter()
    for comment in comments:
        codes.update(set(re.findall(r"\[[^\[\]]+\]", comment["content"])))
    rows = {row[0]: row[2] for row in page.rows("#words .two > div:nth-child(2) table")}
    assert len(codes) > 5
    shown_codes = {name: count for name, count in rows.items() if name.startswith("[")}
    assert shown_codes == {name: shown(codes[name]) for name in shown_codes}
    assert codes.most_common(1)[0][0] in shown_codes


def test_questions_add_up(page: Opened) -> None:
    kinds = [int(row[2]) for row in page.rows("#questions table")]
    assert sum(kinds) == int(page.text("#n-questions")) > 0


def test_growth_is_that_of_the_history(stored: Stored, page: Opened) -> None:
    passes = sorted(
        (one for one in stored.history if one["note_id"] == NOTES[2]),
        key=lambda one: one["ended_at"],
    )
    assert len(passes) == 2
    assert page.page.locator("#growth figure").count() == 1
    assert [row[1:] for row in page.rows("#growth table")] == [
        [str(one[name]) for name in ("comments_collected", "comment_count_l1", "comments_new")]
        for one in passes
    ]


def test_a_number_opens_the_comments_behind_it(page: Opened, comments: list[Document]) -> None:
    [place, _, count, _] = page.rows("#places table")[0]
    panel = page.page.locator(".panel:visible")
    assert panel.count() == 0
    page.page.locator("#places table a.count").first.click()
    assert panel.count() == 1
    assert place in panel.locator("h3").inner_text()
    assert count in panel.locator("h3").inner_text()
    behind = sorted(
        (one for one in comments if one["ip_location"] == place),
        key=lambda one: (one["like_count"], one["_id"]),
        reverse=True,
    )
    texts = panel.locator(".comments p bdi").all_text_contents()
    assert texts == [one["content"] or "no text" for one in behind[:5]]
    panel.locator(".close").click()
    assert panel.count() == 0


def test_every_link_leads_to_the_page_itself_or_to_a_note(page: Opened) -> None:
    links = page.page.locator("a").evaluate_all(
        "all => all.map(one => [one.getAttribute('href'), one.rel, one.id])"
    )
    ids = page.page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    for href, rel, _ in links:
        if href.startswith("#"):
            assert href[1:] in ids
        else:
            assert re.fullmatch(r"https://www\.xiaohongshu\.com/explore/[0-9a-f]{24}", href)
            assert rel == "noreferrer noopener"


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_page_fits_is_legible_and_loads_nothing(
    stored: Stored, opened: Open, language: str, color_scheme: str
) -> None:
    path = stored.folder / f"{language}.html"
    for width in WIDTHS:
        page = opened(path, width, color_scheme=color_scheme)
        assert page.overflow == 0
        assert page.console == []
        assert page.requests == [path.as_uri()]
        assert page.weak_contrasts() == []
    background = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
    is_dark = sum(map(int, re.findall(r"\d+", background))) < 3 * 128
    assert is_dark == (color_scheme == "dark")


def test_a_chinese_page_is_chinese(stored: Stored, opened: Open) -> None:
    page = opened(stored.folder / "zh.html")
    assert page.page.locator("html").get_attribute("lang") == "zh-CN"
    own = page.page.locator("h1, h2, h3, h4, nav a, th[scope=col], .rule, summary, .cards .name")
    texts = [text for text in own.all_text_contents() if text not in ("A", "B")]
    assert len(texts) > 40
    behind_figures = page.page.locator(".panel h3").all_text_contents()
    without = [text for text in texts if not re.search(r"[\u4e00-\u9fff]", text)]
    assert [text for text in without if text not in behind_figures] == []
    english = opened(stored.folder / "en.html")
    assert english.page.locator("html").get_attribute("lang") == "en"
    assert not re.search(r"[\u4e00-\u9fff]", " ".join(english.page.locator("h2").all_inner_texts()))


def test_a_page_prints(stored: Stored, page: Opened) -> None:
    page.page.emulate_media(media="print")
    assert page.page.locator("nav, .panel, details").filter(visible=True).count() == 0
    assert page.page.locator("section:visible").count() == 9
    page.page.set_viewport_size({"width": 680, "height": 960})  # A4 without its margins
    assert page.overflow == 0
    pdf = page.page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", pdf)) > 1


def test_headings_and_tables_are_those_of_a_document(page: Opened) -> None:
    levels = page.page.locator("main :is(h2, h3, h4), h1").evaluate_all(
        "all => all.map(one => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for table in page.page.locator("table").all():
        assert table.locator("th[scope=row]").count() == table.locator("tbody tr").count()
    assert page.page.locator("img, script, iframe, object, link").count() == 0


ATTACKS = [
    "<script>window.attacked = 1; alert(1)</script>",
    '"><img src=x onerror="window.attacked = 1">',
    "'><svg onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "</title></details></section><h1>mine</h1><!--",
    "]]></svg><style>body { display: none }</style>",
    "\u202e\u2066right to left?",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {n} %s ${1}",
    "长" * 3000,
    "W" * 3000,
    "\x00\x1b[31m\x07\ufffe",
    "@import url(https://example.com/x.css); https://example.com/track.png?",
    "[捂脸R]" * 400,
]


PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A picture of one pixel."""


@pytest.fixture(scope="module")
def attacked(_api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages of comments and users that attack them."""
    made = Project(_api.url, tmp_path_factory.mktemp("attacked"), _server, "attacked")
    at = datetime(2026, 3, 1, tzinfo=UTC)
    texts = [*ATTACKS, *ATTACKS, "这个在哪里买的呀" + ATTACKS[0], *[ATTACKS[1] + "吗"] * 2]
    with database(made.uri, made.name) as filled:
        filled["comments"].insert_many(
            [
                {
                    "_id": f"{serial}{text[:40]}",
                    "note_id": ATTACKS[serial % 4],
                    "user_id": f"{text[:40]}{serial}" if serial % 5 else None,
                    "content": text if serial % 7 else None,
                    "created_at": at + timedelta(hours=serial) if serial % 3 else None,
                    "like_count": serial if serial % 2 else "many",
                    "ip_location": text,
                    "parent_comment_id": text if serial % 11 == 0 else None,
                }
                for serial, text in enumerate(texts)
            ]
        )
        filled["users"].insert_many(
            [
                {
                    "_id": f"{text[:40]}{serial}",
                    "nickname": text,
                    "avatar_url": "https://x.example/a",
                }
                for serial, text in enumerate(texts)
                if serial % 6
            ]
        )
        filled["notes"].insert_many(
            [{"_id": text, "state": text, "stop_reason": text} for text in ATTACKS[:6]]
        )
        filled["note_history"].insert_many(
            [
                {
                    "_id": f"{ATTACKS[0]}/{day}",
                    "note_id": ATTACKS[0],
                    "ended_at": at + timedelta(days=day),
                    "comments_collected": "many",
                }
                for day in range(2)
            ]
        )
    for language in ("en", "zh"):
        done = made.command("report", str(made.folder / f"{language}.html"), "--lang", language)
        assert (done.status, done.errors) == (0, ""), done
    return made.folder


@pytest.mark.parametrize("language", ["en", "zh"])
def test_comments_cannot_attack_a_page(attacked: Path, opened: Open, language: str) -> None:
    path = attacked / f"{language}.html"
    for width in WIDTHS:
        page = opened(path, width)
        assert page.page.evaluate("typeof window.attacked") == "undefined"
        assert page.dialogs == []
        assert page.console == []
        assert page.requests == [path.as_uri()]
        assert page.overflow == 0
    assert page.page.locator("img, script, iframe, object, link, main style").count() == 0
    handlers = page.page.evaluate(
        "[...document.querySelectorAll('*')].flatMap(one => [...one.attributes])"
        ".filter(one => one.name.startsWith('on') || one.name === 'style').length"
    )
    assert handlers == 0
    assert page.page.locator("h1").count() == 1
    links = page.page.locator("a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert [link for link in links if not link.startswith("#")] == []  # no note has a valid ID
    assert ATTACKS[0] in page.page.locator("main").inner_text()


@pytest.mark.parametrize("has_policy", [True, False])
def test_the_policy_of_the_page_stops_what_would_get_in(
    attacked: Path, opened: Open, has_policy: bool
) -> None:
    """A script and a picture that get into the page do nothing. Without the policy, they do."""
    text = (attacked / "en.html").read_text(encoding="utf-8")
    evil = "<script>window.attacked = 1</script><img src='picture.png'><nav"
    text = text.replace("<nav", evil, 1)
    if not has_policy:
        text = text.replace("Content-Security-Policy", "refresh-nothing")
    broken = attacked / f"broken-{has_policy}.html"
    broken.write_text(text, encoding="utf-8")
    (attacked / "picture.png").write_bytes(b64decode(PICTURE))
    page = opened(broken)
    assert page.page.evaluate("window.attacked === 1") != has_policy
    assert page.page.evaluate("document.images[0].naturalWidth") == (0 if has_policy else 1)
    assert any("Content Security Policy" in line for line in page.console) == has_policy


@pytest.fixture(scope="module")
def without_comments(
    _api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The page of a note that does not exist."""
    made = Project(_api.url, tmp_path_factory.mktemp("nothing"), _server, "nothing")
    assert made.crawl(notes=[missing_note()], feed=False).status == 0
    path = made.folder / "out.html"
    assert made.command("report", str(path)).status == 0
    return path


def test_notes_without_comments(without_comments: Path, opened: Open) -> None:
    page = opened(without_comments, 360)
    assert (page.overflow, page.console) == (0, [])
    assert page.text("#n-comments") == "0"
    assert page.text("#n-held") == "–"
    assert page.page.locator("section").count() == 8
