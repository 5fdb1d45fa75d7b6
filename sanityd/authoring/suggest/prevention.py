"""What would have made a violation impossible: a constraint, or how to write the data.

For rules that were violated and repaired. The statements are printed, sanityd never runs them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sanityd.authoring.suggest.constraints import constraint_for
from sanityd.authoring.suggest.ddl import Constraint
from sanityd.checks import planner
from sanityd.checks.invariant import Invariant
from sanityd.errors import CheckError
from sanityd.rules.rule import Rule
from sanityd.sources.base import Snapshot
from sanityd.store.repairs import RepairRecord

_OUTBOX = (
    "Two databases share no transaction: write what the other one needs into an outbox table, in"
    " the transaction that writes the row, and let a worker carry it over until that succeeded."
    " Requests with the id of the row make a repeated one harmless."
)
_TRANSACTION = (
    "No constraint can ask for rows of another table: write both in one transaction. What is sent"
    " to somebody, as a mail, belongs into an outbox table that the same transaction fills."
)
_WHOLE_TABLE = (
    "It is about the table as a whole, and no constraint is. Keep the rule, and let what writes the"
    " table check its own result before it commits."
)
#: For kinds that no constraint can say, what can.
_WORDS = {
    "has": _TRANSACTION,
    "same_as": (
        "Two copies differ as soon as one write of two is lost: let one be derived from the other,"
        " as a view or by a trigger, or carry changes over by an outbox table."
    ),
    "references": (
        "A foreign key needs a unique key in the other table, of the same type: add that first, or"
        " lock the other row (SELECT … FOR SHARE) in the transaction that refers to it."
    ),
    "unique": (
        "Insert with a key that says the same, and a unique index on it: a request id, or the"
        " values as the rule compares them in a column of their own."
    ),
    "no_gaps": (
        "Take the number from a row that is locked (SELECT … FOR UPDATE) in the transaction that"
        " uses it: a sequence leaves a gap when a transaction fails."
    ),
    "no_overlap": (
        "PostgreSQL has constraints for ranges; else lock the group first (SELECT … FOR UPDATE),"
        " look for an overlap, and insert in the same transaction."
    ),
    "increases": "Let the database give the value: an identity column, or now() in a trigger.",
    "transitions": (
        "Change the status with the old one as a condition (UPDATE … WHERE status = 'new'), and"
        " see whether it changed a row; or let a trigger refuse other steps."
    ),
    "acyclic": (
        "Walk up from the new parent in the transaction that sets it, with the rows locked"
        " (SELECT … FOR UPDATE); or let a trigger do so."
    ),
    "columns": "Let migrations alone change tables: take that right from the application's login.",
    "row_count": _WHOLE_TABLE,
    "aggregate": _WHOLE_TABLE,
    "steady": _WHOLE_TABLE,
    "fresh": _WHOLE_TABLE,
}
_OTHER = (
    "No constraint says exactly this for this database. Check it where the data is written, in the"
    " transaction that writes it, and keep the rule."
)
_CLOCK = (
    "A constraint is checked when a row is written and can't follow the clock: let the database set"
    " the time (DEFAULT, or a trigger)."
)


@dataclass(frozen=True, slots=True)
class Prevention:
    """What would have made the violations of a rule impossible."""

    rule: Rule
    #: None for a rule that was never violated.
    record: RepairRecord | None
    #: The constraint that says what the rule says; None where none can.
    constraint: Constraint | None
    #: In words, how to write the data; empty where there are statements.
    advice: str
    #: The constraint that makes it impossible already; empty while there is none.
    proved_by: str = ""


def preventions(
    snapshot: Snapshot, rules: Sequence[Rule], records: Mapping[str, RepairRecord]
) -> Iterator[Prevention]:
    """Iterate over what would prevent violations of the rules of a source, in their order.

    Rules that can't be planned are left out: `lint --connect` says why.
    """
    for rule in rules:
        try:
            yield _prevention(snapshot, rule, records.get(rule.id))
        except CheckError:
            continue


def _prevention(snapshot: Snapshot, rule: Rule, record: RepairRecord | None) -> Prevention:
    invariant = rule.invariant
    if invariant.elsewhere is not None:
        return Prevention(rule, record, None, _OUTBOX)
    proof = planner.plan_check(invariant, snapshot).proof
    if proof is not None:
        return Prevention(rule, record, None, "", proof)
    constraint = constraint_for(invariant, snapshot)
    if constraint is None:
        return Prevention(rule, record, None, _words(invariant))
    return Prevention(rule, record, constraint, "")


def _words(invariant: Invariant) -> str:
    if invariant.check.reads_clock:
        return _CLOCK
    return _WORDS.get(invariant.kind, _OTHER)
