"""Check files of Soda 3 (SodaCL): sections `checks for TABLE:` with one check in each line.

The meaning of a check is in `soda_cl_checks`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sanityd.authoring.migrate.foreign_yaml import YamlNode, error_at
from sanityd.authoring.migrate.import_result import ImportedCheck, ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.plain_data import one_line, read_text
from sanityd.authoring.migrate.soda_cl_checks import CheckedTable, rules_of_check
from sanityd.authoring.migrate.soda_settings import (
    VARIABLE_NOTE,
    check_attributes,
    fill_variables,
    has_variable,
    with_attributes,
)

_CHECKS = re.compile(r"checks for (?P<table>\S+|\"[^\"]+\")(?:\s*\[(?P<filter>[^\]]+)\])?")
_FILTER = re.compile(r"(?:filter|partition) (?P<table>\S+)\s*\[(?P<filter>[^\]]+)\]")
_CONFIGURATION = re.compile(r"configurations? for (?P<table>\S+)")
_SETTING = re.compile(r"(?P<key>(?:in)?valid [a-z ]+|missing [a-z]+) for (?P<column>\S+)")

#: The settings of columns, by table, column and name.
_Settings = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class _SodaFile:
    """What a file defines for all of its sections.

    Parameters: `filters` are SQL conditions by table and name.
    """

    source: str
    filters: dict[tuple[str, str], str]
    settings: _Settings
    variables: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Section:
    """A section of checks: its table, the name of a filter, attributes of all checks."""

    table: str
    filter_name: str | None
    attributes: dict[str, Any]


def read(root: YamlNode, source: str) -> Iterator[ImportedCheck]:
    """Return all checks of a file. `source` is the name of the database."""
    variables = {name: str(node.raw) for name, node in root.mapping("variables").items()}
    file = _SodaFile(source, _read_filters(root), _read_settings(root), variables)
    for header, node in root.value.items():
        words = header.strip()
        if match := _CHECKS.fullmatch(words):
            yield from _read_section(node, match["table"].strip('"'), match["filter"], file)
        elif words == "checks":
            yield from _read_section(node, "", None, file)
        elif header.startswith("checks for"):
            raise error_at(node, f"`{header[:60]}` names no table", "write `checks for TABLE:`")
        elif not _is_definition(header):
            yield _unsupported_section(header, node)


def _is_definition(header: str) -> bool:
    """Tell whether a section defines something for the checks of other sections."""
    words = header.strip()
    if _FILTER.fullmatch(words) or _CONFIGURATION.fullmatch(words):
        return True
    return header == "variables"


def _unsupported_section(header: str, node: YamlNode) -> ImportedCheck:
    reason = "it is no check"
    if "for each" in header:
        reason = "it uses tables or columns that are not in the file"
    return ImportedCheck(node.location, header, reason=reason)


def _read_filters(root: YamlNode) -> dict[tuple[str, str], str]:
    filters: dict[tuple[str, str], str] = {}
    for header, node in root.value.items():
        match = _FILTER.fullmatch(header.strip())
        if match is None:
            continue
        condition = node.text("where")
        if condition:
            filters[match["table"], match["filter"]] = condition
    return filters


def _read_settings(root: YamlNode) -> _Settings:
    """Return the settings of columns, from the sections `configurations for TABLE`."""
    settings: _Settings = {}
    for header, node in root.value.items():
        section = _CONFIGURATION.fullmatch(header.strip())
        if section is None or not isinstance(node.value, dict):
            continue
        columns = settings.setdefault(section["table"], {})
        for key, value in node.value.items():
            if match := _SETTING.fullmatch(key.strip()):
                columns.setdefault(match["column"], {})[match["key"]] = value.plain()
    return settings


def _read_section(
    node: YamlNode, table: str, filter_name: str | None, file: _SodaFile
) -> Iterator[ImportedCheck]:
    checks = [item for item in node.list() if not _is_attributes(item)]
    section = _Section(table, filter_name, _section_attributes(node))
    for check in checks:
        words, body = _words_and_body(check)
        name = f"{words} on {table}" if table else words
        try:
            if isinstance(check.value, dict) and len(check.value) > 1:
                raise UnsupportedCheck(
                    "a check is one line with its settings below it; check the indentation"
                )
            rules = _rules(words, body, section, file)
            yield ImportedCheck(check.location, name, tuple(rules))
        except UnsupportedCheck as error:
            yield ImportedCheck(check.location, name, reason=str(error))


def _section_attributes(node: YamlNode) -> dict[str, Any]:
    """Return the attributes of all checks of a section: the first entry `attributes`."""
    for item in node.list():
        if _is_attributes(item):
            attributes = item.value["attributes"].plain()
            return attributes if isinstance(attributes, dict) else {}
    return {}


def _is_attributes(node: YamlNode) -> bool:
    return isinstance(node.value, dict) and set(node.value) == {"attributes"}


def _words_and_body(node: YamlNode) -> tuple[str, dict[str, Any]]:
    """Return the line of a check, without needless blanks, and its settings."""
    if not isinstance(node.value, dict) or not node.value:
        return one_line(node.raw or str(node.plain())), {}
    words, body = next(iter(node.value.items()))
    return one_line(words), body.plain_mapping()


def _rules(
    words: str, body: dict[str, Any], section: _Section, file: _SodaFile
) -> Iterator[ImportedRule]:
    """Return the rules of a check, with everything that its section and file say about it."""
    condition = None
    if section.filter_name is not None:
        if (section.table, section.filter_name) not in file.filters:
            raise UnsupportedCheck(f"the filter `{section.filter_name}` is not in the file")
        condition = file.filters[section.table, section.filter_name]
    settings = file.settings.get(section.table, {})
    texts = [words, body, section.table, condition, settings, section.attributes]
    words, body, table_name, condition, settings, attributes = fill_variables(texts, file.variables)
    table = CheckedTable(f"{file.source}.{table_name}", file.source, settings)
    attributes = {**attributes, **check_attributes(body)}
    for index, check_rule in enumerate(rules_of_check(words, body, table)):
        rule = check_rule
        if rule.kind != "query":
            if not table.short_name:
                raise UnsupportedCheck("it names no table")
            rule = rule.with_keys(table=table.name)
        rule = with_attributes(rule, attributes)
        if rule.kind not in ("query", "columns"):
            rule = rule.with_keys(where=condition or None).with_keys(where=body.get("filter"))
        if has_variable(texts):
            rule = rule.with_notes(VARIABLE_NOTE)
        yield rule.with_custom_title(read_text(body, "name"), index)
