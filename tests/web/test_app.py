"""`/healthz`, `/readyz` and `/metrics` over a real socket, of a store as a daemon leaves it."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from urllib3 import PoolManager

from sanityd import pipeline
from sanityd.errors import WebError
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from sanityd.store import leases
from sanityd.store.open import Store
from sanityd.web import serving
from tests.support.project import Project


class Site:
    """The pages, the rules they are about, and the application's data."""

    def __init__(self, project: Project, rules: RuleSet, store: Store, port: int) -> None:
        self.project, self.rules, self.store = project, rules, store
        self._url = f"http://127.0.0.1:{port}"
        self._pool = PoolManager(retries=False)

    def get(self, path: str, method: str = "GET") -> Any:
        """What a page says."""
        return self._pool.request(method, self._url + path)

    def said(self, path: str) -> tuple[int, dict[str, Any]]:
        """Its status, and its JSON."""
        answer = self.get(path)
        return answer.status, json.loads(answer.data)

    def figures(self) -> dict[str, float]:
        """What Prometheus makes of it: `name{label,label}` and its value."""
        families = text_string_to_metric_families(self.get("/metrics").data.decode())
        return {
            f"{one.name}{{{','.join(one.labels.values())}}}": one.value
            for found in families
            for one in found.samples
        }

    def look(self) -> None:
        """A pass over all rules."""
        for rules in self.rules.by_source(self.rules.enabled()).values():
            pipeline.run_batch(self.rules, rules, self.store, datetime.now(UTC))

    def alive(self, ago: timedelta = timedelta(0)) -> None:
        """The scheduler was alive then."""
        with self.store.write() as memory:
            leases.acquire(memory, self.rules.name, "me", datetime.now(UTC) - ago)


@pytest.fixture
def site(project: Project) -> Iterator[Site]:
    """A daemon that has just looked at two rules, which hold."""
    rules = load(project.folder / "rules.yaml", {})
    with (
        closing(Store.open(None, project.folder)) as store,
        serving.serve("127.0.0.1", 0, lambda: rules, store) as port,
    ):
        made = Site(project, rules, store, port)
        made.look()
        made.alive()
        yield made


def test_all_is_well(site: Site) -> None:
    assert site.said("/healthz") == (200, {"status": "ok", "serve": "running", "complaints": []})
    assert site.said("/readyz") == (200, {"status": "ok", "store": "ok", "sources": {"app": "ok"}})
    assert site.figures()["sanityd_healthy{}"] == 1


def test_the_first_page_lists_the_others(site: Site) -> None:
    answer = site.get("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    pages = [line.split()[0] for line in answer.data.decode().splitlines() if line.startswith("/")]
    assert pages == ["/healthz", "/readyz", "/metrics"]
    assert {site.get(page).status for page in pages} == {200}


def test_a_silent_scheduler_is_to_be_replaced(site: Site) -> None:
    site.alive(timedelta(minutes=3))
    status, said = site.said("/healthz")
    assert (status, said["status"], said["serve"]) == (503, "dead", "silent")
    assert site.figures()["sanityd_healthy{}"] == 0


@pytest.mark.parametrize(
    ("ago", "status"), [(timedelta(seconds=5), 200), (timedelta(minutes=3), 503)]
)
def test_after_a_clean_stop_a_process_that_answers_has_two_minutes_to_begin(
    site: Site, ago: timedelta, status: int
) -> None:
    rules = load(site.project.folder / "rules.yaml", {})
    with site.store.write() as connection:
        lease = leases.get(connection, rules.name)
        assert lease is not None
        leases.release(connection, lease.runner, datetime.now(UTC) - ago)
    answer = site.said("/healthz")
    assert (answer[0], answer[1]["serve"]) == (status, "stopped")
    assert site.figures()["sanityd_healthy{}"] == 1


def test_mail_that_waits_too_long_is_a_complaint_and_no_reason_to_be_killed(site: Site) -> None:
    site.project.sql("UPDATE mails SET status = 'queued' WHERE person_id = 7")
    site.look()
    assert site.said("/healthz")[1]["status"] == "ok"
    site.project.state("UPDATE outbox SET created_at = '2026-01-01 00:00:00.000000'")
    status, said = site.said("/healthz")
    assert (status, said["status"]) == (200, "degraded")
    assert "a message has waited" in said["complaints"][0]
    assert site.figures()["sanityd_outbox_waiting{}"] == 1


def test_a_source_that_is_down_makes_it_unready_and_not_unhealthy(site: Site) -> None:
    (site.project.folder / "app.db").unlink()
    site.look()
    assert site.said("/readyz") == (
        503,
        {"status": "unready", "store": "ok", "sources": {"app": "does not answer"}},
    )
    assert site.said("/healthz")[0] == 200
    assert site.figures()["sanityd_source_up{app}"] == 0


def test_a_store_that_is_gone_makes_it_unready(site: Site) -> None:
    site.store.close()
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (site.project.folder / ".sanityd" / name).write_bytes(b"nothing of the sort" * 100)
    for path in ("/readyz", "/metrics"):
        status, said = site.said(path)
        assert (status, said["status"]) == (503, "unready")
        assert "state.db" in said["store"]
    assert site.said("/healthz")[1]["status"] == "degraded"


def test_figures_tell_what_the_last_runs_found(site: Site) -> None:
    site.project.sql("UPDATE mails SET status = 'queued' WHERE person_id IN (7, 77)")
    site.look()
    found = site.figures()
    assert found["sanityd_rules{}"] == 2
    assert found["sanityd_violations{every-person-has-a-welcome-mail,app}"] == 2
    assert found["sanityd_violations{no-duplicate-emails,app}"] == 0
    assert found["sanityd_rule_answered{no-duplicate-emails,app}"] == 1
    assert found["sanityd_incident_open{violated,every-person-has-a-welcome-mail,error}"] == 1


def test_pages_are_read_only_and_kept_by_nobody(site: Site) -> None:
    assert site.get("/healthz", "POST").status == 405
    assert site.get("/secret").status == 404
    assert site.get("/healthz").headers["cache-control"] == "no-store"
    assert "server" not in site.get("/healthz").headers


def test_an_address_that_is_taken_is_told(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        served = serving.serve("127.0.0.1", port, lambda: site.rules, site.store)
        with pytest.raises(WebError, match="can't be served"), served:
            pass
