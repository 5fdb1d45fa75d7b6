"""What the pages of the documentation tell people to do, done."""

from pathlib import Path

import pytest
import yaml

from sanityd.rules.load import load
from tests import ROOT
from tests.docs.pages import PAGES, blocks, reader
from tests.support.project import Project

#: Pages whose commands another test runs: `tests/test_docs.py`.
ELSEWHERE = {"README.md", "CONTRIBUTING.md", "docs/explanation/planning.md"}
#: What stands for the reader's own database and servers.
ENVIRONMENT = {"APP_DATABASE_URL": "sqlite:///app.db"}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def is_run(page: Path) -> bool:
    return name(page) not in ELSEWHERE and any(
        not block.excuse for block in blocks(page, "sh", "console")
    )


RUN = list(filter(is_run, PAGES))


@pytest.mark.parametrize("page", [page for page in RUN if "tutorial" in page.parts], ids=name)
def test_a_tutorial_works_in_an_empty_folder_and_prints_what_it_shows(
    page: Path, tmp_path: Path
) -> None:
    assert reader(tmp_path).follow(page) > 10


@pytest.mark.parametrize("page", [page for page in RUN if "tutorial" not in page.parts], ids=name)
def test_the_commands_of_a_page_work_beside_an_application(page: Path, project: Project) -> None:
    reader(project.folder, **ENVIRONMENT).follow(page)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_of_code_can_be_read(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "python", "yaml"):
        try:
            yaml.safe_load(block.text) if block.language == "yaml" else compile(
                block.text, str(block), "exec"
            )
        except (SyntaxError, yaml.YAMLError) as error:
            pytest.fail(f"{block}: {error}")
        # On pages that run, it is loaded by what runs.
        if block.title == "rules.yaml" and page not in RUN:
            (tmp_path / "rules.yaml").write_text(block.text, encoding="utf-8")
            assert load(tmp_path / "rules.yaml", {"DATABASE_URL": "sqlite:///app.db"}).rules
