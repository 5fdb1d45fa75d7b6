"""The channel `email` against real servers: working ones, and ones that fail at every verb."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from sanityd.alerts import smtp
from sanityd.alerts.channels.email import Email
from sanityd.clock import stopwatch
from sanityd.errors import DeliveryError
from sanityd.model import Message
from tests.alerts.samples import mail, opened
from tests.support.smtp_server import DRIP, DROP, HANG, PASSWORD, USER, Mailbox, scripted, working

LOGIN = "sanity:s3cret%2F%40%23@"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def ca(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def plain() -> Iterator[Mailbox]:
    with working() as box:
        yield box


def channel(url: str, **options: object) -> Email:
    settings = {
        "name": "team",
        "email": "team@example.com",
        "from": "Sanity <sanity@example.com>",
        "server": url,
    }
    return Email.model_validate(settings | options)


def message(recipient: str = "team@example.com") -> Message:
    return mail(opened(), recipient)


def failure(attempt: Callable[[], None]) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        attempt()
    return caught.value


def test_a_mail_arrives_as_it_was_written(plain: Mailbox) -> None:
    channel(f"smtp://127.0.0.1:{plain.port}").deliver(message())
    [(recipient, arrived)] = plain.mails
    assert recipient == "team@example.com"
    assert plain.senders == ["sanity@example.com"]
    assert arrived["Subject"] == message().subject
    assert arrived["Message-ID"] == message().message_id
    text = arrived.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == message().text


def test_lines_that_are_a_single_dot_do_not_end_the_mail(plain: Mailbox) -> None:
    dotted = Message(
        "<a@b>", "team", "team@example.com", "Dots", "one\n.\n..\n.three\nend\n", "<p>.</p>"
    )
    channel(f"smtp://127.0.0.1:{plain.port}").deliver(dotted)
    text = plain.mails[0][1].get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == dotted.text


@pytest.mark.parametrize("implicit", [False, True])
def test_it_logs_in_over_tls(tls: ssl.SSLContext, ca: Path, implicit: bool) -> None:
    with working(tls, implicit=implicit, login=True) as box:
        scheme = "smtps" if implicit else "smtp"
        channel(f"{scheme}://{LOGIN}localhost:{box.port}", ca=ca).deliver(message())
    assert len(box.mails) == 1
    assert box.encrypted == [True]
    assert set(box.logins) == {USER}
    assert PASSWORD == "s3cret/@#"


def test_a_wrong_password_can_be_corrected_and_is_not_told(tls: ssl.SSLContext, ca: Path) -> None:
    with working(tls, login=True) as box:
        team = channel(f"smtp://sanity:wr0ng@localhost:{box.port}", ca=ca)
        error = failure(lambda: team.deliver(message()))
    assert (error.stage, error.code, error.retryable, error.uncertain) == (
        "login",
        535,
        True,
        False,
    )
    assert "wr0ng" not in error.message + repr(team) + str(team)


@pytest.mark.parametrize("implicit", [False, True])
def test_a_certificate_that_is_not_trusted_stops_it_before_the_password(
    tls: ssl.SSLContext, implicit: bool
) -> None:
    with working(tls, implicit=implicit, login=True) as box:
        scheme = "smtps" if implicit else "smtp"
        error = failure(
            lambda: channel(f"{scheme}://{LOGIN}localhost:{box.port}").deliver(message())
        )
    assert (error.stage, error.retryable) == ("tls", True)
    assert "certificate is not trusted" in error.message
    assert (box.logins, box.mails) == ([], [])


def test_a_certificate_of_another_host_is_not_trusted(authority: trustme.CA, ca: Path) -> None:
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example.com").configure_cert(other)
    with working(other) as box:
        error = failure(
            lambda: channel(f"smtp://localhost:{box.port}?tls=require", ca=ca).deliver(message())
        )
    assert (error.stage, box.mails) == ("tls", [])


def test_a_login_is_never_sent_without_encryption(plain: Mailbox) -> None:
    error = failure(lambda: channel(f"smtp://{LOGIN}127.0.0.1:{plain.port}").deliver(message()))
    assert (error.stage, error.retryable, plain.logins) == ("tls", True, [])
    assert "no encryption" in error.message


def test_without_a_login_tls_is_used_when_it_is_offered(tls: ssl.SSLContext) -> None:
    with working(tls) as box:
        channel(f"smtp://localhost:{box.port}").deliver(message())
        channel(f"smtp://localhost:{box.port}?tls=none").deliver(message())
    assert box.encrypted == [True, False]


def test_tls_spoken_to_a_server_without_is_no_success(plain: Mailbox) -> None:
    error = failure(
        lambda: channel(f"smtps://127.0.0.1:{plain.port}", timeout=2).deliver(message())
    )
    assert (error.stage, error.retryable) == ("tls", True)


def test_one_bad_recipient_of_three_does_not_stop_the_others(plain: Mailbox) -> None:
    plain.refuse = {"gone@example.com": "550 5.1.1 gone@example.com: no such user"}
    team = channel(
        f"smtp://127.0.0.1:{plain.port}",
        email=["a@example.com", "Gone <gone@example.com>", "b@example.com"],
    )
    failures = {}
    for recipient in team.recipients():
        try:
            team.deliver(message(recipient))
        except DeliveryError as error:
            failures[recipient] = error
    assert [recipient for recipient, _ in plain.mails] == ["a@example.com", "b@example.com"]
    [(recipient, refusal)] = failures.items()
    assert (recipient, refusal.stage, refusal.code, refusal.retryable) == (
        "gone@example.com",
        "recipient",
        550,
        False,
    )
    assert refusal.message == "the recipient was refused (550 5.1.1)"


def test_a_server_that_is_down_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(lambda: channel(f"smtp://127.0.0.1:{port}").deliver(message()))
    assert (error.stage, error.retryable, error.uncertain) == ("connect", True, False)
    assert "refused" in error.message


def test_a_host_that_does_not_exist_is_tried_again() -> None:
    error = failure(lambda: channel("smtp://mail.invalid", timeout=5).deliver(message()))
    assert (error.stage, error.retryable) == ("connect", True)
    assert "mail.invalid" not in error.message


STAGES = [
    ("connect", "connect"),
    ("mail", "from"),
    ("rcpt", "recipient"),
    ("data", "data"),
    ("dot", "answer"),
]


@pytest.mark.parametrize(("verb", "stage"), STAGES)
def test_a_temporary_refusal_at_any_verb_is_tried_again(verb: str, stage: str) -> None:
    with scripted(**{verb: "451 4.7.1 later, secret-word"}) as server:
        error = failure(lambda: channel(f"smtp://127.0.0.1:{server.port}").deliver(message()))
    assert (error.stage, error.code, error.retryable, error.uncertain) == (stage, 451, True, False)
    assert "secret-word" not in error.message


@pytest.mark.parametrize(("verb", "stage"), STAGES)
def test_a_permanent_refusal_of_the_message_is_final(verb: str, stage: str) -> None:
    """A refusal in the greeting says nothing about the message, so that one is tried again."""
    with scripted(**{verb: "554 5.7.1 never"}) as server:
        error = failure(lambda: channel(f"smtp://127.0.0.1:{server.port}").deliver(message()))
    assert (error.stage, error.code, error.uncertain) == (stage, 554, False)
    assert error.retryable == (verb == "connect")


BEFORE = [
    ("connect", "connect"),
    ("ehlo", "hello"),
    ("mail", "from"),
    ("rcpt", "recipient"),
    ("data", "data"),
]


@pytest.mark.parametrize("fault", [DROP, HANG, "421 closing"])
@pytest.mark.parametrize(("verb", "stage"), BEFORE)
def test_what_breaks_before_the_final_dot_did_not_arrive(verb: str, stage: str, fault: str) -> None:
    with scripted(**{verb: fault}) as server:
        error = failure(
            lambda: channel(f"smtp://127.0.0.1:{server.port}", timeout=0.3).deliver(message())
        )
    assert (error.stage, error.retryable, error.uncertain) == (stage, True, False)
    assert server.body == b""


@pytest.mark.parametrize("fault", [DROP, HANG, "gibberish"])
def test_what_breaks_after_the_final_dot_may_have_arrived(fault: str) -> None:
    with scripted(dot=fault) as server:
        error = failure(
            lambda: channel(f"smtp://127.0.0.1:{server.port}", timeout=0.5).deliver(message())
        )
    assert (error.stage, error.uncertain) == ("answer", True)
    assert message().message_id.encode() in server.body


def test_a_connection_lost_in_the_middle_of_a_mail_is_certain() -> None:
    """The mail is larger than the network's buffers, so the dot can't have been sent."""
    huge = Message(
        "<a@b>", "team", "team@example.com", "Huge", ("x" * 70 + "\n") * 200_000, "<p>.</p>"
    )
    with scripted(body=DROP) as server:
        error = failure(lambda: channel(f"smtp://127.0.0.1:{server.port}", timeout=5).deliver(huge))
    assert (error.stage, error.retryable, error.uncertain) == ("data", True, False)


@pytest.mark.parametrize("verb", ["connect", "rcpt"])
def test_a_server_that_sends_a_byte_now_and_then_is_cut_off(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanityd.alerts.channels.email._TOTAL_TIMEOUT", 0.8)
    with scripted(**{verb: DRIP}) as server:
        begun = stopwatch()
        error = failure(
            lambda: channel(f"smtp://127.0.0.1:{server.port}", timeout=0.5).deliver(message())
        )
    assert stopwatch() - begun < 3
    assert (error.retryable, error.uncertain) == (True, False)


@pytest.mark.parametrize(
    ("answers", "culprit", "stage", "retryable"),
    [
        (
            {"ehlo": "550 bad name", "helo": "550 5.7.1 bad name"},
            "the mail server refused the name that this machine gave in EHLO; "
            "set the channel's `ehlo` to a name that it accepts (550 5.7.1)",
            "hello",
            True,
        ),
        (
            {"rcpt": "504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname"},
            "the mail server refused the name that this machine gave in EHLO",
            "hello",
            True,
        ),
        (
            {"rcpt": "550 5.7.1 Helo rejected"},
            "the mail server refused the name that this machine gave in EHLO",
            "hello",
            True,
        ),
        (
            {"mail": "530 5.7.0 Authentication required"},
            "the mail server takes mail only after a login or over TLS",
            "login",
            True,
        ),
        (
            {"mail": "552 5.3.4 Message size exceeds fixed limit"},
            "the message is too large for the mail server",
            "from",
            False,
        ),
        ({"dot": "552 too big"}, "the message is too large", "answer", False),
        ({"rcpt": "552 5.2.2 over quota"}, "the recipient's mailbox is full", "recipient", True),
        ({"dot": "552 5.2.2 over quota"}, "the recipient's mailbox is full", "answer", True),
        ({"connect": "554 go away"}, "the mail server turned the connection away", "connect", True),
        ({"rcpt": "550 5.1.1 no such user"}, "the recipient was refused", "recipient", False),
        ({"dot": "554 5.7.1 spam"}, "the message was refused", "answer", False),
    ],
)
def test_a_refusal_names_who_must_act(
    answers: dict[str, str], culprit: str, stage: str, retryable: bool
) -> None:
    with scripted(**answers) as server:
        error = failure(lambda: channel(f"smtp://127.0.0.1:{server.port}").deliver(message()))
    assert error.message.startswith(culprit)
    assert (error.stage, error.retryable, error.uncertain) == (stage, retryable, False)


def test_the_name_in_ehlo_is_the_one_that_is_set(plain: Mailbox) -> None:
    channel(f"smtp://127.0.0.1:{plain.port}", ehlo="sanityd.bücher.example").deliver(message())
    assert plain.names == ["sanityd.xn--bcher-kva.example"]


def test_the_name_in_ehlo_is_full_or_an_address(
    plain: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("db1.example.com", "db1", "localhost.localdomain"):
        smtp._local_hostname.cache_clear()
        monkeypatch.setattr(socket, "getfqdn", lambda name=name: name)
        channel(f"smtp://127.0.0.1:{plain.port}").deliver(message())
    smtp._local_hostname.cache_clear()
    assert plain.names == ["db1.example.com", "[127.0.0.1]", "[127.0.0.1]"]


def test_a_login_beyond_ascii_is_sent_as_utf_8(tls: ssl.SSLContext, ca: Path) -> None:
    with working(tls, login=True, user="jürgen", password="pässwörd€") as box:
        url = f"smtp://j%C3%BCrgen:p%C3%A4ssw%C3%B6rd%E2%82%AC@localhost:{box.port}"
        channel(url, ca=ca).deliver(message())
    assert box.logins == ["jürgen"]
    assert len(box.mails) == 1


def test_a_domain_beyond_ascii_needs_nothing_of_the_server(plain: Mailbox) -> None:
    sender = channel(f"smtp://127.0.0.1:{plain.port}", **{"from": "Sanity <sanity@bücher.example>"})
    sender.deliver(message("team@bücher.example"))
    [(recipient, arrived)] = plain.mails
    assert recipient == "team@xn--bcher-kva.example"
    assert plain.senders == ["sanity@xn--bcher-kva.example"]
    assert arrived["To"] == "team@xn--bcher-kva.example"


@pytest.mark.parametrize("domain", ["straße.example", "a..ü.example"])
def test_a_domain_that_may_be_another_one_is_refused(domain: str) -> None:
    with pytest.raises(ValidationError, match=r"can't be written in ASCII|not a mail address"):
        channel("smtp://mail.example.com", email=f"team@{domain}")


def test_a_lost_goodbye_changes_nothing() -> None:
    with scripted(quit=DROP) as server:
        channel(f"smtp://127.0.0.1:{server.port}").deliver(message())
    assert "quit" in server.verbs


def test_letters_beyond_ascii_in_an_address_need_a_server_that_takes_them(plain: Mailbox) -> None:
    error = failure(
        lambda: channel(f"smtp://127.0.0.1:{plain.port}").deliver(message("åsa@example.com"))
    )
    assert (error.stage, error.retryable) == ("recipient", False)
    with working(utf8=True) as box:
        channel(f"smtp://127.0.0.1:{box.port}").deliver(message("åsa@example.com"))
    assert box.mails[0][0] == "åsa@example.com"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"email": "nobody"}, "not a mail address"),
        ({"email": []}, "names nobody"),
        ({"email": ["a@example.com", "A <a@example.com>"]}, "twice"),
        ({"from": "x\r\nBcc: y@z"}, "not a mail address"),
        ({"server": "mail.example.com"}, "not an SMTP URL"),
        ({"server": "http://mail.example.com"}, "not an SMTP URL"),
        ({"server": "smtp://"}, "not an SMTP URL"),
        ({"server": "smtp://user:pa:ss@host:port"}, "not an SMTP URL"),
        ({"server": "smtp://user:s3cret/x@host"}, "not an SMTP URL|goes on after the port"),
        ({"server": "smtp://user@host:25#s3cret"}, "goes on after the port"),
        ({"server": "smtp://host?tls=maybe"}, "`tls` in `server` is not possible"),
        ({"server": "smtp://host?starttls=1"}, "option that isn't known"),
        (
            {"server": "smtp://user:s3cret@host?tls=opportunistic"},
            "send the password to whoever answers",
        ),
        ({"server": "smtps://host?tls=none"}, "encrypted from the start"),
        ({"ca": "/nowhere/ca.pem"}, "no file with certificates"),
        ({"timeout": "ten"}, "not a duration"),
        ({"timeout": "5m"}, "within 1 to 45 seconds"),
    ],
)
def test_a_wrong_setting_is_explained_without_the_secret(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        channel("smtp://mail.example.com", **options)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [
        ("smtp://mail.example.com", 25, "opportunistic"),
        ("smtp://u:p@mail.example.com", 587, "require"),
        ("smtps://u:p@mail.example.com", 465, "require"),
        ("smtp://u:p@mail.example.com:2525?tls=none", 2525, "none"),
    ],
)
def test_the_usual_ports_and_encryption_follow_from_the_url(url: str, port: int, tls: str) -> None:
    server = channel(url)._server()
    assert (server.host, server.port, server.tls) == ("mail.example.com", port, tls)
