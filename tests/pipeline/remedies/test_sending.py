"""One attempt against real servers and commands: what an answer means, and what is never believed."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sanityd.clock import stopwatch
from sanityd.model.remedies import RemedyRow, RemedyState, StoredRemedy, batch_id
from sanityd.pipeline.remedies.requests import RemedyValueError, as_text, build
from sanityd.pipeline.remedies.sending import AttemptResult, attempt, backoff
from sanityd.rules.remedy_spec import RemedySpec
from tests.support.web_server import DRIP, DROP, serving

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DONE, PLANNED, REFUSED = RemedyState.DONE, RemedyState.PLANNED, RemedyState.REFUSED


def row(number: int = 1, **values: Any) -> RemedyRow:
    return RemedyRow(f"f{number}", 2, values or {"id": number}, {"status": "lost"})


def remedy(*rows: RemedyRow) -> StoredRemedy:
    chosen = rows or (row(),)
    name = chosen[0].request_id if len(chosen) == 1 else batch_id(chosen)
    return StoredRemedy(name, "no-mail", chosen, PLANNED, 0, AT, 0, "ana", "why", AT)


def spec(**options: Any) -> RemedySpec:
    return RemedySpec.model_validate(options)


def of_server(port: int, **options: Any) -> RemedySpec:
    url = f"http://127.0.0.1:{port}/resend"
    return spec(http={"url": url, "json": {"person": "{key.id}"}, "timeout": "1s", **options})


def send(port: int, **options: Any) -> AttemptResult:
    chosen = of_server(port, **options)
    result = attempt(chosen, build(chosen, remedy()), AT)
    assert not any(secret in result.error for secret in ("secret", "127.0.0.1", "f1.2"))
    return result


def answer(status: int, body: str = "", *headers: str, kind: str = "application/json") -> str:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", *headers, "Connection: close", ""]
    return "\r\n".join([*lines, body])


def test_a_request_says_which_row_and_which_episode() -> None:
    with serving() as server:
        assert send(server.port).state is DONE
    [got] = server.got
    assert (got.path, got.body) == ("/resend", b'{"person": 1}')
    assert got.headers["idempotency-key"] == "f1.2"


@pytest.mark.parametrize(
    ("answered", "state"),
    [
        *((status, DONE) for status in (200, 201, 202, 204)),
        *((status, PLANNED) for status in (408, 409, 425, 429, 500, 502, 503)),
        *((status, REFUSED) for status in (301, 307, 400, 401, 404, 410, 422)),
        (DROP, PLANNED),
        ("garbage\r\n\r\n", PLANNED),
        (answer(200, '{"id": "{id}"}'), DONE),
        (answer(200, '{"id": "f9.1"}'), PLANNED),
        (answer(200, '{"id": 7}'), PLANNED),
        (answer(200, "", "Idempotency-Key: {id}"), DONE),
        (answer(200, "", "Idempotency-Key: f9.1"), PLANNED),
        (answer(200, "secret{"), PLANNED),
        (answer(200, "[" * 60_000), PLANNED),
        (answer(200, "secret " * 10_000, kind="text/html"), PLANNED),
        (answer(200, "secret", "Content-Length: 600", kind="text/html"), PLANNED),
        (answer(409, '{"id": "{id}", "status": "in progress"}'), PLANNED),
        (answer(409, '{"status": "done"}'), DONE),
        (answer(409, '{"status": "done", "id": "f9.1"}'), PLANNED),
        (answer(409, "", "Idempotency-Status: completed"), DONE),
        (answer(409, "", "Idempotent-Replayed: true"), DONE),
    ],
    ids=lambda value: str(value)[:45].replace("\r\n", " "),
)
def test_an_answer_means_what_it_can_prove(answered: int | str, state: RemedyState) -> None:
    with serving(answered) as server:
        assert send(server.port).state is state


def test_an_id_of_something_else_is_left_alone_where_the_rule_says_so() -> None:
    with serving(answer(200, '{"id": 7}')) as server:
        assert send(server.port, answers_id=False).state is DONE


@pytest.mark.parametrize(
    ("wish", "wait"),
    [
        ("7", timedelta(seconds=7)),
        ("Mon, 23 Nov 2026 08:05:00 GMT", timedelta(minutes=5)),
        ("999999999999", timedelta(days=1)),
        ("Mon, 23 Nov 2099 08:05:00 GMT", timedelta(days=1)),
    ],
)
def test_a_receiver_may_ask_for_a_pause(wish: str, wait: timedelta) -> None:
    with serving(429, headers=f"Retry-After: {wish}\r\n") as server:
        assert send(server.port).not_before == AT + wait


@pytest.mark.parametrize(
    "wish",
    [
        "soon",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 99999999999999999999 Jan 2027 00:00:00 GMT",
        "Mon, 23 Nov 2026 08:05:00 +9999999999999999",
    ],
)
def test_a_wish_that_is_no_time_is_ignored(wish: str) -> None:
    with serving(503, headers=f"Retry-After: {wish}\r\n") as server:
        assert send(server.port).not_before is None


def test_a_redirect_is_not_followed() -> None:
    with (
        serving() as other,
        serving(307, headers=f"Location: http://127.0.0.1:{other.port}/\r\n") as server,
    ):
        assert send(server.port).state is REFUSED
    assert other.got == []


def test_nobody_waits_for_a_server_that_trickles_or_is_not_there() -> None:
    begin = stopwatch()
    with serving(DRIP) as server:
        assert send(server.port).state is PLANNED
    assert stopwatch() - begin < 5
    assert send(1).is_down


def test_pauses_double_up_to_two_hours() -> None:
    assert timedelta(seconds=22) < backoff(1) < timedelta(seconds=38)
    assert timedelta(seconds=88) < backoff(3) < timedelta(seconds=152)
    assert timedelta(minutes=89) < backoff(90) < timedelta(minutes=151)


def test_a_batch_has_each_of_its_rows_in_the_list() -> None:
    batch = spec(
        http={"url": "https://x.io/", "json": {"all": [{"id": "{key.id}"}], "by": "{rule} {id}"}},
        per="batch",
    )
    rows = [row(1), row(2), row(3)]
    request = build(batch, remedy(*rows))
    assert request.id == batch_id(reversed(rows))
    assert request.body is not None
    assert b'[{"id": 1}, {"id": 2}, {"id": 3}]' in request.body
    assert f'"no-mail {request.id}"'.encode() in request.body


@pytest.mark.parametrize("value", ["../../admin", "a/b?c#d", "ä \r\nX: y", "%2e%2e", "💣"])
def test_a_value_stays_a_value_in_the_url(value: str) -> None:
    chosen = spec(http={"url": "https://x.io/p/{key.id}/mail?s={show.status}"})
    url = build(chosen, remedy(row(id=value))).url
    assert url.count("/") == 5
    assert not set(url) & set(" #\r\n")
    assert url.endswith("/mail?s=lost")


@pytest.mark.parametrize("value", ["", ".", "..", None])
def test_a_value_that_would_be_another_path_is_refused(value: str | None) -> None:
    chosen = spec(http={"url": "https://x.io/p/{key.id}/mail"})
    with pytest.raises(RemedyValueError, match="for a row"):
        build(chosen, remedy(row(id=value)))


def test_values_keep_their_type_in_json() -> None:
    body = {"a": "{key.a}", "b": "{key.b}", "c": "no {key.a}", "d": 3, "e": "{key.c}"}
    chosen = spec(http={"url": "https://x.io/", "json": body})
    request = build(chosen, remedy(row(a=7, b=None, c=datetime(2026, 1, 2, tzinfo=UTC))))
    assert request.body == (
        b'{"a": 7, "b": null, "c": "no 7", "d": 3, "e": "2026-01-02T00:00:00+00:00"}'
    )


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    chosen = spec(http={"url": "https://x.io/{key.number}"})
    with pytest.raises(RemedyValueError, match=r"key\.number") as caught:
        build(chosen, remedy())
    assert "`id`" in caught.value.hint


def test_people_see_the_request_without_its_secrets() -> None:
    headers = {"Authorization": "Bearer ${TOKEN}", "X-Key": "literal-secret"}
    written = spec(http={"url": "${URL}/p/{key.id}", "headers": headers, "json": ["{key.id}"]})
    text = as_text(written, remedy())
    assert text.startswith("POST ${URL}/p/1\n")
    assert "Idempotency-Key: f1.2" in text
    assert "Authorization: ***" in text
    assert "secret" not in text


def command(*code: str, timeout: str = "20s") -> AttemptResult:
    run = [sys.executable, "-c", "\n".join(code), "{key.id}"]
    chosen = spec(command={"run": run, "timeout": timeout})
    return attempt(chosen, build(chosen, remedy()), AT)


@pytest.mark.parametrize(
    ("line", "state", "code"),
    [
        ("assert (sys.argv[1], os.environ['SANITYD_REQUEST_ID']) == ('1', 'f1.2')", DONE, 0),
        ("print('secret'); sys.exit(75)", PLANNED, 75),
        ("print('secret'); sys.exit(3)", REFUSED, 3),
        ("os.kill(os.getpid(), 9)", PLANNED, -9),
    ],
)
def test_a_command_says_by_its_exit_code_what_became_of_it(
    line: str, state: RemedyState, code: int
) -> None:
    result = command("import os, sys", line)
    assert (result.state, result.code) == (state, code)
    assert "secret" not in result.error


def test_a_command_that_hangs_is_killed_with_its_children() -> None:
    begin = stopwatch()
    result = command("import os, time", "os.system('sleep 30 & wait')", timeout="1s")
    assert (result.state, result.error) == (PLANNED, "the command did not end in time")
    assert stopwatch() - begin < 15


def test_a_command_that_is_not_there_is_tried_again() -> None:
    chosen = spec(command=["/nowhere/at/all", "{key.id}"])
    assert attempt(chosen, build(chosen, remedy()), AT).is_down


def test_a_value_is_never_an_option_of_a_command() -> None:
    with pytest.raises(RemedyValueError, match="option"):
        build(spec(command=["rm", "{key.id}"]), remedy(row(id="-rf")))
    fine = build(spec(command=["rm", "--id={key.id}"]), remedy(row(id="-rf")))
    assert fine.arguments == ("rm", "--id=-rf")
