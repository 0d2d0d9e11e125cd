"""`send_test_alert` sends a message as alerts are sent, and shows whether it was delivered."""

from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from importmonitor.models import Alert

pytestmark = pytest.mark.django_db

EMAIL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
HOOK = {
    "BACKEND": "importmonitor.alerts.channels.AppriseChannel",
    "URL": "json://127.0.0.1:9/secret-path?rto=1",
}


@pytest.fixture
def _channels(settings: Any) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"CHANNELS": {"ops": EMAIL, "hook": HOOK}}


@pytest.mark.usefixtures("_channels")
def test_failing_channel_does_not_affect_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        call_command("send_test_alert")
    assert error.value.code == 1
    out, err = capsys.readouterr()
    assert out == "ops: delivered\n"
    assert err.startswith("hook: ")
    assert err.count("\n") == 1
    assert "secret-path" not in err
    [message] = mail.outbox
    assert message.to == ["ops@example.org"]
    assert "test alert" in message.subject
    # A test message is never retried later.
    assert Alert.objects.get(channel="hook").given_up_at is not None
    assert not Alert.objects.exclude(next_attempt_at=None).exists()


@pytest.mark.usefixtures("_channels")
def test_option_channel_selects_a_channel(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("send_test_alert", "--channel", "ops", "--channel", "ops")
    assert capsys.readouterr() == ("ops: delivered\n", "")
    assert len(mail.outbox) == 1


@pytest.mark.usefixtures("_channels")
def test_unknown_channel_exits_with_2() -> None:
    with pytest.raises(CommandError, match=r"no channel 'pager'\. Configured: ops, hook") as error:
        call_command("send_test_alert", "--channel", "pager")
    assert error.value.returncode == 2


def test_missing_configuration_exits_with_2() -> None:
    with pytest.raises(CommandError, match="IMPORTMONITOR_ALERT_EMAILS") as error:
        call_command("send_test_alert")
    assert error.value.returncode == 2
