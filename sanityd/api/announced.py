"""`sanityd.expecting`: an application announces the mass change that it begins."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from sanityd import clock
from sanityd.errors import SanitydError, StoreError
from sanityd.model import AnnouncedChange
from sanityd.model.durations import parse_duration
from sanityd.notifications import announcements
from sanityd.notifications.author import author_name
from sanityd.rules.rule import RuleSet
from sanityd.store.open import Store


class Announcement:
    """An announced mass change, as a context manager; see `sanityd.expecting`.

    The change is announced when the block begins. When it ends, the audit says whether it finished
    or failed; the announcement goes on until its time, so that the next run of the rules is in it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (each is a part of the announcement)
        self,
        rules: RuleSet,
        open_store: Callable[[RuleSet], Store],
        ticket: str,
        names: Iterable[str],
        tables: Iterable[str],
        length: str | timedelta,
        reason: str,
        author: str | None,
    ) -> None:
        self._rules = rules
        self._open_store = open_store
        self._ticket = _text("ticket", ticket)
        self._names = _texts("rules", names)
        self._tables = _texts("tables", tables)
        self._length = _duration(length)
        self._reason = _text("reason", reason)
        self._author = _text("by", author_name(author))
        self._change: AnnouncedChange | None = None

    def __enter__(self) -> Self:
        """Announce the change. Raises StoreError and SanitydError: then nothing may begin."""
        at = clock.now()
        requested = AnnouncedChange(
            id=0,
            ticket=self._ticket,
            author=self._author,
            reason=self._reason,
            rules=self._names,
            tables=self._tables,
            starts=at,
            until=at + self._length,
        )
        store = self._open_store(self._rules)
        try:
            with store.write() as connection:
                self._change = announcements.announce(connection, self._rules, requested)
        finally:
            store.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say in the audit how the block ended; an error in it is raised in any case."""
        action = "finished" if kind is None else "failed in"
        try:
            self._note(action)
        except StoreError:
            # The announcement ends by its time; the work itself must not fail for this.
            return

    @property
    def number(self) -> int:
        """Its number, as `sanityd expect --list` shows it. Raises SanitydError before it began."""
        return self._begun().id

    @property
    def until(self) -> datetime:
        """When it ends by itself. Raises SanitydError before it began."""
        return self._begun().until

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that it concerns. Raises SanitydError before it began."""
        return self._begun().rules

    def end(self, reason: str = "it is done") -> None:
        """End it before its time: what it kept back is mailed at the next pass.

        Parameters: `reason` is why, as the audit tells it. Raises StoreError, and SanitydError when
        it is over already or the reason is empty.
        """
        change = self._begun()
        store = self._open_store(self._rules)
        try:
            with store.write() as connection:
                announcements.end(connection, change.id, change.author, reason, clock.now())
        finally:
            store.close()

    def _note(self, action: str) -> None:
        store = self._open_store(self._rules)
        try:
            with store.write() as connection:
                announcements.note(connection, self._begun(), clock.now(), action)
        finally:
            store.close()

    def _begun(self) -> AnnouncedChange:
        if self._change is None:
            raise SanitydError("the change is not announced yet", "Use it in a `with` statement.")
        return self._change


def _texts(name: str, words: Iterable[str]) -> tuple[str, ...]:
    """Return a list of texts. Raises SanitydError for anything else."""
    if isinstance(words, str):
        raise SanitydError(f"`{name}` is a text", f'Write a list: `{name}=["{words}"]`.')
    return tuple(_text(name, word) for word in words)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        kind = type(value).__name__
        raise SanitydError(f"`{name}` must be text, and is of type `{kind}`", "Write it in quotes.")
    return value


def _duration(length: object) -> timedelta:
    """Return a length of time. Raises SanitydError for anything else."""
    if isinstance(length, timedelta):
        return length
    if not isinstance(length, str):
        raise SanitydError("`for_` is neither a text nor a timedelta", "As in `for_='2h'`.")
    try:
        return parse_duration(length)
    except ValueError as error:
        raise SanitydError(f"`for_` is not a duration: {error}", "As in `for_='2h'`.") from None
