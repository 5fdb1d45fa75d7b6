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
        "[ERROR] 3 people have no sent welcome mail (every-person-has-a-welcome-mail)"
    )
