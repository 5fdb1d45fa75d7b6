"""The channel `file`."""

from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from sanityd.alerts.channels.file import File
from sanityd.errors import DeliveryError
from tests.alerts.hostile import HOSTILE
from tests.alerts.samples import RULE, mail, opened


def test_a_mail_becomes_one_file_however_often_it_is_delivered(tmp_path: Path) -> None:
    channel = File(name="trial", file=tmp_path / "new" / "mails")
    message = mail(opened(), channel.recipients()[0])
    channel.deliver(message)
    channel.deliver(message)
    [path] = (tmp_path / "new" / "mails").iterdir()
    assert path.name.startswith("opened-every-person-has-a-welcome-mail-")
    parsed = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert parsed["Message-ID"] == message.message_id


@pytest.mark.parametrize("rule", [*HOSTILE[:20], "../../etc/passwd", "/etc/passwd", "a/b"])
def test_no_value_leads_out_of_the_folder(tmp_path: Path, rule: str) -> None:
    folder = tmp_path / "mails"
    File(name="trial", file=folder).deliver(
        mail(opened(rule=replace(RULE, id=rule)), "file@localhost")
    )
    [path] = tmp_path.rglob("*.eml")
    assert path.parent == folder
    assert not path.name.startswith(".")


def test_a_folder_that_can_not_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "mails").write_text("in the way")
    with pytest.raises(DeliveryError) as caught:
        File(name="trial", file=tmp_path / "mails").deliver(mail(opened(), "file@localhost"))
    assert caught.value.retryable
    assert str(tmp_path) not in caught.value.message
