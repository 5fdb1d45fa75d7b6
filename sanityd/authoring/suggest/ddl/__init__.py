"""Statements that add a constraint to a table in use, for each database, with advice.

sanityd never runs them.
"""

from sanityd.authoring.suggest.ddl.base import Constraint, ConstraintRequest, Ddl, FoldedColumn
from sanityd.authoring.suggest.ddl.duckdb import DuckdbDdl
from sanityd.authoring.suggest.ddl.mysql import MysqlDdl
from sanityd.authoring.suggest.ddl.postgresql import PostgresqlDdl
from sanityd.authoring.suggest.ddl.sqlite import SqliteDdl

#: By sqlglot's name of the dialect.
DIALECTS: dict[str, Ddl] = {
    "postgres": PostgresqlDdl(),
    "mysql": MysqlDdl(),
    "sqlite": SqliteDdl(),
    "duckdb": DuckdbDdl(),
}

__all__ = ["DIALECTS", "Constraint", "ConstraintRequest", "Ddl", "FoldedColumn"]
