"""The JSON Schema that editors read: it takes what the loader takes, refuses what an editor can
see, and explains all.

Where SQL and names are concerned the loader sees more. Never must the schema be stricter.
"""

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sanityd import plugins
from sanityd.authoring.reference import json_schema, schema
from sanityd.authoring.ruletests.collect import rule_tests
from sanityd.errors import RuleError
from sanityd.rules.load import load
from sanityd.rules.misplaced_keys import SECTIONS
from sanityd.rules.yaml import rules_document
from tests import ROOT, acceptance
from tests.support.project import Project
from tests.test_docs import ENVIRONMENT, blocks

HERE = Path(__file__).parent
WHOLE = schema.rules_file()
SCHEMA = jsonschema.Draft7Validator(WHOLE)
#: What a mutation puts anywhere.
ANYTHING: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -3,
        2.5,
        "",
        " ",
        "no",
        "on",
        "a",
        "a.b",
        "5%",
        "0%",
        "10m",
        "Error",
        "{x}",
        "${HOME}",
    ),
    *(
        "10m of x",
        "every 5m",
        "@daily UTC",
        "0 7 * * 1",
        "2 runs",
        "full",
        "fail",
        "08:30",
        "UTC",
        "email",
        "at most 1",
    ),
    *(
        [],
        ["a"],
        [1],
        [None, 1],
        [["a"]],
        {},
        {"a": "b"},
        {"a": 1},
        {"a": ["b"]},
        {"table": "app.t"},
        {"columns": "a"},
    ),
]
TABLE = {"table": "app.people"}


@cache
def right_files() -> list[tuple[str, dict[str, Any]]]:
    """Every rules file, or section of one, in the repository."""
    return list(_right_files())


def _right_files() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in (
        "rules.yaml",
        "sanityd/authoring/demo/rules.yaml",
        "deploy/docker/rules.yaml",
        "deploy/kubernetes/rules.yaml",
    ):
        yield path, rules_document.parse(ROOT / path).data
    for page, text in blocks("yaml"):
        with suppress(RuleError):  # a file of another tool
            data = rules_document.parse_text(text, Path(page)).data
            if data.keys() <= set(SECTIONS):
                yield page, data
    for kind in plugins.kind_names("checks"):
        for value in json_schema.examples(plugins.load_kind("checks", kind)):
            yield f"the manual of {kind}", {"rules": {"a-rule": {**TABLE, kind: value}}}
    for cases in sorted((ROOT / "tests" / "acceptance").glob("*.yaml")):
        for case in acceptance.cases(cases.stem):
            if case.refused is None:
                # In a rules file a date is text.
                rule = json.loads(json.dumps(case.rule, default=str))
                yield f"{cases.name}: {case.says}", {"rules": {"a-rule": {**TABLE, **rule}}}


#: The simplest file, which the cases change.
SIMPLE = {"sources": {"app": "sqlite:///x.db"}, "rules": {"a-rule": {**TABLE, "unique": "email"}}}


def cases(name: str) -> pytest.MarkDecorator:
    """Runs a test with each file of `<name>.yaml`."""
    cases = yaml.safe_load(
        (HERE / f"{name}.yaml").read_text(encoding="utf-8").replace(" on:", ' "on":')
    )
    files = [
        SIMPLE | case.get("file", {"rules": {"a-rule": {**TABLE, **case.get("rule", {})}}})
        for case in cases
    ]
    return pytest.mark.parametrize("file", files, ids=[case["says"] for case in cases])


def why(file: Any) -> str:
    """What the schema says against a file; nothing when it takes it."""
    error = jsonschema.exceptions.best_match(SCHEMA.iter_errors(file))
    return "" if error is None else f"{error.json_path}: {error.message}"


