"""Constraints as each database writes them, with advice for a table in use. sanityd itself never runs any."""

from sanityd.authoring.ddl.base import Constraint, Ddl, Wanted
from sanityd.authoring.ddl.duckdb import DuckdbDdl
from sanityd.authoring.ddl.mysql import MysqlDdl
from sanityd.authoring.ddl.postgresql import PostgresqlDdl
from sanityd.authoring.ddl.sqlite import SqliteDdl

#: By the name that sqlglot has for the dialect.
DIALECTS: dict[str, Ddl] = {
    "postgres": PostgresqlDdl(),
    "mysql": MysqlDdl(),
    "sqlite": SqliteDdl(),
    "duckdb": DuckdbDdl(),
}

__all__ = ["DIALECTS", "Constraint", "Ddl", "Wanted"]
