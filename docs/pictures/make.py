"""Make the pictures of the documents: a crawl on a terminal, and the page of a report.

    python docs/pictures/make.py [FOLDER]

Runs the tutorial's crawl and report against the stand-in, in a folder that is removed afterwards,
and writes ``progress.png`` and ``report.png`` to FOLDER, by default this one. It needs Linux,
Chromium (``apt-get install chromium fonts-noto-cjk``) and requirements-dev.txt.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

PROJECT = Path(__file__).parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from rich.console import Console  # noqa: E402 (needs the line above)
from rich.text import Text  # noqa: E402
from support.browser import chromium  # noqa: E402
from support.simulator import Simulator  # noqa: E402
from support.terminal import Screen, Terminal  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NOTE = "68a9beca000000009a72e505"
LINK = f"https://www.xiaohongshu.com/explore/{NOTE}"
HOLD = f'{{"note": "{NOTE}", "page": 8, "delay": 4}}'
"""A rule of the stand-in: the crawl waits half-way, so that the picture is always the same."""
HALF_DONE = ("80 comments", "7 calls billed", "left")
FOLDER = "/home/me/xhs"
"""The folder of the project, as the picture shows it."""
COLUMNS = 120
PAGE_WIDTH = 1080
LAST_SHOWN = "#time .chart"

_TERMINAL = """<!DOCTYPE html><meta charset="utf-8"><style>
body {{ margin: 0; background: #17181c }}
pre {{ display: inline-block; max-width: {columns}ch; padding: 16px; margin: 0; color: #d6d8de;
  font: 14px/1.45 "DejaVu Sans Mono", monospace; white-space: pre-wrap; word-break: break-all }}
</style><pre>{text}</pre>"""


class ColouredScreen(Screen):
    """A screen that keeps the colour of each character."""

    def __init__(self, columns: int) -> None:
        super().__init__(columns)
        self._colour = ""

    def _put(self, character: str) -> None:
        super()._put(f"{self._colour}{character}\x1b[0m" if self._colour else character)

    def _control(self, code: str, numbers: str) -> None:
        if code == "m":
            self._colour = "" if numbers in {"", "0"} else f"{self._colour}\x1b[{numbers}m"
        super()._control(code, numbers)


def crawl_on_terminal(environment: dict[str, str], folder: Path) -> str:
    """Crawl on a terminal; return what its screen shows half-way, with its colours."""
    words = ["crawl", "comments", "-a", f"notes={LINK}"]
    with Terminal(*words, environment=environment, columns=COLUMNS, cwd=folder) as terminal:
        terminal.wait_for(*HALF_DONE)
        screen = ColouredScreen(COLUMNS)
        screen.write(terminal.text)
        assert terminal.end() == 0
    shown = "\n".join([f"$ scrapy {' '.join(words)}", *screen.lines])
    return shown.replace(str(folder), FOLDER)


def as_html(text: str) -> str:
    """Return a page that shows a text of a terminal."""
    console = Console(record=True, file=StringIO(), soft_wrap=True, width=1000)
    console.print(Text.from_ansi(text))
    pre = console.export_html(inline_styles=True, code_format="{code}")
    return _TERMINAL.format(text=pre, columns=COLUMNS)


def picture_of_terminal(browser: Browser, text: str, path: Path) -> None:
    """Write the picture of a text of a terminal."""
    page = browser.new_page(viewport={"width": 1200, "height": 400})
    page.set_content(as_html(text))
    page.locator("pre").screenshot(path=path)


def picture_of_report(browser: Browser, report: Path, path: Path) -> None:
    """Write the picture of a report, from its top to its first chart."""
    page = browser.new_page(viewport={"width": PAGE_WIDTH, "height": 900}, color_scheme="light")
    page.goto(report.as_uri())
    chart = page.locator(LAST_SHOWN).first.bounding_box()
    assert chart
    height = chart["y"] + chart["height"] + 4
    page.screenshot(
        path=path, full_page=True, clip={"x": 0, "y": 0, "width": PAGE_WIDTH, "height": height}
    )


def main(target: Path) -> None:
    """Crawl, make the report, and take the pictures."""
    with (
        tempfile.TemporaryDirectory() as name,
        Simulator("--latency", "0.3", "--rule", HOLD) as api,
    ):
        folder = Path(name)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": name,
            "PYTHONPATH": str(PROJECT),
            "SCRAPY_SETTINGS_MODULE": "xhs.settings",
            "JUSTONEAPI_BASE_URL": api.url,
            "JUSTONEAPI_TOKEN": "any",
            "MONGODB_URI": "embedded:.xhs/tutorial",
        }
        text = crawl_on_terminal(environment, folder)
        report = folder / "report.html"
        command = [sys.executable, "-m", "scrapy", "report", str(report)]
        subprocess.run(command, env=environment, cwd=folder, check=True)
        with chromium() as browser:
            picture_of_terminal(browser, text, target / "progress.png")
            picture_of_report(browser, report, target / "report.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
