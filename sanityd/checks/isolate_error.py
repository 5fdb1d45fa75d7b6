"""Why a look failed, where the rule isn't to blame: a view that can't be read fails whatever is asked of it."""

from collections.abc import Iterator

from sqlalchemy import func, select

from sanityd.checks.planner import PlannedCheck
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError


def blamed(look: PlannedCheck, error: CheckError) -> CheckError:
    """The error of a look, or the better one of the view that it reads. Asks the views, and each only after a failure.

    An error that has advice of its own (a timeout, a lock, a right that is missing) stays as it is. Raises SourceError.
    """
    if error.has_advice:
        return error
    try:
        for scope in _read(look):
            if _is_view(scope) and (broken := _broken(scope)) is not None:
                return broken
    except CheckError:
        # There is no better one.
        return error
    return error


def _read(look: PlannedCheck) -> Iterator[Scope]:
    """The tables that the rule is about."""
    yield look.scope
    if look.other is not None:
        yield look.other
    elif look.scope.info.name:
        yield from (look.scope.other(table) for table in look.invariant.check.tables())


def _is_view(scope: Scope) -> bool:
    info = scope.info
    places = scope.snapshot.places() if info.name and info.columns else [(None, info.name)]
    return not any(name == info.name and schema in (None, info.schema) for schema, name in places)


def _broken(scope: Scope) -> CheckError | None:
    """What the database says when all that the view shows is read; None when it can be."""
    columns = scope.info.clause.c
    try:
        scope.snapshot.rows(
            select(*(func.count(one) for one in columns)).select_from(scope.info.clause)
        )
    except CheckError as error:
        if error.has_advice:
            # It takes too long, or somebody holds it: that it can't be read is not said.
            return None
        name = ".".join(
            part for part in (scope.subject.source, scope.info.schema, scope.info.name) if part
        )
        hint = "Mend the view: in the database's own client it fails, too, as soon as all of its columns are read."
        return CheckError(f"view `{name}` can't be read: {error.message}", hint)
    return None
