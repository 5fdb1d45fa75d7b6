"""Finds the cause of an error outside of the rule: a view that can't be read fails every rule."""

from collections.abc import Iterator

from sqlalchemy import func, select

from sanityd.checks.plan import PlannedCheck
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError


def isolated_error(planned: PlannedCheck, error: CheckError) -> CheckError:
    """The error of a check, or that of the view that it reads, which explains more.

    Reads the views only after a failure. An error that has advice of its own (a timeout, a lock,
    a missing privilege) stays as it is. Raises SourceError.
    """
    if error.has_own_hint:
        return error
    try:
        for scope in _scopes_read(planned):
            if not _is_view(scope):
                continue
            view_error = _error_of_view(scope)
            if view_error is not None:
                return view_error
    except CheckError:
        # There is no better explanation.
        return error
    return error


def _scopes_read(planned: PlannedCheck) -> Iterator[Scope]:
    """The tables that the rule reads."""
    yield planned.scope
    if planned.other is not None:
        yield planned.other
    elif planned.scope.info.name:
        for table in planned.invariant.check.tables():
            yield planned.scope.other(table)


def _is_view(scope: Scope) -> bool:
    info = scope.info
    if not info.name or not info.columns:
        return False
    for schema, name in scope.snapshot.all_tables():
        if name == info.name and schema in (None, info.schema):
            return False
    return True


def _error_of_view(scope: Scope) -> CheckError | None:
    """The error of the database when all columns of the view are read; None when they can be."""
    view = scope.info.clause
    counts = [func.count(column) for column in view.c]
    try:
        scope.snapshot.rows(select(*counts).select_from(view))
    except CheckError as error:
        if error.has_own_hint:
            # It takes too long, or is locked: that doesn't mean that it can't be read.
            return None
        parts = (scope.subject.source, scope.info.schema, scope.info.name)
        name = ".".join(part for part in parts if part)
        hint = (
            "Repair the view: in the database's own client it fails, too, "
            "as soon as all of its columns are read."
        )
        return CheckError(f"view `{name}` can't be read: {error.message}", hint)
    return None
