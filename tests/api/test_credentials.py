"""Accepted credentials: Rocket.Chat's headers or the host's authenticators, and `run-import`."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.test import Client
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from importmonitor.api.rocketchat.views import GetCurrentImportOperation
from importmonitor.models import ApiToken
from tests.api.helpers import (
    NOON,
    PATH,
    RUNNING,
    credentials,
    make_user,
    permissions,
    sync,
)
from tests.api.test_responses import FORBIDDEN, LOGGED_OUT, assert_rocketchat

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _synced(db: None) -> None:
    sync(RUNNING)


def status(headers: Mapping[str, str]) -> int:
    return Client().get(PATH, headers=headers).status_code


def test_both_headers_are_accepted(headers: dict[str, str]) -> None:
    assert status(headers) == 200
    assert status({name.lower(): value for name, value in headers.items()}) == 200


def test_several_tokens_are_accepted(tool: User) -> None:
    assert [status(credentials(tool)) for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize(
    "wrong",
    [
        {"X-Auth-Token": "wrong"},
        {"X-Auth-Token": ""},
        {"X-User-Id": ""},
        {"X-User-Id": "", "X-Auth-Token": ""},
        {"X-User-Id": "0"},
        {"X-User-Id": "-1"},
        {"X-User-Id": "tool"},
        {"X-User-Id": "9" * 10_000},
        {"X-User-Id": "ü"},
        {"X-User-Id": "\0"},
        {"X-Auth-Token": "schlüssel-schlüssel"},
        {"X-Auth-Token": "\U0001f511" * 20},
        {"X-Auth-Token": "x" * 10_000},
        {"X-Auth-Token": "\0" * 20},
        {"X-Auth-Token": "abc\0def"},
        {"X-Auth-Token": "' OR 1=1 --"},
        {"X-Auth-Token": "%"},
    ],
    ids=lambda wrong: ",".join(f"{name}={value[:12]!r}" for name, value in wrong.items()),
)
def test_wrong_credentials_are_401(
    client: Client, headers: dict[str, str], wrong: dict[str, str]
) -> None:
    assert_rocketchat(client.get(PATH, headers=headers | wrong), 401, LOGGED_OUT)


@pytest.mark.parametrize("only", ["X-User-Id", "X-Auth-Token"])
def test_single_header_is_401(headers: dict[str, str], only: str) -> None:
    assert status({only: headers[only]}) == 401


def test_partial_token_is_401(headers: dict[str, str]) -> None:
    text = headers["X-Auth-Token"]
    prefix = text[: ApiToken.PREFIX_LENGTH]
    for wrong in (prefix, text[:-1], text + "x", f" {text}", text.swapcase(), prefix + "x" * 43):
        assert status(headers | {"X-Auth-Token": wrong}) == 401


def test_stored_digest_is_not_a_token(headers: dict[str, str]) -> None:
    token = ApiToken.objects.get()
    for stored in (token.digest, token.prefix + token.digest):
        assert status(headers | {"X-Auth-Token": stored}) == 401


def test_token_of_another_user_is_401(tool: User, headers: dict[str, str]) -> None:
    other = make_user("other", "run-import")
    assert status(headers | {"X-User-Id": str(other.pk)}) == 401
    assert status(credentials(other) | {"X-User-Id": str(tool.pk)}) == 401


def test_expired_token_is_401(tool: User) -> None:
    ending = credentials(tool, expires_at=NOON)
    with time_machine.travel(NOON - timedelta(seconds=1), tick=False):
        assert status(ending) == 200
    with time_machine.travel(NOON, tick=False):
        assert status(ending) == 401


def test_inactive_user_is_401(tool: User, headers: dict[str, str]) -> None:
    tool.is_active = False
    tool.save()
    assert status(headers) == 401


def test_deleted_token_is_401(headers: dict[str, str]) -> None:
    ApiToken.objects.all().delete()
    assert status(headers) == 401


def test_group_permission_is_accepted() -> None:
    user = make_user("member")
    group = Group.objects.create(name="importers")
    group.permissions.set(permissions("run-import"))
    assert status(credentials(user)) == 403
    user.groups.add(group)
    assert status(credentials(user)) == 200


def test_superuser_is_accepted() -> None:
    assert status(credentials(make_user("root", is_superuser=True))) == 200


@pytest.mark.parametrize(
    "others",
    [
        [],
        ["view_importoperation"],
        ["change_importoperation"],
        ["view-import-operations"],
        ["view_importoperation", "change_importoperation", "view-import-operations"],
    ],
)
def test_other_permissions_are_403(client: Client, others: list[str]) -> None:
    headers = credentials(make_user("other", *others, is_staff=True))
    assert_rocketchat(client.get(PATH, headers=headers), 403, FORBIDDEN)


def test_session_is_accepted(client: Client, tool: User) -> None:
    client.force_login(tool)
    assert_rocketchat(client.get(PATH), 200)


def test_session_without_permission_is_403(client: Client) -> None:
    client.force_login(make_user("stranger"))
    assert_rocketchat(client.get(PATH), 403, FORBIDDEN)


def test_wrong_headers_are_401_despite_session(client: Client, tool: User) -> None:
    """A request with a token is authenticated by the token only."""
    client.force_login(tool)
    by_id, by_token = {"X-User-Id": str(tool.pk)}, {"X-Auth-Token": "wrong"}
    for headers in (by_id, by_token, by_id | by_token):
        assert_rocketchat(client.get(PATH, headers=headers), 401, LOGGED_OUT)


@pytest.mark.parametrize(
    ("credentials_text", "expected"),
    [("tool:secret", 200), ("tool:wrong", 401), ("nobody:secret", 401), ("tool", 401), ("", 401)],
)
def test_basic_credentials(
    client: Client, tool: User, settings: Any, credentials_text: str, expected: int
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    tool.set_password("secret")
    tool.save()
    basic = {"Authorization": "Basic " + base64.b64encode(credentials_text.encode()).decode()}
    body = LOGGED_OUT if expected == 401 else None
    assert_rocketchat(client.get(PATH, headers=basic), expected, body)


class WordAuthentication(BaseAuthentication):
    """An authenticator of the host that accepts one word."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        if request.headers.get("Authorization") != "Word mellon":
            return None
        return User.objects.get(username="tool"), None


class FailingAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> None:
        raise AuthenticationFailed("Your badge is no longer good.")

    def authenticate_header(self, request: Request) -> str:
        return "Badge"


class ForbiddingAuthentication(BaseAuthentication):
    """DRF turns Django's exception into a 403, as documented."""

    def authenticate(self, request: Request) -> None:
        raise PermissionDenied


class ThrottlingAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> None:
        raise Throttled


def test_host_authenticator_is_accepted(
    client: Client, tool: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GetCurrentImportOperation, "authentication_classes", [WordAuthentication])
    assert_rocketchat(client.get(PATH, headers={"Authorization": "Word mellon"}), 200)
    assert_rocketchat(client.get(PATH), 401, LOGGED_OUT)
    assert_rocketchat(client.get(PATH, headers=credentials(tool)), 200)


def test_host_authenticator_can_fail(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        GetCurrentImportOperation, "authentication_classes", [FailingAuthentication]
    )
    assert_rocketchat(client.get(PATH), 401, LOGGED_OUT)


@pytest.mark.parametrize(
    ("authenticator", "expected"),
    [(ForbiddingAuthentication, 403), (ThrottlingAuthentication, 429)],
)
def test_host_authenticator_can_forbid_and_throttle(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    authenticator: type[BaseAuthentication],
    expected: int,
) -> None:
    monkeypatch.setattr(GetCurrentImportOperation, "authentication_classes", [authenticator])
    response = client.get(PATH)
    assert_rocketchat(response, expected)
    assert response.json()["success"] is False
    assert response.json()["error"]
