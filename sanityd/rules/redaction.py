"""`redact: hash` of a rule → how its keys are hidden, with the secret from the environment.

The secret is never printed.
"""

import secrets
from collections.abc import Mapping

from sanityd.checks.base import Check
from sanityd.checks.redaction import Redaction
from sanityd.errors import Problem
from sanityd.rules.spec import Defaults, RuleSpec
from sanityd.rules.yaml.rules_document import Document

#: The environment variable of the secret.
SECRET = "SANITYD_REDACT_KEY"  # noqa: S105 (the name of the variable)
#: How many characters make a secret that can't be guessed.
MIN_LENGTH = 16


class RedactionKeys:
    """Decides which rules of a file hide their keys. Collects problems and warnings on the way.

    A missing secret is reported once.
    """

    def __init__(
        self, document: Document, environment: Mapping[str, str], need_secrets: bool
    ) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._document = document
        self._secret = environment.get(SECRET, "")
        self._need_secrets = need_secrets
        self._is_reported = False

    def of_rule(
        self, name: str, spec: RuleSpec, check: Check, defaults: Defaults
    ) -> Redaction | None:
        """Return how a rule's keys are hidden; None when they aren't."""
        if (spec.redact or defaults.redact) != "hash":
            return None
        path: tuple[str, ...] = ("defaults", "redact")
        if spec.redact is not None:
            path = ("rules", name, "redact")
        if not check.quotes_rows:
            if spec.redact is not None:
                self._report_meaningless(path, check)
            return None
        if spec.scan is not None and spec.scan.column:
            self._report_scan(("rules", name, "scan"))
        if spec.evidence:
            self._report_evidence(("rules", name, "evidence"))
        return Redaction(self._rule_secret(path, spec).encode("utf-8", "surrogateescape"))

    def _rule_secret(self, path: tuple[str, ...], spec: RuleSpec) -> str:
        """Return the secret of the environment. Reports when it is missing or too short.

        Without one, the secret is random: no key may leave the database in clear text.
        """
        if len(self._secret) >= MIN_LENGTH:
            return self._secret
        if spec.enabled and not self._is_reported:
            self._is_reported = True
            self._report_secret(path)
        return secrets.token_hex()

    def _report_meaningless(self, path: tuple[str, ...], check: Check) -> None:
        message = (
            f"`redact` has no meaning for `{check.kind}`, whose violations hold no value of a row"
        )
        self._report(path, message, "take it out")

    def _report_scan(self, path: tuple[str, ...]) -> None:
        message = (
            "`scan: new rows` can't be with `redact: hash`: it looks for known rows by their keys"
        )
        self._report(path, message, "take it out, or say `redact: no`")

    def _report_evidence(self, path: tuple[str, ...]) -> None:
        message = "`evidence` can't be with `redact: hash`: it is looked up by the keys of rows"
        self._report(path, message, "take it out, or say `redact: no`")

    def _report_secret(self, path: tuple[str, ...]) -> None:
        message = f"the environment variable `{SECRET}` is not set"
        if self._secret:
            message = f"the environment variable `{SECRET}` has less than {MIN_LENGTH} characters"
        advice = (
            "`redact: hash` needs a long random secret: "
            "make one with `openssl rand -hex 32`, and keep it"
        )
        if self._need_secrets:
            self._report(path, message, advice)
        else:
            warning = self._document.problem(path, message, advice, key=True, level="warning")
            self.warnings.append(warning)

    def _report(self, path: tuple[str, ...], message: str, advice: str) -> None:
        problem = self._document.problem(path, message, advice, key=True)
        # A rule that `for_each` makes several of stands in the file once.
        if problem not in self.problems:
            self.problems.append(problem)
