"""`transitions`: a history of states that obeys its machine."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, and_, or_

from sanityd.checks.base import Scope, plural
from sanityd.checks.requirements import ListedWords
from sanityd.checks.scope import bind
from sanityd.checks.sequence import SequenceCheck
from sanityd.model.option_types import Names, option_error


class Transitions(SequenceCheck):
    """A history of states follows allowed transitions only.

    A violation is the row whose state may not follow the state before it.

    ```yaml
    transitions: {column: status, per: order_id, order_by: at, allowed: {new: [paid], paid: [sent]}}
    transitions: {column: state, order_by: id, allowed: {up: [down], down: [up]}, first: [down]}
    ```

    `allowed` lists for each state those that may follow it; a state that is not a key of it is an
    end. A state may always be repeated. States are compared exactly. With `first`, a history must
    begin with one of these states. Rows with a NULL in `column` or `order_by` are skipped.
    """

    kind: ClassVar[str] = "transitions"
    needs_key: ClassVar[bool] = True

    allowed: Mapping[str, list[str]] = Field(
        min_length=1, description="Each state with those that may follow it."
    )
    first: Names = Field([], description="The states that a history may begin with; none: any.")

    @model_validator(mode="after")
    def _begins_somewhere(self) -> Self:
        states = {*self.allowed}
        for following in self.allowed.values():
            states.update(following)
        for state in self.first:
            if state not in states:
                raise option_error(
                    f"`{state}` is no state of `allowed`",
                    f"the states are {', '.join(sorted(states))}",
                    word=state,
                )
        return self

    def listed_words(self) -> Iterable[ListedWords]:
        """The states of the machine."""
        states = dict.fromkeys(chain(self.allowed, *self.allowed.values()))
        return [ListedWords(self.column, tuple(states), allowed=True)]

    def value(self, scope: Scope) -> ColumnElement[Any]:
        """The state as text."""
        return scope.text(self.column)

    def is_wrong(
        self, value: ColumnElement[Any], previous: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """True for a step that isn't allowed."""
        from_states = [
            and_(previous == bind(state), value.not_in([bind(word) for word in (state, *after)]))
            for state, after in self.allowed.items()
        ]
        states = [bind(state) for state in self.allowed]
        from_end = and_(previous.not_in(states), value != previous)
        begins = (
            [and_(previous.is_(None), value.not_in([bind(word) for word in self.first]))]
            if self.first
            else []
        )
        return or_(*from_states, from_end, *begins)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        steps = plural(count, "is a step", "are steps")
        return f"{steps} of {self.column} that the states do not allow"
