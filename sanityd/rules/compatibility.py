"""Which keys of a rule its check needs, and which it can't have. Pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sanityd.checks.base import Check
from sanityd.checks.invariant import Ladder
from sanityd.errors import Problem
from sanityd.rules.evidence import shown_columns
from sanityd.rules.spec import Defaults, RuleSpec
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document


class CompatibilityCheck:
    """Compares the keys of one rule with its check.

    Parameters: `name` is the rule's key in the file; `sources` are the names of all sources;
    `runs_python` says whether the file allows Python; `reports_missing` whether missing keys are
    reported.
    """

    def __init__(
        self,
        document: Document,
        name: str,
        sources: Collection[str],
        runs_python: bool,
        *,
        reports_missing: bool,
    ) -> None:
        self._document = document
        self._name = name
        self._path: KeyPath = ("rules", name)
        self._sources = frozenset(sources)
        self._runs_python = runs_python
        self._reports_missing = reports_missing

    def problems(
        self, spec: RuleSpec, raw: Mapping[str, Any], check: Check, defaults: Defaults
    ) -> Iterator[Problem]:
        """Yield a problem for each key that does not fit.

        Parameters: `spec` has the valid keys of the rule, `raw` all that it has in the file.
        """
        if check.reads_table:
            yield from self._table_problems(spec)
        else:
            yield from self._source_problems(spec, raw, check)
        yield from self._meaningless_keys(spec, raw, check)
        if check.showable is not None:
            yield from self._show_problems(spec, check.kind, check.showable)
        if check.runs_code and not self._runs_python:
            message = f"`{check.kind}` runs code with sanityd's own rights"
            advice = "add `allow: {python: true}` at the top of the file if you trust it"
            yield self._problem((check.kind,), message, advice)
        if spec.nulls == "fail" and not check.judges_nulls:
            advice = "add a `not_null` rule"
            if check.kind == "not_null":
                advice = "NULLs are this kind's own business"
            yield self._problem(("nulls",), f"`nulls` has no meaning for `{check.kind}`", advice)
        yield from self._scan_problems(spec, check, defaults)

    def _meaningless_keys(
        self, spec: RuleSpec, raw: Mapping[str, Any], check: Check
    ) -> Iterator[Problem]:
        if check.brings_own_key and spec.key is not None:
            message = f"`key` has no meaning for `{check.kind}`: its rows are known by `on`"
            yield self._problem(("key",), message, "take it out")
        if check.about_rows:
            return
        for key in ("where", "within", "window", "when_empty"):
            if raw.get(key) is not None:
                message = f"`{key}` has no meaning for `{check.kind}`, which reads no rows"
                yield self._problem((key,), message, "take it out")

    def _table_problems(self, spec: RuleSpec) -> Iterator[Problem]:
        if spec.table is None and self._reports_missing:
            message = f"rule `{self._name}` names no table"
            yield self._problem((), message, "add `table: source.table`")
        if spec.source is not None:
            message = "`source` has no meaning beside `table`"
            yield self._problem(("source",), message, "take it out: the table's name says it")

    def _source_problems(
        self, spec: RuleSpec, raw: Mapping[str, Any], check: Check
    ) -> Iterator[Problem]:
        if spec.source is None and self._reports_missing:
            yield self._problem((), f"rule `{self._name}` names no source", "add `source: NAME`")
        if spec.key is None and self._reports_missing and not check.brings_own_key:
            advice = "add `key:` with the columns that identify a row of the query"
            yield self._problem((check.kind,), f"`{check.kind}` needs a key", advice)
        keys = ["table", "where", "within", "window"]
        if check.takes_age_of_query:
            keys.remove("within")
        for key in keys:
            if raw.get(key) is not None:
                message = f"`{key}` has no meaning beside `{check.kind}`"
                yield self._problem((key,), message, "say it in the SELECT")

    def _show_problems(
        self, spec: RuleSpec, kind: str, showable: Collection[str]
    ) -> Iterator[Problem]:
        """Yield columns that no violation of the kind has: an empty cell would look like a NULL."""
        names = " or ".join(f"`{name}`" for name in showable)
        advice = "take `show` out"
        if names:
            advice = f"write {names}, or take it out"
        for name in shown_columns(spec):
            if name in showable:
                continue
            show_path = (*self._path, "show")
            yield self._document.problem(
                self._document.find(show_path, name) or show_path,
                f"`{kind}` can show {names or 'no column'}: "
                "its violations are not rows of the table",
                advice,
            )

    def _scan_problems(self, spec: RuleSpec, check: Check, defaults: Defaults) -> Iterator[Problem]:
        if spec.scan is None or not spec.scan.column:
            return
        reason = self._needs_all_rows(spec, check, defaults)
        if reason:
            message = f"`scan: new rows` can't be: {reason}"
            advice = "take it out: `full` is what is done then"
            yield self._document.problem((*self._path, "scan"), message, advice)

    def _needs_all_rows(self, spec: RuleSpec, check: Check, defaults: Defaults) -> str:
        """Return why new rows are not enough for a rule; empty where they are."""
        if not check.supports_new_rows:
            return f"`{check.kind}` is about all rows"
        if check.reads_clock:
            return "a row may become wrong as time goes by"
        if self._names_another_source(spec, check):
            return "tables of two sources are compared as a whole"
        ladder = spec.severity or defaults.severity or Ladder()
        if any(step.percent is not None for step in ladder.steps):
            return "a share is one of all rows"
        if spec.confirm:
            return "a row that is to be confirmed is no longer new at the next run"
        return ""

    def _names_another_source(self, spec: RuleSpec, check: Check) -> bool:
        own_source = str(spec.table).split(".", maxsplit=1)[0]
        other_sources = self._sources - {own_source}
        for text in check.tables():
            first_part, dot, _ = text.partition(".")
            if dot and first_part in other_sources:
                return True
        return False

    def _problem(self, below: KeyPath, message: str, advice: str) -> Problem:
        return self._document.problem((*self._path, *below), message, advice, key=True)
