"""What a refusal of a mail server means: who must act, and whether another attempt may help."""

import re

from sanityd.errors import DeliveryError

EHLO_REFUSED = (
    "the mail server refused the name that this machine gave in EHLO; "
    "set the channel's `ehlo` to a name that it accepts"
)
_NOTHING_TO_LOG_IN_WITH = (
    "the mail server takes mail only after a login or over TLS; "
    "write both into the channel's `server`, as in `smtp://user:password@host:587`"
)
_LOGGED_IN_BUT_REFUSED = "the mail server takes no mail in this session; check the login and `tls`"
_TOO_LARGE = "the message is too large for the mail server; lower `limits: {rows_in_mail: …}`"
_MAILBOX_FULL = "the recipient's mailbox is full"
_REFUSALS = {
    "from": "the sender was refused",
    "recipient": "the recipient was refused",
    "data": "the message was refused",
    "answer": "the message was refused",
}
_ENHANCED_CODE = re.compile(rb"^([245]\.\d{1,3}\.\d{1,3})\b")
#: Postfix and others check the name of EHLO only when they know the recipient.
_ABOUT_EHLO = re.compile(
    rb"\b(helo|ehlo)\b[^.;]{0,40}\b(reject|refus|invalid|denied)", re.IGNORECASE
)
_FULL_CODES = ("4.2.2", "5.2.2")


class ReplyError(Exception):
    """A reply that refuses a command of the transfer of a message, at a `stage`."""

    def __init__(self, code: int, answer: bytes, stage: str) -> None:
        super().__init__(code)
        self.code = code
        self.answer = answer
        self.stage = stage


def delivery_error(error: ReplyError, *, has_login: bool) -> DeliveryError:
    """Return the error of a refused message.

    What is about the session and not about the message may be corrected by somebody, and so may a
    full mailbox: these are retryable. Otherwise a 5xx reply is final.
    """
    stage, refusal, is_final = error.stage, _REFUSALS[error.stage], 500 <= error.code < 600
    if error.code == 530:
        stage, is_final = "login", False
        refusal = _LOGGED_IN_BUT_REFUSED if has_login else _NOTHING_TO_LOG_IN_WITH
    elif _ABOUT_EHLO.search(error.answer):
        stage, is_final = "hello", False
        refusal = EHLO_REFUSED
    elif _is_full(error):
        refusal, is_final = _MAILBOX_FULL, False
    elif error.code == 552:
        refusal = _TOO_LARGE
    # smtplib returns -1 for a reply that is not valid; only a clear 5xx is final.
    return DeliveryError(
        f"{refusal} ({reply_text(error.code, error.answer)})",
        retryable=not is_final,
        stage=stage,
        code=error.code,
    )


def _is_full(error: ReplyError) -> bool:
    enhanced = _enhanced_code(error.answer)
    if enhanced:
        return enhanced in _FULL_CODES
    return error.code == 552 and error.stage == "recipient"


def _enhanced_code(answer: bytes) -> str:
    match = _ENHANCED_CODE.match(answer)
    return "" if match is None else match[1].decode()


def reply_text(code: int, answer: bytes) -> str:
    """Return the code and the enhanced code; the text after them may quote an address or worse."""
    return f"{code} {_enhanced_code(answer)}".strip()
