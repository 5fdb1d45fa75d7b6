"""`transitions`: a history of states that obeys its machine."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, and_, or_

from sanityd.checks.base import Scope, plural
from sanityd.checks.scope import bind
from sanityd.checks.sequence import SequenceCheck
from sanityd.model.option_types import Names, fault


class Transitions(SequenceCheck):
    """A history of states obeys its machine. A violation is the row whose state may not come after the one before.

    ```yaml
    transitions: {column: status, per: order_id, order_by: changed_at, allowed: {new: [paid, void], paid: [shipped]}}
    transitions: {column: state, order_by: id, allowed: {up: [down], down: [up]}, first: [down]}
    ```

    `allowed` says for each state which ones may follow; a state that isn't a key of it is an end. To stay is always
    allowed: a step that is repeated is no step. States are compared to the letter. With `first`, a history begins with
    one of these. Rows with a NULL in `column` or `order_by` are passed over.
    """

    kind: ClassVar[str] = "transitions"
    needs_key: ClassVar[bool] = True

    allowed: Mapping[str, list[str]] = Field(
        min_length=1, description="Each state with those that may follow it."
    )
    first: Names = Field([], description="The states that a history may begin with; none: any.")

    @model_validator(mode="after")
    def _begins_somewhere(self) -> Self:
        known = {*self.allowed, *(state for states in self.allowed.values() for state in states)}
        for state in self.first:
            if state not in known:
                raise fault(
                    f"`{state}` is no state of `allowed`",
                    f"the states are {', '.join(sorted(known))}",
                    word=state,
                )
        return self

    def value(self, scope: Scope) -> ColumnElement[Any]:
        """The state as text."""
        return scope.text(self.column)

    def is_wrong(
        self, value: ColumnElement[Any], previous: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """True for a step that isn't allowed."""
        from_known = [
            and_(previous == bind(state), value.not_in([bind(word) for word in (state, *after)]))
            for state, after in self.allowed.items()
        ]
        known = [bind(state) for state in self.allowed]
        from_end = and_(previous.not_in(known), value != previous)
        begins = (
            [and_(previous.is_(None), value.not_in([bind(word) for word in self.first]))]
            if self.first
            else []
        )
        return or_(*from_known, from_end, *begins)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'is a step', 'are steps')} of {self.column} that the states do not allow"
