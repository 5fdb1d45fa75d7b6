"""The part of a rule that a database can be asked about, also of a rule with errors."""

from dataclasses import dataclass, field

from sanityd.checks.base import Check
from sanityd.checks.invariant import Invariant, Scan, Subject
from sanityd.rules.evidence import EvidenceQuery
from sanityd.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """The valid parts of one rule, for `lint`. Nothing but `lint` reads drafts; they are never run.

    A part that is not valid is left out: of a rule with an invalid check only the table, the
    condition and the columns remain.
    """

    id: str
    #: The key of the rule in the file: one key for all rules that `for_each` makes.
    name: str
    #: The key of the check in the file; empty when there is none.
    kind: str
    subject: Subject
    #: None when the check is not valid, or must not be shown to a database.
    check: Check | None
    scan: Scan = field(default_factory=Scan)
    #: Columns that are named in options which are otherwise invalid.
    columns: tuple[str, ...] = ()
    #: Whether check and subject say what the file says: nothing is corrected or left out.
    is_exact: bool = True
    #: The valid queries of `evidence`.
    evidence: tuple[EvidenceQuery, ...] = ()

    @classmethod
    def of(cls, rule: Rule) -> "RuleDraft":
        """The draft of a valid rule."""
        invariant = rule.invariant
        return cls(
            id=rule.id,
            name=rule.written,
            kind=invariant.kind,
            subject=invariant.subject,
            check=invariant.check,
            scan=invariant.scan,
            evidence=rule.evidence,
        )

    @property
    def source(self) -> str:
        """The name of its source."""
        return self.subject.source

    @property
    def invariant(self) -> Invariant | None:
        """The invariant, without what a database need not know; None without a check."""
        if self.check is None:
            return None
        return Invariant(
            id=self.id, kind=self.kind, check=self.check, subject=self.subject, scan=self.scan
        )
