"""The exceptions of sanityd, one branch for each person or part that has to act.

    SanitydError(message, hint)
    ├── RuleError       author of the rules: file, line and column of all problems at once
    ├── CheckError      operator: a rule can't be evaluated, which says nothing about the data
    ├── SourceError     operator: a watched database does not answer, so its rules are skipped
    ├── UnknownRuleError  caller: there is no rule, incident, tag or source of that name
    ├── StoreError      operator: sanityd's own database (`state:`) can't be read or written
    ├── WebError        operator: the web server can't be started
    └── DeliveryError   dispatcher: retry later, or give up and report it

No message contains a value of a row, a password or a connection URL. Messages of drivers are only
passed on where they are known to contain none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class SanitydError(Exception):
    """Base of all errors that a person can act on.

    Parameters: `message` says what is wrong and why; `hint` says what to do, and defaults to the
    hint of the class.
    """

    hint = "Run the command again with `--log debug`, and report it if this is not clear."

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint

    @property
    def has_own_hint(self) -> bool:
        """Whether it has a hint of its own, not only the one of its class."""
        return self.hint != type(self).hint


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a rules file, with its position (line and column start at 1)."""

    message: str
    advice: str = ""
    path: Path | None = None
    line: int = 0
    column: int = 0
    length: int = 1
    source_line: str = ""
    #: `error` or `warning`.
    level: str = "error"


class RuleError(SanitydError):
    """Error of a rules file. `problems` are all of its problems, in the order of the file."""

    hint = "Correct the rules file; `sanityd lint` shows every problem with its place."

    def __init__(self, problems: Sequence[Problem] | str, hint: str | None = None) -> None:
        self.problems = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(problem.message for problem in self.problems), hint)


class CheckError(SanitydError):
    """Error of a rule that can't be evaluated: its run is `errored`, and opens or resolves nothing.

    Parameters: `word` is the wrong name in the rule, if any; `lint --connect` points at it.
    `there` is True when that name belongs to the other table that the rule reads.
    """

    hint = "Run `sanityd try RULE` to see its SQL and what the database answers."

    def __init__(
        self, message: str, hint: str | None = None, *, word: str | None = None, there: bool = False
    ) -> None:
        super().__init__(message, hint)
        self.word = word
        self.there = there


class SourceError(SanitydError):
    """Error of a watched database that can't be reached or was lost: its rules are skipped.

    Parameters: `source` is its name in the rules file.
    """

    hint = (
        "Check that the database answers and that its URL and rights are right:"
        " `sanityd lint --connect`."
    )

    def __init__(self, message: str, hint: str | None = None, *, source: str = "") -> None:
        super().__init__(message, hint)
        self.source = source


class IdenticalRowsError(SanitydError):
    """Error of a request for one of several rows that are identical in all columns."""

    hint = "`sanityd history RULE` shows how many rows came and went."


class UnknownRuleError(SanitydError):
    """Error of a name that no rule, incident, tag or source has."""

    hint = "`sanityd explain` lists the rules."


class StoreError(SanitydError):
    """Error of sanityd's own database: nothing was recorded, nobody was notified."""

    hint = (
        "Check the path or URL of `state:` (or SANITYD_STATE), its rights and the free disk space."
    )


class StoreUnavailableError(StoreError):
    """Error of a store that can't be used now, and perhaps later: `serve` waits for it."""


class WebError(SanitydError):
    """Error of a web server that can't be started."""

    hint = (
        "Give `--web` an address of this machine and a port that is free, as in `127.0.0.1:8080`."
    )


class DeliveryError(SanitydError):
    """Error of a message that was not, or perhaps not, delivered.

    Parameters: `retryable` is False when the receiver refused for good; `uncertain` is True when
    the whole message was sent but the answer was lost; `stage` is the step that failed (`connect`,
    `hello`, `tls`, `login`, `from`, `recipient`, `data`, `answer`); `code` is the receiver's reply
    code.
    """

    hint = (
        "Check the channel's `server`, its rights and its recipients;"
        " `sanityd status` lists what is undelivered."
    )

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        uncertain: bool = False,
        stage: str = "",
        code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.uncertain = uncertain
        self.stage = stage
        self.code = code
