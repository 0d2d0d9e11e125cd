"""Incidents that people and polls change at once: nothing fails, is lost, or is open twice."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from importmonitor.choices import IncidentKind
from importmonitor.models import ImportOperation, Incident
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync.incidents import new_incident
from importmonitor.sync.poll import sync_workspace
from importmonitor.sync.reminders import review_and_deliver
from tests.admin.helpers import make_row
from tests.alerts.backends import recording
from tests.alerts.helpers import configure_channels
from tests.api.helpers import RUNNING, make_user, workspace_at
from tests.fake_client import FakeClient

INCIDENTS = "/admin/importmonitor/incident/"
ACKNOWLEDGE, MUTE = f"{INCIDENTS}acknowledge/", f"{INCIDENTS}mute/"
HOUR = timedelta(hours=1)
ENDED = {**RUNNING, "status": "importer_done", "valid": True}

pytestmark = pytest.mark.usefixtures("shared_database")


@pytest.fixture
def post(settings: Any) -> Callable[..., int]:
    """A function that posts a form as a user with all permissions, and returns the status."""
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": workspace_at("http://127.0.0.1:9")}}
    configure_channels(settings, {"ops": recording() | {"REMIND_EVERY": HOUR}})
    client = Client()
    client.force_login(make_user("someone", is_staff=True, is_superuser=True))
    cookies = client.cookies

    def post(url: str, **data: Any) -> int:
        client = Client()
        client.cookies = cookies
        return client.post(url, data).status_code

    return post


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Call functions side by side, and return what they return; raises what one of them raises."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait(30)
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def poll(*answers: Any) -> None:
    """Poll with each answer of Rocket.Chat in turn: a document, or an error."""
    for answer in answers:
        client: Any = FakeClient(answer if isinstance(answer, dict) else None)
        client.error = answer if isinstance(answer, Unreachable) else None
        result = sync_workspace("default", client=client)
        assert result.error is None or result.error is answer, result
        assert result.skipped is None, result


def open_keys() -> list[str]:
    return [incident.key for incident in Incident.objects.filter(until=None)]


def test_import_that_is_muted_twice_at_once_is_muted_once(post: Callable[..., int]) -> None:
    poll(RUNNING)
    operation = ImportOperation.objects.get()
    mute = [lambda: post(MUTE, workspace="default", operation=operation.pk)] * 4
    assert at_once(*mute) == [302] * 4
    assert open_keys() == [f"maintenance:default:{operation.pk}"]
    # It can be muted again after that.
    Incident.objects.unmute("default", timezone.now(), operation)
    assert open_keys() == []
    assert at_once(*mute) == [302] * 4
    poll(ENDED)
    assert open_keys() == []


def test_import_that_has_ended_meanwhile_is_not_muted(post: Callable[..., int]) -> None:
    """A poll sees the end after the form was checked: no later poll would end the maintenance."""
    poll(RUNNING)
    shown = ImportOperation.objects.get()
    poll(ENDED)
    now = timezone.now()
    arguments: Any = {"operation": shown, "since": now, "until": None, "by": "ada", "at": now}
    assert Incident.objects.mute("default", **arguments) is None
    assert open_keys() == []
    for _round in range(4):
        ImportOperation.objects.all().delete()
        poll(RUNNING)
        data = {"workspace": "default", "operation": ImportOperation.objects.get().pk}
        at_once(partial(post, MUTE, **data), lambda: poll(ENDED))
        assert open_keys() == []


@pytest.mark.long
@pytest.mark.parametrize("until", ["over", "hour"])
def test_incidents_are_acknowledged_while_polls_close_them(
    post: Callable[..., int], until: str
) -> None:
    poll(RUNNING)
    operation = ImportOperation.objects.get()
    others = [make_row(remote_id=f"other-{number}") for number in range(20)]
    for other in others:
        other.save()
    for _round in range(4):
        Incident.objects.all().delete()
        kinds = (IncidentKind.STALLED, IncidentKind.WAITING, IncidentKind.FAILED)
        rows = [
            new_incident(kind, "default", operation.first_seen_at - HOUR, operation=subject)
            for subject in (operation, *others)
            for kind in kinds
        ]
        rows.append(new_incident(IncidentKind.UNREACHABLE, "default", operation.first_seen_at))
        for incident in rows:
            incident.first_alert_at = incident.last_alert_at = incident.since
            incident.next_alert_at = incident.since
        Incident.objects.bulk_create(rows)
        keys = list(Incident.objects.values_list("pk", flat=True))
        acknowledge = [
            lambda keys=keys: post(ACKNOWLEDGE, incident=keys, until=until),
            lambda keys=keys: post(ACKNOWLEDGE, incident=keys[::-1], until=until),
        ]
        statuses = at_once(
            *acknowledge,
            lambda: poll(Unreachable("no answer"), RUNNING, ENDED, RUNNING),
            # A deadlock with a poll ends it, and it is called again.
            review_and_deliver,
        )
        assert statuses[:2] == [302, 302]
        incidents = list(Incident.objects.filter(pk__in=keys))
        # The polls have closed those of this import, but for none that is still right.
        closed = [row for row in incidents if row.operation_id == operation.pk]
        assert all(row.until is not None for row in closed)
        assert all(row.next_alert_at is None for row in incidents if row.until is not None)
        for row in incidents:
            assert (row.open_key is None) == (row.until is not None)
        assert len(set(open_keys())) == len(open_keys())
        if until == "over":
            acknowledged = [row for row in incidents if row.until is None]
            assert all(row.acknowledged_at for row in acknowledged)
            assert not any(row.next_alert_at for row in acknowledged)


def test_maintenance_is_planned_and_ended_at_once(post: Callable[..., int]) -> None:
    poll(RUNNING)
    for _round in range(3):
        assert post(MUTE, workspace="default", hours=2) == 302
        keys = list(Incident.objects.values_list("pk", flat=True))
        calls = [
            *(lambda key=key: post(f"{INCIDENTS}{key}/end/") for key in keys for _twice in "ab"),
            lambda: post(MUTE, workspace="default", hours=2),
            lambda: poll(RUNNING),
        ]
        statuses = at_once(*calls)
        assert set(statuses) == {302, None}
        ended = Incident.objects.filter(pk__in=keys)
        assert not ended.unfinished_maintenance(timezone.now()).exists()
        Incident.objects.all().delete()
