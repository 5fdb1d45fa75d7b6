"""What Prometheus is told: read from the store when it asks, so that every replica tells the same."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from sanityd import __version__
from sanityd.daemon import health
from sanityd.model import Cause
from sanityd.rules.rule import RuleSet
from sanityd.store import incidents, outbox, runs, slots

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(memory: Connection, rules: RuleSet, at: datetime) -> bytes:
    """All figures at this moment, as text."""
    registry = CollectorRegistry()
    registry.register(_Figures(memory, rules, at))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, memory: Connection, rules: RuleSet, at: datetime) -> None:
        self._memory, self._rules, self._at = memory, rules, at

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked of the store when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Gauges only: what is counted over time is in the store, not in this process."""
        yield _one("sanityd_build_info", "Which version this is.", 1, version=__version__)
        yield _one("sanityd_rules", "Rules that are switched on.", len(self._rules.enabled()))
        yield from self._watchman()
        yield from self._outbox()
        yield from self._runs()
        yield from self._incidents()

    def _watchman(self) -> Iterator[Metric]:
        signs = health.health_signs(self._memory, self._rules, self._at)
        yield _one(
            "sanityd_healthy", "1 while there is no complaint.", int(not signs.complaints(self._at))
        )
        yield _one(
            "sanityd_rules_overdue", "Rules not looked at for 3 intervals.", len(signs.overdue)
        )
        yield _one(
            "sanityd_rules_file_wrong",
            "1 while the rules file is wrong.",
            int(bool(signs.wrong_file)),
        )
        if signs.daemon is not None:
            seen = "When the scheduler was last alive, in seconds since 1970."
            yield _one(
                "sanityd_scheduler_alive_timestamp_seconds", seen, signs.daemon.at.timestamp()
            )
        up = GaugeMetricFamily(
            "sanityd_source_up", "0 while the source does not answer.", labels=["source"]
        )
        for name in self._rules.sources:
            up.add_metric([name], int(name not in signs.down))
        yield up
        late = GaugeMetricFamily(
            "sanityd_slots_late", "Slots that passed during a look.", labels=["batch"]
        )
        prefix = f"{self._rules.name}: "
        for batch, slot in slots.newest(self._memory, self._rules.name).items():
            late.add_metric([batch.removeprefix(prefix)], slot.late)
        yield late

    def _outbox(self) -> Iterator[Metric]:
        box = outbox.summary(self._memory)
        oldest = (self._at - box.oldest).total_seconds() if box.oldest else 0
        yield _one("sanityd_outbox_waiting", "Messages not delivered yet.", box.waiting)
        yield _one(
            "sanityd_outbox_oldest_seconds",
            "How long the oldest of them has waited.",
            max(0.0, oldest),
        )
        yield _one("sanityd_outbox_given_up", "Messages that were given up.", box.dead)
        yield _one("sanityd_outbox_uncertain", "Messages that may have arrived.", box.uncertain)

    def _runs(self) -> Iterator[Metric]:
        """Of the last run of each rule."""
        labels = ["rule", "source"]
        violations = GaugeMetricFamily(
            "sanityd_violations", "Violations the last run found.", labels=labels
        )
        answered = GaugeMetricFamily(
            "sanityd_rule_answered", "1 if the last run had an answer.", labels=labels
        )
        seconds = GaugeMetricFamily(
            "sanityd_run_seconds", "How long the last run took.", labels=labels
        )
        when = GaugeMetricFamily(
            "sanityd_run_timestamp_seconds", "When the last run was.", labels=labels
        )
        for rule in self._rules.enabled():
            run, values = runs.last(self._memory, rule.id, self._at), [rule.id, rule.source]
            if run is None:
                continue
            answered.add_metric(values, int(run.answered))
            seconds.add_metric(values, run.seconds)
            when.add_metric(values, run.at.timestamp())
            if run.answered:
                violations.add_metric(values, run.violations)
        yield from (violations, answered, seconds, when)

    def _incidents(self) -> Iterator[Metric]:
        found = GaugeMetricFamily(
            "sanityd_incident_open", "Open incidents: 1 each.", labels=["rule", "cause", "severity"]
        )
        for one in incidents.list_open(self._memory):
            if one.rule in self._rules.rules or one.cause in (Cause.SOURCE_DOWN, Cause.RULES_WRONG):
                found.add_metric([one.rule, one.cause.value, one.severity.label], 1)
        yield found


def _one(name: str, said: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(name, said, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
