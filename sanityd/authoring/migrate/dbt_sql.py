"""A singular test of dbt, a `.sql` file whose SELECT returns what is wrong, as a `query` rule.

Of its Jinja only `ref`, `source` and a plain `config(…)` are understood.
"""

import ast
import re
from collections.abc import Callable
from typing import Any

from sanityd.authoring.migrate.dbt_config import has_jinja
from sanityd.authoring.migrate.dbt_test import Relation
from sanityd.authoring.migrate.draft import Unmappable

_CONFIG = re.compile(r"\{\{\s*config\s*(\(.*?\))\s*\}\}", re.DOTALL)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_RELATION = re.compile(r"\{\{-?\s*((?:ref|source)\s*\([^{}]*\))\s*-?\}\}")


def plain_sql(text: str, relation: Callable[[str], Relation]) -> tuple[str, dict[str, Any]]:
    """The SELECT without Jinja, and the test's configuration. Raises Unmappable for other Jinja."""
    config: dict[str, Any] = {}

    def read_config(found: re.Match[str]) -> str:
        config.update(_keywords(found[1]))
        return ""

    without = _CONFIG.sub(read_config, _COMMENT.sub("", text))
    sql = _RELATION.sub(lambda found: relation(found[1]).sql, without).strip().rstrip(";").strip()
    if has_jinja(sql):
        raise Unmappable(
            "it has Jinja other than ref, source and config, which dbt alone can evaluate"
        )
    return sql, config


def _keywords(call: str) -> dict[str, Any]:
    """The keyword arguments of a call, where they are plain values."""
    try:
        tree = ast.parse(f"config{call}", mode="eval").body
        assert isinstance(tree, ast.Call)
        return {word.arg: ast.literal_eval(word.value) for word in tree.keywords if word.arg}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unmappable("its `config(…)` is more than plain values") from None
