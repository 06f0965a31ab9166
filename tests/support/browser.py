"""Pages of a file in headless Chromium, and what went wrong on them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from playwright.sync_api import sync_playwright
from support.marks import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium while the block lasts."""
    assert CHROMIUM, "apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page that shows a file, and everything that it said, asked for, or tried."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    @classmethod
    def at(
        cls,
        browser: Browser,
        path: Path,
        width: int = 1280,
        color_scheme: Literal["light", "dark"] = "light",
    ) -> Self:
        """Open a file."""
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=color_scheme)
        opened = cls(page)
        page.on("console", lambda message: opened.console.append(message.text))
        page.on("pageerror", lambda error: opened.console.append(str(error)))
        page.on("request", lambda request: opened.requests.append(request.url))
        page.on("dialog", lambda dialog: opened.dialogs.append(dialog.message))
        page.goto(path.as_uri())
        return opened

    @property
    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        found: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return found

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.page.locator(selector).first.inner_text()

    def rows(self, selector: str) -> list[list[str]]:
        """Return the texts of the cells of a table's body, also if it is folded."""
        rows: list[list[str]] = self.page.locator(selector).first.evaluate(
            "table => [...table.tBodies[0].rows].map("
            "row => [...row.cells].map(cell => cell.textContent.trim()))"
        )
        return rows

    def weak_contrasts(self) -> list[str]:
        """Return the texts whose contrast to their background is below 4.5 to 1."""
        found: list[str] = self.page.evaluate(_WEAK_CONTRASTS)
        return found


_WEAK_CONTRASTS = """() => {
    const rgba = text => text.match(/[\\d.]+/g).map(Number);
    const luminance = color => {
        const [r, g, b] = color.slice(0, 3).map(value => {
            const share = value / 255;
            return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = element => {
        for (let at = element; at; at = at.parentElement) {
            const color = rgba(getComputedStyle(at).backgroundColor);
            if (color.length < 4 || color[3] > 0) return color;
        }
        return [255, 255, 255];
    };
    const weak = [];
    for (const element of document.body.querySelectorAll("*")) {
        const texts = [...element.childNodes].filter(node => node.nodeType === Node.TEXT_NODE);
        const text = texts.map(node => node.textContent).join("").trim();
        if (!text || element.tagName === "title") continue;
        const style = getComputedStyle(element);
        const color = rgba(element instanceof SVGElement ? style.fill : style.color);
        const both = [luminance(color), luminance(background(element))];
        const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
        if (contrast < 4.5) weak.push(`${element.tagName} ${text.slice(0, 40)}`);
    }
    return [...new Set(weak)];
}"""
