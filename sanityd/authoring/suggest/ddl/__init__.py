"""Constraints as each database writes them, with advice for a table in use. sanityd itself never runs any."""

from sanityd.authoring.suggest.ddl.base import Constraint, ConstraintRequest, Ddl
from sanityd.authoring.suggest.ddl.duckdb import DuckdbDdl
from sanityd.authoring.suggest.ddl.mysql import MysqlDdl
from sanityd.authoring.suggest.ddl.postgresql import PostgresqlDdl
from sanityd.authoring.suggest.ddl.sqlite import SqliteDdl

#: By the name that sqlglot has for the dialect.
DIALECTS: dict[str, Ddl] = {
    "postgres": PostgresqlDdl(),
    "mysql": MysqlDdl(),
    "sqlite": SqliteDdl(),
    "duckdb": DuckdbDdl(),
}

__all__ = ["DIALECTS", "Constraint", "ConstraintRequest", "Ddl"]
