"""The documentation as a site: links lead somewhere, nothing is fetched from elsewhere, and phones
can show it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import ROOT

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: What a browser fetches by itself, without being asked to follow a link.
FETCHED = re.compile(
    r"""\bsrc(?:set)?=["']?([^"'\s>]+)|<link\b[^>]*\bhref=["']?([^"'\s>]+)|url\(["']?([^"')]+)"""
)


def build(folder: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """What `scripts/docs` does. Not quietly: mkdocs counts only the warnings that it prints."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(into)],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    into = tmp_path_factory.mktemp("site")
    done = build(ROOT, into)
    assert done.returncode == 0, done.stdout + done.stderr
    return into


def test_every_page_is_built_and_found_from_the_first_one(site: Path) -> None:
    """By its folder alone: a new page needs no entry in a list."""
    first = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        built = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (site / built).exists()
        assert f'href="{built}"' in first or built == "index.html", built


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in (*site.rglob("*.html"), *site.rglob("*.css")):
        for found in FETCHED.findall(path.read_text(encoding="utf-8")):
            [target] = filter(None, found)
            assert not re.match(r"(https?:)?//", target), (
                f"{path.relative_to(site)} fetches {target}"
            )


def test_links_that_lead_nowhere_stop_the_build(tmp_path: Path) -> None:
    for name in ("mkdocs.yml", "scripts/pages.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "docs").mkdir()
    broken = "[a](gone.md) [b](#nowhere) [c](../nowhere) [d](/absolute.md) [e](folder/)"
    (tmp_path / "docs" / "index.md").write_text(f"# First\n\n{broken}\n", encoding="utf-8")
    done = build(tmp_path, tmp_path / "site")
    assert (done.returncode, done.stderr.count("WARNING")) == (1, 5), done.stderr


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def test_a_browser_shows_it_and_asks_nobody_else(address: str, browser: Browser) -> None:
    asked: list[str] = []
    for scheme in SCHEMES:
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "tutorial/first-finding", "reference/rules", "explanation/guards"):
            page.goto(f"{address}/{name}.html", wait_until="domcontentloaded")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, (
                f"a phone scrolls {name} sideways"
            )
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 384) == (scheme == "dark")
        page.close()
    assert find(address, browser, "MyISAM").startswith("explanation/guards.html")
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith(address)] == []


def find(address: str, browser: Browser, word: str) -> str:
    """The page that the search names first."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/index.html")
    page.get_by_placeholder("Search").click()
    page.keyboard.type(word)
    first = page.locator(".md-search-result__link").first
    first.wait_for(timeout=20_000)
    target = first.get_attribute("href") or ""
    page.close()
    return target.removeprefix(f"{address}/")
