"""What humans decide about what is wrong: acknowledge, snooze, accept, close, silence, undo. Each has an author, a
reason and an end, and is kept in the audit. None of it changes what is true of the data: only a run does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd.alerts.compose.sanitize import visible
from sanityd.errors import SanitydError
from sanityd.model import Incident, Reason, Silence, Tracked, Triage, TriageAction, about_source
from sanityd.model.did_you_mean import did_you_mean
from sanityd.model.durations import format_duration
from sanityd.notifications import noise
from sanityd.notifications.context import AlertContext
from sanityd.rules.rule import RuleSet
from sanityd.store import audit, incidents, noise_state, silences, triage, violations

#: How a human may say that an incident is over.
RESOLUTIONS = ("fixed", "false_positive", "wont_fix", "duplicate")
#: The longest reason that is kept, in characters.
LONGEST = 1000


class ActError(SanitydError):
    """What was asked for can't be done; nothing was changed."""

    hint = "`sanityd status` lists what is open, with its incidents."


@dataclass(frozen=True, slots=True)
class Act:
    """Who decides what, why, and until when."""

    author: str
    reason: str
    at: datetime
    #: None: as long as the settings say.
    until: datetime | None = None


def decide(
    memory: Connection,
    rules: RuleSet,
    name: str,
    stance: TriageAction,
    act: Act,
    resolution: str = "",
) -> list[Triage]:
    """Decide about all that is open of a rule, a source (`source:NAME`) or one incident. Returns what holds now.

    Raises ActError when nothing of that name is open, or when the end is past or too far.
    """
    until = _until(rules, stance, act)
    made = []
    for incident in _open(memory, rules, name, act.at):
        decision = Triage(
            id=0,
            action=stance,
            rule=incident.rule,
            incident=incident.id,
            author=_words(act.author, "author"),
            reason=_words(act.reason, "reason"),
            at=act.at,
            until=until,
            violations=incident.violations,
            severity=incident.severity,
            resolution=resolution,
        )
        made.append(triage.add(memory, decision))
        _keep(
            memory,
            act,
            stance.value,
            incident.rule,
            incident.id,
            until=until,
            resolution=resolution,
        )
    return made


def accept_rows(
    memory: Connection, rules: RuleSet, rule: str, keys: Sequence[Mapping[str, str]], act: Act
) -> list[tuple[Tracked, Triage]]:
    """Accept single rows, by the text of their keys: they count no longer. Raises ActError when one is not open."""
    _known(rules, rule)
    until = _until(rules, TriageAction.ACCEPTED, act)
    rows = violations.open_rows(memory, rule)
    made = []
    for key in keys:
        row = _row(rows, key, rule)
        decision = Triage(
            id=0,
            action=TriageAction.ACCEPTED,
            rule=rule,
            incident="",
            author=_words(act.author, "author"),
            reason=_words(act.reason, "reason"),
            at=act.at,
            until=until,
            violations=1,
            severity=rules.rules[rule].severity,
            fingerprint=row.fingerprint,
        )
        made.append((row, triage.add(memory, decision)))
        _keep(memory, act, "accepted a row", rule, None, until=until, fingerprint=row.fingerprint)
    return made


def withdraw(memory: Connection, rules: RuleSet, name: str, act: Act) -> list[Triage]:
    """Take back what was decided about a rule, a source, an incident, or rows of the rule. Raises ActError."""
    ours = [one for one in triage.in_force(memory) if name in (one.rule, one.incident)]
    if not ours:
        if incidents.get(memory, name) is None:
            _known(rules, name)
        raise ActError(f"nothing was decided about `{name}` that could be taken back")
    triage.end(memory, [one.id for one in ours], "withdrawn", act.at)
    for one in ours:
        _keep(memory, act, "withdrew", one.rule, one.incident or None, decision=one.action.value)
    return ours


def silence(memory: Connection, rules: RuleSet, wanted: Silence) -> Silence:
    """Keep quiet about what a silence matches. Raises ActError for a rule, tag or source that there isn't."""
    if wanted.source and wanted.source not in rules.sources:
        raise ActError(
            f"there is no source `{wanted.source}`",
            did_you_mean(wanted.source, rules.sources) or None,
        )
    tags = {tag for rule in rules.rules.values() for tag in rule.tags}
    if wanted.tag and wanted.tag not in tags:
        raise ActError(
            f"no rule has the tag `{wanted.tag}`", did_you_mean(wanted.tag, tags) or None
        )
    if wanted.rule and not wanted.rule.startswith("source:") and "*" not in wanted.rule:
        _known(rules, wanted.rule)
    _check_end(
        wanted.until, max(wanted.at, wanted.starts), rules.alerts.acknowledge.max, "a silence"
    )
    kept = silences.add(
        memory,
        replace(
            wanted, author=_words(wanted.author, "author"), reason=_words(wanted.reason, "reason")
        ),
    )
    act = Act(wanted.author, wanted.reason, wanted.at)
    _keep(
        memory,
        act,
        "silenced",
        wanted.rule or None,
        None,
        until=wanted.until,
        tag=wanted.tag,
        source=wanted.source,
    )
    return kept


