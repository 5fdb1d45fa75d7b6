"""`python`: a function of yours that finds what SQL can't say."""

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from sanityd.checks.base import FunctionCheck, plural
from sanityd.errors import CheckError
from sanityd.model.option_types import option_error


class Python(FunctionCheck):
    """A Python function finds the violations, for what SQL can't express.

    The rule names a `source` and a `key`.

    ```yaml
    python: checks.invoices:without_a_pdf
    ```

    The function is called with `read`, which runs one SELECT in the rule's snapshot and returns its
    rows as dictionaries. It returns or yields a dictionary per violation, with at least the columns
    of the rule's `key`. The module is searched for in the folder of the rules file, then among the
    installed packages. The function runs with the rights of sanityd, so the rules file must allow
    it: `allow: {python: true}`.

        def without_a_pdf(read):
            for row in read("select id, checksum from invoices where sent"):
                if not Path("/archive", f"{row['checksum']}.pdf").exists():
                    yield {"id": row["id"]}
    """

    kind: ClassVar[str] = "python"
    short: ClassVar[str | None] = "function"
    needs_table: ClassVar[bool] = False

    function: str = Field(description="`package.module:function`.")

    @field_validator("function")
    @classmethod
    def _names_a_function(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
            raise option_error(
                f"`{value}` does not name a function", "write `package.module:function`"
            )
        return value

    def find(self, read: Callable[[str], list[dict[str, Any]]]) -> Iterable[Mapping[str, Any]]:
        """Call the function. Raises CheckError when it isn't there."""
        module, _, name = self.function.partition(":")
        try:
            function = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            hint = "Install its package, or put the module beside the rules file."
            raise CheckError(
                f"`{self.function}` can't be imported ({type(error).__name__})", hint
            ) from None
        violations: Iterable[Mapping[str, Any]] = function(read)
        return violations

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'is', 'are')} found by {self.function}"

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """Counts what it found; of how many can't be known."""
        return f"{violations:,} {plural(violations, 'row', 'rows')}"
