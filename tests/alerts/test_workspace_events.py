"""The alerts about an unreachable workspace: one for a long outage, none for a short one."""

from datetime import timedelta
from typing import Any

import pytest

from importmonitor.models import Alert
from importmonitor.rocketchat.exceptions import Unauthenticated
from simulator.workspace import Workspace
from tests.alerts.backends import Recorder, recording
from tests.alerts.helpers import PolledWorkspace, configure_channels
from tests.conftest import AUTH_TOKEN, USER_ID
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

EVENTS = ["workspace.unreachable", "workspace.recovered"]


def fail(polled_over_http: PolledWorkspace, how: int | str) -> None:
    """Let all polls fail: with an HTTP status, or as below."""
    restore(polled_over_http)
    if how == "token":
        polled_over_http.rocketchat.add_user(USER_ID, "another token")
    elif how == "permission":
        polled_over_http.rocketchat.add_user(USER_ID, AUTH_TOKEN, permissions=())
    elif how == "2FA":
        polled_over_http.rocketchat.add_user(USER_ID, AUTH_TOKEN, two_factor=True)
    else:
        assert isinstance(how, int)
        polled_over_http.rocketchat.outage = how


def restore(polled_over_http: PolledWorkspace) -> None:
    polled_over_http.rocketchat.outage = None
    polled_over_http.rocketchat.add_user(USER_ID, AUTH_TOKEN)


def test_short_outage_is_not_alerted(polled: PolledWorkspace, recorder: Recorder) -> None:
    polled.fail()
    polled.poll_for(300, 150)
    polled.restore()
    polled.poll_for(600, 600)
    assert recorder.events == []
    assert not Alert.objects.exists()


def test_two_short_outages_are_not_one_long_outage(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    for _ in range(2):
        polled.fail()
        polled.poll_for(240, 120)
        polled.restore()
        polled.poll_for(60, 60)
    assert recorder.events == []


def test_long_outage_and_its_end_are_alerted_once_each(
    polled_over_http: PolledWorkspace, recorder: Recorder
) -> None:
    fail(polled_over_http, 503)
    polled_over_http.poll_for(300, 60)
    assert recorder.events == []
    polled_over_http.poll_for(60, 60)
    assert recorder.events == EVENTS[:1]
    polled_over_http.poll_for(3600, 1200)
    assert recorder.events == EVENTS[:1]
    restore(polled_over_http)
    polled_over_http.poll_for(600, 300)
    assert recorder.events == EVENTS
    unreachable, recovered = recorder.messages
    assert unreachable.title == "default: Workspace unreachable"
    assert recovered.title == "default: Workspace reachable again"
    since = "2026-01-05T09:01:01+00:00"
    assert unreachable.body["sync"]["since"] == recovered.body["sync"]["since"] == since
    assert unreachable.body["sync"]["outcome"] == "Unreachable"
    assert "503" in unreachable.body["sync"]["message"]
    assert (unreachable.body["old_state"], unreachable.body["new_state"]) == ("ok", "failing")
    assert (recovered.body["old_state"], recovered.body["new_state"]) == ("failing", "ok")
    assert unreachable.text.split("\n\n") == [
        "Since: 2026-01-05 09:01:01 UTC",
        unreachable.body["sync"]["message"].removeprefix("default: "),
        "An import may still be running there; its progress cannot be seen until the workspace "
        "is reachable again.",
        f"{unreachable.body['url']}\nAcknowledge or mute: {unreachable.body['incident']['url']}",
    ]
    assert recovered.text.splitlines()[:4] == [
        "Reachable again after 1 h 10 min.",
        "",
        "Since: 2026-01-05 09:01:01 UTC",
        "Until: 2026-01-05 10:11:01 UTC",
    ]


@pytest.mark.parametrize(("first", "then"), [(503, "token"), ("permission", 502)])
def test_successive_errors_of_different_kinds_are_one_outage(
    polled_over_http: PolledWorkspace, recorder: Recorder, first: int | str, then: int | str
) -> None:
    fail(polled_over_http, first)
    polled_over_http.poll_for(240, 120)
    fail(polled_over_http, then)
    polled_over_http.poll_for(240, 120)
    assert recorder.events == EVENTS[:1]
    fail(polled_over_http, first)
    polled_over_http.poll_for(120, 120)
    restore(polled_over_http)
    polled_over_http.poll_for(240, 120)
    assert recorder.events == EVENTS
    assert {message.body["sync"]["since"] for message in recorder.messages} == {
        "2026-01-05T09:02:01+00:00"
    }


def test_error_kind_changing_at_every_poll_is_one_outage(
    polled_over_http: PolledWorkspace, recorder: Recorder
) -> None:
    for how in (503, "token", "permission", 502, "2FA"):
        fail(polled_over_http, how)
        polled_over_http.poll_for(120, 120)
    assert recorder.events == EVENTS[:1]


def test_every_long_outage_is_alerted(polled: PolledWorkspace, recorder: Recorder) -> None:
    for _ in range(2):
        polled.fail()
        polled.poll_for(600, 300)
        polled.restore()
        polled.poll_for(60, 60)
    assert recorder.events == EVENTS * 2
    assert Alert.objects.values("key").distinct().count() == 4


def test_rare_polls_alert_at_the_second_failure(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.fail()
    polled.poll_for(1800, 1800)
    assert recorder.events == []
    polled.poll_for(1800, 1800)
    assert recorder.events == EVENTS[:1]
    polled.poll_for(3600, 1800)
    assert recorder.events == EVENTS[:1]


def test_short_outage_before_a_pause_in_polling_is_not_alerted(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.fail()
    polled.poll_for(60, 60)
    polled.restore()
    polled.poll_for(86_400, 86_400)
    assert recorder.events == []


def test_workspace_that_never_responded_is_alerted(
    workspace: Workspace, recorder: Recorder
) -> None:
    polled = PolledWorkspace(workspace, FakeClient(workspace))
    polled.fail(Unauthenticated("default: the token is not accepted."))
    polled.poll_for(360, 120)
    assert recorder.events == []
    polled.poll_for(240, 120)
    assert recorder.events == EVENTS[:1]
    polled.restore()
    polled.poll_for(240, 120)
    assert recorder.events == EVENTS


def test_unreachable_after_is_a_setting(
    polled: PolledWorkspace, recorder: Recorder, settings: Any
) -> None:
    configure_channels(settings, {"ops": recording()}, UNREACHABLE_AFTER=timedelta(minutes=1))
    polled.fail()
    polled.poll_for(180, 60)
    assert recorder.events == EVENTS[:1]


def test_undelivered_alert_is_not_written_again(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    recorder.fail(ConnectionRefusedError())
    polled.fail()
    polled.poll_for(1200, 300)
    assert Alert.objects.count() == 1
    polled.restore()
    polled.poll_for(600, 300)
    recorder.restore()
    polled.poll_for(1800, 900)
    # That it was unreachable is no news any more: the recovery says from when to when.
    assert recorder.events == ["workspace.recovered"]
    assert Alert.objects.filter(delivered_at=None).count() == 0


def test_outage_alerts_nothing_about_the_import(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.start_import()
    polled.poll()
    polled.fail()
    polled.poll_for(7200, 2400)
    assert recorder.events == ["import.started", "workspace.unreachable"]
