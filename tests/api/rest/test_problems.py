"""Refusals are problem details with DRF's `detail`, for every method."""

import base64
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from importmonitor.models import Workspace
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, credentials, make_user, permissions
from tests.api.rest.api_client import (
    OPERATIONS,
    WORKSPACES,
    ApiClient,
    all_urls,
    detail_url,
    problem,
)

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
READS = ("GET", "HEAD", "OPTIONS")


@pytest.fixture
def urls(db: None) -> tuple[str, ...]:
    row = make_row()
    row.save()
    return all_urls(row.pk)


def send(method: str, url: str, headers: dict[str, str], **more: Any) -> "Response":
    return Client().generic(method, url, headers=headers, **more)


def refused(response: "Response", method: str, status: int) -> dict[str, Any]:
    """Return the body of a refusal, which HEAD does not have."""
    if method != "HEAD":
        return problem(response, status)
    assert response.status_code == status
    assert response.content == b""
    return {}


@pytest.mark.parametrize("method", METHODS)
def test_missing_credentials_are_401(urls: tuple[str, ...], method: str) -> None:
    for url in urls:
        response = send(method, url, {})
        body = refused(response, method, 401)
        detail = "Authentication credentials were not provided."
        assert body.get("detail") == (None if method == "HEAD" else detail)
        # No browser knows this scheme and prompts for a password.
        assert response["WWW-Authenticate"] == "X-Auth-Token"


@pytest.mark.parametrize("method", METHODS)
def test_missing_permission_is_403(urls: tuple[str, ...], method: str) -> None:
    headers = credentials(make_user("stranger"))
    for url in urls:
        refused(send(method, url, headers), method, 403)


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "codename", ["run-import", "view-import-operations", "view_importoperation"]
)
def test_each_permission_allows_reading(urls: tuple[str, ...], method: str, codename: str) -> None:
    headers = credentials(make_user("user", codename))
    for url in urls:
        response = send(method, url, headers)
        if method in READS:
            assert response.status_code == 200
        else:
            refused(response, method, 405)
        assert response["Allow"] == "GET, HEAD, OPTIONS"


def test_other_permissions_are_403(urls: tuple[str, ...]) -> None:
    user = make_user("user")
    user.user_permissions.set(permissions("view_alert", "change_importoperation"))
    for url in urls:
        problem(send("GET", url, credentials(user)), 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Auth-Token": "wrong", "X-User-Id": "1"},
        {"X-Auth-Token": "wrong"},
        {"X-User-Id": "1"},
        {"X-Auth-Token": "", "X-User-Id": ""},
        {"X-Auth-Token": "\xff" * 55, "X-User-Id": "\u0661".encode().decode("latin-1")},
        {"Authorization": "Bearer " + "0" * 55},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic " + base64.b64encode(b"viewer:wrong").decode()},
    ],
)
def test_wrong_credentials_are_401(urls: tuple[str, ...], headers: dict[str, str]) -> None:
    for url in urls:
        problem(send("GET", url, headers), 401)


def test_expired_token_and_inactive_user_are_401(api: ApiClient, urls: tuple[str, ...]) -> None:
    expired = credentials(make_user("late", "run-import"), expires_at=timezone.now())
    User.objects.filter(username="viewer").update(is_active=False)
    for url in urls:
        problem(send("GET", url, expired), 401)
        problem(api.get(url), 401)


def test_bearer_token_is_accepted(api: ApiClient, urls: tuple[str, ...]) -> None:
    token = api.headers["X-Auth-Token"]
    for url in urls:
        for word in ("Bearer", "bearer"):
            assert send("GET", url, {"Authorization": f"{word} {token}"}).status_code == 200


def test_session_is_accepted(urls: tuple[str, ...]) -> None:
    client = Client()
    client.force_login(make_user("user", "run-import"))
    for url in urls:
        assert client.get(url).status_code == 200


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "nonsense", "application/*+xml"]
)
def test_unacceptable_media_type_is_406(api: ApiClient, urls: tuple[str, ...], accept: str) -> None:
    for url in urls:
        problem(api.get(url, Accept=accept), 406)


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    "accept",
    [
        *("application/json", "*/*", "application/*", "text/html, */*;q=0.1"),
        *("application/json; charset=utf-16", "application/json; indent=99999999999"),
    ],
)
def test_acceptable_media_type_gets_json(
    api: ApiClient, urls: tuple[str, ...], accept: str
) -> None:
    for url in urls:
        response = api.get(url, Accept=accept)
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"


@pytest.mark.thorough(one_in=2)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "nonsense", ""])
def test_request_body_is_ignored(api: ApiClient, urls: tuple[str, ...], content_type: str) -> None:
    """Otherwise it could be a 415."""
    for method in METHODS:
        for url in urls:
            response = send(method, url, api.headers, data=b"{\xff\0", content_type=content_type)
            assert response.status_code == (200 if method in READS else 405)


def test_too_many_requests_are_429(api: ApiClient, urls: tuple[str, ...], settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "2/min"}}
    with time_machine.travel(NOON, tick=False):
        for url in urls:
            statuses = [api.get(url).status_code for _ in range(3)]
            assert statuses == [200, 200, 429], url
            response = api.get(url)
            assert "60 seconds" in problem(response, 429)["detail"]
            assert response["Retry-After"] == "60"


def test_too_many_wrong_tokens_are_429(urls: tuple[str, ...], settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor_wrong_tokens": "2/min"}}
    wrong = {"X-User-Id": "1", "X-Auth-Token": "wrong"}
    with time_machine.travel(NOON, tick=False):
        statuses = [send("GET", url, wrong).status_code for url in urls]
        assert statuses == [401, 401, 429, 429, 429]
        assert problem(send("GET", WORKSPACES, wrong), 429)


def test_refusals_reveal_nothing(db: None) -> None:
    row = make_row()
    row.save()
    for headers in ({}, credentials(make_user("stranger"))):
        there, not_there = (send("GET", detail_url(key), headers) for key in (row.pk, row.pk + 1))
        assert there.content == not_there.content
        assert there.headers == not_there.headers
        wrong = send("GET", f"{OPERATIONS}?state=nonsense", headers)
        assert wrong.content == there.content


def test_unknown_url_is_404(api: ApiClient) -> None:
    for method in METHODS:
        for url in (OPERATIONS, WORKSPACES):
            response = send(method, f"{url}nonsense/", api.headers)
            refused(response, method, 404)


def test_detail_is_translated_and_title_is_not(api: ApiClient) -> None:
    """`detail` is for people, `title` for programs."""
    response = api.get(WORKSPACES, {"x": "1"}, Accept_Language="de")
    assert problem(response, 400)["title"] == "Bad Request"
    assert "Accept-Language" in response["Vary"]


def test_unexpected_exception_is_raised(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Workspace.objects, "by_alias", broken)
    with pytest.raises(ZeroDivisionError):
        api.get(OPERATIONS)
