"""Every run of every rule: the history for charts, and for since when a rule is violated."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    and_,
    func,
    insert,
    literal,
    select,
)

from sanityd.model import Outcome, PastRun, Run, Severity
from sanityd.store.name_list import name_list
from sanityd.store.tables import days, runs

#: How far in the future a run may be: another pass may have begun later and ended earlier.
OVERLAP = timedelta(hours=1)
_ANSWERED = (Outcome.COMPLETE.value, Outcome.TRUNCATED.value)
#: Before every run.
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)

#: The time, the number of violations, and the severity of a run with an answer.
AnsweredRun = tuple[datetime, int, Severity | None]


def record(connection: Connection, run: Run, *, revision: str, incident: str | None) -> None:
    """Store a run, with the revision of the rules file and the incident it belongs to."""
    record_all(connection, [run], revision=revision, incidents={run.rule: incident})


def record_all(
    connection: Connection,
    many: Sequence[Run],
    *,
    revision: str,
    incidents: Mapping[str, str | None] | None = None,
) -> None:
    """Store many runs in one statement.

    Parameters: `incidents` are those that were open after the runs, by rule.
    """
    if many:
        by_rule = incidents or {}
        rows = [_row(run, revision, by_rule.get(run.rule)) for run in many]
        connection.execute(insert(runs), rows)


def _row(run: Run, revision: str, incident: str | None) -> dict[str, Any]:
    return {
        "rule": run.rule,
        "source": run.source,
        "kind": run.kind,
        "at": run.at,
        "outcome": run.outcome.value,
        "violations": run.violations,
        "rows": run.rows,
        "checked": run.checked,
        "measured": run.measured,
        "severity": None if run.severity is None else int(run.severity),
        "seconds": run.seconds,
        "statements": run.statements,
        "error": run.error,
        "hint": run.hint,
        "revision": revision,
        "incident": incident,
        "proved_by": run.proved_by,
        "detail": run.detail or None,
    }


def last_run_times(
    connection: Connection, rules: Sequence[str], at: datetime
) -> dict[str, datetime]:
    """Return when each rule last ran, with or without an answer, as seen at `at`.

    Runs further in the future than `OVERLAP` were stored while the clock was wrong. They are
    ignored, as the rule would not run again until then.
    """
    names = name_list(connection, rules)
    # Reads one entry of the index for each rule; a GROUP BY would read all of them.
    newest = (
        select(func.max(runs.c.at, type_=runs.c.at.type))
        .where(runs.c.rule == names.c.value, runs.c.at <= at + OVERLAP)
        .scalar_subquery()
    )
    query = select(names.c.value.label("rule"), newest.label("at"))
    return {row.rule: row.at for row in connection.execute(query) if row.at is not None}


def evaluated_rules(
    connection: Connection, rules: Sequence[str], since: datetime, at: datetime
) -> set[str]:
    """Return the rules whose rows were read, with an answer, after `since` and until `at`."""
    read = and_(
        runs.c.outcome.in_(_ANSWERED),
        runs.c.proved_by.is_(None),
        runs.c.at > since,
        runs.c.at <= at,
    )
    return set(
        connection.execute(
            select(runs.c.rule).where(runs.c.rule.in_(rules), read).distinct()
        ).scalars()
    )


def first_at(connection: Connection) -> datetime | None:
    """Return the time of the oldest run in the store."""
    rolled_up = connection.execute(select(func.min(days.c.day, type_=days.c.day.type))).scalar()
    return (
        rolled_up or connection.execute(select(func.min(runs.c.at, type_=runs.c.at.type))).scalar()
    )


def clock_correct_since(connection: Connection, at: datetime) -> datetime:
    """Return since when the clock is correct, after it was ahead.

    That is the first run that was stored after all runs that lie in the future.
    """
    wrong = select(func.max(runs.c.id)).where(runs.c.at > at + OVERLAP).scalar_subquery()
    first = select(func.min(runs.c.at, type_=runs.c.at.type)).where(
        runs.c.id > func.coalesce(wrong, 0)
    )
    return connection.execute(first).scalar() or at


def last(connection: Connection, rule: str, at: datetime) -> Run | None:
    """Return the newest run of a rule as seen at `at`, without its rows."""
    past = and_(runs.c.rule == rule, runs.c.at <= at + OVERLAP)
    newest = select(runs).where(past).order_by(runs.c.at.desc(), runs.c.id.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    return None if row is None else _run(row)


def last_answered(connection: Connection, rule: str, at: datetime) -> Run | None:
    """Return the newest run of a rule with an answer, as seen at `at`, without its rows."""
    past = and_(runs.c.rule == rule, runs.c.at <= at + OVERLAP)
    answered = select(runs).where(past, runs.c.outcome.in_(_ANSWERED))
    newest = answered.order_by(runs.c.at.desc(), runs.c.id.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    return None if row is None else _run(row)


def last_of(connection: Connection, rules: Iterable[str], at: datetime) -> dict[str, Run]:
    """Return the newest run of each rule as seen at `at`, without its rows; in one statement."""
    return _newest(connection, rules, runs.c.at <= at + OVERLAP)


def last_answered_of(connection: Connection, rules: Iterable[str], at: datetime) -> dict[str, Run]:
    """Return the newest run with an answer of each rule as seen at `at`; in one statement."""
    answered = and_(runs.c.at <= at + OVERLAP, runs.c.outcome.in_(_ANSWERED))
    return _newest(connection, rules, answered)


def _newest(
    connection: Connection, rules: Iterable[str], which: ColumnElement[bool]
) -> dict[str, Run]:
    names = name_list(connection, rules)
    # One step in the index for each rule, as in `last`.
    newest = (
        select(runs.c.id)
        .where(runs.c.rule == names.c.value, which)
        .order_by(runs.c.at.desc(), runs.c.id.desc())
        .limit(1)
        .correlate(names)
        .scalar_subquery()
    )
    rows = connection.execute(select(runs).where(runs.c.id.in_(select(newest).select_from(names))))
    return {row["rule"]: _run(row) for row in rows.mappings()}


def last_verified(connection: Connection, rule: str) -> datetime | None:
    """Return when the rule last ran with an answer."""
    verified = select(func.max(runs.c.at, type_=runs.c.at.type))
    return connection.execute(
        verified.where(runs.c.rule == rule, runs.c.outcome.in_(_ANSWERED))
    ).scalar()


def history(connection: Connection, rule: str, most: int) -> tuple[PastRun, ...]:
    """Return the last runs of a rule, `most` at most, oldest first."""
    newest = (
        select(runs)
        .where(runs.c.rule == rule)
        .order_by(runs.c.at.desc(), runs.c.id.desc())
        .limit(most)
    )
    rows = connection.execute(newest).mappings().all()
    return tuple(
        PastRun(row["at"], Outcome(row["outcome"]), row["violations"]) for row in reversed(rows)
    )


def count(connection: Connection, rules: Sequence[str], since: datetime) -> int:
    """Return the number of runs of these rules since then."""
    recent = and_(runs.c.rule.in_(rules), runs.c.at >= since)
    return int(
        connection.execute(select(func.count()).select_from(runs).where(recent)).scalar_one()
    )


def first_time(connection: Connection, rule: str, since: datetime) -> datetime | None:
    """Return the time of a rule's first run since then; None without one."""
    first = select(func.min(runs.c.at, type_=runs.c.at.type)).where(
        runs.c.rule == rule, runs.c.at >= since
    )
    time: datetime | None = connection.execute(first).scalar()
    return time


