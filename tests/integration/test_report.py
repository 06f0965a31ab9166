"""``scrapy report``: what it refuses, which notes it takes, and the file that it writes."""

from __future__ import annotations

import re
import stat
from html import unescape
from typing import TYPE_CHECKING

import pytest
from support.crawl import Project, database
from support.marks import posix

from xhs.simulator.notes import missing_note, sized_note

pytest.importorskip("rjieba", reason="pip install -r requirements-look.txt")

if TYPE_CHECKING:
    from pathlib import Path

    from support.crawl import Outcome
    from support.simulator import Simulator

NOTES = [sized_note(12, 1), sized_note(30, 2), sized_note(7, 3)]
UNKNOWN = "65bf53600000000000000001"


@pytest.fixture(scope="module")
def crawled(_api: Simulator, _server: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose database has three notes and one that does not exist."""
    _api.reset()
    project = Project(_api.url, tmp_path_factory.mktemp("report"), _server, "report")
    assert project.crawl(notes=[*NOTES, missing_note()], feed=False).status == 0
    return project


def report(project: Project, *options: str, name: str = "out.html") -> tuple[Outcome, str]:
    """Return the outcome of the command, and the page that it wrote."""
    path = project.folder / name
    path.unlink(missing_ok=True)
    done = project.command("report", str(path), *options)
    assert (done.status, done.errors) == (0, ""), done
    return done, path.read_text(encoding="utf-8")


def number(page: str, key: str) -> str:
    """Return a figure of the headline."""
    found = re.search(rf'id="n-{key}">([^<]*)<', page)
    assert found, key
    return found[1]


def test_it_says_what_it_wrote_and_only_the_owner_may_read_it(crawled: Project) -> None:
    done, page = report(crawled)
    comments = len(crawled.documents("comments"))
    assert done.output == f"{comments} comments on 4 notes: {crawled.folder / 'out.html'}\n"
    assert number(page, "comments") == f"{comments:,}"
    assert number(page, "notes") == "4"


@posix
def test_a_new_page_is_private_and_one_that_is_replaced_keeps_its_mode(crawled: Project) -> None:
    report(crawled, name="mode.html")
    path = crawled.folder / "mode.html"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    path.write_text("an old page")
    assert crawled.command("report", str(path)).status == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_only_the_notes_that_are_named(crawled: Project) -> None:
    link = f"https://www.xiaohongshu.com/explore/{NOTES[1]}"
    _, page = report(crawled, "--note", NOTES[0], "--note", link)
    held = sum(len(crawled.documents("comments", note_id=note_id)) for note_id in NOTES[:2])
    assert number(page, "comments") == f"{held:,}"
    assert number(page, "notes") == "2"
    assert NOTES[2] not in page


@pytest.mark.parametrize("named", [[], NOTES[:1]])
def test_two_groups_of_notes(crawled: Project, named: list[str], tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text(f"note_id\n{NOTES[1]}\n")
    options = [word for note_id in named for word in ("--note", note_id)]
    _, page = report(crawled, "--compare", str(path), *options)
    groups = page[page.index('id="groups"') :]
    rows = [
        [unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in re.findall(r"<tr>.*?</tr>", groups)
    ]
    held = {note_id: len(crawled.documents("comments", note_id=note_id)) for note_id in NOTES}
    first = held[NOTES[0]] if named else held[NOTES[0]] + held[NOTES[2]]
    assert rows[1] == ["Notes", "1" if named else "3", "1"]  # one of the three does not exist
    assert rows[2] == ["Comments", str(first), str(held[NOTES[1]])]
    assert number(page, "comments") == f"{first + held[NOTES[1]]:,}"


@pytest.mark.parametrize("named", [[], ["--note", NOTES[0]]])
def test_notes_that_are_not_there_are_said(
    crawled: Project, named: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "b.txt"
    path.write_text(f"{NOTES[1]}\n{UNKNOWN}\n")
    done = crawled.command("report", str(tmp_path / "out.html"), *named, "--compare", str(path))
    assert done.status == 0
    assert done.errors == "1 of the notes asked for are not in the database\n"


def test_ones_own_words(crawled: Project, tmp_path: Path) -> None:
    words = re.compile(r'<section id="words">.*?</section>', re.DOTALL)
    stop, own = tmp_path / "stop.txt", tmp_path / "own.txt"
    stop.write_text("好看\n", encoding="utf-8")
    own.write_text("真的很好用\n", encoding="utf-8")
    with database(crawled.uri, f"{crawled.name}words") as stored:
        stored["notes"].insert_one({"_id": NOTES[0], "note_id": NOTES[0]})
        texts = {f"c{serial}": "好看 真的很好用" for serial in range(3)}
        stored["comments"].insert_many(
            [{"_id": key, "note_id": NOTES[0], "content": text} for key, text in texts.items()]
        )
    own_words = {"MONGODB_DATABASE": f"{crawled.name}words"}
    shown = []
    for options in ([], ["--stop-words", str(stop), "--dictionary", str(own)]):
        path = tmp_path / "out.html"
        done = crawled.command("report", str(path), *options, env=own_words)
        assert done.status == 0, done
        found = words.search(path.read_text(encoding="utf-8"))
        assert found
        shown.append(set(re.findall(r"<bdi lang=.zh.>(.*?)</bdi>", found[0])))
    assert "好看" in shown[0]
    assert "真的很好用" not in shown[0]
    assert "好看" not in shown[1]
    assert "真的很好用" in shown[1]


def wrong(project: Project, *words: str, env: dict[str, str] | None = None) -> Outcome:
    done = project.command("report", *words, env=env)
    assert "Traceback" not in done.errors
    assert done.output == ""
    return done


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "missing: OUT.html"),
        (["a.html", "b.html"], "too many arguments"),
        (["notes.csv"], "notes.csv: the name must end in .html"),
        (["scrapy.cfg/out.html"], "scrapy.cfg is not a folder"),
        (["a" * 300 + ".html"], ".html cannot be written: "),
        (["out.html", "--note", "nonsense"], "--note: "),
        (["out.html", "--compare", "none.txt"], "--compare none.txt: cannot be read"),
        (["out.html", "--stop-words", "none.txt"], "none.txt cannot be read: No such file"),
        (["out.html", "--dictionary", "none.txt"], "none.txt cannot be read: No such file"),
        (["out.html", "-s", "XHS_CALL_PRICE=much"], "XHS_CALL_PRICE=much: "),
        (["out.html", "-s", "MONGODB_URI="], "MONGODB_URI is empty"),
        (["out.html", "--bogus"], "no such option: --bogus"),
    ],
)
def test_wrong_input_is_one_line_each(crawled: Project, words: list[str], said: str) -> None:
    done = wrong(crawled, *words)
    assert done.status == 2
    assert re.fullmatch(r"error: .*\n", done.errors)
    assert said in done.errors


def test_an_unknown_language_is_wrong(crawled: Project) -> None:
    done = crawled.command("report", "out.html", "--lang", "fr")
    assert done.status == 2
    assert "'fr'" in done.errors


def test_a_note_cannot_be_in_both_groups(crawled: Project, tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_text("\n".join(NOTES))
    done = wrong(crawled, "out.html", "--note", NOTES[0], "--compare", str(path))
    assert done.status == 2
    assert done.errors == f"error: --note {NOTES[0]} is in {path} too\n"


def test_what_is_not_stored_is_one_line_and_leaves_the_old_page(
    crawled: Project, tmp_path: Path
) -> None:
    path, other = tmp_path / "out.html", tmp_path / "b.txt"
    path.write_text("an old page")
    other.write_text(UNKNOWN)
    for options, env in (
        (["--note", UNKNOWN], {}),
        (["--compare", str(other)], {}),
        ([], {"MONGODB_DATABASE": "empty"}),
    ):
        done = wrong(crawled, str(path), *options, env=env)
        assert done.status == 1
        assert re.fullmatch(r"error: no.* is in database .*\n", done.errors), done
    assert path.read_text() == "an old page"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.txt", "out.html"]


@pytest.mark.usefixtures("fresh_process")
def test_a_missing_package_is_one_line(crawled: Project, tmp_path: Path) -> None:
    (tmp_path / "rjieba.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'rjieba' else find(name)\n"
    )
    path = f"{tmp_path}:{crawled.environment['PYTHONPATH']}"
    done = wrong(crawled, "out.html", env={"PYTHONPATH": path})
    assert done.status == 2
    assert done.errors == ("error: rjieba is not installed: pip install -r requirements-look.txt\n")
