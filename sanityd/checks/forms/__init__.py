"""One file per form: how checks of one form are planned, evaluated and explained.

A check class names its form (`Check.form`); `form_of` returns it for a rule.
"""

from collections.abc import Mapping
from typing import Any

from sanityd.checks.forms.aggregates import AggregateForm
from sanityd.checks.forms.base import Form
from sanityd.checks.forms.catalog import CatalogForm
from sanityd.checks.forms.functions import FunctionForm
from sanityd.checks.forms.pairs import PairForm
from sanityd.checks.forms.queries import QueryForm
from sanityd.checks.forms.rows import RowForm
from sanityd.checks.invariant import Invariant
from sanityd.errors import CheckError

#: The forms by the name that check classes give.
_FORMS: Mapping[str, Form[Any]] = {
    "row": RowForm(),
    "query": QueryForm(),
    "aggregate": AggregateForm(),
    "pair": PairForm(),
    "catalog": CatalogForm(),
    "function": FunctionForm(),
}


def form_of(invariant: Invariant) -> Form[Any]:
    """The form of a rule, which depends on whether another source is involved.

    Raises CheckError when this version knows no such form.
    """
    form = _FORMS.get(invariant.check.form)
    if form is None:
        raise CheckError(f"`{invariant.kind}` has no form that this version can evaluate")
    if invariant.elsewhere is not None:
        return form.across(invariant)
    return form


__all__ = ["Form", "form_of"]
