"""The channel `apprise`, with the library itself and a service that is a server of ours."""

import json
import logging
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from sanityd.alerts.channels.apprise import Apprise
from sanityd.errors import DeliveryError
from tests.alerts.samples import mail, opened
from tests.support.web_server import serving


def channel(urls: Any) -> Apprise:
    return Apprise.model_validate({"name": "chat", "apprise": urls})


def test_each_service_gets_the_subject_and_the_text() -> None:
    with serving() as one, serving() as two:
        channel([f"json://127.0.0.1:{server.port}/t0ken" for server in (one, two)]).deliver(
            mail(opened())
        )
    for server in (one, two):
        [got] = server.got
        body = json.loads(got.body)
        assert (body["title"], body["type"]) == (mail(opened()).subject, "failure")
        assert "3 of 1,000 people" in body["message"]


def test_what_a_service_did_not_take_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="apprise")
    with serving(500) as server, pytest.raises(DeliveryError) as caught:
        channel(f"json://127.0.0.1:{server.port}/t0ken").deliver(mail(opened()))
    assert caught.value.retryable
    assert "t0ken" not in f"{caught.value}{caplog.text}"


@pytest.mark.parametrize("url", ["", "nonsense t0ken", "nosuchservice://t0ken", []])
def test_a_url_that_apprise_does_not_know_is_said_and_not_shown(url: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        channel(url)
    assert "t0ken" not in str(caught.value)


def test_a_missing_library_is_said_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ValidationError, match=r"Apprise isn't installed"):
        channel("json://localhost/t0ken")
