"""`redact: hash` of a rule → the digests its keys become, with the secret from the environment. Never prints it."""

import secrets
from collections.abc import Mapping

from sanityd.checks.base import Check
from sanityd.checks.redaction import Redaction
from sanityd.errors import Problem
from sanityd.rules.spec import Defaults, RuleSpec
from sanityd.rules.yaml.rules_document import Document

#: Where the secret comes from, and how many characters are enough not to be guessed.
SECRET, LEAST = "SANITYD_REDACT_KEY", 16


class RedactionKeys:
    """Which rules of a file hide their keys. Collects problems and warnings on the way; a wrong secret is told once."""

    def __init__(
        self, document: Document, environment: Mapping[str, str], need_secrets: bool
    ) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._document = document
        self._secret = environment.get(SECRET, "")
        self._need_secrets = need_secrets
        self._told = False

    def of_rule(
        self, name: str, spec: RuleSpec, check: Check, defaults: Defaults
    ) -> Redaction | None:
        """How a rule's keys are hidden; None when they aren't."""
        own = spec.redact is not None
        place = ("rules", name, "redact") if own else ("defaults", "redact")
        if (spec.redact or defaults.redact) != "hash":
            return None
        if not check.quotes_rows:
            if own:
                message = f"`redact` has no meaning for `{check.kind}`, whose violations hold no value of a row"
                self._problem(place, message, "take it out")
            return None
        if spec.scan is not None and spec.scan.column:
            message = "`scan: new rows` can't be with `redact: hash`: it looks for known rows by their keys"
            self._problem(("rules", name, "scan"), message, "take it out, or say `redact: no`")
        if len(self._secret) < LEAST and spec.enabled and not self._told:
            self._told = True
            self._without_secret(place)
        # A secret of the moment where there is none: whatever is done with such rules, nothing leaves in clear.
        usable = self._secret if len(self._secret) >= LEAST else secrets.token_hex()
        return Redaction(usable.encode("utf-8", "surrogateescape"))

    def _without_secret(self, place: tuple[str, ...]) -> None:
        message = f"the environment variable `{SECRET}` is not set"
        if self._secret:
            message = f"the environment variable `{SECRET}` has less than {LEAST} characters"
        advice = "`redact: hash` needs a long random secret: make one with `openssl rand -hex 32`, and keep it"
        if self._need_secrets:
            self._problem(place, message, advice)
        else:
            self.warnings.append(
                self._document.problem(place, message, advice, key=True, level="warning")
            )

    def _problem(self, place: tuple[str, ...], message: str, advice: str) -> None:
        problem = self._document.problem(place, message, advice, key=True)
        # A rule that `for_each` makes several of stands in the file once.
        if problem not in self.problems:
            self.problems.append(problem)
