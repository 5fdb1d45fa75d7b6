"""Forty rules over the shop, each written once: YAML, the SQL that a good engineer would write, and
what is planted.

`bad` is the condition of one bad row; rules about more than one row have a query of their own, `keys`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Promise:
    """One rule. `wrong` is what an UPDATE sets in a row of `planted_in` so that it violates this
    rule and no other;
    `twin` is the next row, for duplicates. Without `wrong`, the shop itself knows how."""

    id: str
    table: str
    kind: str
    options: Any
    wrong: str
    planted: int
    bad: str = ""
    keys: str = ""
    planted_in: str = ""

    @property
    def sql(self) -> str:
        """The query that returns the keys of what violates."""
        return self.keys or f"SELECT id FROM {self.table} WHERE {self.bad}"

    @property
    def yaml(self) -> dict[str, Any]:
        """As the rules file has it."""
        return {"table": f"app.{self.table}", self.kind: self.options}


def _column(options: Mapping[str, Any]) -> tuple[str, Any]:
    [(name, expected)] = options.items()
    return name, expected


def not_null(name: str, table: str, column: str, planted: int) -> Promise:
    """A column that is never NULL."""
    return Promise(
        name, table, "not_null", column, f"{column} = NULL", planted, f"{column} IS NULL"
    )


def unique(name: str, table: str, columns: Sequence[str], planted: int) -> Promise:
    """Columns that are a key."""
    listed = ", ".join(columns)
    known = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    keys = f"SELECT {listed} FROM {table} WHERE {known} GROUP BY {listed} HAVING count(*) > 1"
    wrong = ", ".join(f"{column} = twin.{column}" for column in columns)
    options = columns[0] if len(columns) == 1 else list(columns)
    return Promise(name, table, "unique", options, wrong, planted, keys=keys)


def accepted(name: str, table: str, column: str, values: Sequence[str], planted: int) -> Promise:
    """A column with few values."""
    listed = ", ".join(f"'{value}'" for value in values)
    bad = f"{column} NOT IN ({listed})"
    return Promise(
        name, table, "accepted_values", {column: list(values)}, f"{column} = 'bogus'", planted, bad
    )


def between(name: str, table: str, column: str, ends: tuple[float, float], planted: int) -> Promise:
    """A column with numbers in a range."""
    bad = f"{column} NOT BETWEEN {ends[0]} AND {ends[1]}"
    return Promise(
        name, table, "between", {column: list(ends)}, f"{column} = {ends[1]} + 1", planted, bad
    )


def matches(name: str, table: str, column: str, pattern: str, planted: int) -> Promise:
    """A column with text of one form."""
    wrong = f"{column} = 'not so ' || {table}.id"
    return Promise(
        name, table, "matches", {column: pattern}, wrong, planted, f"{column} !~ '^({pattern})$'"
    )


def length(name: str, table: str, column: str, ends: tuple[int, int], planted: int) -> Promise:
    """A column with text of some length."""
    bad = f"char_length({column}) NOT BETWEEN {ends[0]} AND {ends[1]}"
    wrong = f"{column} = repeat('x', {ends[1]} + 1)"
    return Promise(name, table, "length", {column: list(ends)}, wrong, planted, bad)


def references(
    name: str, table: str, column: str, target: str, wrong: str, planted: int
) -> Promise:
    """A foreign key."""
    there, key = target.split(".")
    keys = (
        f"SELECT id FROM {table} WHERE {column} IS NOT NULL"
        f" AND NOT EXISTS (SELECT FROM {there} AS t WHERE t.{key} = {table}.{column})"
    )
    return Promise(
        name, table, "references", {column: target}, f"{column} = {wrong}", planted, keys=keys
    )


def always(name: str, table: str, condition: str, wrong: str, planted: int) -> Promise:
    """A condition on one row."""
    return Promise(name, table, "always", condition, wrong, planted, f"NOT ({condition})")


_WELCOME = "template = 'welcome' and status = 'sent'"


def promises(rows: int) -> list[Promise]:
    """The forty, for a shop with that many people."""
    return [*_people(), *_mails(), *_orders(rows)]


def _people() -> Iterator[Promise]:
    table = "people"
    yield not_null("people-have-a-name", table, "name", 3)
    yield not_null("people-have-an-email", table, "email", 5)
    yield not_null("people-have-a-tenant", table, "tenant_id", 4)
    yield not_null("people-have-a-status", table, "status", 7)
    yield unique("emails-are-unique", table, ["email"], 6)
    yield unique("customer-numbers-are-unique", table, ["number"], 3)
    yield unique("accounts-are-unique", table, ["account"], 8)
    yield unique("logins-are-unique-in-a-tenant", table, ["tenant_id", "login"], 5)
    yield accepted(
        "states-of-people-are-known", table, "status", ["active", "invited", "closed"], 9
    )
    yield accepted("locales-are-known", table, "locale", ["de", "en", "es", "fr", "it", "pl"], 4)
    yield between("ages-are-plausible", table, "age", (0, 120), 12)
    yield between("balances-are-plausible", table, "balance", (-1000, 1_000_000), 3)
    yield matches("emails-are-emails", table, "email", "[a-z0-9.]+@[a-z0-9-]+[.][a-z]+", 20)
    yield matches("phones-are-e164", table, "phone", "[+][1-9][0-9]{1,14}", 11)
    yield length("names-fit", table, "name", (1, 80), 6)
    welcome = (
        "EXISTS (SELECT FROM mails AS m WHERE m.person_id = people.id AND m.template = 'welcome'"
    )
    yield Promise(
        *("every-person-has-a-welcome-mail", table, "has"),
        {"in": "app.mails", "on": {"id": "person_id"}, "where": _WELCOME},
        "status = 'queued'",
        planted=10,
        keys=f"SELECT id FROM people WHERE NOT {welcome} AND m.status = 'sent')",
        planted_in="mails",
    )
    yield references("countries-exist", table, "country", "countries.code", "'XX'", 5)
    yield always(
        "people-change-after-they-came",
        table,
        "updated_at >= created_at",
        "updated_at = people.created_at - interval '1 day'",
        4,
    )


def _mails() -> Iterator[Promise]:
    table = "mails"
    yield not_null("mails-have-a-person", table, "person_id", 5)
    yield not_null("mails-have-a-template", table, "template", 3)
    yield unique("message-ids-are-unique", table, ["message_id"], 7)
    yield accepted("states-of-mails-are-known", table, "status", ["sent", "queued", "bounced"], 3)
    yield between("attempts-are-few", table, "attempts", (0, 10), 16)
    yield matches(
        "message-ids-are-message-ids", table, "message_id", "<[0-9a-f]{32}@mail[.]example[.]com>", 4
    )
    yield length("subjects-fit", table, "subject", (1, 120), 8)
    yield references("mails-belong-to-people", table, "person_id", "people.id", "-1 - mails.id", 9)
    sent = "status <> 'sent' or sent_at >= created_at"
    early = "status = 'sent', sent_at = mails.created_at - interval '1 hour'"
    yield always("mails-are-sent-after-they-are-made", table, sent, early, 6)


def _orders(rows: int) -> Iterator[Promise]:
    table = "orders"
    yield not_null("orders-have-a-number", table, "number", 3)
    yield not_null("orders-have-a-total", table, "total", 6)
    yield unique("order-numbers-are-unique", table, ["number"], 4)
    yield accepted(
        "states-of-orders-are-known", table, "status", ["new", "paid", "shipped", "void"], 13
    )
    yield accepted("currencies-are-known", table, "currency", ["EUR", "USD", "GBP", "PLN"], 5)
    yield between("quantities-are-plausible", table, "quantity", (1, 1000), 7)
    yield between("shipping-is-plausible", table, "shipping", (0, 500), 3)
    yield matches("order-numbers-are-order-numbers", table, "number", "R-[0-9]{10}", 18)
    yield references(
        "orders-belong-to-people", table, "person_id", "people.id", "-1 - orders.id", 15
    )
    yield always("totals-add-up", table, "total = amount + tax", "total = orders.total + 0.01", 8)
    stale = "SELECT 1 FROM orders HAVING coalesce(max(synced_at) < now() - interval '1 day', true)"
    yield Promise("orders-are-synced", table, "fresh", {"synced_at": "1d"}, "", 1, keys=stale)
    fewer = f"SELECT count(*) FROM orders HAVING count(*) < {2 * rows}"
    yield Promise("no-order-is-lost", table, "row_count", {"min": 2 * rows}, "", 1, keys=fewer)
    generous = "SELECT tenant_id FROM orders GROUP BY tenant_id HAVING max(discount) > 50"
    discount = {"expr": "max(discount)", "max": 50, "by": "tenant_id"}
    yield Promise(
        "discounts-are-modest", table, "aggregate", discount, "discount = 99", 3, keys=generous
    )


def rules_file(url: str, rules: Sequence[Promise]) -> str:
    """The rules file, in that part of YAML which is JSON."""
    sources = {"app": {"url": url, "statement_timeout": "1h"}}
    listed = {one.id: one.yaml for one in rules}
    return json.dumps({"sources": sources, "rules": listed}, indent=1)


def fused(rules: Sequence[Promise], measure: str) -> dict[str, list[str]]:
    """One statement for each table with all its conditions on rows: SQL → the rules, in the order
    of its columns.

    Parameters: `measure` is the aggregate in front of each FILTER.
    """
    found = {}
    for table in dict.fromkeys(one.table for one in rules):
        ours = [one for one in rules if one.table == table and one.bad]
        columns = ", ".join(f"{measure} FILTER (WHERE {one.bad})" for one in ours)
        found[f"SELECT {columns} FROM {table}"] = [one.id for one in ours]
    return found
