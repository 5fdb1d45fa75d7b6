"""The policies in virtual time: over recorded runs, and over a made-up quarter of a team's life."""

from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest

from sanityd.model import Outcome, Run, Severity
from sanityd.pipeline.simulation import Replay, replay
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from sanityd.store import runs
from sanityd.store.open import Store
from sanityd.store.tables import metadata
from tests.bench import quarter

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


def test_over_some_days_no_worsening_is_hidden() -> None:
    """`python -m tests.bench.quarter` is the same for a whole quarter, with 40 rules."""
    kept = quarter.live(4, {}, quarter.Rules(noisy=2, flapping=1, passing=1, healthy=2))
    assert set(kept.delays) == {"noisy-0", "flapping-0"}
    assert all(after is not None and after <= timedelta(hours=1) for after in kept.delays.values())
