"""The button "Sync now": looks at every workspace, and says how it went."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import responses
from django.test import Client
from django.utils import timezone

from importmonitor.models import ImportOperation, SyncLease, SyncPeriod
from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, SYNC, messages, page
from tests.api.helpers import PATH, RUNNING, make_user, workspace_at

URL = "http://127.0.0.1:9" + PATH


@pytest.fixture
def remote() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("run-import")


def press(client: Client) -> list[tuple[str, str]]:
    """Press the button; return the messages of the page that one comes to."""
    response = client.post(SYNC, follow=True)
    assert response.redirect_chain == [(HISTORY, 302)]
    assert response.status_code == 200
    return messages(response)


def test_something_new(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(URL, json={"operation": RUNNING, "success": True})
    [(level, text)] = press(client)
    assert level == "success"
    assert "default" in text
    assert "nothing new" not in text
    assert ImportOperation.objects.get().remote_id == RUNNING["_id"]


def test_one_comes_back_to_what_was_shown(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(URL, json={"success": True})
    asked = "?outcome=failed&q=a%26b"
    [action] = [each for each in page(client.get(HISTORY + asked)).actions if each.startswith(SYNC)]
    response = client.post(action)
    assert (response.status_code, response["Location"]) == (302, HISTORY + asked)


def test_nothing_new(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(URL, json={"operation": RUNNING, "success": True})
    remote.get(URL.replace("Current", "Latest").replace("Operation", "Operations"), json=[RUNNING])
    press(client)
    [(level, text)] = press(client)
    assert level == "success"
    assert "nothing new" in text
    # The list is asked for once, since the operation was new.
    assert [call.request.path_url.count("Latest") for call in remote.calls] == [0, 1, 0]


def test_nothing_was_ever_imported(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(URL, json={"success": True})
    [(level, _)] = press(client)
    assert level == "success"
    assert SyncPeriod.objects.get().outcome == SyncPeriod.EMPTY


def test_another_process_is_at_it(client: Client, remote: responses.RequestsMock) -> None:
    soon = timezone.now() + timedelta(seconds=30)
    SyncLease.objects.create(workspace="default", holder="another", expires_at=soon)
    [(level, text)] = press(client)
    assert level == "info"
    assert "another process" in text
    assert len(remote.calls) == 0


def test_rocketchat_wants_to_be_left_alone(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(
        URL,
        status=429,
        json={
            "success": False,
            "error": "Error, too many requests. Please slow down. You must wait 42 seconds before "
            "trying this endpoint again. [error-too-many-requests]",
        },
    )
    [(level, text)] = press(client)
    assert level == "error"
    assert "429" in text
    [(level, text)] = press(client)
    assert level == "warning"
    assert "leave default alone for another 4" in text
    assert len(remote.calls) == 1


def test_an_error(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(URL, status=401, json={"status": "error", "message": "You must be logged in."})
    [(level, text)] = press(client)
    assert level == "error"
    assert "default" in text
    assert "Check USER_ID and AUTH_TOKEN" in text
    assert not ImportOperation.objects.exists()


def test_out_of_reach(client: Client, remote: responses.RequestsMock) -> None:
    [(level, text)] = press(client)
    assert level == "error"
    assert "default" in text


def test_an_error_is_only_text(client: Client, remote: responses.RequestsMock) -> None:
    remote.get(URL, status=400, json={"success": False, "error": "<script>alert(1)</script>"})
    response = client.post(SYNC, follow=True)
    [(level, text)] = messages(response)
    assert level == "error"
    assert "<script>alert(1)</script>" in text
    assert b"<script>alert" not in response.content


def test_every_workspace(client: Client, remote: responses.RequestsMock, settings: Any) -> None:
    """One that cannot be looked at keeps nobody from the others."""
    aliases = ("acme", "globex", "initech")
    urls = {alias: f"http://127.0.0.1:9/{alias}" for alias in aliases}
    settings.IMPORTMONITOR = {
        "WORKSPACES": {alias: workspace_at(url) for alias, url in urls.items()}
    }
    remote.get(urls["acme"] + PATH, json={"operation": RUNNING, "success": True})
    remote.get(urls["globex"] + PATH, body="<html>", content_type="text/html")
    remote.get(urls["initech"] + PATH, json={"operation": RUNNING, "success": True})
    told = press(client)
    assert [level for level, _ in told] == ["success", "error", "success"]
    assert all(alias in text for alias, (_, text) in zip(aliases, told, strict=True))
    assert ImportOperation.objects.count() == 2


@pytest.mark.parametrize(
    ("wrong", "level", "words"),
    [
        ({"WORKSPACES": {}}, "warning", "No Rocket.Chat workspace is configured"),
        ({}, "warning", "No Rocket.Chat workspace is configured"),
        ({"WORKSPACES": {"default": {"URL": "https://chat.example.org"}}}, "error", "USER_ID"),
        ({"WORKSPACES": {"default": 7}}, "error", "default"),
        ({"WORKSPACES": "no.such.callable"}, "error", "WORKSPACES"),
        ({"TYPO": {}}, "error", "TYPO"),
        (7, "error", "IMPORTMONITOR"),
    ],
)
def test_settings_that_cannot_be_used(
    client: Client,
    remote: responses.RequestsMock,
    settings: Any,
    wrong: object,
    level: str,
    words: str,
) -> None:
    settings.IMPORTMONITOR = wrong
    [(found, text)] = press(client)
    assert found == level
    assert words in text


def test_only_by_post(client: Client, remote: responses.RequestsMock) -> None:
    for method in ("get", "head", "put", "delete", "options"):
        response = getattr(client, method)(SYNC)
        assert response.status_code == 405
        assert response["Allow"] == "POST"
    assert len(remote.calls) == 0
    assert not SyncPeriod.objects.exists()


def test_not_from_another_site(db: None, remote: responses.RequestsMock) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("someone", "run-import", is_staff=True))
    assert client.post(SYNC).status_code == 403
    assert len(remote.calls) == 0
    shown = client.get(HISTORY)
    remote.get(URL, json={"success": True})
    token = shown.context["csrf_token"]
    assert client.post(SYNC, {"csrfmiddlewaretoken": str(token)}).status_code == 302
    assert len(remote.calls) == 1
