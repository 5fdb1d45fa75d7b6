"""Every exception of sanityd, one branch for each person who must act.

    SanitydError(message, hint)
    ├── RuleError       the author of the rules: file, line, column; all problems at once
    ├── CheckError      the operator: this rule could not be evaluated, which says nothing about the data
    ├── SourceError     the operator: this database does not answer, so its rules are skipped
    ├── StoreError      the operator: sanityd's own memory can't be read or written
    ├── WebError        the operator: the web server can't be started
    └── DeliveryError   the dispatcher: wait and try again, or give up aloud

No message carries a row's value, a password or a connection URL; drivers' own texts are never passed on unread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class SanitydError(Exception):
    """Something went wrong that a person can act upon.

    Parameters: `message` says what and why; `hint` says what to do, and defaults to the class's own.
    """

    hint = "Run the command again with `--log debug`, and report it if this is not clear."

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint

    @property
    def has_advice(self) -> bool:
        """Whether it says itself what to do, and not only what its class says of all alike."""
        return self.hint != type(self).hint


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a rules file, at a place that people can open in an editor (1-based)."""

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
    """The rules file is wrong. Carries all of its problems, in the order of the file."""

    hint = "Correct the rules file; `sanityd lint` shows every problem with its place."

    def __init__(self, problems: Sequence[Problem] | str, hint: str | None = None) -> None:
        self.problems = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(problem.message for problem in self.problems), hint)


class CheckError(SanitydError):
    """A rule could not be evaluated: its run is `errored`, and nothing is opened or resolved by it.

    Parameters: `word` is the name in the rule that is to blame, where one is; `lint --connect` points at it. `there`
    says that it is a name of the other table that the rule looks into.
    """

    hint = "Run `sanityd try RULE` to see its SQL and what the database answers."

    def __init__(
        self, message: str, hint: str | None = None, *, word: str | None = None, there: bool = False
    ) -> None:
        super().__init__(message, hint)
        self.word = word
        self.there = there


class SourceError(SanitydError):
    """A watched database could not be reached or was lost: its rules are skipped, and nothing is resolved.

    Parameters: `source` is its name in the rules file.
    """

    hint = "Check that the database answers and that its URL and rights are right: `sanityd lint --connect`."

    def __init__(self, message: str, hint: str | None = None, *, source: str = "") -> None:
        super().__init__(message, hint)
        self.source = source


class StoreError(SanitydError):
    """sanityd's own memory can't be read or written: nothing was recorded, nothing was mailed."""

    hint = (
        "Check the path or URL of `state:` (or SANITYD_STATE), its rights and the free disk space."
    )


class WebError(SanitydError):
    """The web server can't be started."""

    hint = (
        "Give `--web` an address of this machine and a port that is free, as in `127.0.0.1:8080`."
    )


class DeliveryError(SanitydError):
    """A message was not delivered, or it is not known whether it was.

    Parameters: `retryable` is False when the receiver refused for good; `uncertain` is True when the whole message
    was handed over and the answer was lost; `stage` is the step that failed (`connect`, `tls`, `login`, `from`,
    `recipient`, `data`, `answer`); `code` is the receiver's reply code, if it gave one.
    """

    hint = "Check the channel's `server`, its rights and its recipients; `sanityd status` lists what is undelivered."

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
