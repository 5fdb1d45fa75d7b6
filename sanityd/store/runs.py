"""Every run of every rule: the historical record that "since when" and the bar pictures are read from."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, func, insert, select, true

from sanityd.model import Outcome, PastRun, Run, Severity
from sanityd.store.tables import days, runs

#: By how much a run may be of the future: another pass began later and ended earlier.
OVERLAP = timedelta(hours=1)
_LOOKED = (Outcome.COMPLETE.value, Outcome.TRUNCATED.value)


_NEWEST = select(func.max(runs.c.at, type_=runs.c.at.type)).where(
    runs.c.rule == bindparam("of"), runs.c.at <= bindparam("until", type_=runs.c.at.type)
)


def record(connection: Connection, run: Run, *, revision: str, incident: str | None) -> None:
    """Keep a run, with the revision of the rules file and the incident it belongs to."""
    connection.execute(insert(runs), [_row(run, revision, incident)])


def record_all(connection: Connection, many: Sequence[Run], *, revision: str) -> None:
    """Keep many runs at once that belong to no incident."""
    if many:
        connection.execute(insert(runs), [_row(run, revision, None) for run in many])


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
    }


def newest_at(connection: Connection, rules: Sequence[str], at: datetime) -> dict[str, datetime]:
    """When each rule was last looked at, or was tried to be, as seen at `at`.

    What lies further ahead than passes overlap was written when the clock was wrong, and must not silence the rule
    until then.
    """
    # One by one: each is found at the end of its part of the index, where a GROUP BY would read all of it.
    found = {
        rule: connection.execute(_NEWEST, {"of": rule, "until": at + OVERLAP}).scalar()
        for rule in rules
    }
    return {rule: newest for rule, newest in found.items() if newest is not None}


def looked_at(
    connection: Connection, rules: Sequence[str], since: datetime, at: datetime
) -> set[str]:
    """Which of the rules had their rows read, with an answer, after `since` and not after `at`."""
    read = and_(
        runs.c.outcome.in_(_LOOKED), runs.c.proved_by.is_(None), runs.c.at > since, runs.c.at <= at
    )
    return set(
        connection.execute(
            select(runs.c.rule).where(runs.c.rule.in_(rules), read).distinct()
        ).scalars()
    )


def first_at(connection: Connection) -> datetime | None:
    """When anything was looked at for the first time, as far as is remembered."""
    rolled_up = connection.execute(select(func.min(days.c.day, type_=days.c.day.type))).scalar()
    return (
        rolled_up or connection.execute(select(func.min(runs.c.at, type_=runs.c.at.type))).scalar()
    )


def right_since(connection: Connection, at: datetime) -> datetime:
    """Since when the clock is right, after it was ahead: the first run that came after all those of the future."""
    wrong = select(func.max(runs.c.id)).where(runs.c.at > at + OVERLAP).scalar_subquery()
    first = select(func.min(runs.c.at, type_=runs.c.at.type)).where(
        runs.c.id > func.coalesce(wrong, 0)
    )
    return connection.execute(first).scalar() or at


def last(connection: Connection, rule: str, at: datetime) -> Run | None:
    """The newest run of a rule as seen at `at`, without its rows."""
    ours = and_(runs.c.rule == rule, runs.c.at <= at + OVERLAP)
    newest = select(runs).where(ours).order_by(runs.c.at.desc(), runs.c.id.desc()).limit(1)
    found = connection.execute(newest).mappings().first()
    return None if found is None else _run(found)


def last_answered(connection: Connection, rule: str, at: datetime) -> Run | None:
    """The newest run of a rule, as seen at `at`, that says something about the data, without its rows."""
    ours = and_(runs.c.rule == rule, runs.c.at <= at + OVERLAP)
    answered = select(runs).where(ours, runs.c.outcome.in_(_LOOKED))
    newest = answered.order_by(runs.c.at.desc(), runs.c.id.desc()).limit(1)
    found = connection.execute(newest).mappings().first()
    return None if found is None else _run(found)


def last_verified(connection: Connection, rule: str) -> datetime | None:
    """When the rule was last looked at with an answer."""
    verified = select(func.max(runs.c.at, type_=runs.c.at.type))
    return connection.execute(
        verified.where(runs.c.rule == rule, runs.c.outcome.in_(_LOOKED))
    ).scalar()


def history(connection: Connection, rule: str, most: int) -> tuple[PastRun, ...]:
    """The last runs of a rule, oldest first."""
    newest = (
        select(runs)
        .where(runs.c.rule == rule)
        .order_by(runs.c.at.desc(), runs.c.id.desc())
        .limit(most)
    )
    found = connection.execute(newest).mappings().all()
    return tuple(
        PastRun(row["at"], Outcome(row["outcome"]), row["violations"]) for row in reversed(found)
    )


def count(connection: Connection, rules: Sequence[str], since: datetime) -> int:
    """How many runs of these rules there were since then."""
    ours = and_(runs.c.rule.in_(rules), runs.c.at >= since)
    return int(connection.execute(select(func.count()).select_from(runs).where(ours)).scalar_one())


def replayed(connection: Connection, rules: Sequence[str], since: datetime) -> Iterator[Run]:
    """Every run of these rules since then, in the order of time, without their rows; read as they are needed."""
    found = (
        select(runs)
        .where(runs.c.rule.in_(rules), runs.c.at >= since)
        .order_by(runs.c.at, runs.c.id)
    )
    streamed = connection.execution_options(yield_per=1000).execute(found)
    return (_run(row) for row in streamed.mappings())


def measured(connection: Connection, rule: str, most: int = 5000) -> list[tuple[datetime, float]]:
    """What the rule measured in its last runs that had an answer, oldest first."""
    answered = and_(runs.c.rule == rule, runs.c.outcome.in_(_LOOKED), runs.c.measured.is_not(None))
    newest = (
        select(runs.c.at, runs.c.measured).where(answered).order_by(runs.c.at.desc()).limit(most)
    )
    return [(row.at, row.measured) for row in connection.execute(newest)][::-1]


def looks(
    connection: Connection, rule: str, *, since: datetime | None = None, most: int | None = None
) -> list[tuple[datetime, int, Severity | None]]:
    """When a rule was looked at with an answer, what it found, and how severe that was; oldest first.

    Parameters: `since` and `most` limit it to the newest.
    """
    answered = and_(
        runs.c.rule == rule,
        runs.c.outcome.in_(_LOOKED),
        true() if since is None else runs.c.at >= since,
    )
    found = select(runs.c.at, runs.c.violations, runs.c.severity).where(answered)
    rows = connection.execute(found.order_by(runs.c.at.desc(), runs.c.id.desc()).limit(most)).all()
    return [
        (row.at, row.violations, None if row.severity is None else Severity(row.severity))
        for row in reversed(rows)
    ]


def violations_at(connection: Connection, rule: str, at: datetime) -> int | None:
    """How many violations the run of that time found; None when there was none then."""
    return (
        connection.execute(select(runs.c.violations).where(runs.c.rule == rule, runs.c.at == at))
        .scalars()
        .first()
    )


def never_empty(connection: Connection, rule: str) -> bool:
    """Whether the rule was looked at before, and always had rows in scope."""
    fewest = select(func.min(runs.c.checked)).where(
        runs.c.rule == rule, runs.c.outcome.in_(_LOOKED)
    )
    return bool(connection.execute(fewest).scalar())


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
    )
