"""Mails as a browser shows them: on a phone, in the dark, without anything loaded."""

import shutil
from collections.abc import Iterator
from functools import cache

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.alerts.samples import ALL, DIGESTS, digest_mail, mail, opened, past, row

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
WIDE = opened(
    [
        row(n, shown={f"a_long_column_{k}": "x" * 150 for k in range(7)}, detail="y" * 150)
        for n in range(20)
    ],
    sentence="w" * 300,
    history=past(*[999_999] * 14),
)
MAILS = {**ALL, "wide": WIDE}
NAMES = [*MAILS, *DIGESTS]

#: The contrast of every text with what is behind it, lowest first, and which text that is.
CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest('.faint, .bar')) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walker.currentNode.data.trim()]);
  }
  return found.sort((a, b) => a[0] - b[0])[0];
}"""


@cache
def html(name: str) -> str:
    """The HTML part of a mail or digest."""
    return mail(MAILS[name]).html if name in MAILS else digest_mail(DIGESTS[name]).html


@pytest.fixture(scope="module")
def window() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def shown(window: Page, name: str, *, dark: bool = False, width: int = 700) -> Page:
    """A mail in a window."""
    window.emulate_media(color_scheme="dark" if dark else "light")
    window.set_viewport_size({"width": width, "height": 800})
    window.set_content(html(name))
    return window


@pytest.mark.parametrize("name", NAMES)
def test_nothing_has_to_be_scrolled_sideways_on_a_phone(window: Page, name: str) -> None:
    page = shown(window, name, width=375)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_text_can_be_told_from_what_is_behind_it(window: Page, name: str, dark: bool) -> None:
    page = shown(window, name, dark=dark)
    contrast, text = page.evaluate(CONTRAST)
    assert contrast >= 4.5, text


def test_the_dark_is_dark(window: Page) -> None:
    for dark, colour in ((False, "rgb(255, 255, 255)"), (True, "rgb(32, 32, 30)")):
        page = shown(window, "opened", dark=dark)
        assert page.locator(".card").evaluate("e => getComputedStyle(e).backgroundColor") == colour


def test_nothing_is_asked_of_the_network(window: Page) -> None:
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    for name in NAMES:
        shown(window, name)
    assert asked == []
    window.set_content('<img src="http://localhost:9/x.gif">')
    assert asked == ["http://localhost:9/x.gif"]


def test_the_bars_are_as_high_as_what_they_stand_for_without_any_image(window: Page) -> None:
    page = shown(window, "escalated")
    heights = page.locator(".bar").evaluate_all(
        "all => all.map(e => Math.round(e.getBoundingClientRect().height))"
    )
    assert heights == [1, 1, 1, 4, 4, 6, 11, 14, 14, 14, 17, 44]
    assert page.locator(".bar-blind").all_inner_texts() == ["E", "–"]
