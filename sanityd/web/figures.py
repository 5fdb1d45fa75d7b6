"""Metrics for Prometheus, read from the store at each scrape: all replicas give the same."""

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
from sanityd.store import incidents, outbox_summary, runs, slots

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(connection: Connection, rules: RuleSet, at: datetime) -> bytes:
    """Return all metrics at that time, as text."""
    registry = CollectorRegistry()
    registry.register(_StoreCollector(connection, rules, at))
    return generate_latest(registry)


class _StoreCollector(Collector):
    """Collects gauges only: what is counted over time is in the store, not in this process."""

    def __init__(self, connection: Connection, rules: RuleSet, at: datetime) -> None:
        self._connection = connection
        self._rules = rules
        self._at = at

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not read the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield _gauge("sanityd_build_info", "The version of sanityd.", 1, version=__version__)
        yield _gauge("sanityd_rules", "Enabled rules.", len(self._rules.enabled()))
        yield from self._health()
        yield self._late_slots()
        yield from self._outbox()
        yield from self._last_runs()
        yield self._open_incidents()

    def _health(self) -> Iterator[Metric]:
        signs = health.health_signs(self._connection, self._rules, self._at)
        is_healthy = not signs.complaints(self._at)
        yield _gauge("sanityd_healthy", "1 while there is no complaint.", int(is_healthy))
        yield _gauge(
            "sanityd_rules_overdue", "Rules not checked for 3 intervals.", len(signs.overdue)
        )
        yield _gauge(
            "sanityd_rules_file_wrong",
            "1 while the rules file has errors.",
            int(bool(signs.wrong_file)),
        )
        if signs.daemon is not None:
            yield _gauge(
                "sanityd_scheduler_alive_timestamp_seconds",
                "When the scheduler was last alive, in seconds since 1970.",
                signs.daemon.at.timestamp(),
            )
        up = GaugeMetricFamily(
            "sanityd_source_up", "0 while the source does not answer.", labels=["source"]
        )
        for name in self._rules.sources:
            up.add_metric([name], int(name not in signs.down))
        yield up

    def _late_slots(self) -> Metric:
        late = GaugeMetricFamily(
            "sanityd_slots_late",
            "Slots that passed while the batch was running.",
            labels=["batch"],
        )
        prefix = f"{self._rules.name}: "
        for batch, slot in slots.newest(self._connection, self._rules.name).items():
            late.add_metric([batch.removeprefix(prefix)], slot.late)
        return late

    def _outbox(self) -> Iterator[Metric]:
        summary = outbox_summary.summary(self._connection)
        oldest = 0.0
        if summary.oldest is not None:
            oldest = max(0.0, (self._at - summary.oldest).total_seconds())
        yield _gauge("sanityd_outbox_waiting", "Messages not delivered yet.", summary.waiting)
        yield _gauge(
            "sanityd_outbox_oldest_seconds", "How long the oldest of them has waited.", oldest
        )
        yield _gauge("sanityd_outbox_given_up", "Messages that were given up.", summary.dead)
        yield _gauge(
            "sanityd_outbox_uncertain", "Messages that may have arrived.", summary.uncertain
        )

    def _last_runs(self) -> Iterator[Metric]:
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
        timestamp = GaugeMetricFamily(
            "sanityd_run_timestamp_seconds", "When the last run was.", labels=labels
        )
        enabled = self._rules.enabled()
        last_runs = runs.last_of(self._connection, [rule.id for rule in enabled], self._at)
        for rule in enabled:
            run = last_runs.get(rule.id)
            if run is None:
                continue
            values = [rule.id, rule.source]
            answered.add_metric(values, int(run.answered))
            seconds.add_metric(values, run.seconds)
            timestamp.add_metric(values, run.at.timestamp())
            if run.answered:
                violations.add_metric(values, run.violations)
        yield from (violations, answered, seconds, timestamp)

    def _open_incidents(self) -> Metric:
        gauge = GaugeMetricFamily(
            "sanityd_incident_open", "Open incidents: 1 each.", labels=["rule", "cause", "severity"]
        )
        for incident in incidents.list_open(self._connection):
            is_about_no_rule = incident.cause in (Cause.SOURCE_DOWN, Cause.RULES_WRONG)
            if incident.rule in self._rules.rules or is_about_no_rule:
                values = [incident.rule, incident.cause.value, incident.severity.label]
                gauge.add_metric(values, 1)
        return gauge


def _gauge(name: str, documentation: str, value: float, **labels: str) -> Metric:
    gauge = GaugeMetricFamily(name, documentation, labels=list(labels))
    gauge.add_metric(list(labels.values()), value)
    return gauge
