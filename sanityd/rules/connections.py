"""The sections of a rules file that reach out: sources, channels, state. Here secrets come in, and never out again."""

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
    """Reads the sections one by one and collects problems and warnings on the way."""

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
        """sqlglot's name of the source's dialect; None when it isn't known (yet)."""
        return self._dialects.get(source)

    def sources(self, raw: Mapping[str, Any]) -> dict[str, SourceSettings]:
        """The sources by name. Those whose variables aren't set are left out where that is only a warning."""
        self.source_names = {str(name) for name in raw}
        settings: dict[str, SourceSettings] = {}
        for name, value in raw.items():
            place: KeyPath = ("sources", name)
            self._check_name(place, name)
            if value is None:
                self._say_empty(
                    place, f"source `{name}`", "write its URL, or a mapping with `url` or `files`"
                )
                continue
            filled, unset = self._filled(place, {"url": value} if isinstance(value, str) else value)
            spec = self._source_spec(place, name, filled, unset)
            if spec is None or unset:
                continue
            if (url := self._url((*place, "url"), FILES if spec.url is None else spec.url)) is None:
                continue
            if (dialect := dialect_of(url)) is None:
                advice = "sanityd reads SQLite, DuckDB, PostgreSQL and MariaDB or MySQL"
                self.problems.append(
                    self.document.problem(place, f"source `{name}` is of an unknown kind", advice)
                )
                continue
            self._dialects[name] = dialect
            settings[name] = SourceSettings(
                name,
                url,
                spec.statement_timeout,
                spec.lock_timeout,
                spec.connections,
                spec.zone,
                tuple(spec.files or ()),
                self.folder,
            )
        return settings

    def channels(self, raw: Mapping[str, Any]) -> dict[str, Channel]:
        """The channels by name; the key that names its kind is the file of the channel."""
        self.channel_names = {str(name) for name in raw}
        channels: dict[str, Channel] = {}
        for name, value in raw.items():
            place: KeyPath = ("channels", name)
            self._check_name(place, name)
            if value is None:
                kinds = ", ".join(plugins.names("channels"))
                self._say_empty(place, f"channel `{name}`", f"write a mapping with one of: {kinds}")
                continue
            filled, unset = self._filled(place, value)
            if (channel := self._channel(place, name, filled, unset)) is not None:
                channels[name] = channel
        return channels

    def state(self, value: Any) -> str | None:
        """The URL of the store, made absolute; None when the file doesn't say."""
        if value is None:
            return None
        if not isinstance(value, str):
            self.problems.append(
                self.document.problem(
                    ("state",), "`state` must be a URL", "write `sqlite:///state.db`"
                )
            )
            return None
        filled, unset = self._filled(("state",), value)
        return None if unset else self._url(("state",), filled)

    def _check_name(self, place: KeyPath, name: str) -> None:
        if not NAME.fullmatch(name):
            message = f"`{name}` is not a name"
            advice = "write small letters, digits, `-` and `_`"
            self.problems.append(self.document.problem(place, message, advice, key=True))

    def _say_empty(self, place: KeyPath, what: str, advice: str) -> None:
        self.problems.append(self.document.problem(place, f"{what} says nothing", advice, key=True))

    def _filled(self, place: KeyPath, value: Any) -> tuple[Any, frozenset[KeyPath]]:
        """The value with its variables replaced, and the places of those that couldn't be, after saying so."""
        unset: set[KeyPath] = set()
        for path, text in secrets.texts(value):
            where = (*place, *path)
            try:
                value = secrets.replaced(value, path, secrets.fill(text, self.environment))
            except secrets.UnsetError as error:
                unset.add(where)
                for name in error.names:
                    self._is_unset(where, name)
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

    def _is_unset(self, place: KeyPath, name: str) -> None:
        message = f"the environment variable `{name}` is not set"
        advice = f"export it, or write `${{{name}:-default}}`"
        level = "error" if self.need_secrets else "warning"
        problem = self.document.problem(place, message, advice, word=name, level=level)
        (self.problems if self.need_secrets else self.warnings).append(problem)

    def _warn_of_plain_password(self, place: KeyPath, text: str) -> None:
        if re.match(r"[a-z][a-z0-9+]*://[^/@:]*:(?!\$\{)[^@/]+@", text):
            message = "a password stands in the rules file"
            advice = "write it as `${NAME}`, from the environment"
            self.warnings.append(self.document.problem(place, message, advice, level="warning"))

    def _source_spec(
        self, place: KeyPath, name: str, value: Any, unset: frozenset[KeyPath]
    ) -> SourceSpec | None:
        try:
            return SourceSpec.model_validate(value)
        except ValidationError as error:
            self._refused(place, error, SourceSpec, f"source `{name}`", unset)
            return None

    def _refused(
        self,
        place: KeyPath,
        error: ValidationError,
        model: type[BaseModel],
        where: str,
        unset: frozenset[KeyPath],
    ) -> None:
        """Keep what is wrong, but for values that aren't known as a variable isn't set."""
        known = {self.document.mark(path) for path in unset}
        found = validation_errors.problems(
            self.document, place, error, model, where, incomplete=bool(unset)
        )
        marks = {(mark.path, mark.line, mark.column) for mark in known}
        self.problems += [one for one in found if (one.path, one.line, one.column) not in marks]

    def _url(self, place: KeyPath, text: str) -> str | None:
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            advice = "write a SQLAlchemy URL, as in `postgresql://user:${PASSWORD}@host/database`"
            self.problems.append(self.document.problem(place, "this is not a database URL", advice))
            return None
        if (
            url.get_backend_name() in ("sqlite", "duckdb")
            and url.database
            and url.database != ":memory:"
        ):
            url = url.set(database=str(self.folder / url.database))
        return url.render_as_string(hide_password=False)

    def _channel(
        self, place: KeyPath, name: str, value: Any, unset: frozenset[KeyPath]
    ) -> Channel | None:
        known = plugins.names("channels")
        kinds = [key for key in value if key in known] if isinstance(value, dict) else []
        if len(kinds) != 1:
            self.problems.append(self._not_one_kind(place, value, kinds, known))
            return None
        model = plugins.lookup("channels", kinds[0])
        fields = [field.alias or key for key, field in model.model_fields.items() if key != "name"]
        if "name" in value:
            where = f"channel `{name}`"
            self.problems.append(
                validation_errors.unknown_key(self.document, (*place, "name"), fields, where)
            )
            return None
        try:
            return model.model_validate({"name": name, **value}, context={"folder": self.folder})  # type: ignore[no-any-return]
        except ValidationError as error:
            self._refused(place, error, model, f"channel `{name}`", unset)
            return None

    def _not_one_kind(
        self, place: KeyPath, value: Any, kinds: list[str], known: list[str]
    ) -> Problem:
        say, name = self.document.problem, place[-1]
        if len(kinds) > 1:
            message = f"channel `{name}` is of {len(kinds)} kinds: {', '.join(kinds)}"
            return say((*place, kinds[1]), message, "make one channel of each", key=True)
        message = f"channel `{name}` does not say of which kind it is"
        for key in value if isinstance(value, dict) else ():
            if near := did_you_mean(key, known):
                return say((*place, key), message, near, key=True)
        return say(
            place,
            message,
            f"add one of: {', '.join(known)}, as in `email: team@example.com`",
            key=True,
        )
