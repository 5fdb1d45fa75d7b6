"""dbt: generic tests in properties files (`schema.yml`), freshness of sources, singular tests.

Reads files, not a project: what needs `dbt_project.yml`, macros or profiles is not imported.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sanityd.authoring.migrate.dbt_config import (
    CONFIG_KEYS,
    ResourceConfig,
    has_jinja,
    read_resource_config,
    read_test_config,
    with_config,
)
from sanityd.authoring.migrate.dbt_core_tests import CORE_TESTS
from sanityd.authoring.migrate.dbt_expectations import EXPECTATIONS
from sanityd.authoring.migrate.dbt_freshness import read_freshness
from sanityd.authoring.migrate.dbt_generic_test import GenericTest
from sanityd.authoring.migrate.dbt_relations import (
    RESOURCES,
    Relation,
    Relations,
    is_relation,
    read_column_name,
)
from sanityd.authoring.migrate.dbt_singular_test import read_singular_test
from sanityd.authoring.migrate.dbt_utils_tests import UTILS_TESTS
from sanityd.authoring.migrate.foreign_yaml import YamlNode, error_at, read_yaml
from sanityd.authoring.migrate.import_result import (
    ImportedCheck,
    ImportedRule,
    ImportResult,
    UnsupportedCheck,
)
from sanityd.authoring.migrate.plain_data import one_line
from sanityd.authoring.migrate.row_keys import add_row_keys, row_key_notes

TESTS = {**CORE_TESTS, **UTILS_TESTS, **EXPECTATIONS}
#: Keys beside a test's arguments that are not arguments.
_NO_ARGUMENTS = {"name", "description", "config", "arguments", "test_name"} | CONFIG_KEYS


def read(paths: Sequence[Path], source: str | None) -> ImportResult:
    """Read properties files and singular tests.

    Parameters: `source` is the name of the database, by default `app`.
    """
    relations = Relations(source or "app")
    # All files are read first: tests name the models of other files.
    roots: dict[Path, YamlNode] = {}
    for path in paths:
        if path.suffix != ".sql":
            roots[path] = read_yaml(path, version="1.1")
    for root in roots.values():
        if root.get("config-version", "model-paths") is not None:
            raise error_at(
                root, "this is a project's own file", "name those with tests: `models/schema.yml`"
            )
        relations.add_file(root)
    checks: list[ImportedCheck] = []
    for path in paths:
        if path in roots:
            checks.extend(_read_properties(roots[path], relations))
        else:
            checks.append(read_singular_test(path, relations))
    checks = add_row_keys(checks)
    notes = row_key_notes(checks)
    return ImportResult("dbt", tuple(checks), (relations.source,), notes)


@dataclass(frozen=True, slots=True)
class _TestedResource:
    """A table, or a column of it, that tests are about.

    Parameters: `name` is the one in dbt; `find_relation` returns the table; `configs` are those of
    the source, model and column, outermost first.
    """

    name: str
    find_relation: Callable[[], Relation]
    configs: tuple[ResourceConfig, ...] = ()
    column: str | None = None
    description: str | None = None

    def __str__(self) -> str:
        """Return the table, or `table.column`."""
        if self.column:
            return f"{self.name}.{self.column}"
        return self.name

    def with_config(self, node: YamlNode) -> "_TestedResource":
        """Return the resource with the configuration of a node."""
        return replace(self, configs=(*self.configs, read_resource_config(node)))


def _read_properties(root: YamlNode, relations: Relations) -> Iterator[ImportedCheck]:
    """Return all tests of a properties file."""
    if not isinstance(root.value, dict):
        raise error_at(
            root, "this is no properties file of dbt", "it begins with `models:` or `sources:`"
        )
    for kind in RESOURCES:
        for node in root.mappings(kind):
            name = node.text("name") or "?"
            resource = _TestedResource(name, partial(relations.model, name))
            yield from _read_resource(node, resource, relations)
    for node in root.mappings("sources"):
        yield from _read_source(node, relations)
    for node in root.list("unit_tests"):
        name = f"unit test {node.text('name') or '?'}"
        reason = "it tests how a model is made, not what a table holds"
        yield ImportedCheck(node.location, name, reason=reason)


def _read_source(node: YamlNode, relations: Relations) -> Iterator[ImportedCheck]:
    config = read_resource_config(node)
    source = node.text("name") or "?"
    for table in node.mappings("tables"):
        name = table.text("name") or "?"
        yield from read_freshness(node, table, relations, [config, read_resource_config(table)])
        find_relation = partial(relations.table, source, name)
        resource = _TestedResource(f"{source}.{name}", find_relation, (config,))
        yield from _read_resource(table, resource, relations)


def _read_resource(
    node: YamlNode, resource: _TestedResource, relations: Relations
) -> Iterator[ImportedCheck]:
    """Return the tests of a model or table, and of its columns."""
    table = resource.with_config(node)
    for test in _tests_of(node):
        yield _read_generic_test(test, table, relations)
    yield from _ignored_tests(node, resource)
    for version in node.mappings("versions"):
        for part in (version, *version.list("columns")):
            reason = "it is about one version of the model, which is a table of its own"
            yield from _not_imported(_tests_of(part), resource, reason)
            yield from _ignored_tests(part, resource)
    for column_node in node.list("columns"):
        column = replace(
            table.with_config(column_node),
            column=column_node.text("name"),
            description=column_node.text("description"),
        )
        for test in _tests_of(column_node):
            yield _read_generic_test(test, column, relations)
        yield from _ignored_tests(column_node, column)


def _tests_of(node: YamlNode) -> list[YamlNode]:
    return [*node.list("tests"), *node.list("data_tests")]


def _ignored_tests(node: YamlNode, resource: _TestedResource) -> Iterator[ImportedCheck]:
    """Return the tests below a misspelt key, which dbt doesn't run."""
    for key in ("data-tests", "data_test", "test"):
        reason = f"dbt ignores the key `{key}`: the right one is `data_tests`"
        yield from _not_imported(node.list(key), resource, reason)


