"""Message → the bytes of a mail: plain text first, HTML second, nothing attached. Shared by the channels that mail."""

from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Annotated

from pydantic import AfterValidator

from sanityd.model import Message
from sanityd.model.option_types import fault

# Longer lines than usual, as the standard library loses a blank where it folds; 7bit, as a relay may know no more.
_POLICY = policy.SMTP.clone(max_line_length=200, cte_type="7bit")


def as_email(message: Message, sender: Address) -> EmailMessage:
    """The mail, ready to be sent by `as_bytes()`. `sender` is what the receiver sees as From."""
    recipient = address(message.recipient)
    utf8 = not (sender.addr_spec + recipient.addr_spec).isascii()
    mail = EmailMessage(policy=_POLICY.clone(utf8=True) if utf8 else _POLICY)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = message.subject
    mail["Message-ID"] = message.message_id
    for name, value in message.headers.items():
        mail[name] = value
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def address(text: str) -> Address:
    """Read `ana@example.com` or `Ana <ana@example.com>`. Raises a fault of configuration for anything else."""
    name, bracket, rest = text.strip().rpartition("<")
    spec = rest.removesuffix(">") if bracket and rest.endswith(">") else text.strip()
    name = name.strip().strip('"').strip()
    user, _, domain = spec.rpartition("@")
    if (
        not user
        or not domain
        or not (text.isprintable() and not set(spec) & set(' \t"(),:;<>[]\\'))
        or "@" in user
    ):
        raise fault(
            "this is not a mail address",
            "write one as in `team@example.com` or `Team <team@example.com>`",
        )
    try:
        return Address(name, user, domain)
    except (ValueError, IndexError):
        raise fault("this is not a mail address", "write one as in `team@example.com`") from None


def _is_address(text: str) -> str:
    address(text)
    return text


#: An address in the rules file, with or without a name before it.
MailAddress = Annotated[str, AfterValidator(_is_address)]