def iterate(connection: Connection, rules: Sequence[str], since: datetime) -> Iterator[Run]:
    """Yield every run of these rules since then, oldest first, without their rows."""
    recent = (
        select(runs)
        .where(runs.c.rule.in_(rules), runs.c.at >= since)
        .order_by(runs.c.at, runs.c.id)
    )
    streamed = connection.execution_options(yield_per=1000).execute(recent)
    return (_run(row) for row in streamed.mappings())


def measured(connection: Connection, rule: str, most: int = 5000) -> list[tuple[datetime, float]]:
    """Return the measured values of the last runs with an answer, oldest first."""
    answered = and_(
        runs.c.rule == rule, runs.c.outcome.in_(_ANSWERED), runs.c.measured.is_not(None)
    )
    newest = (
        select(runs.c.at, runs.c.measured).where(answered).order_by(runs.c.at.desc()).limit(most)
    )
    return [(row.at, row.measured) for row in connection.execute(newest)][::-1]


def answered_since(
    connection: Connection, rules: Iterable[str], since: datetime, until: datetime | None = None
) -> dict[str, list[AnsweredRun]]:
    """Return the runs with an answer since then, by rule, oldest first; none from `until` on."""
    names = name_list(connection, rules)
    which = and_(runs.c.rule == names.c.value, runs.c.at >= since)
    if until is not None:
        which = and_(which, runs.c.at < until)
    return _answered(connection, names, which)