def _not_imported(
    tests: Iterable[YamlNode], resource: _TestedResource, reason: str
) -> Iterator[ImportedCheck]:
    """Return tests that become no rules, so that none is lost without a word."""
    for test in tests:
        yield ImportedCheck(test.location, _title(test, resource), reason=reason)


def _title(test: YamlNode, resource: _TestedResource) -> str:
    """Return the name of a test with what it is about."""
    test_name, _ = _name_and_body(test)
    return f"{test_name or 'a test'} on {resource}"


def _read_generic_test(
    node: YamlNode, resource: _TestedResource, relations: Relations
) -> ImportedCheck:
    test_name, body = _name_and_body(node)
    name = _title(node, resource)
    try:
        if test_name is None:
            raise UnsupportedCheck(
                "a test is one name with its arguments below it; check the indentation"
            )
        rules = _rules(test_name, body, resource, relations)
        return ImportedCheck(node.location, name, tuple(rules))
    except UnsupportedCheck as error:
        return ImportedCheck(node.location, name, reason=str(error))


def _rules(
    test_name: str, body: YamlNode | None, resource: _TestedResource, relations: Relations
) -> list[ImportedRule]:
    """Return the rules of a generic test, with everything that the file says about them."""
    mapping = TESTS.get(test_name.removeprefix("dbt."))
    if mapping is None:
        raise UnsupportedCheck(_reason_for_unknown_test(test_name))
    config, arguments = read_test_config(body), _read_arguments(body)
    table = resource.find_relation()
    condition = config.get("where")
    test = GenericTest(
        table,
        _tested_column(resource, arguments),
        arguments,
        relations.find,
        None if condition is None else str(condition),
    )
    mapped = mapping(test)
    unused = test.unused_arguments()
    if unused:
        raise UnsupportedCheck(f"the argument `{unused[0]}` has no counterpart")
    test_title = None if body is None else body.text("name")
    why = _read_description(body) or resource.description
    rules = []
    for index, mapped_rule in enumerate(mapped):
        rule = mapped_rule
        if rule.kind == "query":
            rule = rule.with_keys(source=relations.source)
        else:
            rule = rule.with_keys(table=table.name)
        rule = with_config(rule.with_notes(_boolean_word_note(body)), config, resource.configs)
        if why and not has_jinja(why):
            rule = rule.with_keys(why=one_line(why))
        rules.append(rule.with_custom_title(test_title, index))
    return rules


def _tested_column(resource: _TestedResource, arguments: dict[str, Any]) -> str | None:
    """Return the column of a test: that of the resource, or the argument `column_name`."""
    column_name = arguments.get("column_name")
    if resource.column is None and column_name is not None:
        return read_column_name(str(column_name))
    return resource.column


def _read_description(body: YamlNode | None) -> str | None:
    if body is None:
        return None
    return body.text("description")


def _name_and_body(node: YamlNode) -> tuple[str | None, YamlNode | None]:
    """Return the name of a test and the mapping of its arguments, if any."""
    if isinstance(node.value, str):
        return node.value, None
    if not isinstance(node.value, dict):
        return None, None
    name = node.text("test_name")
    if name is not None:
        return name, node
    if len(node.value) != 1:
        return None, None
    [(name, body)] = node.value.items()
    if not isinstance(body.value, dict):
        return name, None
    return name, body


def _read_arguments(body: YamlNode | None) -> dict[str, Any]:
    """Return the arguments of a test, from `arguments` and from beside it."""
    if body is None:
        return {}
    nodes = {name: node for name, node in body.value.items() if name not in _NO_ARGUMENTS}
    nodes.update(body.mapping("arguments"))
    arguments = {name: node.plain() for name, node in nodes.items()}
    for name, value in arguments.items():
        if has_jinja(value) and not (isinstance(value, str) and is_relation(value)):
            raise UnsupportedCheck(f"`{name}` is Jinja, which dbt alone can evaluate")
    return arguments


def _boolean_word_note(body: YamlNode | None) -> str:
    """Return a note about a word such as `yes`, which YAML 1.1 reads as a boolean."""
    pending = [] if body is None else [body]
    while pending:
        node = pending.pop()
        if isinstance(node.value, dict):
            pending.extend(node.value.values())
        elif isinstance(node.value, list):
            pending.extend(node.value)
        elif isinstance(node.value, bool) and node.raw.lower() not in ("true", "false"):
            return (
                f"`{node.raw}` is {str(node.value).lower()} to dbt, "
                "which reads YAML 1.1: quote it if text is meant."
            )
    return ""


def _reason_for_unknown_test(name: str) -> str:
    package = name.rpartition(".")[0]
    if package in ("dbt_utils", "dbt_expectations"):
        return "it has no counterpart"
    if "." in name:
        return f"what it checks is in the package `{package}`"
    return "what it checks is in a macro of the project"
