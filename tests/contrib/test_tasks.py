"""The tasks on Django's task framework."""

from typing import Any

import django
import pytest

from importmonitor.models import ImportOperation
from simulator.workspace import Workspace
from tests.api.helpers import workspace_at

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(django.VERSION < (6, 0), reason="new in Django 6.0"),
]


def test_poll_stores_the_operation(rocketchat: Workspace) -> None:
    from importmonitor.contrib.tasks import sync_workspace

    rocketchat.start_import("slack")
    result = sync_workspace.enqueue("default")
    assert result.return_value == {"workspace": "default", "skipped": None, "error": None}
    assert ImportOperation.objects.count() == 1


def test_failed_poll_returns_the_error(rocketchat: Workspace) -> None:
    from importmonitor.contrib.tasks import sync_workspace

    rocketchat.outage = 502
    assert sync_workspace.enqueue("default").return_value["error"] == "Unreachable"


def test_every_workspace_is_enqueued(settings: Any, rocketchat: Workspace) -> None:
    from importmonitor.contrib.tasks import sync_workspaces

    good = dict(settings.IMPORTMONITOR["WORKSPACES"]["default"])
    bad = workspace_at("http://127.0.0.1:9")
    settings.IMPORTMONITOR = {"WORKSPACES": {"good": good, "bad": bad}}
    rocketchat.start_import("slack")
    assert sync_workspaces.enqueue().return_value == 2
    assert ImportOperation.objects.get().workspace == "good"


def test_digests_are_sent_once(settings: Any) -> None:
    from importmonitor.contrib.tasks import send_import_digests

    email = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    channels = {"ops": email | {"EVENTS": [], "DIGEST": "weekly"}}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"CHANNELS": channels}
    assert [send_import_digests.enqueue().return_value for _ in range(2)] == [1, 0]