def newest_answered(
    connection: Connection, rules: Iterable[str], most: int
) -> dict[str, list[AnsweredRun]]:
    """Return the newest runs with an answer, `most` of each rule, by rule, oldest first."""
    names = name_list(connection, rules)
    earlier = runs.alias("earlier")
    # The time of the oldest of them: one step in the index for each rule, as in `_newest`.
    oldest = (
        select(earlier.c.at)
        .where(earlier.c.rule == names.c.value, earlier.c.outcome.in_(_ANSWERED))
        .order_by(earlier.c.at.desc(), earlier.c.id.desc())
        .offset(most - 1)
        .limit(1)
        .correlate(names)
        .scalar_subquery()
    )
    begin = func.coalesce(oldest, literal(_BEGINNING, runs.c.at.type))
    by_rule = _answered(connection, names, and_(runs.c.rule == names.c.value, runs.c.at >= begin))
    return {rule: answered[-most:] for rule, answered in by_rule.items()}


def _answered(
    connection: Connection, names: FromClause, which: ColumnElement[bool]
) -> dict[str, list[AnsweredRun]]:
    query = (
        select(runs.c.rule, runs.c.at, runs.c.violations, runs.c.severity)
        .select_from(names.join(runs, which))
        .where(runs.c.outcome.in_(_ANSWERED))
        .order_by(runs.c.at, runs.c.id)
    )
    by_rule: dict[str, list[AnsweredRun]] = {}
    for row in connection.execute(query):
        severity = None if row.severity is None else Severity(row.severity)
        by_rule.setdefault(row.rule, []).append((row.at, row.violations, severity))
    return by_rule


def holding_since(connection: Connection, rule: str) -> datetime | None:
    """Return when the rule held for the first time since it was last violated.

    None when its last run with an answer was violated, or when there was none.
    """
    answered = and_(runs.c.rule == rule, runs.c.outcome.in_(_ANSWERED))
    newest = select(func.max(runs.c.at, type_=runs.c.at.type))
    violated = connection.execute(newest.where(answered, runs.c.severity.is_not(None))).scalar()
    oldest = select(func.min(runs.c.at, type_=runs.c.at.type)).where(answered)
    if violated is not None:
        oldest = oldest.where(runs.c.at > violated)
    return connection.execute(oldest).scalar()


def violations_at(connection: Connection, rule: str, at: datetime) -> int | None:
    """Return the number of violations of the run at that time; None when there was no run."""
    return (
        connection.execute(select(runs.c.violations).where(runs.c.rule == rule, runs.c.at == at))
        .scalars()
        .first()
    )


def most_violations(connection: Connection, rule: str, begin: datetime, end: datetime) -> int:
    """Return the highest number of violations of the stored runs between these times."""
    most = select(func.max(runs.c.violations)).where(
        runs.c.rule == rule, runs.c.at >= begin, runs.c.at <= end
    )
    return connection.execute(most).scalar() or 0


def never_empty(connection: Connection, rule: str) -> bool:
    """Return whether the rule ran before and always had rows in its scope."""
    fewest = select(func.min(runs.c.checked)).where(
        runs.c.rule == rule, runs.c.outcome.in_(_ANSWERED)
    )
    return bool(connection.execute(fewest).scalar())


def always_empty(connection: Connection, rule: str) -> bool:
    """Return whether the rule ran before and never had a row in its scope, as far as is stored."""
    most = select(func.max(runs.c.checked)).where(
        runs.c.rule == rule, runs.c.outcome.in_(_ANSWERED)
    )
    return connection.execute(most).scalar() == 0


def _run(row: RowMapping) -> Run:
    return Run(
        rule=row["rule"],
        kind=row["kind"],
        source=row["source"],
        at=row["at"],
        outcome=Outcome(row["outcome"]),
        violations=row["violations"],
        rows=row["rows"],
        checked=row["checked"],
        measured=row["measured"],
        severity=None if row["severity"] is None else Severity(row["severity"]),
        seconds=row["seconds"],
        statements=row["statements"],
        error=row["error"],
        hint=row["hint"],
        proved_by=row["proved_by"],
        detail=row["detail"] or "",
    )
