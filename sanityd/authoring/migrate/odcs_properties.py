"""What a data contract says about columns (`properties`), as rules."""

from collections.abc import Iterator, Sequence
from typing import Any

from sanityd.authoring.migrate.foreign_yaml import YamlNode
from sanityd.authoring.migrate.import_result import ImportedCheck, ImportedRule
from sanityd.authoring.migrate.odcs_subject import QualitySubject, physical_name
from sanityd.authoring.migrate.plain_data import single_or_list
from sanityd.authoring.migrate.sql_text import quote_name

_FORMATS = {"email": "email", "uuid": "uuid", "uri": "url", "ipv4": "ip", "ipv6": "ip"}
_LIMITS = {
    "minimum": "min",
    "maximum": "max",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}
_LENGTHS = {"minLength": "min", "maxLength": "max"}
_UNSUPPORTED_OPTION = "it says how a value is stored, or has no counterpart"


def columns_check(
    node: YamlNode, subject: QualitySubject, properties: Sequence[YamlNode]
) -> ImportedCheck:
    """Return the check that a table has the columns of the contract."""
    names = [physical_name(column) for column in properties]
    rule = ImportedRule(
        f"{subject.short_name} has its columns", "columns", dict.fromkeys(names, "any")
    )
    rule = rule.with_notes(
        "Types are not compared: those of a contract are logical, not the database's."
    )
    name = f"properties of {subject}"
    return ImportedCheck(node.location, name, (subject.with_table(rule),))


def primary_key_checks(
    subject: QualitySubject, properties: Sequence[YamlNode]
) -> Iterator[ImportedCheck]:
    """Return the check of the primary key, if the contract has one."""
    columns = [column for column in properties if column.is_true("primaryKey")]
    if not columns:
        return
    columns.sort(key=_key_position)
    names = [physical_name(column) for column in columns]
    title, options = f"{' and '.join(names)} of {subject.short_name} is", single_or_list(names)
    unique = ImportedRule(f"{title} a unique key", "unique", options)
    complete = ImportedRule(f"{title} a complete key", "not_null", options)
    rules = (subject.with_table(unique), subject.with_table(complete))
    yield ImportedCheck(columns[0].location, f"primaryKey of {subject}", rules)


def _key_position(column: YamlNode) -> int:
    position = column.get("primaryKeyPosition")
    if position is None or not isinstance(position.value, int):
        return 0
    return position.value


def constraint_checks(node: YamlNode, subject: QualitySubject) -> Iterator[ImportedCheck]:
    """Return the checks `required`, `unique` and `enum` of a column."""
    rules: dict[str, ImportedRule] = {}
    if node.is_true("required"):
        rules["required"] = ImportedRule(subject.title("is never null"), "not_null", subject.column)
    if node.is_true("unique"):
        rules["unique"] = ImportedRule(subject.title("is unique"), "unique", subject.column)
    enum = node.get("enum")
    if enum is not None:
        rules["enum"] = ImportedRule(
            subject.title("is an accepted value"),
            "accepted_values",
            {subject.column: _enum_values(enum)},
            notes=("A NULL passes.",),
        )
    why = node.text("description")
    for key, rule in rules.items():
        location = node.value[key].location
        complete = subject.with_table(rule, why=why)
        yield ImportedCheck(location, f"{key} of {subject}", (complete,))


def _enum_values(enum: YamlNode) -> list[Any]:
    """Return the values of an `enum`: each is written as itself, or as `value:`."""
    nodes = [entry.get("value") or entry for entry in enum.list()]
    return [node.plain() for node in nodes]


def type_option_checks(node: YamlNode, subject: QualitySubject) -> Iterator[ImportedCheck]:
    """Return the checks of a column's `logicalTypeOptions`. NULL passes all of them."""
    options = node.mapping("logicalTypeOptions")
    for words, kind, limit_words in (
        ("is in range", "between", _LIMITS),
        ("has a right length", "length", _LENGTHS),
    ):
        yield from _limit_checks(options, limit_words, kind, subject.title(words), subject)
    for key, option in options.items():
        if key in _LIMITS or key in _LENGTHS:
            continue
        rule = _type_option_rule(key, option, subject)
        name = f"{key} of {subject}"
        if rule is None:
            yield ImportedCheck(option.location, name, reason=_UNSUPPORTED_OPTION)
        else:
            yield ImportedCheck(option.location, name, (subject.with_table(rule),))


def _limit_checks(
    options: dict[str, YamlNode],
    limit_words: dict[str, str],
    kind: str,
    title: str,
    subject: QualitySubject,
) -> Iterator[ImportedCheck]:
    """Return one check for all limits that are given."""
    keys = [key for key in limit_words if key in options]
    if not keys:
        return
    limits = {limit_words[key]: options[key].plain() for key in keys}
    rule = subject.with_table(ImportedRule(title, kind, {subject.column: limits}))
    yield ImportedCheck(options[keys[0]].location, f"{' and '.join(keys)} of {subject}", (rule,))


def _type_option_rule(key: str, option: YamlNode, subject: QualitySubject) -> ImportedRule | None:
    """Return the rule of an option other than a limit; None without a counterpart."""
    column = subject.column
    if key == "pattern":
        options = {"columns": {column: option.raw}, "part": True}
        rule = ImportedRule(subject.title("has its form"), "matches", options)
        return rule.with_notes("ECMA's regular expressions and the database's differ in details.")
    if key == "multipleOf":
        title = subject.title(f"is a multiple of {option.value}")
        return ImportedRule(title, "always", f"{quote_name(column)} % {option.value} = 0")
    if key == "format" and option.raw in _FORMATS:
        title = subject.title("is well formed")
        return ImportedRule(title, "matches", {column: _FORMATS[option.raw]})
    return None