def test_it_is_a_schema_that_every_editor_understands() -> None:
    """Draft-07, and nothing that must be looked up elsewhere."""
    jsonschema.Draft7Validator.check_schema(WHOLE)
    assert WHOLE["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "$ref" not in schema.schema_text()


def test_it_takes_every_rules_file_of_the_repository() -> None:
    assert len(right_files()) > 250
    assert [f"{name}: {reason}" for name, file in right_files() if (reason := why(file))] == []


@cases("right")
def test_it_takes_what_one_might_forget(file: dict[str, Any], tmp_path: Path) -> None:
    assert _loads(file, tmp_path)
    assert why(file) == ""


@cases("broken")
def test_it_refuses_what_an_editor_can_see(file: dict[str, Any], tmp_path: Path) -> None:
    assert why(SIMPLE) == ""
    assert not _loads(file, tmp_path)
    assert why(file) != ""


def test_it_is_never_stricter_than_the_loader(tmp_path: Path) -> None:
    """Files that are right, with something else put somewhere: whatever still loads is still right
    for an editor."""
    dice = random.Random(7)
    usable = [file for _, file in right_files() if "rules" in file]
    loaded = 0
    for _ in range(200):
        file = deepcopy({"sources": {"app": "sqlite:///x.db"}, **dice.choice(usable)})
        _mutate(file, dice)
        if _loads(file, tmp_path):
            loaded += 1
            assert why(file) == "", json.dumps(file)
    assert loaded > 20


def test_every_key_and_every_kind_is_explained_with_an_example() -> None:
    """An option that is one of a few words, or a truth, or a mapping of its own explains itself."""
    bare = [path for path, option in _options(WHOLE, "") if not option.get("description")]
    lonely = [path for path, option in _options(WHOLE, "") if not _shows_itself(option)]
    assert (bare, lonely) == ([], [])


def test_all_kinds_channels_and_sections_are_in_it() -> None:
    assert list(WHOLE["properties"]) == list(SECTIONS)
    rule = WHOLE["properties"]["rules"]["additionalProperties"]
    assert set(plugins.kind_names("checks")) < rule["properties"].keys()
    forms = WHOLE["properties"]["channels"]["additionalProperties"]["anyOf"]
    assert [form["title"] for form in forms] == plugins.kind_names("channels")


def test_a_kind_of_ones_own_is_in_it_where_the_rules_file_allows_python(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "even.py").write_text(EVEN, encoding="utf-8")
    printed = _printed(project)
    assert "even" not in printed["properties"]["rules"]["additionalProperties"]["properties"]
    # A file that is being written has mistakes.
    project.rules("allow: {python: true}\nrules:\n  a-rule:\n    tabel: app.people\n")
    even = _printed(project)["properties"]["rules"]["additionalProperties"]["properties"]["even"]
    assert even["description"].startswith("Numbers are even.")
    assert [snippet["label"] for snippet in even["defaultSnippets"]] == ["{quantity: true}"]


def test_rule_tests_have_their_form() -> None:
    tests = jsonschema.Draft7Validator(rule_tests())
    example = {
        "now": "2026-01-01 12:00",
        "given": {"app.people": [{"id": 1}, {"id": 2}]},
        "violates": [2],
    }
    assert tests.is_valid(
        {"a-rule": example, "other-rule": [example, {"given": {}, "violates": []}]}
    )
    assert not tests.is_valid({"a-rule": {**example, "violate": [2]}})


#: With options of which JSON knows nothing, or whose schema has no end.
EVEN = '''
from collections.abc import Callable
from typing import Any
from pydantic import BaseModel
from sanityd.checks.base import ColumnCheck

class Tree(BaseModel):
    below: list["Tree"] = []

class Even(ColumnCheck):
    """Numbers are even.

    ```yaml
    even: {quantity: true}
    even: {quantity: [}
    ```
    """

    kind = "even"
    tree: Tree = Tree()
    call: Callable[..., Any] | None = None

    def is_bad_value(self, scope, name, expected):
        return scope.column(name) % 2 == 1

    def says(self, count):
        return "is odd"
'''


def _printed(project: Project) -> Any:
    answer = project.run("schema")
    assert (answer.code, answer.err) == (0, "")
    return json.loads(answer.out)


def _loads(file: dict[str, Any], folder: Path) -> bool:
    (folder / "rules.yaml").write_text(json.dumps(file), encoding="utf-8")
    try:
        load(
            folder / "rules.yaml",
            {**ENVIRONMENT, "HOME": "home", "PATIENCE": "30s", "LEVEL": "info"},
            need_secrets=False,
        )
    except RuleError:
        return False
    return True


def _mutate(file: dict[str, Any], dice: random.Random) -> None:
    """Put something else somewhere, take something out, or call it differently."""
    places = list(_places(file))
    holder, key = dice.choice(places)
    match dice.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            names = [word for _, word in places if isinstance(word, str)]
            holder[dice.choice([*names, "a{x}b", "name"])] = holder.pop(key)
        case 2:
            other, word = dice.choice(places)
            holder[key] = deepcopy(other[word])
        case _:
            holder[key] = deepcopy(dice.choice(ANYTHING))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, below in items:
        yield value, key
        yield from _places(below)


def _options(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything under `properties`, however deep, with its path."""
    if isinstance(schema, list):
        for item in schema:
            yield from _options(item, path)
    elif isinstance(schema, dict):
        for name, option in schema.get("properties", {}).items():
            if option is not False:  # it is forbidden there, and explained where it isn't
                yield f"{path}.{name}", option
        for key, below in schema.items():
            if key == "properties":
                for name, option in below.items():
                    yield from _options(option, f"{path}.{name}")
            elif key not in json_schema.DATA:
                yield from _options(below, path)


def _shows_itself(option: dict[str, Any]) -> bool:
    if {
        "examples",
        "enum",
        "defaultSnippets",
        "properties",
        "default",
        "additionalProperties",
    } & option.keys():
        return True
    return option.get("type") == "boolean" or any(
        _shows_itself(form) for form in option.get("anyOf", ())
    )
