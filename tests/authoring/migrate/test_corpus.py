"""What other tools' files become, and whether the rules find what the tools found."""

import re
from pathlib import Path

import pytest

from sanityd.authoring.migrate import dbt, odcs, soda, writing
from sanityd.authoring.migrate.dbt import TESTS
from sanityd.rules.load import load_text
from tests.authoring.migrate.corpus import HERE, Case, cases, runs

READERS = {"dbt": dbt.read, "soda": soda.read, "odcs": odcs.read}
CASES = list(cases())
JUDGED = [case for case in CASES if case.verdicts]


@pytest.fixture(autouse=True)
def _no_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which SQL is right must not depend on the databases of whoever runs the tests."""
    monkeypatch.delenv("APP_DATABASE_URL", raising=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_file_becomes_the_expected_rules(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.folder)
    paths = [Path(f"{case.name}.yaml"), *sorted(Path(case.name).glob("*.sql"))]
    written = writing.write(READERS[case.tool](paths, None))
    assert written.text == case.expected
    assert load_text(written.text, Path("rules.yaml")).rules
    lines = len(
        re.findall(r"^  \S+:\d+  .+: .+$", "\n".join(writing.summary(written)), re.MULTILINE)
    )
    assert lines == len(written.left)
    assert written.imported + lines == len(written.translations)


@pytest.mark.parametrize("case", JUDGED, ids=str)
def test_the_rules_find_what_the_other_tool_found(case: Case, tmp_path: Path) -> None:
    """A check that became several rules fails when one of them does."""
    found, verdicts = runs(case.expected, tmp_path), case.verdicts
    assert [(name, run.error) for name, run in found.items() if run.error] == []
    assert {name: found[name].violations for name in found} == {
        name: one["here"] for name, one in verdicts.items()
    }
    for name, one in verdicts.items():
        if one.get("peer"):
            others = [
                part
                for part in found
                if part.startswith(f"{name}-") and "peer" not in verdicts[part]
            ]
            fails = any(found[part].severity is not None for part in (name, *others))
            assert fails == (one["peer"] == "fails"), name


def test_every_test_of_dbt_that_has_a_counterpart_is_tried() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in (HERE / "dbt").glob("*.yaml"))
    tried = set(re.findall(r"(?:- |\[|\{)((?:dbt_\w+\.)?\w+):? ?", text))
    assert TESTS.keys() - tried == set()


def test_names_of_rules_stay_what_they_are_when_others_are_added() -> None:
    """An id is the identity of a rule's history."""
    names = re.findall(r"^  ([a-z0-9-]+):$", Case("dbt", "shapes").expected, re.MULTILINE)
    assert len(names) == len(set(names)) > 15
    assert not any(
        re.search(r"-[0-9]$", name) for name in names if name != "id-of-dim-customers-is-unique-2"
    )
