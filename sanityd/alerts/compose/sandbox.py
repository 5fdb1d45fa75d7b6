"""The Jinja environment for templates: a sandbox with limits on time and size."""

from collections.abc import Sized
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    nodes,
    select_autoescape,
)
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sanityd import clock
from sanityd.alerts.compose import filters

#: The largest product of two numbers, so that each step is short.
_LARGEST_NUMBER = 10**18
#: The most characters or items of a repetition.
_LONGEST_REPETITION = 500_000
#: Methods that pad a text to any width, and filters that do the same to a text or a list.
_PADDING_METHODS = ("center", "expandtabs", "ljust", "rjust", "zfill")
_PADDING_FILTERS = ("batch", "center", "format", "indent", "slice")
#: When the present template must end, and how many seconds it has in all.
_TIME_LIMIT: ContextVar[tuple[float, float]] = ContextVar("time_limit")


class TemplateLimitError(Exception):
    """A template takes too long, writes too much, or nothing at all."""


def start_time_limit(seconds: float) -> None:
    """Start the time limit of the template that is rendered next in this context."""
    _TIME_LIMIT.set((clock.stopwatch() + seconds, seconds))


class _CodeGenerator(CodeGenerator):
    """Adds a check of the time limit to each iteration of a loop."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802
        """Generate a loop whose body begins with the check."""
        check_time = nodes.EnvironmentAttribute("check_time")
        call = nodes.Call(check_time, [], [], None, None)
        node.body.insert(0, nodes.ExprStmt(call).set_lineno(node.lineno))
        super().visit_For(node, frame)


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which each iteration of a loop checks the time limit.

    Operations that may take long in a single step are refused, as no limit is checked in them.
    """

    intercepted_binops = frozenset(("*", "**", "%"))
    code_generator_class = _CodeGenerator

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Evaluate `*` and `%` while the result stays small. Raises TemplateLimitError."""
        if operator == "**":
            raise TemplateLimitError("it calculates a power")
        if operator == "%" and isinstance(left, str):
            raise TemplateLimitError("it formats text by `%`, which may be of any width: use `~`")
        if operator == "*" and _is_large_product(left, right):
            raise TemplateLimitError("it makes something too large by `*`")
        return super().call_binop(context, operator, left, right)

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call anything but the methods that pad a text to any width."""
        is_text_method = isinstance(getattr(__obj, "__self__", None), str)
        if is_text_method and __obj.__name__ in _PADDING_METHODS:
            raise TemplateLimitError(
                f"it pads a text by `{__obj.__name__}`, which may be of any width"
            )
        return super().call(__context, __obj, *args, **kwargs)

    def check_time(self) -> None:
        """Raise TemplateLimitError when the time is over. Called in each iteration of a loop."""
        end, seconds = _TIME_LIMIT.get()
        if clock.stopwatch() > end:
            raise TemplateLimitError(f"it takes longer than {seconds:.0f} seconds")


def _is_large_product(left: Any, right: Any) -> bool:
    times, factor = (left, right) if isinstance(left, int) else (right, left)
    if isinstance(factor, Sized):
        return len(factor) * times > _LONGEST_REPETITION
    return bool(abs(times * factor) > _LARGEST_NUMBER)


@cache
def environment(folder: Path | None) -> _Environment:
    """Return the environment for the templates in `folder`, or for the built-in ones only."""
    built_in: BaseLoader = PackageLoader("sanityd.alerts.compose")
    loader = built_in
    if folder is not None:
        own = FileSystemLoader(folder)
        loader = ChoiceLoader([own, PrefixLoader({"built-in": built_in}), built_in])
    made = _Environment(
        loader=loader,
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _PADDING_FILTERS:
        del made.filters[name]
    # It writes as many paragraphs as it is asked for.
    del made.globals["lipsum"]
    made.filters["linked"] = filters.linked
    made.filters["coded"] = filters.coded
    made.filters["filled"] = filters.filled
    made.filters["aligned"] = filters.aligned
    # Users' own templates know it by this name.
    made.filters["beside"] = filters.labelled
    return made
