"""The channel `file`: mails as files in a folder, for trials and for the demo."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import ClassVar

from pydantic import Field, ValidationInfo, field_validator

from sanityd.alerts.base import Channel
from sanityd.alerts.compose.mime import MailAddress, address, as_email
from sanityd.errors import DeliveryError
from sanityd.model import Message


class File(Channel):
    """Writes each mail into a folder as an .eml file that any mail program opens.

        trial: {file: ./mails}

    Nothing leaves the machine. The folder is created when it is missing; a relative path is
    relative to the rules file. A mail that is delivered twice is one file, because the file name
    follows from the Message-ID.
    """

    kind: ClassVar[str] = "file"
    digests: ClassVar[bool] = True

    file: Path = Field(description="The folder of the mails.")
    sender: MailAddress = Field(
        "sanityd <sanityd@localhost>",
        alias="from",
        description="The sender of the mails.",
        examples=["Sanity <sanity@example.com>"],
    )

    @field_validator("file")
    @classmethod
    def _relative_to_rules_file(cls, value: Path, info: ValidationInfo) -> Path:
        return Path((info.context or {}).get("folder", "")) / value

    def recipients(self) -> list[str]:
        """Return a single address that stands for the folder."""
        return ["file@localhost"]

    def deliver(self, message: Message) -> None:
        """Write one file, completely or not at all. Raises DeliveryError, always retryable."""
        mail = as_email(message, address(self.sender)).as_bytes()
        try:
            self.file.mkdir(parents=True, exist_ok=True)
            self._write(self.file / _file_name(message), mail)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "unknown reason"
            raise DeliveryError(
                f"the folder of the mails can't be written: {reason}", retryable=True, stage="data"
            ) from None

    def _write(self, path: Path, mail: bytes) -> None:
        handle, draft = tempfile.mkstemp(dir=self.file, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(mail)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise


def _file_name(message: Message) -> str:
    """Return a name such as `opened-every-person-has-a-mail-1f2e3d4c.eml`, never a path."""
    event = message.headers.get("X-Sanityd-Event", "mail")
    rule = message.headers.get("X-Sanityd-Rule", "")
    parts = [_letters_and_digits(word)[:60] for word in (event, rule) if word]
    identity = hashlib.sha256(f"{message.message_id}\n{message.recipient}".encode()).hexdigest()
    return f"{'-'.join(parts)}-{identity[:8]}.eml"


def _letters_and_digits(text: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in text)
