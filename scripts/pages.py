"""mkdocs hooks: where each page stands in the site, and what becomes of links that leave `docs/`.

A page that isn't named here is found all the same: at the end of its folder.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig

#: The folders, as tabs; in each the pages that have a place, in groups where there are many.
SHELVES: dict[str, tuple[str, dict[str, list[str]]]] = {
    "tutorial": ("Tutorial", {"": []}),
    "howto": (
        "How to",
        {
            "Write rules": [
                "first-rules",
                "editor",
                "mistakes",
                "test-rules",
                "own-kinds",
                "migrate",
            ],
            "Run them": ["cron", "serve", "containers", "airflow", "dagster", "store"],
            "Use them in a project": ["django", "sqlalchemy", "github-actions", "mass-changes"],
            "Live with them": ["acting", "evidence", "history", "prevent", "own-templates"],
        },
    ),
    "reference": (
        "Reference",
        {
            "": [
                "rules",
                "kinds",
                "channels",
                "commands",
                "exit-codes",
                "environment",
                "json",
                "python",
            ]
        },
    ),
    "explanation": (
        "Explanation",
        {"": ["semantics", "lifecycle", "alerting", "noise", "planning", "guards"]},
    ),
    "adr": ("Decisions", {"": []}),
}
_LINK = re.compile(r"(?<!!)\[([^\[\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation, from the files that are there."""
    docs = Path(config.docs_dir)
    config.nav = [
        {"Start": "index.md"},
        *(_tab(docs / folder) for folder in SHELVES if any(docs.glob(f"{folder}/*.md"))),
    ]
    return config


def _tab(folder: Path) -> dict[str, Any]:
    title, groups = SHELVES[folder.name]
    shelved = {name: list(_there(folder, names)) for name, names in groups.items()}
    known = {page for pages in shelved.values() for page in pages}
    # `10-…` comes after `9-…`.
    rest = sorted(
        folder.glob("*.md"),
        key=lambda path: (
            len(path.stem.partition("-")[0]) if path.stem[0].isdigit() else 0,
            path.stem,
        ),
    )
    [*_, last] = shelved
    shelved[last] += [page for path in rest if (page := f"{folder.name}/{path.name}") not in known]
    pages: list[Any] = []
    for name, found in shelved.items():
        pages += [{name: found}] if name and found else found
    return {title: pages}


def _there(folder: Path, names: list[str]) -> Iterator[str]:
    return (f"{folder.name}/{name}.md" for name in names if (folder / f"{name}.md").exists())


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, **_: Any) -> str:
    """The first page stands alone, so there is nothing to list beside it.

    Links to files outside of `docs/` work in a checkout; the site has the repository's, or the
    words alone."""
    docs = Path(config.docs_dir).resolve()
    if page.is_homepage:
        page.meta.setdefault("hide", ["navigation"])

    def inside(link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        if re.match(r"[a-z]+:|/", target):
            return link[0]
        path = (docs / page.file.src_uri).parent.joinpath(target).resolve()
        if path.is_relative_to(docs) or not path.exists():
            return link[0]
        if not config.repo_url:
            return words
        file = path.relative_to(docs.parent).as_posix()
        return f"[{words}]({config.repo_url.rstrip('/')}/blob/main/{file}{anchor})"

    return _LINK.sub(inside, markdown)
