"""Files of other tools become the expected rules, which find what the tools found."""

import re
from pathlib import Path

import pytest

from sanityd.authoring.migrate import rules_file
from sanityd.authoring.migrate.dbt import TESTS
from sanityd.rules.load import load_text
from tests.authoring.migrate.corpus import CORPUS, READERS, Case, all_cases, run_rules

CASES = list(all_cases())
CASES_WITH_VERDICTS = [case for case in CASES if case.verdicts]


@pytest.fixture(autouse=True)
def _no_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the database's URL: the expected SQL must not depend on its dialect."""
    monkeypatch.delenv("APP_DATABASE_URL", raising=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_file_becomes_the_expected_rules(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.folder)
    paths = [Path(f"{case.name}.yaml"), *sorted(Path(case.name).glob("*.sql"))]
    written = rules_file.write(READERS[case.tool](paths, None))
    assert written.text == case.expected
    assert load_text(written.text, Path("rules.yaml")).rules
    summary = "\n".join(rules_file.summary(written))
    reasons = re.findall(r"^  \S+:\d+  .+: .+$", summary, re.MULTILINE)
    assert len(reasons) == len(written.not_imported)
    assert written.imported + len(reasons) == len(written.checks)


@pytest.mark.parametrize("case", CASES_WITH_VERDICTS, ids=str)
def test_the_rules_find_what_the_other_tool_found(case: Case, tmp_path: Path) -> None:
    """A check that became several rules fails when one of them does."""
    runs, verdicts = run_rules(case.expected, tmp_path), case.verdicts
    assert [(rule, run.error) for rule, run in runs.items() if run.error] == []
    violations = {rule: run.violations for rule, run in runs.items()}
    assert violations == {rule: verdict["here"] for rule, verdict in verdicts.items()}
    for rule, verdict in verdicts.items():
        if verdict.get("peer"):
            others = [
                other
                for other in runs
                if other.startswith(f"{rule}-") and "peer" not in verdicts[other]
            ]
            fails = any(runs[name].severity is not None for name in (rule, *others))
            assert fails == (verdict["peer"] == "fails"), rule


def test_every_supported_test_of_dbt_is_in_the_corpus() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in (CORPUS / "dbt").glob("*.yaml"))
    names = set(re.findall(r"(?:- |\[|\{)((?:dbt_\w+\.)?\w+):? ?", text))
    assert TESTS.keys() - names == set()


def test_ids_of_rules_do_not_depend_on_other_rules() -> None:
    """An id is the identity of a rule's history."""
    ids = re.findall(r"^  ([a-z0-9-]+):$", Case("dbt", "shapes").expected, re.MULTILINE)
    assert len(ids) == len(set(ids)) > 15
    numbered = [rule_id for rule_id in ids if re.search(r"-[0-9]$", rule_id)]
    assert set(numbered) <= {"id-of-dim-customers-is-unique-2"}
