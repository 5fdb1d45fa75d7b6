"""Which keys of a rule its check can't do without, or can't have. Pure."""

from collections.abc import Collection, Iterator

from sanityd.checks.base import Check
from sanityd.checks.invariant import Ladder
from sanityd.errors import Problem
from sanityd.rules.spec import Defaults, RuleSpec
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document


class Fitting:
    """Compares the keys of one rule with its check.

    Parameters: `place` is the rule's; `sources` are the names of all; `runs_python` says whether the file allows that;
    `says_missing` whether what isn't there is told.
    """

    def __init__(
        self,
        document: Document,
        place: KeyPath,
        sources: Collection[str],
        runs_python: bool,
        *,
        says_missing: bool,
    ) -> None:
        self._document = document
        self._place = place
        self._sources = frozenset(sources)
        self._runs_python = runs_python
        self._says_missing = says_missing

    def problems(
        self, name: str, spec: RuleSpec, check: Check, defaults: Defaults
    ) -> Iterator[Problem]:
        """What doesn't fit."""
        if check.reads_table and spec.table is None and self._says_missing:
            yield self._key((), f"rule `{name}` names no table", "add `table: source.table`")
        if not check.reads_table:
            yield from self._of_source(name, spec, check)
        elif spec.source is not None:
            yield self._key(
                ("source",),
                "`source` has no meaning beside `table`",
                "take it out: the table's name says it",
            )
        yield from self._of_kind(spec, check)
        if (
            spec.scan is not None
            and spec.scan.column
            and (reason := self._looks_at_all(spec, check, defaults))
        ):
            message = f"`scan: new rows` can't be: {reason}"
            yield self._document.problem(
                (*self._place, "scan"), message, "take it out: `full` is what is done then"
            )

    def _of_source(self, name: str, spec: RuleSpec, check: Check) -> Iterator[Problem]:
        if spec.source is None and self._says_missing:
            yield self._key((), f"rule `{name}` names no source", "add `source: NAME`")
        if spec.key is None and self._says_missing and not check.brings_own_key:
            advice = "add `key:` with the columns that identify a row of the query"
            yield self._key((check.kind,), f"`{check.kind}` needs a key", advice)
        for key in ("table", "where", "within", "window"):
            if getattr(spec, key) is not None:
                yield self._key(
                    (key,), f"`{key}` has no meaning beside `{check.kind}`", "say it in the SELECT"
                )

    def _of_kind(self, spec: RuleSpec, check: Check) -> Iterator[Problem]:
        if check.brings_own_key and spec.key is not None:
            message = f"`key` has no meaning for `{check.kind}`: its rows are known by `on`"
            yield self._key(("key",), message, "take it out")
        if not check.about_rows:
            for key in ("where", "within", "window", "when_empty"):
                if getattr(spec, key) is not None:
                    message = f"`{key}` has no meaning for `{check.kind}`, which reads no rows"
                    yield self._key((key,), message, "take it out")
        if check.showable is not None:
            yield from self._of_show(spec, check.kind, check.showable)
        if check.runs_code and not self._runs_python:
            advice = "add `allow: {python: true}` at the top of the file if you trust it"
            yield self._key(
                (check.kind,), f"`{check.kind}` runs code with sanityd's own rights", advice
            )
        if spec.nulls == "fail" and not check.judges_nulls:
            advice = (
                "NULLs are this kind's own business"
                if check.kind == "not_null"
                else "add a `not_null` rule"
            )
            yield self._key(("nulls",), f"`nulls` has no meaning for `{check.kind}`", advice)

    def _of_show(self, spec: RuleSpec, kind: str, showable: Collection[str]) -> Iterator[Problem]:
        """Columns that no violation of the kind has: an empty cell would be taken for a NULL in a row."""
        known = " or ".join(f"`{name}`" for name in showable)
        for name in spec.show or ():
            if name not in showable:
                message = f"`{kind}` can show {known or 'no column'}: its violations are not rows of the table"
                advice = f"write {known}, or take it out" if known else "take `show` out"
                place = self._document.find((*self._place, "show"), name) or (*self._place, "show")
                yield self._document.problem(place, message, advice)

    def _looks_at_all(self, spec: RuleSpec, check: Check, defaults: Defaults) -> str:
        """Why new rows are not enough for a rule; nothing where they are."""
        if not check.can_narrow:
            return f"`{check.kind}` is about all rows"
        if check.reads_clock:
            return "a row may become wrong as time goes by"
        own = str(spec.table).split(".", maxsplit=1)[0]
        if any(
            text.split(".", maxsplit=1)[0] in self._sources - {own}
            for text in check.tables()
            if "." in text
        ):
            return "tables of two sources are compared as a whole"
        if any(
            step.percent is not None
            for step in (spec.severity or defaults.severity or Ladder()).steps
        ):
            return "a share is one of all rows"
        return (
            "a row that is to be confirmed is no longer new at the next run" if spec.confirm else ""
        )

    def _key(self, below: KeyPath, message: str, advice: str) -> Problem:
        return self._document.problem((*self._place, *below), message, advice, key=True)
