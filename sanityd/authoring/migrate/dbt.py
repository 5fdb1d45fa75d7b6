"""dbt: the generic tests of its properties files (`schema.yml`), freshness of sources, and singular tests (`.sql`).

Reads files, not a project: `dbt_project.yml`, macros and profiles stay unread, and what needs them is told.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sanityd.authoring.migrate import dbt_config, reading
from sanityd.authoring.migrate.dbt_expectations import EXPECTATIONS
from sanityd.authoring.migrate.dbt_sql import plain_sql
from sanityd.authoring.migrate.dbt_test import Relation, Test, column, length
from sanityd.authoring.migrate.dbt_tests import CORE, UTILS
from sanityd.authoring.migrate.draft import (
    WHOLE,
    Draft,
    Migration,
    SourceLocation,
    Translation,
    Unmappable,
    quoted,
)
from sanityd.authoring.migrate.keys import keyed, notes
from sanityd.authoring.migrate.reading import Node
from sanityd.authoring.migrate.selecting import KEY_CHOSEN, key_of

TESTS = {**CORE, **UTILS, **EXPECTATIONS}
_RESOURCES = ("models", "seeds", "snapshots")
_RELATION = re.compile(
    r"""\s*(?:\{\{)?\s*(ref|source)\s*\(\s*(['"])(.+?)\2\s*(?:,\s*(['"])(.+?)\4\s*)?\)\s*(?:\}\})?\s*"""
)
#: Beside a test's arguments, and none of them.
_NO_ARGUMENTS = {"name", "description", "config", "arguments", "test_name"} | dbt_config.KEYS
_HERE = re.compile(r"\{\{\s*target\.(schema|dataset)\s*\}\}")


def read(paths: Sequence[Path], source: str | None) -> Migration:
    """Read properties files and singular tests. `source` is the name of the database (`app`)."""
    name = source or "app"
    files = {path: reading.read(path, version="1.1") for path in paths if path.suffix != ".sql"}
    known = _Relations(name)
    for root in files.values():
        if root.get("config-version", "model-paths") is not None:
            raise reading.wrong(
                root, "this is a project's own file", "name those with tests: `models/schema.yml`"
            )
        known.learn(root)
    found: list[Translation] = []
    for path in paths:
        found += _file(files[path], known) if path in files else [_singular(path, known)]
    done = keyed(found)
    return Migration("dbt", tuple(done), (name,), notes(done))


class _Relations:
    """Which table `ref('x')` and `source('a', 'b')` are."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.models: dict[str, Relation | str] = {}
        self.tables: dict[tuple[str, str], Relation | str] = {}
        self.schemas: dict[str, str | None] = {}

    def learn(self, root: Node) -> None:
        """Take in what a file says of its models and sources."""
        for kind in _RESOURCES:
            for node in root.mappings(kind):
                name = node.text("name") or ""
                alias = node.text("alias") or (node.get("config") or node).text("alias") or name
                versioned = (
                    "it has versions, and which one is meant is not in the file"
                    if node.get("versions")
                    else ""
                )
                self.models[name] = versioned or self._relation(None, alias)
        for node in root.mappings("sources"):
            name = node.text("name") or ""
            given = node.text("schema") or name
            self.schemas[name] = schema = None if _HERE.fullmatch(given) else given
            for table in node.mappings("tables"):
                identifier = table.text("identifier") or table.text("name") or ""
                self.tables[name, table.text("name") or ""] = self._relation(schema, identifier)

    def model(self, name: str) -> Relation:
        """A model, seed or snapshot. Raises Unmappable when its table can't be told."""
        return self._told(self.models.get(name, self._relation(None, name)))

    def table(self, source: str, name: str) -> Relation:
        """A table of a source; of one that isn't in the files, dbt's own default is taken."""
        return self._told(
            self.tables.get((source, name), self._relation(self.schemas.get(source, source), name))
        )

    def read(self, text: str) -> Relation:
        """`ref('x')`, `ref('package', 'x')` or `source('a', 'b')`, in braces or not. Raises Unmappable for the rest."""
        found = _RELATION.fullmatch(text)
        if found is None:
            raise Unmappable(f"`{text}` is neither ref('…') nor source('…', '…')")
        first, second = found[3], found[5]
        if found[1] == "ref":
            return self.model(second or first)
        if second is None:
            raise Unmappable(f"`{text}` names no table")
        return self.table(first, second)

    def _relation(self, schema: str | None, name: str) -> Relation | str:
        for part in (schema or "", name):
            if dbt_config.has_jinja(part):
                return f"the table's name is Jinja (`{part}`), which dbt alone can evaluate"
        if not name or "." in name or "." in (schema or ""):
            return f"`{name}` is no name of a table"
        parts = [part for part in (schema, name) if part]
        return Relation(".".join([self.source, *parts]), ".".join(map(quoted, parts)))

    @staticmethod
    def _told(found: Relation | str) -> Relation:
        if isinstance(found, str):
            raise Unmappable(found)
        return found


@dataclass(frozen=True, slots=True)
class _TestSubject:
    """What tests are about: a table, perhaps a column of it, and what the files say of it and of what it is in."""

    name: str
    relation: Callable[[], Relation]
    above: tuple[dict[str, Any], ...]
    column: str | None = None
    described: str | None = None

    def __str__(self) -> str:
        """As dbt names it."""
        return f"{self.name}.{self.column}" if self.column else self.name


def _file(root: Node, known: _Relations) -> Iterator[Translation]:
    if not isinstance(root.value, dict):
        raise reading.wrong(
            root, "this is no properties file of dbt", "it begins with `models:` or `sources:`"
        )
    for kind in _RESOURCES:
        for node in root.mappings(kind):
            name = node.text("name") or "?"
            yield from _resource(node, _TestSubject(name, partial(known.model, name), ()), known)
    for node in root.mappings("sources"):
        about = dbt_config.of_resource(node)
        for table in node.mappings("tables"):
            one, two = node.text("name") or "?", table.text("name") or "?"
            yield from _freshness(node, table, known, [about, dbt_config.of_resource(table)])
            yield from _resource(
                table, _TestSubject(f"{one}.{two}", partial(known.table, one, two), (about,)), known
            )
    for node in root.list("unit_tests"):
        what = f"unit test {node.text('name') or '?'}"
        yield Translation(
            node.place, what, reason="it tests how a model is made, not what a table holds"
        )


def _resource(node: Node, subject: _TestSubject, known: _Relations) -> Iterator[Translation]:
    """All tests of a model or table, and of its columns."""
    table = replace(subject, above=(*subject.above, dbt_config.of_resource(node)))
    for test in (*node.list("tests"), *node.list("data_tests")):
        yield _generic(test, table, known)
    for one in node.list("columns"):
        above = (*table.above, dbt_config.of_resource(one))
        mine = replace(
            table, above=above, column=one.text("name"), described=one.text("description")
        )
        for test in (*one.list("tests"), *one.list("data_tests")):
            yield _generic(test, mine, known)


def _generic(node: Node, subject: _TestSubject, known: _Relations) -> Translation:
    name, body = _named(node)
    what = f"{name or 'a test'} on {subject}"
    try:
        if name is None:
            raise Unmappable(
                "a test is one name with its arguments below it; check the indentation"
            )
        if (mapped := TESTS.get(name.removeprefix("dbt."))) is None:
            raise Unmappable(_unknown(name))
        config, arguments, here = dbt_config.of_test(body), _arguments(body), subject.relation()
        named, where = arguments.get("column_name"), config.get("where")
        about = (
            column(str(named)) if subject.column is None and named is not None else subject.column
        )
        test = Test(here, about, arguments, known.read, None if where is None else str(where))
        drafts = mapped(test)
        if left := test.leftovers():
            raise Unmappable(f"the argument `{left[0]}` has no counterpart")
        placed = (
            one.having(source=known.source) if one.kind == "query" else one.having(table=here.name)
            for one in drafts
        )
        done = [
            dbt_config.decorated(one.having(_other_words(body)), config, subject.above)
            for one in placed
        ]
        return Translation(node.place, what, tuple(_told(done, body, subject.described)))
    except Unmappable as reason:
        return Translation(node.place, what, reason=str(reason))


def _told(drafts: list[Draft], body: Node | None, described: str | None) -> Iterator[Draft]:
    """The rules by the name that the test has, if any, and with its description, or that of the column."""
    name = body.text("name") if body is not None else None
    why = (body.text("description") if body is not None else None) or described
    for place, draft in enumerate(drafts):
        said = (
            draft.having(why=" ".join(why.split()))
            if why and not dbt_config.has_jinja(why)
            else draft
        )
        yield (
            said
            if name is None
            else replace(said, says=name if place == 0 else f"{name} {draft.says}")
        )


def _named(node: Node) -> tuple[str | None, Node | None]:
    """The name of a test and what stands below it."""
    if isinstance(node.value, str):
        return node.value, None
    if not isinstance(node.value, dict):
        return None, None
    if (name := node.text("test_name")) is not None:
        return name, node
    if len(node.value) != 1:
        return None, None
    [(name, body)] = node.value.items()
    return name, body if isinstance(body.value, dict) else None


def _arguments(body: Node | None) -> dict[str, Any]:
    if body is None:
        return {}
    inside = body.mapping("arguments")
    nodes = {
        **{name: node for name, node in body.value.items() if name not in _NO_ARGUMENTS},
        **inside,
    }
    arguments = {name: node.plain() for name, node in nodes.items()}
    for name, value in arguments.items():
        if dbt_config.has_jinja(value) and not (
            isinstance(value, str) and _RELATION.fullmatch(value)
        ):
            raise Unmappable(f"`{name}` is Jinja, which dbt alone can evaluate")
    return arguments


def _other_words(body: Node | None) -> str:
    """A note on words that YAML 1.1, which dbt reads, takes for a boolean."""
    pending = [] if body is None else [body]
    while pending:
        node = pending.pop()
        if isinstance(node.value, dict):
            pending += node.value.values()
        elif isinstance(node.value, list):
            pending += node.value
        elif isinstance(node.value, bool) and node.raw.lower() not in ("true", "false"):
            return f"`{node.raw}` is {str(node.value).lower()} to dbt, which reads YAML 1.1: quote it if text is meant."
    return ""


def _unknown(name: str) -> str:
    package, dot, _ = name.rpartition(".")
    if package in ("dbt_utils", "dbt_expectations"):
        return "it has no counterpart"
    return (
        f"what it checks is in the package `{package}`"
        if dot
        else "what it checks is in a macro of the project"
    )


def _freshness(
    source: Node, table: Node, known: _Relations, above: list[dict[str, Any]]
) -> Iterator[Translation]:
    """`freshness` of a table, or of its source; one rule to warn, one to fail."""
    nodes = [
        one for node in (table, source) for one in (node, node.get("config")) if one is not None
    ]
    found = next(
        (
            one.value["freshness"]
            for one in nodes
            if isinstance(one.value, dict) and "freshness" in one.value
        ),
        None,
    )
    if found is None or not isinstance(found.value, dict):
        return
    what = f"freshness of {source.text('name')}.{table.text('name')}"
    field = next((text for one in nodes if (text := one.text("loaded_at_field"))), None)
    try:
        if field is None:
            raise Unmappable(
                "without `loaded_at_field` it asks the warehouse's own record of changes"
            )
        name, relation = (
            column(field),
            known.table(source.text("name") or "", table.text("name") or ""),
        )
        drafts = []
        for key, severity in (("warn_after", "warning"), ("error_after", None)):
            limit = found.get(key)
            if limit is None or not limit.text("count"):
                continue
            age, note = length(limit.text("count"), str(limit.text("period")).lower())
            many = "" if limit.text("count") == "1" else "s"
            says = f"{relation.noun} is younger than {limit.text('count')} {limit.text('period')}{many}"
            draft = Draft(says, "fresh", {name: age}, {"table": relation.name}, counted=WHOLE)
            condition = found.text("filter")
            done = dbt_config.decorated(
                draft, {} if condition is None else {"where": condition}, above
            )
            drafts.append(done.having(note, severity=severity))
        if not drafts:
            return
        yield Translation(found.place, what, tuple(drafts))
    except Unmappable as reason:
        yield Translation(found.place, what, reason=str(reason))


def _singular(path: Path, known: _Relations) -> Translation:
    place, what = SourceLocation(path, 1), f"singular test {path.stem}"
    try:
        sql, config = plain_sql(reading.read_text(path), known.read)
        draft = Draft(
            path.stem, "query", sql, {"source": known.source, "key": key_of(sql)}, (KEY_CHOSEN,)
        )
        return Translation(place, what, (dbt_config.decorated(draft, config, []),))
    except Unmappable as reason:
        return Translation(place, what, reason=str(reason))
