"""A fake mail gateway: sends nothing, counts the mails of each person.

Like the gateways of mail providers it takes a message by an id of the sender's, and delivers a
message with a known id no second time. `python -m examples.signup.gateway` listens on port 8002.
"""

import threading
from collections import Counter

from examples.signup.web import Answer, Request, Service


class Gateway:
    """Who got how many mails. `refuse` is how many of the next requests fail."""

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}
        self.refuse = 0
        #: How often a message came again that had been delivered already.
        self.repeated = 0
        #: Messages wait until this is set.
        self.is_open = threading.Event()
        self.is_open.set()
        self._lock = threading.Lock()

    def counts(self) -> Counter[str]:
        """Return the number of mails by person id."""
        with self._lock:
            return Counter(self.messages.values())

    def __call__(self, request: Request) -> Answer:
        """Take a message."""
        if request.method == "GET" and request.path == "/counts":
            return Answer(200, self.counts())
        message = request.json()
        if request.method != "PUT" or message is None:
            return Answer(404, {"error": "there is nothing here"})
        self.is_open.wait(30)
        with self._lock:
            if self.refuse:
                self.refuse -= 1
                return Answer(503, {"error": "not now"})
            self.repeated += request.path in self.messages
            self.messages.setdefault(request.path, str(message.get("person_id")))
        return Answer(200, {"accepted": True})


def main() -> None:
    """Serve the gateway until it is stopped."""
    Service(Gateway(), 8002).serve_forever()


if __name__ == "__main__":
    main()
