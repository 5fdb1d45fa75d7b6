"""The login of an SMTP session. Names and passwords are UTF-8 (RFC 4616), not only ASCII."""

import base64
import hmac
import smtplib
from collections.abc import Callable

#: A code and the text after it.
Reply = tuple[int, bytes]

_LOGGED_IN = (235, 503)
_CONTINUE = 334


def log_in(smtp: smtplib.SMTP, user: str, password: str) -> None:
    """Log in by the first mechanism that the server offers and accepts.

    Raises SMTPAuthenticationError when it accepts none, SMTPNotSupportedError when it offers none.
    """
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    reply: Reply | None = None
    # Some servers offer mechanisms that they do not support.
    for name, mechanism in _MECHANISMS.items():
        if name not in offered:
            continue
        reply = mechanism(smtp, user.encode(), password.encode())
        if reply[0] in _LOGGED_IN:
            return
    if reply is None:
        raise smtplib.SMTPNotSupportedError("no mechanism for a login")
    raise smtplib.SMTPAuthenticationError(*reply)


def _cram_md5(smtp: smtplib.SMTP, user: bytes, password: bytes) -> Reply:
    code, answer = smtp.docmd("AUTH", "CRAM-MD5")
    if code != _CONTINUE:
        return code, answer
    digest = hmac.new(password, base64.decodebytes(answer), "md5").hexdigest()
    return smtp.docmd(_encoded(user + b" " + digest.encode()))


def _plain(smtp: smtplib.SMTP, user: bytes, password: bytes) -> Reply:
    return smtp.docmd("AUTH", f"PLAIN {_encoded(b'%c%s%c%s' % (0, user, 0, password))}")


def _login(smtp: smtplib.SMTP, user: bytes, password: bytes) -> Reply:
    code, answer = smtp.docmd("AUTH", f"LOGIN {_encoded(user)}")
    if code != _CONTINUE:
        return code, answer
    return smtp.docmd(_encoded(password))


def _encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


#: The mechanisms, the preferred first.
_MECHANISMS: dict[str, Callable[[smtplib.SMTP, bytes, bytes], Reply]] = {
    "CRAM-MD5": _cram_md5,
    "PLAIN": _plain,
    "LOGIN": _login,
}
