"""The policies over recorded runs, and in virtual time the same as over a store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest

from sanityd.model import Outcome, Run, Severity
from sanityd.notifications.notify import notify
from sanityd.pipeline.recording import record, record_outages
from sanityd.pipeline.replay import Replay, replay
from sanityd.pipeline.simulation import temporary_store
from sanityd.pipeline.virtual_time import VirtualTime
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from sanityd.store import runs
from sanityd.store.open import Store
from sanityd.store.outbox import Outbox
from sanityd.store.tables import metadata
from tests.bench.quarter_data import START, STEP, World
from tests.bench.signal import TEAMS, live, rules_of

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    """Three rules that are looked at six times a day."""
    (tmp_path / "rules.yaml").write_text(
        "sources: {app: 'sqlite:///app.db'}\nchannels: {team: {file: mails}}\n"
        "defaults: {notify: team, schedule: every 4h}\n"
        "rules:\n"
        + "".join(
            f"  {name}: {{table: app.t, not_null: a}}\n" for name in ("calm", "noisy", "restless")
        )
    )
    return load(tmp_path / "rules.yaml", {})


def recorded(store: Store, days: int) -> None:
    """`noisy` is violated for half of every other day, `restless` every other time, `calm`
    never."""
    with store.write() as memory:
        for number, odd in zip(range(6 * days), cycle((0, 1)), strict=False):
            at = BEGIN + timedelta(hours=4 * number)
            counts = {"calm": 0, "noisy": 3 if number % 12 < 3 else 0, "restless": odd}
            for rule, count in counts.items():
                severity = Severity.ERROR if count else None
                run = Run(
                    rule,
                    "not_null",
                    "app",
                    at,
                    Outcome.COMPLETE,
                    count,
                    count,
                    100,
                    severity=severity,
                )
                runs.record(memory, run, revision="", incident=None)


def test_a_replay_tells_what_the_policies_would_have_spared_and_decided(
    rules: RuleSet, tmp_path: Path
) -> None:
    store = Store.open(None, tmp_path)
    recorded(store, 24)
    went: list[int] = []
    found: dict[str, Replay] = {one.rule: one for one in replay(rules, store, BEGIN, went.append)}
    store.close()
    assert (found["calm"].runs, found["calm"].mails, found["calm"].without) == (6 * 24, 0, 0)
    assert [reason for _, reason, _ in found["noisy"].verdicts] == [
        "downgrade_notice",
        "downgraded",
    ]
    assert found["noisy"].without == 12
    assert found["noisy"].mails < 12
    assert [reason for _, reason, _ in found["restless"].verdicts] == ["flapping_started"]
    assert (found["restless"].mails <= 12, found["restless"].without) == (True, 3 * 24)
    assert sum(went) > 0


def everything(store: Store) -> list[list[object]]:
    """All that a store holds."""
    with store.read() as memory:
        return [list(memory.execute(table.select())) for table in metadata.sorted_tables]


def test_a_replay_leaves_the_memory_as_it_is(rules: RuleSet, tmp_path: Path) -> None:
    store = Store.open(None, tmp_path)
    recorded(store, 2)
    before = everything(store)
    replay(rules, store, BEGIN)
    assert everything(store) == before
    store.close()
    assert not (tmp_path / "mails").exists()


Mailed = tuple[datetime, str, tuple[str, ...]]


def mailed_from_a_store(rules: RuleSet, world: World) -> list[Mailed]:
    """The mails of the same quarter by way of the store and its outbox."""
    mails: list[Mailed] = []
    with temporary_store() as store:
        outbox = Outbox(store)
        at = START
        while at < world.end:
            batch = [world.run(rule, at) for rule in world.rules]
            batch = [replace(run, at=at) for run in batch]
            with store.write() as memory:
                record(memory, rules, [(rules.rules[run.rule], run) for run in batch])
                record_outages(memory, rules, rules.rules, batch, at)
                notify(memory, rules, at)
            while claimed := outbox.claim(at):
                outbox.sent(claimed, at)
                about = claimed.message.data["incidents"]
                assert isinstance(about, list)
                names = tuple(sorted(item["rule"] for item in about))
                mails.append((at, claimed.reason.value, names))
            at += STEP
    return sorted(mails)


def test_virtual_time_mails_what_the_store_would_have_mailed(tmp_path: Path) -> None:
    """Nobody acts on anything; the second source is down for a while."""

    def made() -> World:
        kinds = {"healthy": 1, "flapping": 1, "passing": 1}
        world = World(days=1, seed=3, kinds=kinds)
        world.outages = [(START + timedelta(hours=10), START + timedelta(hours=13))]
        return world

    world = made()
    rules = rules_of(tmp_path, world, {})
    virtual = VirtualTime(rules)
    at = START
    while at < world.end:
        virtual.record([world.run(rule, at) for rule in world.rules], at)
        at += STEP
    mails = [(mail.at, mail.reason.value, tuple(sorted(mail.rules))) for mail in virtual.sent]
    assert len(mails) > 5
    assert sorted(mails) == mailed_from_a_store(rules, made())


def test_over_some_days_no_worsening_is_hidden() -> None:
    """`scripts/bench signal` is the same for whole quarters, with 40 rules."""
    kinds = {"healthy": 3, "noisy": 1, "flapping": 1, "passing": 1, "bursting": 1}
    kept = live(World(days=7, seed=2, kinds=kinds), TEAMS[0], {})
    delays = [delay for _, _, delay in kept.delays()]
    assert len(delays) >= 4
    assert all(delay is not None and delay <= 2 * STEP for delay in delays)
