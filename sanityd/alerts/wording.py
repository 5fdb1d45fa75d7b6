"""The sentences of a mail: numbers first, singular and plural right, and never more than a run saw. Pure."""

from collections.abc import Mapping
from datetime import timedelta, tzinfo

from sanityd.alerts.safe import escaped
from sanityd.alerts.times import brief, length, moment
from sanityd.model import Alert, Change, Fate, Incident, Reason, Told

_REPAIRS = {Fate.FIXED: "repaired", Fate.ROW_GONE: "deleted"}
_DEPARTURES = {Fate.LEFT_SCOPE: "no longer concerned by the rule", Fate.NOT_RETURNED: "no longer found"}
_UNSEEN = {Fate.RULE_CHANGED: "the rule was changed", Fate.RULE_REMOVED: "the rule left the rules file"}


def headline(alert: Alert) -> str:
    """The one sentence that matters, with a full stop."""
    if alert.reason is Reason.RESOLVED:
        return what_became(alert.incident.fates, alert.incident.violations)
    known = alert.told.violations if alert.reason is Reason.ESCALATED and alert.told else None
    before = "" if known in (None, alert.incident.violations) else f" ({known:,} at the last mail)"
    return f"{escaped(alert.sentence, 500).rstrip('.')}{before}."


def facts(alert: Alert, zone: tzinfo) -> list[str]:
    """The sentences below it: since when, how it changed, and what the look at it covered."""
    incident, at = alert.incident, alert.at
    if not incident.open:
        return [*_duration(incident, alert, zone), *_last_look(alert, zone)]
    opened = moment(incident.opened_at, at, zone)
    age = at - incident.opened_at
    ago = f", {length(age)} ago" if age.total_seconds() >= 60 else ""
    return [f"First seen {opened}{ago}.", *_worse(alert.told, incident), *_changes(alert), _checked(alert, zone)]


def what_became(fates: Mapping[Fate, int], remaining: int) -> str:
    """What became of the rows of an incident that is over, as in `3 were repaired (2) or deleted (1)`.

    What nobody looked at again is never called repaired. `remaining` is how many still violate, below the threshold.
    """
    sentences = [
        _counted(fates, _REPAIRS, "was", "were"),
        _counted(fates, _DEPARTURES, "is", "are"),
        *(
            f"{count:,} {'was' if count == 1 else 'were'} not looked at again, because {why}."
            for fate, why in _UNSEEN.items()
            if (count := fates.get(fate, 0))
        ),
    ]
    if remaining:
        sentences.append(f"{remaining:,} {'remains' if remaining == 1 else 'remain'}, fewer than the rule minds.")
    return " ".join(sentence for sentence in sentences if sentence) or "The rule holds again."


def unseen(fates: Mapping[Fate, int]) -> bool:
    """Whether it is over because of the rules file, not because of the data."""
    return any(fates.get(fate, 0) for fate in _UNSEEN)


def _counted(fates: Mapping[Fate, int], words: Mapping[Fate, str], one: str, many: str) -> str:
    counts = {word: fates.get(fate, 0) for fate, word in words.items() if fates.get(fate, 0)}
    total = sum(counts.values())
    if not counts:
        return ""
    parts = [word if len(counts) == 1 else f"{word} ({count:,})" for word, count in counts.items()]
    return f"{total:,} {one if total == 1 else many} {' or '.join(parts)}."


def _duration(incident: Incident, alert: Alert, zone: tzinfo) -> list[str]:
    end = incident.resolved_at or alert.at
    span = f"from {moment(incident.opened_at, alert.at, zone)} to {brief(end, alert.at, zone)}"
    lasted = end - incident.opened_at
    return [f"It lasted {length(lasted) if lasted >= timedelta(seconds=1) else 'less than a second'}, {span}."]


def _last_look(alert: Alert, zone: tzinfo) -> list[str]:
    if unseen(alert.incident.fates):
        return []
    return [_checked(alert, zone)]


def _worse(told: Told | None, incident: Incident) -> list[str]:
    if told is None or told.severity == incident.severity:
        return []
    article = "an" if told.severity.label[0] in "aeiou" else "a"
    return [f"It was {article} {told.severity.label} at the last mail and is {incident.severity.label} now."]


def _changes(alert: Alert) -> list[str]:
    new, solved = alert.changes.get(Change.NEW, 0), alert.changes.get(Change.RESOLVED, 0)
    back = alert.changes.get(Change.REGRESSED, 0)
    if alert.reason is Reason.OPENED:
        return [f"{back:,} {'was' if back == 1 else 'were'} solved within the last week and came back."] if back else []
    parts = [
        f"{new:,} new" if new else "",
        f"{back:,} came back" if back else "",
        f"{solved:,} solved" if solved else "",
    ]
    said = [part for part in parts if part]
    return [f"Since the run before: {', '.join(said)}."] if said else []


def _checked(alert: Alert, zone: tzinfo) -> str:
    when = brief(alert.at, alert.at, zone)
    if not alert.complete:
        return f"Checked {when}: the number is exact, but there are too many to follow each of them."
    match alert.incident.checked:
        case None | 0:
            return f"Checked {when}, complete."
        case 1:
            return f"Checked {when}, the one row in scope was read."
        case count:
            return f"Checked {when}, all {count:,} {_population(alert)} in scope were read."


def _population(alert: Alert) -> str:
    """The table's own word, as in `1,000 people`, where there is a table."""
    return escaped(alert.rule.table.rpartition(".")[2], 60) or "rows"
