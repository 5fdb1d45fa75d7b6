"""The channel `sentry` against a server that plays Sentry's part."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from sanityd.alerts.channels.sentry import Sentry
from sanityd.errors import DeliveryError
from sanityd.model import Reason, Severity
from tests.alerts.samples import incident, mail, news, opened
from tests.support.web_server import DROP, Server, serving


def channel(server: Server) -> Sentry:
    return Sentry.model_validate(
        {"name": "issues", "sentry": f"http://k3y@127.0.0.1:{server.port}/42"}
    )


def events(server: Server) -> list[dict[str, Any]]:
    """What Sentry got."""
    return [json.loads(got.body.split(b"\n")[2]) for got in server.got]


def test_a_rule_is_an_issue_and_the_server_has_said_that_it_took_it() -> None:
    with serving() as server:
        channel(server).deliver(mail(opened()))
    [got], [event] = server.got, events(server)
    assert got.path == "/api/42/envelope/"
    assert "sentry_key=k3y" in got.headers["x-sentry-auth"]
    assert event["fingerprint"] == ["sanityd", "every-person-has-a-welcome-mail"]
    assert (event["level"], event["tags"]["incident"]) == ("error", "inc-1")
    assert event["message"]["formatted"].startswith(
        "Every person has a welcome mail: 3 of 1,000 people"
    )


def test_nothing_of_the_rows_and_of_this_machine_gets_out() -> None:
    with serving() as server:
        channel(server).deliver(mail(opened()))
    [event] = events(server)
    assert not {"server_name", "user", "modules", "exception", "contexts", "request"} & event.keys()
    assert '"id": 777' not in json.dumps(event)


def test_a_second_attempt_has_the_same_event_id_and_other_news_another() -> None:
    with serving(503, 200) as server:
        with pytest.raises(DeliveryError) as caught:
            channel(server).deliver(mail(opened()))
        channel(server).deliver(mail(opened()))
        channel(server).deliver(mail(replace(opened(), key="f" * 64)))
    first, second, third = (event["event_id"] for event in events(server))
    assert caught.value.retryable
    assert first == second != third


def test_each_rule_of_a_message_is_an_event_of_its_own() -> None:
    both = tuple(news(rule=replace(news().rule, id=name)) for name in ("one", "two"))
    with serving() as server:
        channel(server).deliver(mail(replace(opened(), news=both)))
    assert [event["fingerprint"] for event in events(server)] == [
        ["sanityd", "one"],
        ["sanityd", "two"],
    ]


def test_what_is_over_is_not_told_as_it_would_open_the_issue_anew() -> None:
    over = news(reason=Reason.RESOLVED, incident=incident(0))
    with serving() as server:
        channel(server).deliver(mail(replace(opened(), reason=Reason.RESOLVED, news=(over,))))
    assert server.got == []


def test_critical_is_fatal() -> None:
    with serving() as server:
        channel(server).deliver(
            mail(replace(opened(), news=(news(incident=incident(severity=Severity.CRITICAL)),)))
        )
    assert events(server)[0]["level"] == "fatal"


@pytest.mark.parametrize(
    ("answer", "retryable", "uncertain"),
    [(429, True, False), (403, False, False), (DROP, True, True)],
)
def test_what_sentry_did_not_take_is_not_delivered(
    answer: int | str, retryable: bool, uncertain: bool
) -> None:
    with serving(answer) as server, pytest.raises(DeliveryError) as caught:
        channel(server).deliver(mail(opened()))
    assert (caught.value.retryable, caught.value.uncertain) == (retryable, uncertain)
    assert "k3y" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    "dsn", ["", "nonsense k3y", "https://k3y@sentry.io/", "http://k3y@sentry.io/1"]
)
def test_a_wrong_dsn_is_said_and_not_shown(dsn: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sentry.model_validate({"name": "issues", "sentry": dsn})
    assert "k3y" not in str(caught.value)
