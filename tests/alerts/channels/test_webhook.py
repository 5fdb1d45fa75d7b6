"""The channel `webhook` against real servers: ones that take it, and ones that misbehave."""

import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from sanityd.alerts import http
from sanityd.alerts.channels.webhook import Webhook
from sanityd.clock import stopwatch
from sanityd.errors import DeliveryError
from sanityd.model import Message
from tests.alerts.samples import mail, opened
from tests.support.web_server import DRIP, DROP, DROP_FIRST, Server, serving

SECRET = "whsec_" + base64.b64encode(b"thirty-two bytes of pure secrecy").decode()


def channel(server: Server | str, **options: Any) -> Webhook:
    url = server if isinstance(server, str) else f"http://127.0.0.1:{server.port}/hook?token=t0ken"
    return Webhook.model_validate({"name": "ops", "webhook": url, **options})


def message() -> Message:
    return mail(opened())


def failure(attempt: Callable[[], None]) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        attempt()
    assert not any(
        secret in f"{caught.value}{caught.value.hint}"
        for secret in ("t0ken", "secret", "127.0.0.1")
    )
    return caught.value


def test_a_program_gets_what_the_mail_says() -> None:
    with serving() as server:
        channel(server).deliver(message())
    [got] = server.got
    body = json.loads(got.body)
    assert (got.path, got.headers["content-type"]) == ("/hook?token=t0ken", "application/json")
    assert (body["type"], body["id"], body["subject"]) == (
        "opened",
        message().key,
        message().subject,
    )
    [incident] = body["incidents"]
    assert (incident["rule"], incident["violations"]) == ("every-person-has-a-welcome-mail", 3)
    assert [row["key"] for row in incident["rows"]] == [{"id": 7}, {"id": 77}, {"id": 777}]


@pytest.mark.parametrize(
    ("secret", "key"),
    [(SECRET, b"thirty-two bytes of pure secrecy"), ("plain words", b"plain words")],
)
def test_a_receiver_can_tell_who_sent_it(secret: str, key: bytes) -> None:
    with serving() as server:
        channel(server, secret=secret).deliver(message())
    [got] = server.got
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{wanted}"
    assert got.headers["webhook-id"] == got.headers["idempotency-key"] == message().key


def test_each_attempt_has_the_same_key() -> None:
    with serving(503, 200) as server:
        assert failure(lambda: channel(server).deliver(message())).retryable
        channel(server).deliver(message())
    assert len({got.headers["idempotency-key"] for got in server.got}) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_one(status: int) -> None:
    with serving(status) as server:
        channel(server).deliver(message())


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        *((status, True) for status in (408, 425, 429, 500, 503)),
        *((status, False) for status in (301, 400, 401, 404, 409, 410)),
    ],
)
def test_a_refusal_is_final_unless_the_server_is_busy_or_in_trouble(
    status: int, retryable: bool
) -> None:
    with serving(status) as server:
        error = failure(lambda: channel(server).deliver(message()))
    assert (error.retryable, error.uncertain, error.code) == (retryable, False, status)


def test_a_redirect_is_not_followed() -> None:
    with (
        serving() as other,
        serving(307, headers=f"Location: http://127.0.0.1:{other.port}/\r\n") as server,
    ):
        failure(lambda: channel(server).deliver(message()))
    assert other.got == []


def test_who_hangs_up_after_the_whole_request_may_have_taken_it() -> None:
    with serving(DROP) as server:
        error = failure(lambda: channel(server).deliver(message()))
    assert (error.uncertain, error.stage) == (True, "answer")


def test_who_is_not_there_has_not_taken_it() -> None:
    error = failure(lambda: channel("http://127.0.0.1:1/hook").deliver(message()))
    assert (error.retryable, error.uncertain, error.message) == (
        True,
        False,
        "the server can't be reached: the connection was refused",
    )


def test_who_hangs_up_at_once_is_tried_again() -> None:
    with serving(DROP_FIRST) as server:
        assert failure(lambda: channel(server).deliver(message())).retryable


def test_an_answer_that_trickles_in_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 2.0)
    begun = stopwatch()
    with serving(DRIP) as server:
        error = failure(lambda: channel(server).deliver(message()))
    assert error.uncertain
    assert stopwatch() - begun < 6


def test_certificates_are_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(tls=context) as server:
        url = f"https://localhost:{server.port}/"
        assert "not trusted" in failure(lambda: channel(url).deliver(message())).message
        channel(url, ca=tmp_path / "ca.pem").deliver(message())
    assert len(server.got) == 1


def test_tokens_go_along_and_are_never_shown() -> None:
    with serving() as server:
        made = channel(server, headers={"Authorization": "Bearer sw0rdfish"}, secret="s3cret")
        made.deliver(message())
    assert server.got[0].headers["authorization"] == "Bearer sw0rdfish"
    assert not any(secret in repr(made) for secret in ("sw0rdfish", "s3cret", "t0ken"))


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("ftp://x/p4ss", {}, "not a URL"),
        ("p4ss", {}, "not a URL"),
        ("https://x:99999/p4ss", {}, "not a URL"),
        ("http://example.com/p4ss", {}, "unencrypted"),
        ("https://user:p4ss@example.com/", {}, "login"),
        ("https://example.com/", {"secret": "whsec_p4ss!"}, "no base64"),
        ("https://example.com/", {"headers": {"Host": "p4ss"}}, "can't be a header"),
        ("https://example.com/", {"headers": {"X-A": "p4ss\r\nX-B: 1"}}, "letters that headers"),
    ],
)
def test_a_mistake_is_said_and_no_secret(url: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        channel(url, **options)
    assert said in str(caught.value)
    assert "p4ss" not in str(caught.value)
