"""Singular tests of dbt: `.sql` files with a SELECT that returns the rows that are wrong.

Of their Jinja, only `ref`, `source` and a plain `config(…)` can be imported.
"""

import ast
import re
from pathlib import Path
from typing import Any

from sanityd.authoring.migrate.dbt_config import has_jinja, with_config
from sanityd.authoring.migrate.dbt_relations import Relations
from sanityd.authoring.migrate.foreign_yaml import read_text
from sanityd.authoring.migrate.import_result import (
    ImportedCheck,
    ImportedRule,
    SourceLocation,
    UnsupportedCheck,
)
from sanityd.authoring.migrate.query_key import KEY_CHOSEN_NOTE, key_columns
from sanityd.authoring.migrate.sql_text import strip_semicolon

_CONFIG = re.compile(r"\{\{\s*config\s*(\(.*?\))\s*\}\}", re.DOTALL)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_RELATION = re.compile(r"\{\{-?\s*((?:ref|source)\s*\([^{}]*\))\s*-?\}\}")


def read_singular_test(path: Path, relations: Relations) -> ImportedCheck:
    """Return the test in a file as a `query` rule."""
    location, name = SourceLocation(path, 1), f"singular test {path.stem}"
    text = read_text(path)
    try:
        without_comments = _COMMENT.sub("", text)
        config = _read_config(without_comments)
        sql = _CONFIG.sub("", without_comments)
        sql = _RELATION.sub(lambda match: relations.find(match[1]).sql, sql)
        sql = strip_semicolon(sql)
        if has_jinja(sql):
            raise UnsupportedCheck(
                "it has Jinja other than ref, source and config, which dbt alone can evaluate"
            )
        keys = {"source": relations.source, "key": key_columns(sql)}
        rule = ImportedRule(path.stem, "query", sql, keys, (KEY_CHOSEN_NOTE,))
        return ImportedCheck(location, name, (with_config(rule, config, []),))
    except UnsupportedCheck as error:
        return ImportedCheck(location, name, reason=str(error))


def _read_config(text: str) -> dict[str, Any]:
    """Return the arguments of all `config(…)` in a text."""
    config: dict[str, Any] = {}
    for match in _CONFIG.finditer(text):
        config.update(_keyword_arguments(match[1]))
    return config


def _keyword_arguments(call: str) -> dict[str, Any]:
    """Return the keyword arguments of a call. Raises UnsupportedCheck for expressions."""
    try:
        tree = ast.parse(f"config{call}", mode="eval").body
        assert isinstance(tree, ast.Call)
        arguments = {}
        for keyword in tree.keywords:
            if keyword.arg:
                arguments[keyword.arg] = ast.literal_eval(keyword.value)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UnsupportedCheck("its `config(…)` is more than plain values") from None
    return arguments
