"""What changed in the rules file, and by whom, for the audit; and its errors, for its owners.

Changes are found by comparison with the audit, so that neither a restart nor another process that
reads the same file reports one twice.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from sanityd import lifecycle
from sanityd.errors import Problem, RuleError
from sanityd.model import Cause, file_rule_id
from sanityd.rules import adopted
from sanityd.rules.provenance import provenance
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import adopted_rules, audit, incidents, outbox
from sanityd.store.adopted_rules import AdoptedRules
from sanityd.store.audit import AuditEntry
from sanityd.store.open import Store

_ADDED, _CHANGED, _REMOVED = audit.RULE_CHANGES


def adopt(rules: RuleSet, store: Store, at: datetime) -> Mapping[str, int]:
    """Append to the audit which rules changed, and resolve the incident of the file's errors.

    The rules are kept in the store, for commands that need them while the file has errors.

    Returns the number of rules by how they changed. Raises StoreError.
    """
    imprints = {rule.id: imprint(rule) for rule in rules.rules.values()}
    with store.read() as connection:
        changes = _changes(audit.last_rule_changes(connection, rules.name), imprints)
        wrong_file = incidents.open_for(connection, _subject(rules), Cause.RULES_WRONG)
        is_kept = adopted_rules.revision(connection, rules.name) == rules.revision
    if not is_kept:
        _keep(rules, store, at)
    if not changes and wrong_file is None:
        return {}
    # Git is slow, so it is asked only now, and outside of a transaction.
    author = provenance(rules.path)
    reason = f"revision {rules.revision}"
    if author.commit:
        reason += f", commit {author.commit}"
    with store.write() as connection:
        # Compared again: another process may have been first.
        changes = _changes(audit.last_rule_changes(connection, rules.name), imprints)
        entries = []
        for rule, (action, mark) in changes.items():
            detail = {
                "file": rules.name,
                "print": mark,
                "revision": rules.revision,
                "commit": author.commit,
            }
            entries.append(AuditEntry(author.author, action, reason, rule, detail=detail))
        audit.append_all(connection, at, entries)
        _save_incident(connection, rules, "", "", at)
    return Counter(action for action, _ in changes.values())


def _keep(rules: RuleSet, store: Store, at: datetime) -> None:
    path = str(rules.path.resolve())
    kept = AdoptedRules(rules.name, path, rules.revision, adopted.content(rules), at)
    with store.write() as connection:
        adopted_rules.save(connection, kept)


def report_wrong_file(
    rules: RuleSet, problems: Sequence[Problem], store: Store, at: datetime
) -> None:
    """Open the incident of the file's errors, or keep it. Raises StoreError."""
    first, more = problems[0], len(problems) - 1
    error = first.message
    if first.path and first.line:
        error = f"{first.path.name}:{first.line}:{first.column}: {error}"
    if more:
        error += f" (and {more:,} more)"
    with store.write() as connection:
        _save_incident(connection, rules, error, first.advice or RuleError.hint, at)


def imprint(rule: Rule) -> str:
    """Return a hash of all that the file says of a rule, but not of its position in the file."""
    invariant = rule.invariant
    parts = (
        rule.meaning,
        invariant.ladder,
        invariant.cap,
        invariant.confirm,
        invariant.scan,
        str(rule.schedule),
        rule.notify,
        rule.owner,
        rule.tags,
        rule.why,
        rule.fix,
        rule.enabled,
        rule.on_error,
        rule.depends_on,
        rule.noise,
        invariant.subject.show,
    )
    # The stored hash contains the name that the class had in earlier versions.
    text = repr(parts).replace("LadderStep(", "Step(") + rule.summary
    # Options that came later are only in it where they are set, so that no other rule changes.
    text += "".join(map(repr, filter(None, (invariant.confirm.lasting, rule.keep_open))))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _save_incident(
    connection: Connection, rules: RuleSet, error: str, hint: str, at: datetime
) -> None:
    """Open, keep or resolve the incident of the file; it is resolved when `error` is empty."""
    subject = _subject(rules)
    before = incidents.open_for(connection, subject, Cause.RULES_WRONG)
    after = lifecycle.rules_wrong_after(before, subject, error, hint, at)
    if after is None or after == before:
        return
    incidents.save(connection, after)
    if after.resolved_at is not None:
        outbox.cancel_pending(connection, after.id, at)


def _subject(rules: RuleSet) -> str:
    return file_rule_id(rules.named or rules.path.name)


def _changes(
    audited: Mapping[str, tuple[str, str]], imprints: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Return the action and the imprint of each rule that is not as it was audited last."""
    before = {rule: mark for rule, (action, mark) in audited.items() if action != _REMOVED}
    changes = {}
    for rule, mark in imprints.items():
        if rule not in before:
            changes[rule] = (_ADDED, mark)
        elif before[rule] != mark:
            changes[rule] = (_CHANGED, mark)
    for rule in before.keys() - imprints.keys():
        changes[rule] = (_REMOVED, "")
    return changes
