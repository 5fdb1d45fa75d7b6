"""What changed in the rules file, and by whom, for the audit; and its errors, for its owners.

Changes are found by comparison with the audit, so that neither a restart nor another process that
reads the same file reports one twice.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from sanityd import lifecycle, pipeline
from sanityd.errors import Problem, RuleError
from sanityd.model import Cause, file_rule_id
from sanityd.pipeline.remedies.changed_rules import follow_rule
from sanityd.rules import adopted
from sanityd.rules.provenance import provenance
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import adopted_rules, audit, evidence, incidents, outbox, rule_texts
from sanityd.store.adopted_rules import AdoptedRules
from sanityd.store.audit import AuditEntry
from sanityd.store.audit_chain import text_digest
from sanityd.store.open import Store

log = logging.getLogger(__name__)

_ADDED, _CHANGED, _REMOVED, _RENAMED = audit.RULE_CHANGES


def adopt(rules: RuleSet, store: Store, at: datetime) -> Mapping[str, int]:
    """Append to the audit which rules changed, and resolve the incident of the file's errors.

    What the store knows of a renamed rule is carried over before. The rules are kept in the store,
    for commands that need them while the file has errors.

    Returns the number of rules by how they changed. Raises StoreError.
    """
    renamed = _carry_over(rules, store, at)
    imprints = {rule.id: imprint(rule) for rule in rules.rules.values()}
    with store.read() as connection:
        changes = _changes(audit.last_rule_changes(connection, rules.name), imprints)
        wrong_file = incidents.open_for(connection, _subject(rules), Cause.RULES_WRONG)
        is_kept = adopted_rules.revision(connection, rules.name) == rules.revision
    if not is_kept:
        _keep(rules, store, at)
    if not changes and wrong_file is None:
        return {_RENAMED: renamed} if renamed else {}
    # Git is slow, so it is asked only now, and outside of a transaction.
    author = provenance(rules.path)
    reason = f"revision {rules.revision}"
    if author.commit:
        reason += f", commit {author.commit}"
    with store.write() as connection:
        # Compared again: another process may have been first.
        changes = _changes(audit.last_rule_changes(connection, rules.name), imprints)
        entries = []
        texts = _save_texts(connection, rules, changes)
        for rule, (action, mark) in changes.items():
            detail = {
                "file": rules.name,
                "print": mark,
                "revision": rules.revision,
                "commit": author.commit,
                **texts.get(rule, {}),
            }
            entries.append(AuditEntry(author.author, action, reason, rule, detail=detail))
        audit.append_all(connection, at, entries)
        _forget_hidden(connection, rules, changes)
        for name in changes:
            follow_rule(connection, name, rules.rules.get(name), at)
        _save_incident(connection, rules, "", "", at)
    counts = Counter(action for action, _ in changes.values())
    return counts + Counter({_RENAMED: renamed})


def _forget_hidden(connection: Connection, rules: RuleSet, changed: Iterable[str]) -> None:
    """Delete evidence that changed rules do not allow to be stored any more."""
    allowed = {}
    for name in changed:
        if name in rules.rules:
            queries = rules.rules[name].evidence
            allowed[name] = {query.name: query.show for query in queries}
    evidence.keep_columns(connection, allowed)


def _carry_over(rules: RuleSet, store: Store, at: datetime) -> int:
    """Carry over what the store knows of rules that were renamed. Returns how many were.

    Each is carried over once: then the store knows nothing of the old id any more.
    """
    with store.read() as connection:
        pairs = pipeline.renames(connection, rules)
    if not pairs:
        return 0
    author = provenance(rules.path)
    with store.write() as connection:
        # Compared again: another process may have been first.
        pairs = pipeline.renames(connection, rules)
        for old, new in pairs:
            pipeline.carry_over(connection, rules, old, new, at)
            follow_rule(connection, new, rules.rules[new], at)
            detail = {"file": rules.name, "revision": rules.revision, "commit": author.commit}
            removed = {**detail, "print": ""}
            reason = f"renamed to {new}"
            audit.append(connection, at, author.author, _REMOVED, reason, rule=old, detail=removed)
            text = _save_texts(connection, rules, [new])[new]
            renamed = {**detail, "print": imprint(rules.rules[new]), "formerly": old, **text}
            reason = f"formerly {old}"
            audit.append(connection, at, author.author, _RENAMED, reason, rule=new, detail=renamed)
            _forget_hidden(connection, rules, [new])
    return len(pairs)


def _save_texts(
    connection: Connection, rules: RuleSet, names: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Store what the file says of these rules.

    Returns, for those that are in the file, what the audit has in addition: the digest of the text.
    """
    texts = {name: adopted.rule_text(rules, name) for name in names if name in rules.rules}
    rule_texts.save_all(connection, texts.values())
    return {name: {"text": text_digest(text)} for name, text in texts.items()}


def warn_of_renames(rules: RuleSet, store: Store) -> None:
    """Log which rules seem to be renamed. To be called before the old ones are forgotten."""
    with store.read() as connection:
        suggested = pipeline.suggested_renames(connection, rules)
    for old, new in suggested:
        log.warning(
            "rule `%s` left, and `%s` came, which means the same; if it was renamed, write"
            " `formerly: %s` below it, and its incidents and decisions are carried over",
            old,
            new,
            old,
        )


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
    later = (invariant.confirm.lasting, rule.keep_open, rule.evidence)
    text += "".join(map(repr, filter(None, later)))
    if rule.remedy is not None:
        text += repr(rule.remedy.written)
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
