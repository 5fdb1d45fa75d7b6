"""A mail server for the demo: takes every mail on loopback and keeps it in a folder, as .eml and
.html."""

import email
import email.policy
import socketserver
import threading
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path


class _Conversation(socketserver.StreamRequestHandler):
    """Just enough of RFC 5321 to take a mail."""

    server: "Catcher"

    def handle(self) -> None:
        """Talk until the sender says QUIT, or is gone."""
        with suppress(ConnectionError):
            self._talk()

    def _talk(self) -> None:
        self._say("220 sanityd demo")
        while line := self.rfile.readline(2000):
            match line.strip().upper()[:4]:
                case b"DATA":
                    self._say("354 end with a dot")
                    self.server.keep(self._body())
                    self._say("250 kept")
                case b"QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 ok")

    def _body(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            # RFC 5321 section 4.5.2: a dot at the beginning was doubled by the sender.
            lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class Catcher(socketserver.ThreadingTCPServer):
    """Runs in a thread from `start` to `stop`; `mails` are those kept so far, in order."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.folder = folder
        self.mails: list[EmailMessage] = []
        self._keeping = threading.Lock()

    @property
    def url(self) -> str:
        """Where to send mail, for a channel's `server`."""
        return f"smtp://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> "Catcher":
        """Begin to take mails."""
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more."""
        self.shutdown()
        self.server_close()

    def keep(self, body: bytes) -> None:
        """Keep one mail as it came, and its HTML part beside it."""
        message = email.message_from_bytes(body, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        with self._keeping:
            self.mails.append(message)
            event, rule = message["X-Sanityd-Event"], message["X-Sanityd-Rule"]
            path = self.folder / f"{len(self.mails):02}-{event}-{rule}.eml"
            path.write_bytes(body)
            page = message.get_body(preferencelist=("html",))
            if page is not None:
                path.with_suffix(".html").write_text(page.get_content(), encoding="utf-8")
