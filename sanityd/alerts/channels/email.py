"""The channel `email`: mails through an SMTP server."""

import re
import ssl
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from sanityd.alerts.base import Channel
from sanityd.alerts.compose.mime import (
    MailAddress,
    address,
    as_email,
    ascii_domain,
    with_ascii_domain,
)
from sanityd.alerts.smtp import Server, send
from sanityd.model import Message
from sanityd.model.durations import parse_duration
from sanityd.model.option_types import option_error

Tls = Literal["require", "opportunistic", "none"]
_URL = "write `smtp://user:password@host:587` or `smtps://user:password@host:465`"
#: Time limit of a whole attempt, in seconds.
_TOTAL_TIMEOUT = 45.0


def _seconds(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        try:
            seconds = parse_duration(value).total_seconds()
        except ValueError as error:
            raise option_error("this is not a duration", str(error)) from None
    if not 0 < seconds <= _TOTAL_TIMEOUT:
        raise option_error(
            "the mail server must answer within 1 to 45 seconds", "write `20s`, which is usual"
        )
    return seconds


def _ehlo_name(text: str) -> str:
    name = ascii_domain(text)
    if re.fullmatch(r"|[A-Za-z0-9._-]+|\[[A-Za-z0-9.:]+\]", name) is None:
        raise option_error(
            "this is no name of a machine", "write a full name, as in `sanityd.example.com`"
        )
    return name


class Email(Channel):
    """Sends mail to one or more people, each in a mail of their own.

        team-mail: {email: team@example.com, server: "${SMTP_URL}", from: sanity@example.com}

    `email` is an address or a list of them. `server` is a URL and a secret, so take it from the
    environment: `smtps://user:password@host:465` uses TLS from the start,
    `smtp://user:password@host:587` requires STARTTLS before the login, `smtp://host` (port 25) uses
    STARTTLS when the server offers it. `?tls=require`, `?tls=opportunistic` and `?tls=none` set
    this explicitly. Write special characters in the password as `%40` for `@`, `%2F` for `/`.

    A name and a password with letters beyond ASCII are sent as UTF-8. A domain such as
    `bücher.example` becomes `xn--bcher-kva.example`, which every server takes. `ehlo` is the name
    that this machine gives in EHLO, for servers that refuse its own.

    Certificates are verified, against the system's authorities or those in the file `ca`. Only
    opportunistic TLS accepts any certificate, as mail servers do among themselves: without it the
    mail would go unencrypted.

    Warning: a server that answers too late after it has the whole message may have accepted it.
    Such a mail counts as uncertain. It may arrive twice, with the same Message-ID.
    """

    kind: ClassVar[str] = "email"
    digests: ClassVar[bool] = True

    email: str | list[str] = Field(
        description="An address, or several: each gets a mail of its own."
    )
    server: SecretStr = Field(
        description="`smtp://user:password@host:587`, or `smtps://` on port 465; a secret."
    )
    sender: MailAddress = Field(alias="from", description="The sender of the mails.")
    ehlo: Annotated[str, AfterValidator(_ehlo_name)] = Field(
        "",
        description="The name that this machine gives to the server in EHLO; "
        "its full name if left out, else its address.",
        examples=["sanityd.example.com"],
    )
    ca: Path | None = Field(
        None,
        description="A file with certificates to trust.",
        examples=["/etc/ssl/certs/our-own-ca.pem"],
    )
    timeout: Annotated[float, BeforeValidator(_seconds, json_schema_input_type=str | float)] = (
        Field(
            20.0,
            description="How long the server may take to answer, up to `45s`.",
            examples=["20s"],
        )
    )

    @field_validator("email")
    @classmethod
    def _has_addresses(cls, value: str | list[str]) -> str | list[str]:
        specs = _address_specs(value)
        if not specs:
            raise option_error("this names nobody", "write at least one mail address")
        if len(set(specs)) < len(specs):
            raise option_error("an address stands there twice", "write each address once")
        return value

    @field_validator("ca")
    @classmethod
    def _holds_certificates(cls, value: Path | None) -> Path | None:
        try:
            if value is not None:
                ssl.create_default_context(cafile=value)
        except OSError:
            raise option_error(
                "this is no file with certificates", "write the path of a PEM file"
            ) from None
        return value

    @model_validator(mode="after")
    def _has_valid_server(self) -> Self:
        self._server()
        return self

    def recipients(self) -> list[str]:
        """Return the addresses, without the names that may stand before them."""
        return _address_specs(self.email)

    def deliver(self, message: Message) -> None:
        """Send one mail, within 45 seconds. Raises DeliveryError."""
        sender = with_ascii_domain(address(self.sender))
        recipient = with_ascii_domain(address(message.recipient))
        mail = as_email(message, sender).as_bytes()
        send(self._server(), sender.addr_spec, recipient.addr_spec, mail)

    def _server(self) -> Server:
        parts, port = _split(self.server.get_secret_value())
        implicit_tls = parts.scheme == "smtps"
        tls = _tls(parts)
        if tls == "opportunistic" and parts.username:
            raise option_error(
                "`server` would send the password to whoever answers", "write `tls=require` instead"
            )
        if implicit_tls and tls != "require":
            raise option_error(
                "`smtps://` is encrypted from the start", "leave `tls` out, or write `smtp://`"
            )
        return Server(
            host=parts.hostname or "",
            port=port or _default_port(parts),
            implicit_tls=implicit_tls,
            tls=tls,
            context=partial(_tls_context, tls, self.ca),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            ehlo=self.ehlo,
            timeout=self.timeout,
            total_timeout=_TOTAL_TIMEOUT,
        )


def _tls_context(tls: Tls, ca: Path | None) -> ssl.SSLContext:
    """Return the settings of TLS: made for each connection, as reading the system's certificates
    takes longer than reading the rules."""
    if tls == "opportunistic" and ca is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    return ssl.create_default_context(cafile=ca)


def _address_specs(value: str | list[str]) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    return [address(text).addr_spec for text in texts]


def _split(url: str) -> tuple[SplitResult, int | None]:
    """Return the parts of the URL and its port.

    Raises a configuration fault. No message quotes the URL, as it holds a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise option_error("`server` is not an SMTP URL", _URL) from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise option_error("`server` is not an SMTP URL", _URL)
    if parts.path not in ("", "/") or parts.fragment:
        raise option_error(
            "`server` goes on after the port",
            "write special characters in the password as `%2F` for `/`, `%23` for `#`",
        )
    return parts, port


def _default_port(parts: SplitResult) -> int:
    if parts.scheme == "smtps":
        return 465
    if parts.username:
        return 587
    return 25


def _tls(parts: SplitResult) -> Tls:
    """Return the option `tls` of the URL.

    Without it TLS is required for `smtps://` and for a login, and opportunistic otherwise.
    """
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options.keys() - {"tls"}:
        raise option_error("`server` has an option that isn't known", "the only one is `?tls=`")
    needs_tls = bool(parts.username) or parts.scheme == "smtps"
    default: Tls = "require" if needs_tls else "opportunistic"
    match options.get("tls", default):
        case "require" | "opportunistic" | "none" as tls:
            return tls
    raise option_error(
        "`tls` in `server` is not possible",
        "write `tls=require`, `tls=opportunistic` or `tls=none`",
    )
