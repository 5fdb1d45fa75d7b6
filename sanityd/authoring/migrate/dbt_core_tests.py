"""The four generic tests that come with dbt, as rules."""

from sanityd.authoring.migrate.dbt_arguments import read_values
from sanityd.authoring.migrate.dbt_generic_test import GenericTest, TestMapping
from sanityd.authoring.migrate.import_result import FailureUnit, ImportedRule


def not_null(test: GenericTest) -> list[ImportedRule]:
    """Map `not_null`. Blank text passes, in dbt as in sanityd."""
    column = test.tested_column()
    return [ImportedRule(test.title(column, "is never null"), "not_null", column)]


def unique(test: GenericTest) -> list[ImportedRule]:
    """Map `unique`. NULLs are exempt in both; both count a value that occurs twice once."""
    column = test.tested_column()
    return [ImportedRule(test.title(column, "is unique"), "unique", column)]


def accepted_values(test: GenericTest) -> list[ImportedRule]:
    """Map `accepted_values`. NULL passes in both: `NULL not in (…)` is unknown."""
    column = test.tested_column()
    options = {column: read_values(test, "values", "quote")}
    title = test.title(column, "is an accepted value")
    return [ImportedRule(title, "accepted_values", options, failure_unit=FailureUnit.VALUES)]


def relationships(test: GenericTest) -> list[ImportedRule]:
    """Map `relationships`. NULL passes in both."""
    column, other_table = test.tested_column(), test.relation_argument("to")
    other_column = test.column_argument("field")
    title = test.title(column, f"exists in {other_table.short_name}")
    options = {column: f"{other_table.name}.{other_column}"}
    return [ImportedRule(title, "references", options)]


#: The mapping of each test by its name.
CORE_TESTS: dict[str, TestMapping] = {
    "not_null": not_null,
    "unique": unique,
    "accepted_values": accepted_values,
    "relationships": relationships,
}