def end_silence(memory: Connection, number: int, act: Act) -> None:
    """Hear of it again. Raises ActError when there is no such silence."""
    if not silences.end(memory, number, act.at):
        raise ActError(
            f"there is no silence {number}", "`sanityd silence --list` lists those that hold."
        )
    _keep(memory, act, "unsilenced", None, None, silence=number)


def undo(memory: Connection, rules: RuleSet, rule: str, act: Act) -> datetime:
    """Take a downgrade back, or the notice of one. Returns until when no other can come. Raises ActError."""
    _known(rules, rule)
    standing = noise_state.of_rule(memory, rule)
    if not standing.steps and standing.noticed_at is None:
        raise ActError(
            f"`{rule}` counts as it is declared: there is nothing to undo",
            "`sanityd noise` lists the rest.",
        )
    now = noise.undo(standing, rules.alerts, act.at)
    noise_state.save(memory, rule, now, act.at)
    incident = incidents.open_for(memory, rule)
    if incident is not None:
        incidents.save(memory, replace(incident, severity=incident.declared))
    _keep(memory, act, "undid", rule, None, was=standing.sentence)
    return now.locked_until or act.at


def _open(memory: Connection, rules: RuleSet, name: str, at: datetime) -> list[Incident]:
    """What is open of that name, as it counts now."""
    found = [
        one
        for one in AlertContext(memory, rules, at).incidents
        if one.open and name in (one.rule, one.id)
    ]
    if found:
        return found
    over = incidents.get(memory, name)
    if over is not None:
        raise ActError(f"incident {name} is over since {over.resolved_at:%Y-%m-%d %H:%M} UTC")
    _known(rules, name)
    raise ActError(f"nothing is open of `{name}`")


def _known(rules: RuleSet, name: str) -> None:
    names = {*rules.rules, *map(about_source, rules.sources)}
    if name not in names:
        raise ActError(f"there is no rule or incident `{name}`", did_you_mean(name, names) or None)


def _until(rules: RuleSet, stance: TriageAction, act: Act) -> datetime:
    limits = rules.alerts.acknowledge
    if stance is TriageAction.ACCEPTED:
        most, usual = limits.accepted, limits.accepted
    else:
        most, usual = limits.max, limits.default
    until = act.until or act.at + usual
    _check_end(until, act.at, most, f"what is {stance.value}")
    return until


def _check_end(until: datetime, begin: datetime, most: timedelta, what: str) -> None:
    if until <= begin:
        raise ActError(
            "it would be over before it begins",
            "Say for how long with `--for 3d`, or name a later time.",
        )
    if until - begin > most:
        longest = format_duration(most)
        raise ActError(
            f"{what} may keep quiet for {longest} at most",
            "Settings: `alerts.acknowledge` in the rules file.",
        )


def _row(rows: Iterable[Tracked], key: Mapping[str, str], rule: str) -> Tracked:
    wanted = {name: text.strip() for name, text in key.items()}
    found = [
        row for row in rows if {name: visible(value) for name, value in row.key.items()} == wanted
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{name} {text}" for name, text in wanted.items())
    parts = next((list(row.key) for row in rows), [])
    if wanted.keys() < {*parts}:
        whole = ",".join(f"{name}=…" for name in parts)
        raise ActError(
            f"{visible(names)} is a part of the key only", f"Name all of it: `--row {whole}`."
        )
    hint = f"`sanityd show {rule} --all` lists those that are followed; others can't be accepted one by one."
    raise ActError(f"no row of `{rule}` that is followed has {visible(names)}", hint)


def _words(text: str, what: str) -> str:
    words = " ".join(text.split())
    if not words:
        raise ActError(
            f"there is no {what}", f"Say it: `--{'reason' if what == 'reason' else 'by'} …`."
        )
    if len(words) > LONGEST:
        raise ActError(
            f"the {what} has more than {LONGEST:,} characters",
            "Say it in a sentence; a link may say more.",
        )
    return words


def _keep(
    memory: Connection,
    act: Act,
    action: str,
    rule: str | None,
    incident: str | None,
    **detail: object,
) -> None:
    kept = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in detail.items()
        if value
    }
    words = " ".join(act.reason.split()) or Reason.UNCHANGED.value
    audit.append(
        memory, act.at, act.author, action, words, rule=rule, incident=incident, detail=kept
    )
