"""Messages as the bytes that a mail server gets."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from pydantic_core import PydanticCustomError

from sanityd.alerts.compose.mime import address, as_email
from tests.alerts.samples import mail, opened

SENDER = address("Sanity Prüfer <sanity@example.com>")


def _parsed(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


def test_plain_text_comes_first_and_html_second() -> None:
    message = mail(opened())
    parts = list(_parsed(as_email(message, SENDER).as_bytes()).iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert [part.get_content().split() for part in parts] == [
        message.text.split(),
        message.html.split(),
    ]


def test_the_headers_arrive_as_they_were_written() -> None:
    message = mail(opened())
    parsed = _parsed(as_email(message, SENDER).as_bytes())
    assert parsed["Subject"] == message.subject
    assert parsed["Message-ID"] == message.message_id
    assert str(parsed["From"].addresses[0]) == "Sanity Prüfer <sanity@example.com>"
    assert parsed["To"] == "team@example.com"
    assert {name: str(parsed[name]) for name in message.headers} == dict(message.headers)


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("ana@example.com", "", "ana@example.com"),
        ("Ana <ana@example.com>", "Ana", "ana@example.com"),
        ('"Ana, B." <ana@example.com>', "Ana, B.", "ana@example.com"),
        ("<ana+x@localhost>", "", "ana+x@localhost"),
        ("Åsa <åsa@exämple.com>", "Åsa", "åsa@exämple.com"),
    ],
)
def test_addresses_are_read_with_and_without_names(text: str, name: str, spec: str) -> None:
    assert (address(text).display_name, address(text).addr_spec) == (name, spec)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ana",
        "@example.com",
        "ana@",
        "a b@example.com",
        "a@b@c",
        "a@b, c@d",
        "a@b\r\nBcc: c@d",
        "<a@b",
        "a@b>x",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="not a mail address"):
        address(text)
