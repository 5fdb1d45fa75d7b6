"""A message as the bytes of a mail: plain text first, HTML second, no attachments.

Shared by the channels that send or write mails.
"""

from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Annotated

from pydantic import AfterValidator

from sanityd.model import Message
from sanityd.model.option_types import option_error

# Lines may be longer than usual, because the standard library loses a blank where it folds a
# header. 7bit, because a relay may not support more.
_POLICY = policy.SMTP.clone(max_line_length=200, cte_type="7bit")
_FORBIDDEN = set(' \t"(),:;<>[]\\')


def as_email(message: Message, sender: Address) -> EmailMessage:
    """Return the mail, to be sent by `as_bytes()`. `sender` becomes the header From."""
    recipient = with_ascii_domain(address(message.recipient))
    is_ascii = (sender.addr_spec + recipient.addr_spec).isascii()
    mail = EmailMessage(policy=_POLICY if is_ascii else _POLICY.clone(utf8=True))
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = message.subject
    mail["Message-ID"] = message.message_id
    for name, value in message.headers.items():
        mail[name] = value
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def with_ascii_domain(mailbox: Address) -> Address:
    """Return the address with its domain as DNS has it, `xn--…`, which every server takes.

    The part before the `@` stays as it is.
    """
    return Address(mailbox.display_name, mailbox.username, ascii_domain(mailbox.domain))


def ascii_domain(domain: str) -> str:
    """Return a domain as DNS has it. Raises a configuration fault when that is not certain."""
    if domain.isascii():
        return domain
    try:
        encoded = domain.encode("idna")
        is_certain = encoded.decode("idna") == domain.lower()
    except UnicodeError:
        is_certain = False
    # The standard library knows IDNA 2003, by which `straße` is the other domain `strasse`.
    if not is_certain:
        raise option_error(
            "the domain can't be written in ASCII without doubt",
            "write it as it stands in DNS, `xn--…`",
        )
    return encoded.decode()


def address(text: str) -> Address:
    """Parse `ana@example.com` or `Ana <ana@example.com>`.

    Raises a configuration fault for anything else.
    """
    name, bracket, rest = text.strip().rpartition("<")
    spec = text.strip()
    if bracket and rest.endswith(">"):
        spec = rest.removesuffix(">")
    user, _, domain = spec.rpartition("@")
    has_forbidden = not text.isprintable() or not _FORBIDDEN.isdisjoint(spec)
    if not user or not domain or "@" in user or has_forbidden:
        raise option_error(
            "this is not a mail address",
            "write one as in `team@example.com` or `Team <team@example.com>`",
        )
    try:
        mailbox = Address(name.strip().strip('"').strip(), user, domain)
    except (ValueError, IndexError):
        raise option_error(
            "this is not a mail address", "write one as in `team@example.com`"
        ) from None
    ascii_domain(domain)
    return mailbox


def _validated_address(text: str) -> str:
    address(text)
    return text


#: An address in the rules file, with or without a name before it.
MailAddress = Annotated[str, AfterValidator(_validated_address)]
