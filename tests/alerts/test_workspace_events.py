"""What is told of a workspace that cannot be looked at: not the first blip, and once."""

from datetime import timedelta
from typing import Any

import pytest

from importmonitor.models import Alert
from importmonitor.rocketchat.exceptions import Unauthenticated
from simulator.workspace import Workspace
from tests.alerts.backends import Post, recording
from tests.alerts.helpers import BASE_URL, Watched, configure_channels
from tests.conftest import AUTH_TOKEN, USER_ID
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

TOLD = ["workspace.unreachable", "workspace.recovered"]


def fail(served: Watched, how: int | str) -> None:
    """Let all that follows fail in one way and no other: an outage's status, or as below."""
    mend(served)
    if how == "token":
        served.rocketchat.add_user(USER_ID, "another token")
    elif how == "permission":
        served.rocketchat.add_user(USER_ID, AUTH_TOKEN, permissions=())
    elif how == "2FA":
        served.rocketchat.add_user(USER_ID, AUTH_TOKEN, two_factor=True)
    else:
        assert isinstance(how, int)
        served.rocketchat.outage = how


def mend(served: Watched) -> None:
    served.rocketchat.outage = None
    served.rocketchat.add_user(USER_ID, AUTH_TOKEN)


def test_a_blip_is_not_told(watched: Watched, post: Post) -> None:
    watched.fail()
    watched.live_through(300, 150)
    watched.mend()
    watched.live_through(600, 600)
    assert post.events == []
    assert not Alert.objects.exists()


def test_two_blips_are_not_one_trouble(watched: Watched, post: Post) -> None:
    for _ in range(2):
        watched.fail()
        watched.live_through(240, 120)
        watched.mend()
        watched.live_through(60, 60)
    assert post.events == []


def test_trouble_that_lasts_is_told_once_and_so_is_its_end(served: Watched, post: Post) -> None:
    fail(served, 503)
    served.live_through(300, 60)
    assert post.events == []
    served.live_through(60, 60)
    assert post.events == TOLD[:1]
    served.live_through(3600, 1200)
    assert post.events == TOLD[:1]
    mend(served)
    served.live_through(600, 300)
    assert post.events == TOLD
    unreachable, recovered = post.messages
    assert unreachable.title == "default: Workspace unreachable"
    assert recovered.title == "default: Workspace reachable again"
    since = "2026-01-05T09:01:01+00:00"
    assert unreachable.body["sync"]["since"] == recovered.body["sync"]["since"] == since
    assert unreachable.body["sync"]["outcome"] == "Unreachable"
    assert "503" in unreachable.body["sync"]["message"]
    assert (unreachable.body["old_state"], unreachable.body["new_state"]) == ("ok", "failing")
    assert (recovered.body["old_state"], recovered.body["new_state"]) == ("failing", "ok")
    assert unreachable.text.splitlines() == [
        "Since: 2026-01-05 09:01:01 UTC",
        unreachable.body["sync"]["message"],
        "That says nothing about an import that runs there: nobody can see it from here.",
        f"{BASE_URL}/admin/importmonitor/importoperation/",
    ]
    assert recovered.text.splitlines()[:2] == [
        "Since: 2026-01-05 09:01:01 UTC",
        "Until: 2026-01-05 10:11:01 UTC",
    ]


@pytest.mark.parametrize(("first", "then"), [(503, "token"), ("permission", 502)])
def test_trouble_of_several_kinds_is_one_trouble(
    served: Watched, post: Post, first: int | str, then: int | str
) -> None:
    fail(served, first)
    served.live_through(240, 120)
    fail(served, then)
    served.live_through(240, 120)
    assert post.events == TOLD[:1]
    fail(served, first)
    served.live_through(120, 120)
    mend(served)
    served.live_through(240, 120)
    assert post.events == TOLD
    assert {message.body["sync"]["since"] for message in post.messages} == {
        "2026-01-05T09:02:01+00:00"
    }


def test_trouble_that_changes_its_kind_at_every_look_is_told_once(
    served: Watched, post: Post
) -> None:
    for how in (503, "token", "permission", 502, "2FA"):
        fail(served, how)
        served.live_through(120, 120)
    assert post.events == TOLD[:1]


def test_each_trouble_is_told(watched: Watched, post: Post) -> None:
    for _ in range(2):
        watched.fail()
        watched.live_through(600, 300)
        watched.mend()
        watched.live_through(60, 60)
    assert post.events == TOLD * 2
    assert Alert.objects.values("key").distinct().count() == 4


def test_who_looks_seldom_is_told_at_the_second_look_that_fails(
    watched: Watched, post: Post
) -> None:
    watched.fail()
    watched.live_through(1800, 1800)
    assert post.events == []
    watched.live_through(1800, 1800)
    assert post.events == TOLD[:1]
    watched.live_through(3600, 1800)
    assert post.events == TOLD[:1]


def test_a_blip_before_a_long_pause_of_the_monitor_is_not_told(
    watched: Watched, post: Post
) -> None:
    watched.fail()
    watched.live_through(60, 60)
    watched.mend()
    watched.live_through(86_400, 86_400)
    assert post.events == []


def test_a_workspace_that_has_never_answered_is_told_too(workspace: Workspace, post: Post) -> None:
    watched = Watched(workspace, FakeClient(workspace))
    watched.fail(Unauthenticated("default: the token is not accepted."))
    watched.live_through(360, 120)
    assert post.events == []
    watched.live_through(240, 120)
    assert post.events == TOLD[:1]
    watched.mend()
    watched.live_through(240, 120)
    assert post.events == TOLD


def test_the_time_of_grace_is_a_setting(watched: Watched, post: Post, settings: Any) -> None:
    configure_channels(settings, {"ops": recording()}, UNREACHABLE_AFTER=timedelta(minutes=1))
    watched.fail()
    watched.live_through(180, 60)
    assert post.events == TOLD[:1]


def test_nothing_is_told_again_for_want_of_delivery(watched: Watched, post: Post) -> None:
    post.fail(ConnectionRefusedError())
    watched.fail()
    watched.live_through(1200, 300)
    assert Alert.objects.count() == 1
    watched.mend()
    watched.live_through(600, 300)
    post.mend()
    watched.live_through(1800, 900)
    assert sorted(post.events) == sorted(TOLD)


def test_no_import_is_told_of_because_nobody_could_look(watched: Watched, post: Post) -> None:
    watched.start()
    watched.poll()
    watched.fail()
    watched.live_through(7200, 2400)
    assert post.events == ["import.started", "workspace.unreachable"]
