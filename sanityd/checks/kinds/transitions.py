"""`transitions`: a history of states that obeys its machine."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, and_, case, or_

from sanityd.checks.base import Scope, plural
from sanityd.checks.requirements import ListedWords
from sanityd.checks.scope import bind
from sanityd.checks.sequence import SequenceCheck
from sanityd.model import Value
from sanityd.model.option_types import Names, option_error

#: The numbers of the states before and after a step: positions among those that the rule names.
_FROM, _TO = "sanityd_from", "sanityd_to"
_FIRST, _UNNAMED = -1, -2


class Transitions(SequenceCheck):
    """A history of states follows allowed transitions only.

    A violation is the row whose state may not follow the state before it. It says which step that
    was, as in `paid → new`, and shows the group by the columns of `per`. A state that the rule does
    not name is said only with `show`, as it may be any text.

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
    describing: ClassVar[tuple[str, ...]] = (_FROM, _TO)

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
        return [ListedWords(self.column, self._states, allowed=True)]

    @property
    def _states(self) -> tuple[str, ...]:
        """All states that the rule names."""
        return tuple(dict.fromkeys(chain(self.allowed, *self.allowed.values())))

    def always_shown(self) -> Iterable[str]:
        """The group."""
        return self.per

    def description(
        self, value: ColumnElement[Any], previous: ColumnElement[Any]
    ) -> Sequence[ColumnElement[Any]]:
        """The states before and after the step, as numbers."""
        return [self._number(previous).label(_FROM), self._number(value).label(_TO)]

    def _number(self, state: ColumnElement[Any]) -> ColumnElement[int]:
        numbers = [(state == bind(name), number) for number, name in enumerate(self._states)]
        return case((state.is_(None), _FIRST), *numbers, else_=_UNNAMED)

    def describe(self, values: Mapping[str, Value]) -> str:
        """The step, as in `paid → new`."""
        to_state = self._name(values[_TO])
        if values[_FROM] == _FIRST:
            return f"begins with {to_state}"
        return f"{self._name(values[_FROM])} → {to_state}"

    def _name(self, number: Value) -> str:
        names: dict[Value, str] = dict(enumerate(self._states))
        return names.get(number, "another state")

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
