"""Rules run without a pause while writers keep committing transactions that keep them: no false
alarm, and no true violation missed."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from sanityd import pipeline
from sanityd.checks.confirm import Suspects
from sanityd.model import Outcome, Run
from sanityd.rules.load import load
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store.open import Store
from tests.support.traffic import RESERVED, TOTAL, Biller, Writer, engine_of, run, traffic

#: How often all rules of one database are looked at, and how often those of two.
PASSES, PASSES_ACROSS = 20, 3

RULES: dict[str, dict[str, Any]] = {
    "everybody-has-one-mail": {
        "table": "app.people",
        "has": {"in": "app.mails", "on": {"id": "person_id"}, "count": 1},
    },
    "every-mail-has-its-person": {"table": "app.mails", "references": {"person_id": "people.id"}},
    "addresses-agree": {
        "table": "app.people",
        "same_as": {"in": "app.mails", "on": {"id": "person_id"}, "compare": {"email": "address"}},
    },
    "as-many-mails-as-people": {"table": "app.people", "row_count": {"equals": "app.mails"}},
    "no-duplicate-emails": {"table": "app.people", "unique": "email"},
    "every-order-has-lines": {
        "table": "app.orders",
        "has": {"in": "app.items", "on": {"id": "order_id"}},
    },
    "every-line-has-its-order": {"table": "app.items", "references": {"order_id": "orders.id"}},
    "orders-are-paid-for": {"table": "app.orders", "never": "total = 0"},
    "orders-add-up": {
        "source": "app",
        "query": "select o.id from orders o left join items l on l.order_id = o.id group by o.id, o.total"
        " having o.total <> coalesce(sum(l.amount), 0)",
        "key": "id",
    },
    "no-money-is-lost": {
        "table": "app.accounts",
        "aggregate": {"expr": "sum(balance)", "equals": TOTAL},
    },
}

#: What is broken in the end, and the keys that each rule must then find.
PLANTED = (
    f"INSERT INTO people VALUES ({RESERVED + 1}, 'same@example.com', CURRENT_TIMESTAMP)",
    f"INSERT INTO people VALUES ({RESERVED + 2}, 'same@example.com', CURRENT_TIMESTAMP)",
    f"INSERT INTO mails VALUES ({RESERVED + 2}, 'other@example.com')",
    f"INSERT INTO mails VALUES ({RESERVED + 3}, 'nobody@example.com')",
    f"INSERT INTO mails VALUES ({RESERVED + 4}, 'nobody@example.com')",
    f"INSERT INTO orders VALUES ({RESERVED + 5}, 7)",
    f"INSERT INTO orders VALUES ({RESERVED + 6}, 0)",
    f"INSERT INTO items VALUES ({RESERVED + 7}, {RESERVED + 6}, 3)",
    f"INSERT INTO items VALUES ({RESERVED + 8}, {RESERVED + 9}, 3)",
    "UPDATE accounts SET balance = balance - 1 WHERE id = 7",
)
FOUND: dict[str, list[Any]] = {
    "everybody-has-one-mail": [RESERVED + 1],
    "every-mail-has-its-person": [RESERVED + 3, RESERVED + 4],
    "addresses-agree": [RESERVED + 1, RESERVED + 2, RESERVED + 3, RESERVED + 4],
    "as-many-mails-as-people": ["wrong number of rows"],
    "no-duplicate-emails": ["same@example.com"],
    "every-order-has-lines": [RESERVED + 5],
    "every-line-has-its-order": [RESERVED + 8],
    "orders-are-paid-for": [RESERVED + 6],
    "orders-add-up": [RESERVED + 5, RESERVED + 6],
    "no-money-is-lost": ["out of range"],
}


#: The same of two databases. The mail comes later than its person, and goes later, too.
SOON = {"within": "3s of created_at", "confirm": "again after 1s"}
ACROSS: dict[str, dict[str, Any]] = {
    "everybody-has-one-mail": {
        "table": "app.people",
        "has": {"in": "mail.mails", "on": {"id": "person_id"}, "count": 1},
        **SOON,
    },
    "addresses-agree": {
        "table": "app.people",
        "same_as": {"in": "mail.mails", "on": {"id": "person_id"}, "compare": {"email": "address"}},
        **SOON,
    },
    "every-mail-has-its-person": {
        "table": "mail.mails",
        "references": {"person_id": "app.people.id"},
        "confirm": "again after 1s",
    },
}


#: The document is there before its invoice, so neither a grace nor a second look is needed.
AT_ONCE: dict[str, dict[str, Any]] = {
    "every-invoice-has-its-document": {
        "table": "app.invoices",
        "has": {"in": "mail.documents", "on": {"id": "invoice_id"}},
        "confirm": "no",
    }
}


@dataclass
class Watch:
    """sanityd over one or two databases, with a memory of its own."""

    rules: RuleSet
    store: Store
    runs: list[Run] = field(default_factory=list)

    def look(self) -> dict[str, list[Any]]:
        """One pass over all rules, recorded; gives the keys of what violates, by rule."""
        found: dict[str, list[Any]] = {}
        for batch in self.rules.by_source(self.rules.rules.values()).values():
            for result in self.results(batch):
                assert result.run.outcome is Outcome.COMPLETE, (result.run.rule, result.run.error)
                self.runs.append(result.run)
                keys: list[Any] = [
                    next(iter(violation.key.values())) for violation in result.run.tracked
                ]
                found |= {result.rule.id: sorted(keys)} if keys else {}
        return found

    def results(self, batch: Sequence[Rule]) -> list[pipeline.Result]:
        """What became of each rule of a batch, with a recheck a second later."""
        suspects: dict[str, Suspects] = {}

        def seen(run: Run) -> None:
            if run.unconfirmed:
                suspects[run.rule] = Suspects.of(run)

        results = pipeline.run_batch(self.rules, batch, self.store, datetime.now(UTC), seen)
        again = [rule for rule in batch if rule.id in suspects]
        if again:
            time.sleep(1)
            at = datetime.now(UTC)
            results += pipeline.run_batch(self.rules, again, self.store, at, suspects=suspects)
        return results


@contextmanager
def watch(
    folder: Path, sources: dict[str, str], rules: dict[str, dict[str, Any]]
) -> Iterator[Watch]:
    """sanityd with these rules."""
    path = folder / "rules.yaml"
    path.write_text(
        json.dumps({"sources": {name: f"${{{name.upper()}}}" for name in sources}, "rules": rules})
    )
    store = Store.open(None, folder)
    yield Watch(load(path, {name.upper(): url for name, url in sources.items()}), store)
    store.close()


def plant(engine: Engine, *statements: str) -> None:
    """Break it, in one transaction."""
    with engine.begin() as connection:
        for statement in statements:
            run(connection, statement)


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite", "postgres", "mariadb"])
def test_no_false_alarm_under_load_and_what_is_planted_is_found(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """DuckDB is not among them: nobody can write a file of it while somebody looks."""
    database_url = request.getfixturevalue(database)
    with (
        engine_of(database_url) as engine,
        watch(tmp_path, {"app": database_url}, RULES) as sanityd,
        traffic(Writer(1, engine), Writer(2, engine)) as commits,
    ):
        while commits() < 100:
            assert sanityd.look() == {}
        for _ in range(PASSES):
            assert sanityd.look() == {}
        assert len(sanityd.runs) >= PASSES * len(RULES)
        # The data did change under its eyes.
        assert commits() > PASSES
        seen = {run.checked for run in sanityd.runs if run.rule == "everybody-has-one-mail"}
        assert len(seen) > 10
        plant(engine, *PLANTED)
        assert sanityd.look() == FOUND


@pytest.mark.parametrize(
    ("here", "there"), [("postgres", "mariadb"), ("mariadb", "sqlite"), ("sqlite", "postgres")]
)
def test_no_false_alarm_between_two_databases_that_lag(
    here: str, there: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Suspects there are in nearly every pass, and none of them outlives a second look."""
    urls = {"app": request.getfixturevalue(here), "mail": request.getfixturevalue(there)}
    with (
        engine_of(urls["app"]) as app,
        engine_of(urls["mail"]) as mail,
        watch(tmp_path, urls, ACROSS) as sanityd,
        traffic(*(Writer(number, app, mail) for number in range(1, 5))) as commits,
    ):
        while commits() < 40:
            assert sanityd.look() == {}
        for _ in range(PASSES_ACROSS):
            assert sanityd.look() == {}
        assert len(sanityd.runs) >= PASSES_ACROSS * len(ACROSS)
        plant(
            app,
            f"INSERT INTO people VALUES ({RESERVED + 1}, 'a@example.com', '2026-01-01 00:00:00')",
            f"INSERT INTO people VALUES ({RESERVED + 2}, 'b@example.com', '2026-01-01 00:00:00')",
        )
        plant(
            mail,
            f"INSERT INTO mails VALUES ({RESERVED + 2}, 'c@example.com')",
            f"INSERT INTO mails VALUES ({RESERVED + 3}, 'd@example.com')",
        )
        assert sanityd.look() == {
            "everybody-has-one-mail": [RESERVED + 1],
            "addresses-agree": [RESERVED + 1, RESERVED + 2, RESERVED + 3],
            "every-mail-has-its-person": [RESERVED + 3],
        }


@pytest.mark.parametrize(
    ("here", "there"), [("postgres", "mariadb"), ("mariadb", "sqlite"), ("sqlite", "postgres")]
)
def test_evidence_that_came_first_needs_no_second_look(
    here: str, there: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """What is claimed is read before its evidence, in every pass."""
    urls = {"app": request.getfixturevalue(here), "mail": request.getfixturevalue(there)}
    with (
        engine_of(urls["app"]) as app,
        engine_of(urls["mail"]) as mail,
        watch(tmp_path, urls, AT_ONCE) as sanityd,
        traffic(*(Biller(number, app, mail) for number in (1, 2))) as commits,
    ):
        while commits() < 100:
            assert sanityd.look() == {}
        for _ in range(PASSES):
            assert sanityd.look() == {}
        assert len({run.checked for run in sanityd.runs}) > PASSES / 2
        plant(app, f"INSERT INTO invoices VALUES ({RESERVED + 1})")
        assert sanityd.look() == {"every-invoice-has-its-document": [RESERVED + 1]}
