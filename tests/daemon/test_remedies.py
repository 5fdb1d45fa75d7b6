"""The thread of the daemon that sends remedies: what is out when the daemon stops."""

import threading
import time
from collections.abc import Iterator

import pytest

from sanityd import clock
from sanityd.daemon.remedies import RemedyWorker
from sanityd.model.remedies import RemedyState
from sanityd.pipeline.remedies import planning
from sanityd.pipeline.remedies.planning import Approval
from sanityd.store import remedies
from tests.support.scene import ADULTS, Scene
from tests.support.web_server import Server, serving

HALF_DONE = {RemedyState.DONE, RemedyState.PLANNED}


@pytest.fixture
def server(scene: Scene) -> Iterator[Server]:
    """It has two requests to get, half a minute apart."""
    with serving() as server:
        http = {"url": f"http://127.0.0.1:{server.port}/", "json": {"person": "{key.id}"}}
        scene.rules["adults"] = {**ADULTS, "remedy": {"http": http, "rate": "2 per minute"}}
        scene.children(1, 2)
        scene.tick()
        rules = scene.load()
        with scene.store.write() as connection:
            approval = Approval("ana", "so", clock.now())
            planning.approve(connection, rules, rules.rules["adults"], approval)
        yield server


def states(scene: Scene) -> set[RemedyState]:
    with scene.store.read() as connection:
        return {remedy.state for remedy in remedies.of_rule(connection, "adults")}


def test_a_worker_that_stops_waits_for_the_answer(scene: Scene, server: Server) -> None:
    server.delay = 0.3
    stop = threading.Event()
    worker = RemedyWorker(scene.store)
    worker.start(scene.load(), stop.is_set)
    while not server.got:
        time.sleep(0.01)
    stop.set()
    worker.close()
    assert states(scene) == HALF_DONE


def test_a_worker_that_stops_does_not_wait_for_its_next_turn(
    scene: Scene, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    worker = RemedyWorker(scene.store)
    worker.start(scene.load(), stop.is_set)
    while states(scene) != HALF_DONE:
        time.sleep(0.05)
    stop.set()
    worker.close(grace=3)
    assert "no answer yet" not in caplog.text
