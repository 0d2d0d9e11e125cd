"""What depends on who reads: the channel, the link, the time zone, the language."""

from typing import Any

import pytest
from django.urls import resolve

from importmonitor.models import Alert, ImportOperation
from tests.alerts.backends import Post, recording
from tests.alerts.helpers import BASE_URL, Watched, configure_channels, keys

pytestmark = pytest.mark.django_db


def test_a_channel_gets_the_events_that_it_wants(
    watched: Watched, post: Post, settings: Any
) -> None:
    channels = {
        "all": recording("all", EVENTS="*"),
        "trouble": recording("trouble", EVENTS=["import.failed", "import.interrupted"]),
        "none": recording("none", EVENTS=[]),
    }
    configure_channels(settings, channels)
    watched.start("failed", seconds=60)
    watched.poll()
    watched.live_through(300, 150)
    told = [(name, message.body["event"]) for name, message in post.delivered]
    assert told == [
        ("all", "import.started"),
        ("all", "import.failed"),
        ("trouble", "import.failed"),
    ]
    first, second = keys(post.messages[1:])
    assert first == second


def test_without_channels_nothing_is_written(watched: Watched, settings: Any) -> None:
    configure_channels(settings, {})
    watched.start()
    watched.poll()
    assert ImportOperation.objects.exists()
    assert not Alert.objects.exists()


def test_what_was_told_before_a_channel_is_added_is_not_told_to_it(
    watched: Watched, post: Post, settings: Any
) -> None:
    watched.start()
    watched.live_through(300, 150)
    configure_channels(settings, {"ops": recording(), "new": recording("new")})
    watched.live_through(450, 150)
    assert [message.body["event"] for name, message in post.delivered if name == "new"] == [
        "import.finished"
    ]


def test_the_link_is_the_operations_page(watched: Watched, post: Post) -> None:
    watched.start()
    watched.poll()
    (message,) = post.messages
    assert message.text.splitlines()[-1] == message.body["url"]
    page = resolve(message.body["url"].removeprefix(BASE_URL))
    assert page.view_name == "admin:importmonitor_importoperation_change"
    assert page.kwargs == {"object_id": str(ImportOperation.objects.get().pk)}


@pytest.mark.parametrize(
    ("base_url", "begins"),
    [
        ("https://example.org/monitor/", "https://example.org/monitor/admin/"),
        ("http://[::1]:8000", "http://[::1]:8000/admin/"),
        ("", None),
    ],
)
def test_the_link_begins_with_the_base_url(
    watched: Watched, post: Post, settings: Any, base_url: str, begins: str | None
) -> None:
    configure_channels(settings, {"ops": recording()}, BASE_URL=base_url)
    watched.start()
    watched.poll()
    (message,) = post.messages
    if begins is None:
        assert message.body["url"] is None
        assert "http" not in message.text
    else:
        assert message.body["url"].startswith(begins)


def test_without_the_admin_there_is_no_link(watched: Watched, post: Post, settings: Any) -> None:
    settings.ROOT_URLCONF = "importmonitor.urls"
    watched.start()
    watched.poll()
    watched.fail()
    watched.live_through(600, 300)
    assert post.events == ["import.started", "workspace.unreachable"]
    assert [message.body["url"] for message in post.messages] == [None, None]
    assert not any("admin" in message.text for message in post.messages)


def test_times_are_those_of_the_settings_time_zone(
    watched: Watched, post: Post, settings: Any
) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    watched.start()
    watched.poll()
    (message,) = post.messages
    assert "Started: 2026-01-05 18:00:01 JST" in message.text.splitlines()
    assert message.body["operation"]["started_at"] == "2026-01-05T09:00:01+00:00"


def test_another_language_breaks_nothing(watched: Watched, post: Post, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    watched.start("failed")
    watched.live_through(700, 350)
    watched.fail()
    watched.live_through(600, 300)
    assert post.events == ["import.started", "import.failed", "workspace.unreachable"]
    assert "people.csv" in post.messages[0].title
    assert all(BASE_URL in message.text for message in post.messages)
