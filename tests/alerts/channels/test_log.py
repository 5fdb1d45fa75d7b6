"""The channel `log`."""

import pytest

from sanityd.alerts.channels.log import Log
from tests.alerts.samples import mail, opened


def test_a_message_becomes_one_line(caplog: pytest.LogCaptureFixture) -> None:
    channel = Log(name="note", log="warning")
    channel.deliver(mail(opened(), channel.recipients()[0]))
    [record] = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "sanityd.alerts")
    assert record.getMessage() == (
        "[ERROR] Every person has a welcome mail (every-person-has-a-welcome-mail): "
        "3 of 1,000 people have no sent welcome mail."
    )
