"""The endpoint has the statuses, bodies and headers of Rocket.Chat 8, byte for byte."""

import json
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.api.helpers import PATH, RUNNING, credentials, make_user, sync, sync_nothing

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

LOGGED_OUT = (
    b'{"success":false,"error":"You must be logged in to do this.",'
    b'"status":"error","message":"You must be logged in to do this."}'
)
INVALID_PARAMS = (
    b'{"success":false,"errorType":"error-invalid-params",'
    b'"error":"must NOT have additional properties"}'
)
FORBIDDEN = (
    b'{"success":false,"error":"User does not have the permissions required for this action '
    b'[error-unauthorized]"}'
)
UNKNOWN_WORKSPACE = "/workspaces/nowhere" + PATH


@pytest.fixture
def stranger(db: None) -> dict[str, str]:
    """The credentials of a user without permissions."""
    return credentials(make_user("stranger"))


def assert_rocketchat(response: "Response", status: int, body: bytes | None = None) -> None:
    """Assert what holds for every response of an endpoint, and its status and body."""
    assert response.status_code == status
    if body is not None:
        assert response.content == body
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in response
    assert "Location" not in response
    assert not response.cookies


def assert_not_found(response: "Response") -> None:
    assert response.status_code == 404
    assert response.content == b"404 Not Found"
    assert response["Content-Type"].partition(";")[0] == "text/plain"
    assert "Location" not in response
    assert not response.cookies


def test_operation_is_enveloped(client: Client, headers: dict[str, str]) -> None:
    sync(RUNNING)
    response = client.get(PATH, headers=headers)
    assert_rocketchat(response, 200)
    assert response.json() == {"operation": RUNNING, "success": True}
    # The order and spacing of the envelope are Rocket.Chat's.
    assert response.content.startswith(b'{"operation":{')
    assert response.content.endswith(b'},"success":true}')


def test_operation_is_absent_if_there_is_none(client: Client, headers: dict[str, str]) -> None:
    sync_nothing()
    assert_rocketchat(client.get(PATH, headers=headers), 200, b'{"success":true}')


def test_operation_is_absent_after_it_disappears(client: Client, headers: dict[str, str]) -> None:
    sync(RUNNING)
    sync_nothing()
    assert_rocketchat(client.get(PATH, headers=headers), 200, b'{"success":true}')


@pytest.mark.parametrize(
    "query", ["format=json", "_=123", "count=", "flag", "a=1&b=2", "%00", "format=api"]
)
def test_any_query_parameter_is_400(client: Client, headers: dict[str, str], query: str) -> None:
    sync(RUNNING)
    assert_rocketchat(client.get(f"{PATH}?{query}", headers=headers), 400, INVALID_PARAMS)


def test_more_query_parameters_than_django_reads_are_400(
    client: Client, headers: dict[str, str]
) -> None:
    query = "&".join(f"p{number}=1" for number in range(1_001))
    assert_rocketchat(client.get(f"{PATH}?{query}", headers=headers), 400, INVALID_PARAMS)


def test_empty_query_is_accepted(client: Client, headers: dict[str, str]) -> None:
    """The PyPI client appends a question mark to every URL."""
    sync(RUNNING)
    assert_rocketchat(client.get(f"{PATH}?", headers=headers), 200)


def test_unpolled_workspace_is_503(client: Client, headers: dict[str, str]) -> None:
    response = client.get(PATH, headers=headers)
    assert_rocketchat(response, 503)
    body = json.loads(response.content)
    assert set(body) == {"success", "error"}
    assert body["success"] is False
    assert "not been synced" in body["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/",
        "/api/v1/getCurrentImportOperation/",
        "/api/v1/getCurrentImportOperation/more",
        "/api/v1/getcurrentimportoperation",
        "/api/v1/getCurrentImportOperation.json",
        "/api/v1/info",
        "/api/v1/no such/thing",
        "/api/v1/line%0Abreak",
        "/api/v1/%00",
        "/workspaces/default/api/v1/getCurrentImportOperation/",
        "/workspaces/default/api/v1/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_path_is_404(headers: dict[str, str], method: str, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    assert_not_found(client.generic(method, path, headers=headers))
    assert_not_found(client.generic(method, path))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FROB"])
def test_wrong_method_is_404(headers: dict[str, str], method: str) -> None:
    sync(RUNNING)
    client = Client(enforce_csrf_checks=True)
    assert_not_found(client.generic(method, PATH, headers=headers))
    assert_not_found(client.generic(method, PATH))


@pytest.mark.parametrize("path", [UNKNOWN_WORKSPACE, PATH])
def test_checks_credentials_then_parameters_then_permission(
    client: Client, stranger: dict[str, str], headers: dict[str, str], path: str
) -> None:
    """The configured workspaces are not revealed without the permission."""
    wrong = headers | {"X-Auth-Token": "wrong"}
    for anonymous in ({}, wrong):
        assert_rocketchat(client.get(f"{path}?a=1", headers=anonymous), 401, LOGGED_OUT)
        assert_rocketchat(client.get(path, headers=anonymous), 401, LOGGED_OUT)
    assert_rocketchat(client.get(f"{path}?a=1", headers=stranger), 400, INVALID_PARAMS)
    assert_rocketchat(client.get(path, headers=stranger), 403, FORBIDDEN)
    assert_rocketchat(client.get(f"{path}?a=1", headers=headers), 400, INVALID_PARAMS)
    assert client.get(path, headers=headers).status_code == (
        404 if path == UNKNOWN_WORKSPACE else 503
    )


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "*/*", "nonsense", "", "text/html;q=0.9, */*;q=0.1"]
)
def test_accept_is_ignored(
    client: Client, tool: User, headers: dict[str, str], stranger: dict[str, str], accept: str
) -> None:
    accepting = {"Accept": accept}
    assert_rocketchat(client.get(PATH, headers=headers | accepting), 503)
    sync(RUNNING)
    assert_rocketchat(client.get(PATH, headers=headers | accepting), 200)
    assert_rocketchat(client.get(PATH + "?a", headers=headers | accepting), 400, INVALID_PARAMS)
    assert_rocketchat(client.get(PATH, headers=accepting), 401, LOGGED_OUT)
    assert_rocketchat(client.get(PATH, headers=stranger | accepting), 403, FORBIDDEN)
    assert_not_found(client.get(PATH + "/", headers=accepting))
