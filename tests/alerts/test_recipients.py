"""What depends on the site and its channels: events, links, time zone, language."""

from typing import Any

import pytest
from django.urls import resolve

from importmonitor.models import Alert, ImportOperation
from tests.alerts.backends import Recorder, recording
from tests.alerts.helpers import BASE_URL, PolledWorkspace, configure_channels, idempotency_keys

pytestmark = pytest.mark.django_db


def test_channel_gets_its_configured_events(
    polled: PolledWorkspace, recorder: Recorder, settings: Any
) -> None:
    channels = {
        "all": recording("all", EVENTS="*"),
        "trouble": recording("trouble", EVENTS=["import.failed", "import.interrupted"]),
        "none": recording("none", EVENTS=[]),
    }
    configure_channels(settings, channels)
    polled.start_import("failed", seconds=60)
    polled.poll()
    polled.poll_for(300, 150)
    delivered = [(name, message.body["event"]) for name, message in recorder.delivered]
    assert delivered == [
        ("all", "import.started"),
        ("all", "import.failed"),
        ("trouble", "import.failed"),
    ]
    first, second = idempotency_keys(recorder.messages[1:])
    assert first == second


def test_no_alert_is_written_without_channels(polled: PolledWorkspace, settings: Any) -> None:
    configure_channels(settings, {})
    polled.start_import()
    polled.poll()
    assert ImportOperation.objects.exists()
    assert not Alert.objects.exists()


def test_new_channel_gets_no_earlier_alerts(
    polled: PolledWorkspace, recorder: Recorder, settings: Any
) -> None:
    polled.start_import()
    polled.poll_for(300, 150)
    configure_channels(settings, {"ops": recording(), "new": recording("new")})
    polled.poll_for(450, 150)
    assert [message.body["event"] for name, message in recorder.delivered if name == "new"] == [
        "import.finished"
    ]


def test_link_is_the_operation_page(polled: PolledWorkspace, recorder: Recorder) -> None:
    polled.start_import()
    polled.poll()
    (message,) = recorder.messages
    assert message.text.splitlines()[-1] == message.body["url"]
    page = resolve(message.body["url"].removeprefix(BASE_URL))
    assert page.view_name == "admin:importmonitor_importoperation_change"
    assert page.kwargs == {"object_id": str(ImportOperation.objects.get().pk)}


@pytest.mark.parametrize(
    ("base_url", "prefix"),
    [
        ("https://example.org/monitor/", "https://example.org/monitor/admin/"),
        ("http://[::1]:8000", "http://[::1]:8000/admin/"),
        ("", None),
    ],
)
def test_link_starts_with_base_url(
    polled: PolledWorkspace, recorder: Recorder, settings: Any, base_url: str, prefix: str | None
) -> None:
    configure_channels(settings, {"ops": recording()}, BASE_URL=base_url)
    polled.start_import()
    polled.poll()
    (message,) = recorder.messages
    if prefix is None:
        assert message.body["url"] is None
        assert "http" not in message.text
    else:
        assert message.body["url"].startswith(prefix)


def test_no_link_without_admin(polled: PolledWorkspace, recorder: Recorder, settings: Any) -> None:
    settings.ROOT_URLCONF = "importmonitor.urls"
    polled.start_import()
    polled.poll()
    polled.fail()
    polled.poll_for(600, 300)
    assert recorder.events == ["import.started", "workspace.unreachable"]
    assert [message.body["url"] for message in recorder.messages] == [None, None]
    assert not any("admin" in message.text for message in recorder.messages)


def test_times_are_in_the_time_zone_of_the_settings(
    polled: PolledWorkspace, recorder: Recorder, settings: Any
) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    polled.start_import()
    polled.poll()
    (message,) = recorder.messages
    assert "Started: 2026-01-05 18:00:01 JST" in message.text.splitlines()
    assert message.body["operation"]["started_at"] == "2026-01-05T09:00:01+00:00"


def test_alerts_are_delivered_in_another_language(
    polled: PolledWorkspace, recorder: Recorder, settings: Any
) -> None:
    settings.LANGUAGE_CODE = "de"
    polled.start_import("failed")
    polled.poll_for(700, 350)
    polled.fail()
    polled.poll_for(600, 300)
    assert recorder.events == ["import.started", "import.failed", "workspace.unreachable"]
    assert "people.csv" in recorder.messages[0].title
    assert all(BASE_URL in message.text for message in recorder.messages)
