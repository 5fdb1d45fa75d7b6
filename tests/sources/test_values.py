"""What a value is counts, not what the type of its column is called."""

from collections.abc import Callable

from sqlalchemy import func, select

from sanityd.checks.invariant import Subject, TableName
from sanityd.checks.scope import Scope
from sanityd.sources.base import Source
from sanityd.sources.catalog import Family


def scope_of(snapshot: object, name: str) -> Scope:
    """All rows of a table."""
    subject = Subject("app", TableName("app", name), frozenset({"app"}))
    return Scope(snapshot, subject)  # type: ignore[arg-type]


def test_domains_over_domains_and_citext_elsewhere_are_what_they_are_based_on(
    postgres: str, open_it: Callable[..., Source]
) -> None:
    """Also with a modifier; `citext` compares to the letter wherever it is installed."""
    from tests.support.services import owner

    engine = owner(postgres)
    with engine.begin() as connection:
        for statement in (
            "CREATE SCHEMA extensions",
            "CREATE EXTENSION citext SCHEMA extensions",
            "CREATE DOMAIN code AS varchar(10)",
            "CREATE DOMAIN inner_code AS code",
            "CREATE DOMAIN some_moment AS timestamptz",
            "CREATE DOMAIN moment AS some_moment",
            "CREATE TABLE t (id int, word inner_code, at moment, mail extensions.citext)",
            "INSERT INTO t VALUES (1, 'a', now(), 'Ana'), (2, 'b', now(), 'ana')",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    with open_it(postgres).snapshot() as snapshot:
        scope = scope_of(snapshot, "t")
        word, at, mail = (scope.column_info(name) for name in ("word", "at", "mail"))
        assert (word.family, word.type) == (Family.TEXT, "character varying(10)")
        assert {"code", "inner_code", "varchar"} <= word.aliases
        assert at.family is Family.TIMESTAMPTZ
        assert (mail.family, mail.base) == (Family.TEXT, "citext")
        distinct = select(func.count(scope.exact("mail").distinct())).select_from(scope.table)
        assert snapshot.rows(distinct)[0][0] == 2


def test_text_that_is_not_utf_8_matches_nothing_and_stops_nothing(
    sqlite: str, open_it: Callable[..., Source]
) -> None:
    """SQLite stores any bytes as text."""
    from tests.support.services import owner

    engine = owner(sqlite)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id integer, word text)")
        connection.exec_driver_sql(
            "INSERT INTO t VALUES (1, 'Ana'), (2, cast(x'416eff' as text)), (3, NULL)"
        )
    engine.dispose()
    with open_it(sqlite).snapshot() as snapshot:
        scope = scope_of(snapshot, "t")
        asked = (
            scope.matches("word", "[A-Za-z].*"),
            scope.matches("word", "A", part=True),
            scope.folded("word"),
            scope.instant("word"),
        )
        rows = snapshot.rows(select(*asked).select_from(scope.table).order_by(scope.column("id")))
        assert [tuple(row) for row in rows] == [
            (1, 1, "ana", None),
            (0, 0, b"\x41\x6e\xff", None),
            (None, None, None, None),
        ]
