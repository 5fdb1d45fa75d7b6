"""`sanityd.open`: a rules file with its store, for programs. Reading never writes."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection

from sanityd import clock
from sanityd.api import one_pass, queries
from sanityd.api.announced import Announcement
from sanityd.api.one_pass import Observer
from sanityd.api.results import (
    CheckOutcome,
    HistoryEvent,
    IncidentRecord,
    RuleState,
    StatusReport,
    ViolatingRow,
)
from sanityd.api.rule_results import rule_results
from sanityd.errors import SanitydError, UnknownRuleError
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules import env_file as env_files
from sanityd.rules.load import load
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store.open import Store

#: How far back `history` and `incidents` go.
DEFAULT_SINCE = timedelta(days=30)
AnswerT = TypeVar("AnswerT")


class Monitor:
    """A rules file with its store. Made by `sanityd.open`; a context manager.

    The file is read once; open it again to see its changes. It may be used by several threads.
    """

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._environment = environment
        # Reading needs no password of a mail server.
        self._rules = load(path, environment, need_secrets=False)
        self._reader: Store | None = None
        self._is_closed = False
        #: Held while the reader is opened or closed.
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give back all connections. Further calls raise SanitydError."""
        with self._lock:
            self._is_closed = True
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of all rules, in the order of the file."""
        return tuple(self._rules.rules)

    def violations(self, rule: str, *, resolved: bool = False) -> tuple[ViolatingRow, ...]:
        """Return the rows that violate a rule, the oldest first.

        Parameters: `rule` is the id of a rule or of an incident; with `resolved`, rows are returned
        that violated it before, too. Of very many rows only some are tracked;
        `IncidentRecord.violations` is the exact number. Raises UnknownRuleError and StoreError.
        """
        return self._read(
            lambda connection: queries.rows(connection, self._rules, rule, clock.now(), resolved),
            (),
            rule,
        )

    def incidents(
        self,
        rule: str | None = None,
        *,
        resolved: bool = False,
        since: timedelta = DEFAULT_SINCE,
    ) -> tuple[IncidentRecord, ...]:
        """Return what is open, the oldest first: violated rules, faults, sources that are down.

        Parameters: `rule` limits it to one rule (or `source:NAME`); with `resolved`, incidents that
        ended are returned, too, if they were open within the time `since`. Raises UnknownRuleError
        and StoreError.
        """
        at = clock.now()
        begin = at - since if resolved else None
        return self._read(
            lambda connection: queries.incidents_of(connection, self._rules, rule, at, begin),
            (),
            rule,
        )

    def history(
        self,
        about: str | ViolatingRow | IncidentRecord | None = None,
        *,
        key: Mapping[str, object] | None = None,
        since: timedelta = DEFAULT_SINCE,
    ) -> tuple[HistoryEvent, ...]:
        """Return what happened, oldest first: incidents, decisions, mails, changes of rows.

        Parameters: `about` is a row of `violations`, an incident, or the id of a rule or incident;
        None for all rules. `key` limits a rule to the row with that key. A row and an incident have
        all that is known of them; otherwise `since` is how far back. Raises UnknownRuleError and
        StoreError.
        """
        name = _name_of(about)
        row_key = about.key if isinstance(about, ViolatingRow) else key
        if row_key is not None and name is None:
            raise SanitydError("a key needs its rule", 'Name it: `history("RULE", key={"id": 7})`.')
        if not isinstance(since, timedelta):
            raise SanitydError("`since` is no timedelta", "As in `since=timedelta(days=7)`.")
        at = clock.now()
        return self._read(
            lambda connection: queries.events(
                connection, self._rules, name, row_key, at, at - since
            ),
            (),
            name,
        )

    def status(self) -> StatusReport:
        """Return what is violated, what is not known, and whether sanityd itself works.

        A rule that was never checked is `unverified`, also where there is no store yet. Raises
        StoreError.
        """
        at = clock.now()
        never = [RuleState(rule.id, "unverified") for rule in self._rules.enabled()]
        return self._read(
            lambda connection: queries.status(connection, self._rules, at),
            StatusReport(at, tuple(never), ()),
        )

    def check(
        self,
        rules: Sequence[str] = (),
        *,
        tags: Sequence[str] = (),
        sources: Sequence[str] = (),
        record: bool = True,
    ) -> CheckOutcome:
        """Make one pass, as `sanityd check` does: evaluate, record, notify, deliver.

        It waits for rechecks (`confirm`) and for the mail server, at most 30 seconds each time.

        Parameters: `rules` are ids, `tags` and `sources` narrow them; all enabled rules without
        any. With `record=False` nothing is recorded or mailed. Raises UnknownRuleError, RuleError
        when a variable of the file is not set, and StoreError. A rule that can't be checked raises
        nothing: it is in `CheckOutcome.unknown`.
        """
        self._check_open()
        loaded = load(self._path, self._environment)
        selected = _selected(loaded, rules, tags, sources)
        at = clock.now()
        observer = Observer()
        if not record:
            results = one_pass.dry(loaded, selected, at, observer)
            code = one_pass.exit_code(results, None, 0)
            return CheckOutcome(at, rule_results(results), code)
        store = self._open_store(loaded)
        try:
            done = one_pass.recorded(
                loaded,
                store,
                at,
                observer,
                lambda _: selected,
                is_complete=not (rules or tags or sources),
            )
        finally:
            store.close()
        return CheckOutcome(at, rule_results(done.results), done.code, done.waiting)

    def expecting(
        self,
        ticket: str,
        *,
        rules: Iterable[str] = (),
        tables: Iterable[str] = (),
        for_: str | timedelta,
        reason: str,
        by: str | None = None,
    ) -> Announcement:
        """Announce a mass change, as an import: one fault of its ticket, and one mail.

        Parameters: see `sanityd.expecting`; `rules` are ids, in which `*` stands for any
        characters. Returns a context manager, which announces the change at its beginning.
        """
        self._check_open()
        return Announcement(self._rules, self._open_store, ticket, rules, tables, for_, reason, by)

    def _read(
        self,
        question: Callable[[Connection], AnswerT],
        without_store: AnswerT,
        name: str | None = None,
    ) -> AnswerT:
        """Return the answer of the store, or `without_store` where there is none yet.

        Raises UnknownRuleError for a `name` that the rules file does not have in that case.
        """
        with self._existing_store() as connection:
            if connection is not None:
                return question(connection)
        if name is not None:
            queries.check_name(self._rules, name)
        return without_store

    @contextmanager
    def _existing_store(self) -> Iterator[Connection | None]:
        with self._lock:
            self._check_open()
            if self._reader is None:
                self._reader = Store.existing(self._url(self._rules), self._rules.folder)
            reader = self._reader
        if reader is None:
            yield None
            return
        with reader.read() as connection:
            yield connection

    def _open_store(self, rules: RuleSet) -> Store:
        return Store.open(self._url(rules), rules.folder)

    def _url(self, rules: RuleSet) -> str | None:
        return self._environment.get("SANITYD_STATE") or rules.state

    def _check_open(self) -> None:
        if self._is_closed:
            raise SanitydError("it is closed", "Open the rules file again, with `sanityd.open`.")


def open_rules(
    rules: str | Path = "rules.yaml",
    *,
    env_file: str | Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Monitor:
    """Open a rules file, or a folder of them, with its store.

    Parameters: `env_file` is a file of variables, as `.env`; those of the process win over it, and
    those of `env` over both. Raises RuleError with every problem of the files.
    """
    environment = dict(os.environ)
    if env_file is not None:
        environment = env_files.read(Path(env_file)) | environment
    return Monitor(Path(rules), environment | dict(env or {}))


def expecting(  # noqa: PLR0913 (those of `open`, and of the change)
    ticket: str,
    *,
    rules: str | Path = "rules.yaml",
    rule_ids: Iterable[str] = (),
    tables: Iterable[str] = (),
    for_: str | timedelta,
    reason: str,
    by: str | None = None,
    env_file: str | Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Announcement:
    """Announce a mass change, as an import: it is one fault of its ticket, and one mail.

    Until the end, rules are checked as always. What the rules of the change find belongs to the
    ticket; its mail comes when the time is over. What is critical is mailed at once, too. It ends
    by its time, also when the block raises or the process is killed.

    Parameters: `rules`, `env_file` and `env` as in `open`; the change concerns the rules
    `rule_ids`, in which `*` stands for any characters, and those that read one of the `tables`
    (`source.table`); `for_` is how long, as `2h` or a timedelta: it must leave time for the rules
    to be checked afterwards; `by` is who announces it (SANITYD_AUTHOR, else the login name).
    Entering the block raises RuleError, StoreError, and SanitydError for an unknown name or end.
    """
    monitor = open_rules(rules, env_file=env_file, env=env)
    return monitor.expecting(ticket, rules=rule_ids, tables=tables, for_=for_, reason=reason, by=by)


def _name_of(about: str | ViolatingRow | IncidentRecord | None) -> str | None:
    """Return the id of the rule or incident; None for all rules."""
    if isinstance(about, IncidentRecord):
        return about.id
    if isinstance(about, ViolatingRow):
        return about.rule
    if about is not None and not isinstance(about, str):
        raise SanitydError(
            f"there is no history of a `{type(about).__name__}`",
            "Ask for a rule or an incident by its id, or pass what sanityd returned.",
        )
    return about


def _selected(
    rules: RuleSet, names: Sequence[str], tags: Sequence[str], sources: Sequence[str]
) -> list[Rule]:
    """Return the rules to check; one that is named is checked even if it is disabled.

    Raises UnknownRuleError for a name, tag or source that does not exist: a check of no rules would
    look like success.
    """
    _check_words("rule", names, rules.rules)
    _check_words("tag", tags, rules.tags)
    _check_words("source", sources, rules.sources)
    candidates = [rules.rules[name] for name in names] or list(rules.enabled())
    return [rule for rule in candidates if rule.is_of(tags, sources)]


def _check_words(kind: str, words: Sequence[str], existing: Iterable[str]) -> None:
    if isinstance(words, str):
        raise SanitydError(f"the {kind}s are a text", f'Write a list: `["{words}"]`.')
    candidates = set(existing)
    for word in words:
        if word not in candidates:
            hint = did_you_mean(word, candidates) or None
            raise UnknownRuleError(f"there is no {kind} `{word}`", hint)
