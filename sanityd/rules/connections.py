"""The sections of a rules file with URLs: sources, channels, state. Secrets are filled in here."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from sanityd import plugins
from sanityd.alerts.base import Channel
from sanityd.errors import Problem
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules import secrets, validation_errors
from sanityd.rules.spec import SourceSpec
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.base import SourceSettings
from sanityd.sources.open import dialect_of

#: The URL of files, which have none.
FILES = "files://"
NAME = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


class Connections:
    """Reads the sections and collects problems and warnings on the way."""

    def __init__(
        self, document: Document, folder: Path, environment: Mapping[str, str], need_secrets: bool
    ) -> None:
        self.document = document
        self.folder = folder
        self.environment = environment
        self.need_secrets = need_secrets
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.source_names: set[str] = set()
        self.channel_names: set[str] = set()
        self._dialects: dict[str, str | None] = {}

    def dialect(self, source: str) -> str | None:
        """Return sqlglot's name of the source's dialect; None when it isn't known (yet)."""
        return self._dialects.get(source)

    def sources(self, raw: Mapping[str, Any]) -> dict[str, SourceSettings]:
        """Return the sources by name, without those that are invalid or have unset variables."""
        self.source_names = {str(name) for name in raw}
        sources: dict[str, SourceSettings] = {}
        for name, value in raw.items():
            settings = self._source(name, value)
            if settings is not None:
                sources[name] = settings
        return sources

    def _source(self, name: str, value: Any) -> SourceSettings | None:
        path: KeyPath = ("sources", name)
        self._check_name(path, name)
        if value is None:
            advice = "write its URL, or a mapping with `url` or `files`"
            self._report_empty(path, f"source `{name}`", advice)
            return None
        if isinstance(value, str):
            value = {"url": value}
        filled, unset = self.filled(path, value)
        spec = self._source_spec(path, name, filled, unset)
        if spec is None or unset:
            return None
        url = self._url((*path, "url"), FILES if spec.url is None else spec.url)
        if url is None:
            return None
        dialect = dialect_of(url)
        if dialect is None:
            message = f"source `{name}` is of an unknown kind"
            advice = "sanityd reads SQLite, DuckDB, PostgreSQL and MariaDB or MySQL"
            self.problems.append(self.document.problem(path, message, advice))
            return None
        self._dialects[name] = dialect
        return SourceSettings(
            name,
            url,
            spec.statement_timeout,
            spec.lock_timeout,
            spec.connections,
            spec.zone,
            tuple(spec.files or ()),
            self.folder,
        )

    def channels(self, raw: Mapping[str, Any]) -> dict[str, Channel]:
        """Return the channels by name, without those that are invalid."""
        self.channel_names = {str(name) for name in raw}
        channels: dict[str, Channel] = {}
        for name, value in raw.items():
            path: KeyPath = ("channels", name)
            self._check_name(path, name)
            if value is None:
                kinds = ", ".join(plugins.kind_names("channels"))
                self._report_empty(
                    path, f"channel `{name}`", f"write a mapping with one of: {kinds}"
                )
                continue
            filled, unset = self.filled(path, value)
            if (channel := self._channel(path, name, filled, unset)) is not None:
                channels[name] = channel
        return channels

    def state(self, value: Any) -> str | None:
        """Return the URL of the store, made absolute; None when the file has no `state`."""
        if value is None:
            return None
        if not isinstance(value, str):
            self.problems.append(
                self.document.problem(
                    ("state",), "`state` must be a URL", "write `sqlite:///state.db`"
                )
            )
            return None
        filled, unset = self.filled(("state",), value)
        return None if unset else self._url(("state",), filled)

    def _check_name(self, path: KeyPath, name: str) -> None:
        if not NAME.fullmatch(name):
            message = f"`{name}` is not a name"
            advice = "write small letters, digits, `-` and `_`"
            self.problems.append(self.document.problem(path, message, advice, key=True))

    def _report_empty(self, path: KeyPath, what: str, advice: str) -> None:
        self.problems.append(self.document.problem(path, f"{what} says nothing", advice, key=True))

    def filled(self, path: KeyPath, value: Any) -> tuple[Any, frozenset[KeyPath]]:
        """Return the value with its variables replaced, and the paths of texts where that failed.

        Each failure is reported.
        """
        unset: set[KeyPath] = set()
        for text_path, text in secrets.texts(value):
            where = (*path, *text_path)
            try:
                value = secrets.replaced(value, text_path, secrets.fill(text, self.environment))
            except secrets.UnsetError as error:
                unset.add(where)
                for name in error.names:
                    self._report_unset(where, name)
            except secrets.MalformedError as error:
                unset.add(where)
                at = secrets.line_and_column(text, error.offset)
                advice = "write `${NAME}` or `${NAME:-default}`; a name has letters, digits and `_`"
                self.problems.append(
                    self.document.problem(where, "this names no variable", advice, at=at, length=2)
                )
            else:
                self._warn_of_plain_password(where, text)
        return value, frozenset(unset)

    def _report_unset(self, path: KeyPath, name: str) -> None:
        message = f"the environment variable `{name}` is not set"
        advice = f"export it, or write `${{{name}:-default}}`"
        level = "error" if self.need_secrets else "warning"
        problem = self.document.problem(path, message, advice, word=name, level=level)
        (self.problems if self.need_secrets else self.warnings).append(problem)

    def _warn_of_plain_password(self, path: KeyPath, text: str) -> None:
        if re.match(r"[a-z][a-z0-9+]*://[^/@:]*:(?!\$\{)[^@/]+@", text):
            message = "a password stands in the rules file"
            advice = "write it as `${NAME}`, from the environment"
            self.warnings.append(self.document.problem(path, message, advice, level="warning"))

    def _source_spec(
        self, path: KeyPath, name: str, value: Any, unset: frozenset[KeyPath]
    ) -> SourceSpec | None:
        try:
            return SourceSpec.model_validate(value)
        except ValidationError as error:
            self._refused(path, error, SourceSpec, f"source `{name}`", unset)
            return None

    def _refused(
        self,
        path: KeyPath,
        error: ValidationError,
        model: type[BaseModel],
        where: str,
        unset: frozenset[KeyPath],
    ) -> None:
        """Report what is wrong, but for values that are unknown because a variable is not set."""
        unset_marks = [self.document.mark(unset_path) for unset_path in unset]
        marks = {(mark.path, mark.line, mark.column) for mark in unset_marks}
        problems = validation_errors.problems(
            self.document, path, error, model, where, incomplete=bool(unset)
        )
        for problem in problems:
            if (problem.path, problem.line, problem.column) not in marks:
                self.problems.append(problem)

    def _url(self, path: KeyPath, text: str) -> str | None:
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            advice = "write a SQLAlchemy URL, as in `postgresql://user:${PASSWORD}@host/database`"
            self.problems.append(self.document.problem(path, "this is not a database URL", advice))
            return None
        if (
            url.get_backend_name() in ("sqlite", "duckdb")
            and url.database
            and url.database != ":memory:"
        ):
            url = url.set(database=str(self.folder / url.database))
        return url.render_as_string(hide_password=False)

    def _channel(
        self, path: KeyPath, name: str, value: Any, unset: frozenset[KeyPath]
    ) -> Channel | None:
        known_kinds = plugins.kind_names("channels")
        kinds: list[str] = []
        if isinstance(value, dict):
            kinds = [key for key in value if key in known_kinds]
        if len(kinds) != 1:
            self.problems.append(self._not_one_kind(path, value, kinds, known_kinds))
            return None
        model = plugins.load_kind("channels", kinds[0])
        fields = [field.alias or key for key, field in model.model_fields.items() if key != "name"]
        if "name" in value:
            where = f"channel `{name}`"
            self.problems.append(
                validation_errors.unknown_key(self.document, (*path, "name"), fields, where)
            )
            return None
        try:
            return model.model_validate(  # type: ignore[no-any-return]
                {"name": name, **value}, context={"folder": self.folder}
            )
        except ValidationError as error:
            self._refused(path, error, model, f"channel `{name}`", unset)
            return None

    def _not_one_kind(
        self, path: KeyPath, value: Any, kinds: list[str], known_kinds: list[str]
    ) -> Problem:
        name = path[-1]
        if len(kinds) > 1:
            message = f"channel `{name}` is of {len(kinds)} kinds: {', '.join(kinds)}"
            return self.document.problem(
                (*path, kinds[1]), message, "make one channel of each", key=True
            )
        message = f"channel `{name}` does not say of which kind it is"
        for key in value if isinstance(value, dict) else ():
            if near := did_you_mean(key, known_kinds):
                return self.document.problem((*path, key), message, near, key=True)
        return self.document.problem(
            path,
            message,
            f"add one of: {', '.join(known_kinds)}, as in `email: team@example.com`",
            key=True,
        )
