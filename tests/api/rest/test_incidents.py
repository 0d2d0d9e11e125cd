"""Incidents are read and acknowledged, and maintenance is planned and ended, over the API."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from importmonitor.models import Incident
from tests.admin.helpers import make_row
from tests.admin.test_incidents_page import make_incident
from tests.api.helpers import NOON, credentials, make_user
from tests.api.rest.api_client import INCIDENTS, WORKSPACES, ApiClient, problem
from tests.api.rest.openapi_document import ResponseValidator, fetch_document

HOUR = timedelta(hours=1)
MAINTENANCE = f"{WORKSPACES}default/maintenance/"
LATER = "2026-03-25T14:00:00Z"


@pytest.fixture(autouse=True)
def _noon() -> Any:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture(scope="module")
def validator() -> ResponseValidator:
    return ResponseValidator(fetch_document())


@pytest.fixture
def editor(db: None) -> ApiClient:
    """A client with the credentials of a user who can change incidents."""
    return ApiClient(Client(), credentials(make_user("ada", "run-import", "change_incident")))


def acknowledge_url(incident: Incident) -> str:
    return f"{INCIDENTS}{incident.pk}/acknowledge/"


def test_incidents_are_listed_newest_first(api: ApiClient, validator: ResponseValidator) -> None:
    operation = make_row()
    operation.save()
    make_incident("import.stalled", operation=operation, since=NOON - 2 * HOUR)
    make_incident("workspace.unreachable", message="It is down.", note="IT knows")
    response = api.get(INCIDENTS)
    validator.check(INCIDENTS, response)
    first, second = response.json()["results"]
    assert (first["message"], first["operation"]) == ("It is down.", None)
    assert (second["kind"], second["operation"]) == ("import.stalled", operation.pk)
    url = f"{INCIDENTS}{first['id']}/"
    response = api.get(url)
    validator.check(f"{INCIDENTS}{{id}}/", response)
    assert response.json() == first
    problem(api.get(f"{INCIDENTS}987654321/"), 404)
    [row] = api.rows(INCIDENTS, {"page_size": 1})
    assert row == first
    following = api.body(INCIDENTS, {"page_size": 1})["next"]
    assert api.rows(following) == [second]


def test_incidents_are_filtered(api: ApiClient) -> None:
    make_incident(workspace="open")
    make_incident(workspace="over", until=NOON)
    make_incident("maintenance", workspace="maintenance")
    acknowledged = make_incident("workspace.refused", workspace="acknowledged")
    expired = make_incident(workspace="expired", until=NOON - HOUR)
    Incident.objects.filter(pk=acknowledged.pk).acknowledge(by="ada", at=NOON)
    Incident.objects.filter(pk=expired.pk).update(acknowledged_at=NOON, acknowledged_until=NOON)

    def workspaces(**parameters: str) -> set[str]:
        return {row["workspace"] for row in api.rows(INCIDENTS, parameters)}

    assert workspaces(open="true") == {"open", "acknowledged"}
    assert workspaces(open="false") == {"over", "expired", "maintenance"}
    assert workspaces(acknowledged="true") == {"acknowledged"}
    assert workspaces(acknowledged="false", open="true") == {"open"}
    assert workspaces(kind="maintenance") == {"maintenance"}
    assert workspaces(workspace="over") == {"over"}
    for name in ("open", "acknowledged", "kind", "nonsense"):
        problem(api.get(INCIDENTS, {name: "x"}), 400)


def test_etag_changes_with_the_acknowledgement_and_its_end(api: ApiClient) -> None:
    incident = make_incident()
    etags = [api.get(INCIDENTS)["ETag"]]
    assert api.get(INCIDENTS, If_None_Match=etags[0]).status_code == 304
    Incident.objects.filter(pk=incident.pk).acknowledge(by="ada", at=NOON, until=NOON + HOUR)
    etags.append(api.get(INCIDENTS)["ETag"])
    with time_machine.travel(NOON + HOUR, tick=False):
        etags.append(api.get(INCIDENTS)["ETag"])
    assert len(set(etags)) == 3


def test_lists_cost_the_same_for_many_incidents(api: ApiClient) -> None:
    # The first request records that the token was used.
    api.rows(INCIDENTS)
    counts = []
    for number in range(2):
        for row in range(20):
            make_incident(workspace=f"w{number}-{row}")
        with CaptureQueriesContext(connection) as captured:
            api.rows(INCIDENTS)
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 7


@pytest.mark.parametrize(("until", "expected"), [(LATER, NOON + 2 * HOUR), (None, None)])
def test_incident_is_acknowledged(
    editor: ApiClient, validator: ResponseValidator, until: str | None, expected: Any
) -> None:
    incident = make_incident()
    body = {"until": until, "note": "IT knows"}
    response = editor.send("POST", acknowledge_url(incident), body)
    assert response.status_code == 200
    validator.check(f"{INCIDENTS}{{id}}/acknowledge/", response, "post")
    assert response.json()["acknowledged"] is True
    incident.refresh_from_db()
    assert (incident.acknowledged_by, incident.note) == ("ada", "IT knows")
    assert (incident.acknowledged_at, incident.acknowledged_until) == (NOON, expected)


def test_body_can_be_left_out(editor: ApiClient) -> None:
    incident = make_incident()
    assert editor.send("POST", acknowledge_url(incident)).status_code == 200
    incident.refresh_from_db()
    assert incident.is_acknowledged(NOON)


def test_incident_that_is_over_is_a_conflict(editor: ApiClient) -> None:
    for incident in (make_incident(until=NOON), make_incident("maintenance")):
        response = editor.send("POST", acknowledge_url(incident), {})
        assert problem(response, 409)["detail"] == "This incident is over."
    problem(editor.send("POST", f"{INCIDENTS}987654321/acknowledge/", {}), 404)


INVALID: list[tuple[Any, str]] = [
    ({"until": "2026-03-25T11:00:00Z"}, "until"),
    ({"until": "2026-03-25T14:00:00"}, "until"),
    ({"until": "9999-12-31T23:59:59Z"}, "until"),
    ({"until": 7}, "until"),
    ({"note": "x" * 1001}, "note"),
    ({"note": "\0"}, "note"),
    ({"what": 1}, "what"),
    ([], ""),
    (b"{", ""),
    (b'{"until": NaN}', ""),
]


@pytest.mark.parametrize(("body", "name"), INVALID)
def test_invalid_bodies_are_400(
    editor: ApiClient, validator: ResponseValidator, body: Any, name: str
) -> None:
    incident = make_incident()
    for url in (acknowledge_url(incident), MAINTENANCE):
        response = editor.send("POST", url, body)
        path = url.replace(str(incident.pk), "{id}").replace("default", "{alias}")
        validator.check(path, response, "post")
        errors = problem(response, 400).get("errors", {})
        # Maintenance needs an end, too.
        assert not name or set(errors) & {name, "until"}
    problem(editor.send("POST", MAINTENANCE, b"x", content_type="text/plain"), 415)
    incident.refresh_from_db()
    assert incident.acknowledged_at is None
    assert Incident.objects.count() == 1


def test_maintenance_has_one_end(editor: ApiClient) -> None:
    for body in ({}, {"hours": 2, "until": LATER}):
        assert "until" in problem(editor.send("POST", MAINTENANCE, body), 400)["errors"]


@pytest.mark.parametrize("hours", ["nan", "inf", 0, -1, 9000, "x", 1e300])
def test_impossible_hours_are_400(editor: ApiClient, hours: Any) -> None:
    assert "hours" in problem(editor.send("POST", MAINTENANCE, {"hours": hours}), 400)["errors"]


def test_maintenance_is_planned_and_ended(editor: ApiClient, validator: ResponseValidator) -> None:
    path = f"{WORKSPACES}{{alias}}/maintenance/"
    body = {"since": "2026-03-25T23:00:00+01:00", "hours": 2, "note": "restart"}
    for sent in ({"until": LATER}, body):
        response = editor.send("POST", MAINTENANCE, sent)
        assert response.status_code == 201
        validator.check(path, response, "post")
    present, planned = Incident.objects.order_by("pk")
    assert (present.since, present.until) == (NOON, NOON + 2 * HOUR)
    assert (planned.since, planned.until) == (NOON + 10 * HOUR, NOON + 12 * HOUR)
    assert (planned.acknowledged_by, planned.note) == ("ada", "restart")
    for _ in range(2):
        response = editor.send("DELETE", MAINTENANCE)
        assert response.status_code == 204
        validator.check(path, response, "delete")
    assert Incident.objects.get().until == NOON
    for method in ("POST", "DELETE"):
        problem(editor.send(method, MAINTENANCE.replace("default", "nowhere"), {}), 404)


def test_viewers_can_only_read(api: ApiClient) -> None:
    incident = make_incident()
    for method, url in (
        ("POST", acknowledge_url(incident)),
        ("POST", MAINTENANCE),
        ("DELETE", MAINTENANCE),
    ):
        problem(api.send(method, url, {"hours": 1}), 403)
    assert api.get(INCIDENTS).status_code == 200


def test_session_needs_a_csrf_token_to_write(editor: ApiClient) -> None:
    incident = make_incident()
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("eve", "change_incident"))
    response = client.post(acknowledge_url(incident), {}, content_type="application/json")
    assert "CSRF" in problem(response, 403)["detail"]
