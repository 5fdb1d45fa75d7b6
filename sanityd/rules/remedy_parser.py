"""The key `remedy` of one rule → a Remedy. Collects every problem on the way.

It is read twice: as it is written, so that every mistake has its place and no secret is quoted;
and with the variables of the environment filled in.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from sanityd.alerts.http import target
from sanityd.checks.base import Check
from sanityd.errors import Problem
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules import validation_errors
from sanityd.rules.connections import Connections
from sanityd.rules.evidence import shown_columns
from sanityd.rules.remedy_spec import PLACEHOLDER, Remedy, RemedySpec, of_row, placeholders
from sanityd.rules.spec import RuleSpec
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document, texts


class RemedyParser:
    """Reads the remedy of one rule.

    Parameters: `name` is the rule's key in the file; `runs_commands` is whether the file allows
    commands. `problems` are those of the last remedy that was read.
    """

    def __init__(
        self, document: Document, connections: Connections, name: str, *, runs_commands: bool
    ) -> None:
        self._document = document
        self._connections = connections
        self._name = name
        self._path: KeyPath = ("rules", name, "remedy")
        self._runs_commands = runs_commands
        self.problems: list[Problem] = []

    def parse(
        self, raw: Any, spec: RuleSpec, check: Check | None, *, redacted: bool
    ) -> Remedy | None:
        """Return the remedy; None where it has problems, or variables that are not set.

        Parameters: `spec` are the other keys of the rule; `redacted` is whether its keys leave the
        database only as hashes.
        """
        written = self._spec(raw)
        if written is None:
            return None
        self._check_allowed(written)
        self._check_columns(raw, spec)
        self._check_rows(raw, written, check, redacted=redacted)
        filled, unset = self._connections.filled(self._path, raw)
        if unset or self.problems:
            return None
        filled_spec = self._spec(filled)
        if filled_spec is None:
            return None
        self._check_target(filled_spec)
        return None if self.problems else Remedy(filled_spec, written)

    def _spec(self, raw: Any) -> RemedySpec | None:
        try:
            return RemedySpec.model_validate(raw)
        except ValidationError as error:
            where = f"`remedy` of rule `{self._name}`"
            self.problems += validation_errors.problems(
                self._document, self._path, error, RemedySpec, where
            )
            return None

    def _check_allowed(self, spec: RemedySpec) -> None:
        if spec.command is None or self._runs_commands:
            return
        message = "a command runs with sanityd's own rights"
        advice = "add `allow: {commands: true}` at the top of the file if you trust it"
        self._report(("command",), message, advice, key=True)

    def _check_columns(self, raw: Any, spec: RuleSpec) -> None:
        """Report the columns that may not be sent: only those of `key` and `show` may."""
        shown = list(shown_columns(spec))
        for path, text in texts(raw):
            for match in PLACEHOLDER.finditer(text):
                group, column = match[1], match[2]
                if group == "show" and column not in shown:
                    self._report_column(path, match[0], f"`{column}` is not in `show`", shown)
                if group == "key" and spec.key is not None and column not in spec.key:
                    self._report_column(path, match[0], f"`{column}` is not in `key`", spec.key)

    def _report_column(self, path: KeyPath, word: str, message: str, columns: list[str]) -> None:
        column = word.strip("{}").partition(".")[2]
        advice = did_you_mean(column, columns)
        if not advice and word.startswith("{show."):
            advice = f"add `{column}` to `show`: only such columns leave the database"
        if not advice:
            advice = "write a column of the key: only these and those of `show` may be sent"
        self._report(path, message, advice, word=word)

    def _check_rows(
        self, raw: Any, spec: RemedySpec, check: Check | None, *, redacted: bool
    ) -> None:
        """Report a request that does not say which row it is about, or could not."""
        columns = of_row(raw)
        if redacted and columns:
            message = "`remedy` can't be with `redact: hash`: its keys are known only as hashes"
            self._report((), message, "take it out, or say `redact: no`", key=True)
        quotes_rows = check is None or check.quotes_rows
        if quotes_rows and not columns:
            message = "the request does not say which row is to be repaired"
            self._report((), message, "add `{key.COLUMN}` for each column of the key", key=True)
        if spec.per == "batch":
            for path, text in self._outside_lists(spec, raw):
                message = "in a batch, this stands for no single row"
                advice = "write it as the only item of a list, which is repeated for each row"
                self._report(path, message, advice, word=text)

    def _outside_lists(self, spec: RemedySpec, raw: Any) -> Iterator[tuple[KeyPath, str]]:
        """Yield the placeholders of a row that are not in a list that is repeated."""
        if spec.command is not None:
            return
        for path, text in texts(raw):
            columns = of_row(text)
            is_repeated = path[:2] == ("http", "json") and _is_in_single_list(raw, path)
            if columns and not is_repeated:
                yield path, columns[0]

    def _check_target(self, spec: RemedySpec) -> None:
        if spec.http is None:
            return
        url = spec.http.url
        for placeholder in placeholders(url):
            url = url.replace(placeholder, "0")
        try:
            target(url)
        except PydanticCustomError as error:
            context = error.context or {}
            self._report(("http", "url"), context["message"], context["advice"])

    def _report(
        self,
        path: KeyPath,
        message: str,
        advice: str,
        *,
        word: str | None = None,
        key: bool = False,
    ) -> None:
        self.problems.append(
            self._document.problem((*self._path, *path), message, advice, word=word, key=key)
        )


def _is_in_single_list(raw: Any, path: KeyPath) -> bool:
    """Return whether a text is, or is in, the only item of a list."""
    value = raw
    for part in path:
        if isinstance(value, list) and len(value) == 1:
            return True
        value = value[part]
    return False
