"""Rules that are read: what changed, by whom, for the audit; and a file that is wrong, for its
owners.

What changed is told by the audit itself, so that a restart, or another process that reads the same
file, says nothing twice.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from sanityd import lifecycle
from sanityd.errors import Problem, RuleError
from sanityd.model import Cause, about_file
from sanityd.rules.provenance import provenance
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import audit, incidents, outbox
from sanityd.store.open import Store

_ADDED, _CHANGED, _REMOVED = audit.RULE_CHANGES


def adopt(rules: RuleSet, store: Store, at: datetime) -> Mapping[str, int]:
    """Keep in the audit which rules changed since any process read the file; and end that it was
    wrong.

    Returns how many of each change there were. Raises StoreError.
    """
    prints = {rule.id: imprint(rule) for rule in rules.rules.values()}
    with store.read() as memory:
        is_known = not _changes(audit.of_file(memory, rules.name), prints)
        is_right = incidents.open_for(memory, _about(rules), Cause.RULES_WRONG) is None
    if is_known and is_right:
        return {}
    # Git takes longer than all the rest, so it is asked only now, and while nothing is locked.
    who = provenance(rules.path)
    words = f"revision {rules.revision}" + (f", commit {who.commit}" if who.commit else "")
    with store.write() as memory:
        # Another process may have been first.
        changed = _changes(audit.of_file(memory, rules.name), prints)
        for rule, (action, mark) in changed.items():
            detail = {
                "file": rules.name,
                "print": mark,
                "revision": rules.revision,
                "commit": who.commit,
            }
            audit.append(memory, at, who.author, action, words, rule=rule, detail=detail)
        _save(memory, rules, "", "", at)
    return Counter(action for action, _ in changed.values())


def report_wrong_file(
    rules: RuleSet, problems: Sequence[Problem], store: Store, at: datetime
) -> None:
    """Open an incident of the file, of which its owners are told once. Raises StoreError."""
    first, more = problems[0], len(problems) - 1
    location = ""
    if first.path and first.line:
        location = f"{first.path.name}:{first.line}:{first.column}: "
    error = f"{location}{first.message}"
    if more:
        error += f" (and {more:,} more)"
    with store.write() as memory:
        _save(memory, rules, error, first.advice or RuleError.hint, at)


def _save(memory: Connection, rules: RuleSet, error: str, hint: str, at: datetime) -> None:
    before = incidents.open_for(memory, _about(rules), Cause.RULES_WRONG)
    after = lifecycle.rules_wrong_after(before, _about(rules), error, hint, at)
    if after is not None and after != before:
        incidents.save(memory, after)
        if after.resolved_at is not None:
            outbox.cancel_pending(memory, after.id, at)


def _about(rules: RuleSet) -> str:
    return about_file(rules.named or rules.path.name)


def _changes(
    recorded: Mapping[str, tuple[str, str]], now: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """For each rule that isn't what it was: what happened, and how it can be recognised from now
    on."""
    before = {rule: mark for rule, (action, mark) in recorded.items() if action != _REMOVED}
    changes = {
        rule: (_CHANGED if rule in before else _ADDED, mark)
        for rule, mark in now.items()
        if before.get(rule) != mark
    }
    return changes | dict.fromkeys(before.keys() - now.keys(), (_REMOVED, ""))


def imprint(rule: Rule) -> str:
    """A hash of all that the file says of a rule, but not of where it stands."""
    about = rule.invariant
    parts = (
        *(
            rule.meaning,
            about.ladder,
            about.cap,
            about.confirm,
            about.scan,
            str(rule.schedule),
            rule.notify,
        ),
        *(
            rule.owner,
            rule.tags,
            rule.why,
            rule.fix,
            rule.enabled,
            rule.on_error,
            rule.depends_on,
            rule.noise,
        ),
        about.subject.show,
    )
    # The hash is stored, so it keeps the name that a step had when the first ones were stored.
    text = repr(parts).replace("LadderStep(", "Step(")
    return hashlib.sha256(text.encode()).hexdigest()[:16]
