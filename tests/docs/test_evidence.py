"""The recipes of docs/howto/evidence.md, each run on the tables that its library makes.

The libraries are not among the tests' packages. The tables of django-simple-history 3.13 and
SQLAlchemy-Continuum 2.0 have the columns that these versions made; those of PaperTrail and Audited
are written from what their generators make, in types that each database has.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine

from sanityd import pipeline
from sanityd.rules.load import load
from sanityd.store import evidence
from sanityd.store.open import Store
from tests.docs import pages

PAGE = Path("docs/howto/evidence.md")
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)

TABLES = {
    "django-simple-history": """
create table shop_account (id integer not null primary key, owner varchar(80) null);
create table shop_historicalaccount (id integer not null, owner varchar(80) null, history_id integer not null primary key,
  history_date timestamp not null, history_change_reason varchar(100) null, history_type varchar(1) not null,
  history_user_id integer null);
insert into shop_account values (7, null);
insert into shop_historicalaccount values (7, 'kanarie', 1, '2026-11-01 08:00:00', null, '+', 3),
  (7, null, 2, '2026-11-02 08:00:00', 'cleanup', '~', null), (8, 'x', 3, '2026-11-03 08:00:00', null, '+', 3)""",
    "SQLAlchemy-Continuum": """
create table article (id integer not null primary key, name varchar(255));
create table "transaction" (issued_at timestamp null, id bigint not null primary key, remote_addr varchar(50));
create table article_version (id integer not null, name varchar(255), transaction_id bigint not null,
  end_transaction_id bigint, operation_type smallint not null, primary key (id, transaction_id));
insert into article values (7, null);
insert into "transaction" values ('2026-11-01 08:00:00', 1, null), ('2026-11-02 08:00:00', 2, '10.0.0.1');
insert into article_version values (7, 'kanarie', 1, 2, 0), (7, null, 2, null, 1)""",
    "PaperTrail": """
create table orders (id bigint not null primary key, total decimal(10, 2) null);
create table versions (id bigint not null primary key, whodunnit varchar(191), created_at timestamp null, item_id bigint not null,
  item_type varchar(191) not null, event varchar(191) not null, object text, object_changes text);
insert into orders values (7, null);
insert into versions values (1, 'ana', '2026-11-01 08:00:00', 7, 'Order', 'create', null, 'total: kanarie'),
  (2, 'job', '2026-11-02 08:00:00', 7, 'Order', 'update', 'kanarie', 'kanarie'),
  (3, 'job', '2026-11-02 08:00:00', 7, 'Person', 'update', 'kanarie', 'kanarie')""",
    "Audited": """
create table orders (id bigint not null primary key, total decimal(10, 2) null);
create table audits (id bigint not null primary key, auditable_id bigint, auditable_type varchar(191), associated_id bigint,
  associated_type varchar(191), user_id bigint, user_type varchar(191), username varchar(191), action varchar(191),
  audited_changes text, version integer default 0, comment varchar(191), remote_address varchar(191),
  request_uuid varchar(191), created_at timestamp null);
insert into orders values (7, null);
insert into audits values
  (1, 7, 'Order', null, null, 3, 'User', null, 'create', '{"total": "kanarie"}', 1, null, null, 'a-1', '2026-11-01 08:00:00'),
  (2, 7, 'Order', null, null, null, null, null, 'update', '{"total": ["kanarie", null]}', 2, null, null, 'b-2', '2026-11-02 08:00:00')""",
    "A change table of Debezium": """
create table people (id integer not null primary key, email varchar(80));
create table people_events (row_id integer not null, ts_ms bigint not null, op varchar(1) not null, source_lsn bigint not null,
  before_row text, after_row text);
insert into people values (7, null);
insert into people_events values (7, 1764000000000, 'c', 10, null, '{"email": "kanarie"}'),
  (7, 1764000001000, 'u', 11, '{"email": "kanarie"}', '{"email": null}'), (8, 1764000001000, 'u', 12, null, null)""",
}
#: What the newest row and the oldest one say.
EXPECTED: dict[str, list[tuple[str, Any, Any]]] = {
    "django-simple-history": [
        ("history_type", "~", "+"),
        ("history_change_reason", "cleanup", None),
    ],
    "SQLAlchemy-Continuum": [("operation_type", 1, 0), ("transaction_id", 2, 1)],
    "PaperTrail": [("event", "update", "create"), ("whodunnit", "job", "ana")],
    "Audited": [("action", "update", "create"), ("request_uuid", "b-2", "a-1")],
    "A change table of Debezium": [("op", "u", "c"), ("ts_ms", 1764000001000, 1764000000000)],
}


def recipe(heading: str, language: str = "yaml") -> str:
    """The block of a language below a heading of the page."""
    text = PAGE.read_text(encoding="utf-8")
    section = text.split(f"### {heading}\n")[1].split("\n### ")[0]
    [block] = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return str(block)


def run(url: str, *statements: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))
    engine.dispose()


def stored(folder: Path, url: str, rules_text: str) -> list[Mapping[str, Any]]:
    """Check the only rule once. Returns the rows of its only evidence."""
    path = folder / "rules.yaml"
    path.write_text(rules_text, encoding="utf-8")
    rules = load(path, {"APP_DATABASE_URL": url})
    store = Store.open(None, folder)
    pipeline.run_batch(rules, list(rules.rules.values()), store, AT)
    with store.read() as connection:
        [(_, item)] = evidence.since(connection, next(iter(rules.rules)), AT)
    store.close()
    assert item.error == ""
    assert "kanarie" not in str(item)
    return list(item.rows)


@pytest.mark.parametrize("heading", EXPECTED)
def test_a_recipe_tells_what_happened_to_the_row(
    heading: str, database_url: str, tmp_path: Path
) -> None:
    tables, rules = TABLES[heading], recipe(heading)
    if database_url.startswith(("mysql", "mariadb")):
        # As the page says.
        tables, rules = (
            tables.replace('"transaction"', "transaction"),
            rules.replace('"transaction"', "transaction"),
        )
    run(database_url, *tables.split(";"))
    rows = stored(tmp_path, database_url, rules)
    found = [(name, rows[0][name], rows[-1][name]) for name, _, _ in EXPECTED[heading]]
    assert found == EXPECTED[heading]


def test_the_trigger_tells_which_columns_were_changed(postgres: str, tmp_path: Path) -> None:
    heading = "A trigger of PostgreSQL"
    run(
        postgres,
        "create table people (id integer primary key, email text, name text)",
        recipe(heading, "sql"),
        "insert into people values (7, 'kanarie', 'kanarie')",
        "update people set email = null where id = 7",
    )
    rows = stored(tmp_path, postgres, recipe(heading))
    assert [(row["operation"], row["changed_columns"]) for row in rows] == [
        ("UPDATE", "email"),
        ("INSERT", None),
    ]


def test_each_recipe_is_tried() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) == {*EXPECTED, "A trigger of PostgreSQL"}
    assert len(list(pages.blocks(PAGE, "yaml"))) == len(headings) + 1
