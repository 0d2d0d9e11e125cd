"""Who is refused, and how it is told: problem details with DRF's `detail`, on every method."""

import base64
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.admin.helpers import make_row
from tests.api.helpers import NOON, credentials, make_user, permissions
from tests.api.rest.asking import OPERATIONS, WORKSPACES, Asking, detail, five, problem

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
READS = ("GET", "HEAD", "OPTIONS")


@pytest.fixture
def urls(db: None) -> tuple[str, ...]:
    row = make_row()
    row.save()
    return five(row.pk)


def ask(method: str, url: str, headers: dict[str, str], **more: Any) -> "Response":
    return Client().generic(method, url, headers=headers, **more)


def refused(response: "Response", method: str, status: int) -> dict[str, Any]:
    """Return the body of a refusal; of HEAD's, there is none."""
    if method != "HEAD":
        return problem(response, status)
    assert response.status_code == status
    assert response.content == b""
    return {}


@pytest.mark.parametrize("method", METHODS)
def test_nobody(urls: tuple[str, ...], method: str) -> None:
    for url in urls:
        response = ask(method, url, {})
        found = refused(response, method, 401)
        told = "Authentication credentials were not provided."
        assert found.get("detail") == (None if method == "HEAD" else told)
        # Which no browser knows, and so asks nobody for a password.
        assert response["WWW-Authenticate"] == "X-Auth-Token"


@pytest.mark.parametrize("method", METHODS)
def test_somebody_without_rights(urls: tuple[str, ...], method: str) -> None:
    headers = credentials(make_user("nobody"))
    for url in urls:
        refused(ask(method, url, headers), method, 403)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "codename", ["run-import", "view-import-operations", "view_importoperation"]
)
def test_each_permission_lets_in(urls: tuple[str, ...], method: str, codename: str) -> None:
    headers = credentials(make_user("somebody", codename))
    for url in urls:
        response = ask(method, url, headers)
        if method in READS:
            assert response.status_code == 200
        else:
            refused(response, method, 405)
        assert response["Allow"] == "GET, HEAD, OPTIONS"


def test_what_lets_in_to_other_things_does_not(urls: tuple[str, ...]) -> None:
    user = make_user("somebody")
    user.user_permissions.set(permissions("view_alert", "change_importoperation"))
    for url in urls:
        problem(ask("GET", url, credentials(user)), 403)


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
def test_wrong_credentials(urls: tuple[str, ...], headers: dict[str, str]) -> None:
    for url in urls:
        problem(ask("GET", url, headers), 401)


def test_credentials_that_were_good(asking: Asking, urls: tuple[str, ...]) -> None:
    expired = credentials(make_user("late", "run-import"), expires_at=timezone.now())
    User.objects.filter(username="viewer").update(is_active=False)
    for url in urls:
        problem(ask("GET", url, expired), 401)
        problem(asking.get(url), 401)


def test_a_bearer(asking: Asking, urls: tuple[str, ...]) -> None:
    token = asking.headers["X-Auth-Token"]
    for url in urls:
        for word in ("Bearer", "bearer"):
            assert ask("GET", url, {"Authorization": f"{word} {token}"}).status_code == 200


def test_a_browser_that_is_logged_in(urls: tuple[str, ...]) -> None:
    client = Client()
    client.force_login(make_user("somebody", "run-import"))
    for url in urls:
        assert client.get(url).status_code == 200


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "nonsense", "application/*+xml"]
)
def test_what_cannot_be_had(asking: Asking, urls: tuple[str, ...], accept: str) -> None:
    for url in urls:
        problem(asking.get(url, Accept=accept), 406)


@pytest.mark.parametrize(
    "accept",
    [
        *("application/json", "*/*", "application/*", "text/html, */*;q=0.1"),
        *("application/json; charset=utf-16", "application/json; indent=99999999999"),
    ],
)
def test_what_can_be_had(asking: Asking, urls: tuple[str, ...], accept: str) -> None:
    for url in urls:
        response = asking.get(url, Accept=accept)
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "nonsense", ""])
def test_a_body_is_not_looked_at(asking: Asking, urls: tuple[str, ...], content_type: str) -> None:
    """So nothing is ever 415: what takes no body refuses none."""
    for method in METHODS:
        for url in urls:
            response = ask(method, url, asking.headers, data=b"{\xff\0", content_type=content_type)
            assert response.status_code == (200 if method in READS else 405)


def test_asked_too_often(asking: Asking, urls: tuple[str, ...], settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "2/min"}}
    with time_machine.travel(NOON, tick=False):
        for url in urls:
            statuses = [asking.get(url).status_code for _ in range(3)]
            assert statuses == [200, 200, 429], url
            response = asking.get(url)
            assert "60 seconds" in problem(response, 429)["detail"]
            assert response["Retry-After"] == "60"


def test_too_many_wrong_tokens(urls: tuple[str, ...], settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor_wrong_tokens": "2/min"}}
    wrong = {"X-User-Id": "1", "X-Auth-Token": "wrong"}
    with time_machine.travel(NOON, tick=False):
        statuses = [ask("GET", url, wrong).status_code for url in urls]
        assert statuses == [401, 401, 429, 429, 429]
        assert problem(ask("GET", WORKSPACES, wrong), 429)


def test_nothing_is_told_before_it_is_known_who_asks(db: None) -> None:
    row = make_row()
    row.save()
    for headers in ({}, credentials(make_user("nobody"))):
        there, not_there = (ask("GET", detail(key), headers) for key in (row.pk, row.pk + 1))
        assert there.content == not_there.content
        assert there.headers == not_there.headers
        wrong = ask("GET", f"{OPERATIONS}?state=nonsense", headers)
        assert wrong.content == there.content


def test_an_address_that_there_is_not(asking: Asking) -> None:
    for method in METHODS:
        response = ask(method, f"{OPERATIONS}nonsense/", asking.headers)
        refused(response, method, 404)


def test_the_browser_s_own_language(asking: Asking) -> None:
    """What has been translated is told so; what kind of trouble it is, always in one way."""
    response = asking.get(WORKSPACES, {"x": "1"}, Accept_Language="de")
    assert problem(response, 400)["title"] == "Bad Request"
    assert "Accept-Language" in response["Vary"]


def test_what_goes_wrong_here_is_no_problem_of_the_caller(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("importmonitor.models.health.sync_health", broken)
    with pytest.raises(ZeroDivisionError):
        asking.get(OPERATIONS)
