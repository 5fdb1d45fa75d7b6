"""The tables that the rules with mistakes are about, the same in each database."""

from sqlalchemy import NullPool, create_engine

_TABLES = """
create table people (
    id integer not null primary key, name varchar(80), email varchar(200) not null, status varchar(20),
    created_at timestamp null
);
create table mails (
    id integer not null primary key, person_id integer not null, template varchar(80), status varchar(20)
);
create table keyless (a integer, b integer)
"""


def build(url: str, *more: str) -> None:
    """Make them, and whatever else."""
    run(url, *_TABLES.split(";"), *more)


def run(url: str, *statements: str) -> None:
    """Statements, one after the other."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
